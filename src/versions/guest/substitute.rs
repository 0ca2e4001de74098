//! What takes the place of a component whose file is gone or changed. A declared digest says which
//! component is meant, wherever it is: in the store of components, or compiled in the cache.

use std::fs;
use std::path::PathBuf;

use super::super::status::{StatusCode, StatusError};

/// A component with the declared digest that is not from the declared file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitute {
    /// What is wrong with the file.
    pub fault: StatusError,
    /// The copy of the component in the store that was found when the version was made.
    pub(super) copy: Option<PathBuf>,
    /// The files of the compile cache that may hold it.
    pub(super) cached: Vec<PathBuf>,
}

/// Where the component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubstituteSource {
    /// In the store of components.
    Store,
    /// In the compile cache, for this version of watershed on this kind of processor. The least recently
    /// used files go first.
    Cache,
    /// Only in the memory of this process.
    Memory,
}

impl Substitute {
    /// Where the component is now: a copy may go after the version was made, and the cache may be emptied or
    /// filled.
    pub fn source(&self) -> SubstituteSource {
        let is_there = |path: &PathBuf| fs::metadata(path).is_ok();
        match self {
            Self { copy: Some(path), .. } if is_there(path) => SubstituteSource::Store,
            Self { cached, .. } if cached.iter().any(is_there) => SubstituteSource::Cache,
            _ => SubstituteSource::Memory,
        }
    }
}

impl SubstituteSource {
    /// Whether a process that starts now would find the component too.
    pub fn outlives_process(self) -> bool {
        self != Self::Memory
    }

    /// The word for it in the API and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Cache => "cache",
            Self::Memory => "memory",
        }
    }
}

/// Whether an error of reading says that the file does not have the declared component. An error that
/// passes by itself does not.
pub(super) fn is_about_file(error: &StatusError) -> bool {
    let is_file = matches!(
        error.code,
        StatusCode::NotFound
            | StatusCode::Unreadable
            | StatusCode::NotAComponent
            | StatusCode::DigestMismatch
    );
    is_file && !error.is_transient
}

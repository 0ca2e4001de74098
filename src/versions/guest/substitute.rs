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
    pub source: SubstituteSource,
}

/// Where the component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubstituteSource {
    /// In this copy.
    Store(PathBuf),
    /// In this file of the compile cache, for this version of watershed on this kind of processor. The
    /// least recently used files go first.
    Cache(PathBuf),
    /// Only in the memory of this process.
    Memory,
}

impl Substitute {
    /// Whether a process that starts now would find the component too.
    pub fn outlives_process(&self) -> bool {
        match &self.source {
            SubstituteSource::Store(path) | SubstituteSource::Cache(path) => {
                fs::metadata(path).is_ok()
            }
            SubstituteSource::Memory => false,
        }
    }
}

impl SubstituteSource {
    /// The word for it in the API and in messages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Cache(_) => "cache",
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

//! Why a file was not changed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::code::{Coded, ErrorCode};
use crate::config::Report;

/// Why a service's file was not changed. Nothing was written. The message says what is wrong, [`Coded::help`] what to
/// do, and [`report`](Self::report) or [`change`](Self::change) the rest.
#[derive(Debug, Error)]
pub enum EditError {
    /// It is missing, cannot be read, or is not UTF-8 or not TOML.
    #[error("{} cannot be edited", .path.display())]
    Unreadable { path: PathBuf, report: Report },
    /// A new file was requested, and the file exists.
    #[error("{} exists already", .path.display())]
    Exists { path: PathBuf },
    /// Another watershed command is editing a file of this directory.
    #[error(
        "another command is editing files in {}, and has not ended in {seconds} s; nothing was \
         written",
        .directory.display()
    )]
    Busy { directory: PathBuf, seconds: u64 },
    #[error("{} was changed by somebody else meanwhile; nothing was written", .path.display())]
    Changed { path: PathBuf },
    /// The configuration was valid before the edit.
    #[error("the configuration would be wrong with this edit; nothing was written")]
    Invalid { report: Report },
    /// The configuration was wrong before, and the edit does not correct it.
    #[error("the configuration was wrong before this edit; nothing was written")]
    WrongBefore { report: Report },
    /// No environment would find the file.
    #[error(
        "no environment of {} would find {}; nothing was written", .main.display(), .path.display()
    )]
    NotServed { path: PathBuf, main: PathBuf, globs: Vec<String> },
    #[error(
        "{} is not writable for this user ({error}); nothing was written", .directory.display()
    )]
    ReadOnly { path: PathBuf, directory: PathBuf, error: io::Error, change: String },
    #[error(
        "{} belongs to user {user} and group {group}, and this user may not give them a new file \
         ({error}); nothing was written",
        .path.display()
    )]
    Owner { path: PathBuf, user: u32, group: u32, error: io::Error, change: String },
    #[error(
        "{} comes from a Kubernetes ConfigMap, which would undo any edit of the file; nothing was \
         written",
        .path.display()
    )]
    ConfigMap { path: PathBuf, change: String },
    #[error("there is no directory {}", .directory.display())]
    NoDirectory { directory: PathBuf },
    #[error("{} cannot be written: {error}; nothing was changed", .path.display())]
    Unwritable { path: PathBuf, error: io::Error },
}

impl EditError {
    /// What is wrong in the files.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Unreadable { report, .. }
            | Self::Invalid { report }
            | Self::WrongBefore { report } => Some(report),
            _ => None,
        }
    }

    /// The edit as a unified diff, for whoever makes it in another way.
    pub fn change(&self) -> Option<&str> {
        match self {
            Self::ReadOnly { change, .. }
            | Self::Owner { change, .. }
            | Self::ConfigMap { change, .. } => Some(change),
            _ => None,
        }
    }
}

impl Coded for EditError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable { .. } | Self::Invalid { .. } | Self::WrongBefore { .. } => {
                ErrorCode::InvalidConfiguration
            }
            Self::Exists { .. } => ErrorCode::FileExists,
            Self::Busy { .. } => ErrorCode::Busy,
            Self::Changed { .. } => ErrorCode::ChangedMeanwhile,
            Self::NotServed { .. } => ErrorCode::OutsideServices,
            Self::ReadOnly { .. } => ErrorCode::NotWritable,
            Self::Owner { .. } => ErrorCode::OtherOwner,
            Self::ConfigMap { .. } => ErrorCode::ConfigMap,
            Self::NoDirectory { .. } => ErrorCode::NoDirectory,
            Self::Unwritable { .. } => ErrorCode::WriteFailed,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } | Self::Invalid { .. } => return None,
            Self::Exists { .. } => "choose another name, or edit that file".to_owned(),
            Self::Busy { .. } => "try again when it has".to_owned(),
            Self::Changed { .. } => "look at it, and try again".to_owned(),
            Self::WrongBefore { .. } => "mend it first".to_owned(),
            Self::NotServed { globs, .. } => {
                format!("put it where {} leads, or correct that", globs.join(" or "))
            }
            Self::ReadOnly { path, .. } => format!(
                "run this as a user that may write there, or make this change of {} where the file \
                 comes from:",
                path.display()
            ),
            Self::Owner { .. } => "run this as that user, or make this change:".to_owned(),
            Self::ConfigMap { .. } => "make this change in the ConfigMap:".to_owned(),
            Self::NoDirectory { .. } => "create it, or choose another path".to_owned(),
            Self::Unwritable { .. } => "correct that, and try again".to_owned(),
        })
    }
}

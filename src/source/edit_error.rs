//! Why a file was not changed. Every message ends with what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::Report;

/// Why a service's file was not changed. Nothing was written.
#[derive(Debug, Error)]
pub enum EditError {
    /// It is missing, cannot be read, or is not UTF-8 or not TOML.
    #[error("{} cannot be edited:\n\n{report}", .path.display())]
    Unreadable { path: PathBuf, report: Report },
    /// A new file was requested, and the file exists.
    #[error("{} exists already: choose another name, or edit that file", .path.display())]
    Exists { path: PathBuf },
    /// Another watershed command is editing a file of this directory.
    #[error(
        "another command is editing files in {}, and has not ended in {seconds} s; nothing was \
         written: try again when it has",
        .directory.display()
    )]
    Busy { directory: PathBuf, seconds: u64 },
    #[error(
        "{} was changed by somebody else meanwhile; nothing was written: look at it, and try again",
        .path.display()
    )]
    Changed { path: PathBuf },
    /// The configuration was valid before the edit.
    #[error("the configuration would be wrong with this edit; nothing was written:\n\n{report}")]
    Invalid { report: Report },
    /// The configuration was wrong before, and the edit does not correct it.
    #[error(
        "the configuration was wrong before this edit; nothing was written: mend it first\n\n\
         {report}"
    )]
    WrongBefore { report: Report },
    /// No environment would find the file.
    #[error(
        "no environment of {} would find {}; nothing was written: put it where {} leads, or correct \
         that",
        .main.display(), .path.display(), .globs.join(" or ")
    )]
    NotServed { path: PathBuf, main: PathBuf, globs: Vec<String> },
    #[error(
        "{} is not writable for this user ({error}); nothing was written: run this as a user that \
         may write there, or make this change of {} where the file comes from:\n\n{change}",
        .directory.display(), .path.display()
    )]
    ReadOnly { path: PathBuf, directory: PathBuf, error: io::Error, change: String },
    #[error(
        "{} belongs to user {user} and group {group}, and this user may not give them a new file \
         ({error}); nothing was written: run this as that user, or make this change:\n\n{change}",
        .path.display()
    )]
    Owner { path: PathBuf, user: u32, group: u32, error: io::Error, change: String },
    #[error(
        "{} comes from a Kubernetes ConfigMap, which would undo any edit of the file; nothing was \
         written: make this change in the ConfigMap:\n\n{change}",
        .path.display()
    )]
    ConfigMap { path: PathBuf, change: String },
    #[error("there is no directory {}: create it, or choose another path", .directory.display())]
    NoDirectory { directory: PathBuf },
    #[error(
        "{} cannot be written: {error}; nothing was changed: correct that, and try again",
        .path.display()
    )]
    Unwritable { path: PathBuf, error: io::Error },
}

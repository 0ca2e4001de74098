//! Why a component was not copied into the store, or not deleted there.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use crate::code::{Coded, ErrorCode};

const IN_THE_WAY: &str = "something that is no directory is in the way: move it away, or choose another place by `[components] directory`";

/// Why the store was not changed.
#[derive(Debug, Error)]
pub enum ComponentStoreError {
    /// Another content, a directory, a device or a link to nowhere.
    #[error(
        "{} is there already, and is not the component that its name says; nothing was changed",
        .path.display()
    )]
    Occupied { path: PathBuf },
    #[error(
        "another command is copying a component into {}, and has not ended in {seconds} s; nothing \
         was changed",
        .directory.display()
    )]
    Busy { directory: PathBuf, seconds: u64 },
    #[error("cannot write to {}: {error}; nothing was changed", .path.display())]
    Unwritable { path: PathBuf, error: io::Error, help: &'static str },
}

impl ComponentStoreError {
    /// Whether the place is not for this user to write, and so for somebody else to fill.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::Unwritable { error, .. }
            if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
    }

    pub(super) fn unwritable(path: &Path, error: io::Error) -> Self {
        let help = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "give the command as a user that may write there, choose another place by \
                 `[components] directory`, or leave the component where it is by `--in-place`"
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                "make room, choose another place by `[components] directory`, or leave the component \
                 where it is by `--in-place`"
            }
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => IN_THE_WAY,
            _ if Errno::from_io_error(&error) == Some(Errno::LOOP) => IN_THE_WAY,
            _ => {
                "choose another place by `[components] directory`, or leave the component where it is \
                 by `--in-place`"
            }
        };
        Self::Unwritable { path: path.to_owned(), error, help }
    }
}

impl Coded for ComponentStoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Occupied { .. } => ErrorCode::FileExists,
            Self::Busy { .. } => ErrorCode::Busy,
            Self::Unwritable { .. } => ErrorCode::WriteFailed,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Occupied { .. } => "move it away, and give the command again",
            Self::Busy { .. } => "try again when it has",
            Self::Unwritable { help, .. } => help,
        };
        Some(help.to_owned())
    }
}

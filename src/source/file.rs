//! Reads a regular file that a user has named: a configuration file, a secret, a token, a
//! component. Anything else is refused, because reading it might never end: a pipe may have no
//! writer, and a device has no end.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::transient::is_transient;

/// Why a file was not read. The caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is a directory")]
    Directory,
    /// A pipe, a socket or a device.
    #[error("it is not a regular file")]
    NotRegular,
    /// It is larger than allowed.
    #[error("it has more than {most} bytes")]
    TooLarge { most: u64 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ReadError {
    /// The transient error, if it was one.
    pub fn transient(&self) -> Option<&io::Error> {
        match self {
            Self::Io(error) if is_transient(error) => Some(error),
            Self::Directory | Self::NotRegular | Self::TooLarge { .. } | Self::Io(_) => None,
        }
    }

    /// Whether the file is missing.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a regular file of at most so many bytes, following links.
///
/// # Errors
///
/// Where it is not a regular file, is larger, or cannot be read.
pub fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
    // Checked before it is opened: opening a device may already have an effect.
    regular(fs::metadata(path)?.file_type())?;
    let file = open(path)?;
    // Checked again: another file may have taken its place.
    let found = file.metadata()?;
    regular(found.file_type())?;
    let mut bytes = Vec::new();
    let expected = usize::try_from(found.len().min(most).saturating_add(1)).unwrap_or(0);
    bytes.try_reserve_exact(expected).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // The file may grow while it is read, so the limit holds here too.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= most => Ok(bytes),
        _ => Err(ReadError::TooLarge { most }),
    }
}

/// Whether two paths lead to one file, as far as the file system tells.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

/// Opens it without blocking, in case it has become a pipe without a writer.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn regular(kind: FileType) -> Result<(), ReadError> {
    match kind {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(ReadError::Directory),
        _ => Err(ReadError::NotRegular),
    }
}

impl From<io::ErrorKind> for ReadError {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Io(kind.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_so_many_bytes_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_file(&path, 5).unwrap(), b"12345");
        assert!(matches!(read_file(&path, 4), Err(ReadError::TooLarge { most: 4 })));
        fs::write(&path, "").unwrap();
        assert_eq!(read_file(&path, 0).unwrap(), b"");
        assert_eq!(read_file(&path, u64::MAX).unwrap(), b"");
    }

    #[test]
    fn what_is_no_file_is_not_read_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        assert!(matches!(read_file(directory.path(), 9), Err(ReadError::Directory)));
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), mode).unwrap();
        assert!(matches!(read_file(&path("pipe"), 9), Err(ReadError::NotRegular)));
        // A pipe that has taken the place of a file since somebody looked.
        assert!(open(&path("pipe")).is_ok());
        assert!(matches!(read_file(Path::new("/dev/zero"), 9), Err(ReadError::NotRegular)));
        assert!(read_file(&path("nothing"), 9).is_err_and(|error| error.is_missing()));
    }

    /// Files of `/proc` have a length of 0.
    #[test]
    fn the_length_that_a_file_says_is_not_believed() {
        let read = read_file(Path::new("/proc/self/status"), 1 << 20).unwrap();
        assert!(!read.is_empty());
        let refused = read_file(Path::new("/proc/self/status"), 10);
        assert!(matches!(refused, Err(ReadError::TooLarge { most: 10 })));
    }
}

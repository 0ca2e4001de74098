//! Tells whether a file may have changed, without reading it. The loader keeps a fingerprint of
//! each service file, the reloader one of each component.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::transient::is_transient;

/// How old a time stamp must be to be trusted. The clock of a file system ticks some hundred times
/// a second, so a file written twice within one tick keeps its stamp.
const TICK: Duration = Duration::from_millis(50);

/// Which file stands at a path, and when it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What a look at a path shows. Links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// This file.
    File(Fingerprint),
    /// No file, or none that we may look at.
    Nothing,
    /// Unknown, because of a transient error.
    Obscured,
}

impl Look {
    /// Looks at a path.
    pub fn at(path: &Path) -> Self {
        Self::of(std::fs::metadata(path))
    }

    fn of(looked: io::Result<Metadata>) -> Self {
        match looked {
            Ok(metadata) => Self::File(Fingerprint::from(&metadata)),
            Err(error) if is_transient(&error) => Self::Obscured,
            Err(_) => Self::Nothing,
        }
    }

    /// Whether this look shows another file than `before`. A look that shows nothing because of a
    /// transient error does not differ.
    pub fn differs_from(self, before: Self) -> bool {
        self != Self::Obscured && self != before
    }
}

impl Fingerprint {
    /// The fingerprint of a file, following links; `None` where there is no file, or it cannot be
    /// looked at.
    pub fn of(path: &Path) -> Option<Self> {
        match Look::at(path) {
            Look::File(fingerprint) => Some(fingerprint),
            Look::Nothing | Look::Obscured => None,
        }
    }

    /// Whether both are of the same file, whatever its content.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether the file is old enough that its next change will show in its fingerprint.
    pub fn is_settled(&self) -> bool {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let written = Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanoseconds).unwrap_or(0),
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A stamp from a clock ahead of ours cannot be compared.
        now.checked_sub(written).is_some_and(|age| age > TICK)
    }
}

impl From<&Metadata> for Fingerprint {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_at_for_a_moment_is_not_gone() {
        let error = |code| Look::of(Err(io::Error::from_raw_os_error(code)));
        let (denied, stale, io) = (error(13), error(116), error(5));
        assert_eq!((denied, stale, io), (Look::Nothing, Look::Obscured, Look::Obscured));
        let file = Look::at(Path::new("/"));
        assert!(!stale.differs_from(file) && !stale.differs_from(Look::Nothing));
        assert!(Look::Nothing.differs_from(file) && file.differs_from(Look::Nothing));
        assert!(file.differs_from(Look::Obscured), "it was never seen");
        assert!(!file.differs_from(file));
    }
}

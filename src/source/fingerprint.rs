//! What tells whether a file may have changed, without reading it. The loader keeps one of each
//! service's file, the registry one of each component.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::transient::is_transient;

/// The clock that a file system stamps files with ticks some hundred times a second: what is
/// written twice between two ticks keeps its stamp.
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

/// What a look at a path shows, following links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// This file.
    File(Fingerprint),
    /// No file that we may look at.
    Nothing,
    /// Nothing of the file: an error of a moment was in the way.
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

    /// Whether this, seen now, is another file than was seen before. What cannot be seen is not.
    pub fn differs_from(self, before: Self) -> bool {
        self != Self::Obscured && self != before
    }
}

impl Fingerprint {
    /// The fingerprint of a file, following links; `None` where there is no such file, or none can
    /// be seen.
    pub fn of(path: &Path) -> Option<Self> {
        match Look::at(path) {
            Look::File(fingerprint) => Some(fingerprint),
            Look::Nothing | Look::Obscured => None,
        }
    }

    /// Whether both are of one file, whatever was written into it.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether the file was left alone for so long that its next change will show here.
    pub fn is_settled(&self) -> bool {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let written = Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanoseconds).unwrap_or(0),
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A stamp from a clock that is ahead of ours tells nothing.
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

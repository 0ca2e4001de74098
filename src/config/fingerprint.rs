//! What tells whether a file may have changed, without reading it. The loader keeps one of each
//! service's file, the registry one of each component.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

impl Fingerprint {
    /// The fingerprint of a file, following links; `None` where there is no such file.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(Self::from)
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

//! Tells when files change: directories, not files, are watched, so that editors which write a new
//! file over the old name, swapped directories and Kubernetes' `..data` links are all seen.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// How long files must be left alone before they are read.
const QUIET: Duration = Duration::from_millis(50);
/// After so long they are read all the same.
const LONGEST: Duration = Duration::from_millis(400);

/// How many links after one another are followed, as the kernel does.
const MOST_LINKS: usize = 40;

/// The operating system does not let us watch files.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch files: {0}. Raise `sysctl fs.inotify.max_user_instances`")]
pub struct WatchError(#[from] notify::Error);

/// Which directory stands at a path. Inode numbers are given out again, so its birth counts too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    born: Option<SystemTime>,
}

impl Identity {
    fn of(directory: &Path) -> Option<Self> {
        let found = directory.metadata().ok()?;
        Some(Self { device: found.dev(), inode: found.ino(), born: found.created().ok() })
    }
}

/// Watches directories for changes.
///
/// Events are gathered here and not by a debouncing library: those leave out a file that was made
/// and removed in between, which may have been read in between.
pub struct Watcher {
    watcher: RecommendedWatcher,
    followed: HashMap<PathBuf, Identity>,
    changed: Arc<Notify>,
}

impl Watcher {
    /// A watcher that follows nothing yet.
    ///
    /// # Errors
    ///
    /// Where the operating system gives out no more watchers.
    pub fn new() -> Result<Self, WatchError> {
        let changed = Arc::new(Notify::new());
        let notify = changed.clone();
        let watcher = notify::recommended_watcher(move |event| {
            if is_change(&event) {
                notify.notify_one();
            }
        })?;
        Ok(Self { watcher, followed: HashMap::new(), changed })
    }

    /// Follows exactly these files and directories from now on, and every link on the way to them.
    /// What does not exist is watched for from the nearest directory above it. If a directory was
    /// not followed until now, that counts as a change: something may have happened in it before.
    pub fn follow<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) {
        let mut directories = HashSet::new();
        for path in paths {
            gather(path, MOST_LINKS, &mut directories);
        }
        let mut old = std::mem::take(&mut self.followed);
        for directory in directories {
            let identity = Identity::of(&directory);
            match old.remove(&directory) {
                Some(followed) if identity == Some(followed) => {
                    self.followed.insert(directory, followed);
                }
                _ => self.watch(directory, identity),
            }
        }
        for directory in old.into_keys() {
            // Its directory may be gone, and its watch with it.
            self.watcher.unwatch(&directory).ok();
        }
    }

    fn watch(&mut self, directory: PathBuf, identity: Option<Identity>) {
        // Another directory may have been watched by this name.
        self.watcher.unwatch(&directory).ok();
        match (self.watcher.watch(&directory, RecursiveMode::NonRecursive), identity) {
            (Ok(()), Some(identity)) => {
                self.followed.insert(directory, identity);
                self.changed.notify_one();
            }
            // It has gone since it was found, which whoever watches the one above it is told.
            (Ok(()), None) => {}
            (Err(error), _) => {
                tracing::warn!("edits in {} go unseen: {error}", directory.display());
            }
        }
    }

    /// Waits for a change in a followed directory, and until it seems complete. Changes while
    /// nobody waits count once.
    pub async fn changed(&self) {
        self.changed.notified().await;
        let quiet =
            async { while tokio::time::timeout(QUIET, self.changed.notified()).await.is_ok() {} };
        if tokio::time::timeout(LONGEST, quiet).await.is_err() {
            // The change under way is read twice rather than by half.
            self.changed.notify_one();
        }
    }
}

/// Whether something was written, and not only read.
fn is_change(event: &notify::Result<Event>) -> bool {
    match event {
        Ok(event) => !matches!(event.kind, EventKind::Access(_)),
        // Events were lost: look at the files.
        Err(_) => true,
    }
}

/// Adds the directories in which a change can make `path` another file: the one that it is in or
/// is, and for each link on the way, the one that the link is in and those on the way to its target.
fn gather(path: &Path, links: usize, directories: &mut HashSet<PathBuf>) {
    let nearest = path.ancestors().find(|ancestor| ancestor.is_dir());
    directories.extend(nearest.map(Path::to_path_buf));
    for link in path.ancestors() {
        let (Ok(target), Some(parent)) = (link.read_link(), link.parent()) else { continue };
        directories.insert(parent.to_path_buf());
        if links > 0 {
            gather(&parent.join(target), links - 1, directories);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_the_directories_they_are_in_and_point_to() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir_all(path("release-1")).unwrap();
        std::fs::create_dir_all(path("store")).unwrap();
        std::fs::write(path("store/app.wasm"), "").unwrap();
        symlink("release-1", path("current")).unwrap();
        symlink("../store/app.wasm", path("release-1/app.wasm")).unwrap();
        let mut found = HashSet::new();
        gather(&path("current/app.wasm"), MOST_LINKS, &mut found);
        let found: HashSet<_> =
            found.iter().map(|directory| directory.canonicalize().unwrap()).collect();
        let root = root.path().canonicalize().unwrap();
        let expected = [root.clone(), root.join("release-1"), root.join("store")];
        assert_eq!(found, HashSet::from(expected));
    }

    #[test]
    fn what_does_not_exist_is_watched_for_from_above() {
        let root = tempfile::tempdir().unwrap();
        let mut found = HashSet::new();
        gather(&root.path().join("no/such/app.wasm"), MOST_LINKS, &mut found);
        assert_eq!(found, HashSet::from([root.path().to_path_buf()]));
    }
}

//! Hears of changes from the kernel: directories, not files, are watched, so that editors which
//! write a new file over the old name, swapped directories and Kubernetes' `..data` links are all
//! seen.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{timeout, timeout_at};

use super::PATIENCE;
use super::writes::Writes;

/// How long files must be left alone before they are read.
const QUIET: Duration = Duration::from_millis(50);
/// After so long they are read all the same.
const LONGEST: Duration = Duration::from_millis(400);

/// How often in a row something may change while it is read, before what was read counts.
const MOST_DISTURBED: u32 = 3;

/// How many links after one another are followed, as the kernel does.
const MOST_LINKS: usize = 40;

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

/// Hears of changes in directories.
///
/// Events are gathered here and not by a debouncing library: those leave out a file that was made
/// and removed in between, which may have been read in between.
#[derive(Debug)]
pub struct Events {
    watcher: RecommendedWatcher,
    followed: HashMap<PathBuf, Identity>,
    /// What could not be watched, which is said once.
    unseen: HashSet<PathBuf>,
    heard: Arc<Heard>,
    /// When the change began that has not been told yet.
    since: Option<Instant>,
    /// How many changes there were when the last one was told, and how often more had come since.
    told: u64,
    disturbed: u32,
}

/// What the thread that hears of events shares with the reloader.
#[derive(Debug, Default)]
struct Heard {
    writes: Mutex<Writes>,
    signal: Notify,
    /// Whether the thread that hears has ended.
    is_deaf: AtomicBool,
}

/// What the thread that hears of events holds on to: if it ends, that is a change to look at.
struct Hearing(Arc<Heard>);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.is_deaf.store(true, Ordering::Relaxed);
        self.0.signal.notify_one();
    }
}

impl Heard {
    fn writes(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    pub fn new() -> Result<Self, notify::Error> {
        let heard = Arc::new(Heard::default());
        let hearing = Hearing(heard.clone());
        let watcher = notify::recommended_watcher(move |event| {
            let Hearing(heard) = &hearing;
            let wakes = heard.writes().note(&event, Instant::now());
            if wakes {
                heard.signal.notify_one();
            }
        })?;
        Ok(Self {
            watcher,
            followed: HashMap::new(),
            unseen: HashSet::new(),
            heard,
            since: None,
            told: 0,
            disturbed: 0,
        })
    }

    /// What does not exist is watched for from the nearest directory above it.
    pub fn follow<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) {
        let mut directories = Directories::default();
        for path in paths {
            directories.gather(path, MOST_LINKS);
        }
        let directories = directories.found;
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
                self.unseen.remove(&directory);
                self.followed.insert(directory, identity);
                self.heard.signal.notify_one();
            }
            // It has gone since it was found, which whoever watches the one above it is told.
            (Ok(()), None) => {}
            (Err(mut error), _) => {
                // We name it ourselves.
                error.paths.clear();
                if self.unseen.insert(directory.clone()) {
                    tracing::warn!(
                        "edits in {} go unseen: {error}. Raise \
                         `sysctl fs.inotify.max_user_watches`, or set `watch = \"poll:2s\"` under \
                         `[server]`",
                        directory.display()
                    );
                }
            }
        }
    }

    /// A thread that has panicked hears nothing any more: another one does, of the same directories.
    async fn hear_again(&mut self) {
        while self.heard.is_deaf.load(Ordering::Relaxed) {
            match Self::new() {
                Ok(events) => {
                    let before = std::mem::replace(self, events);
                    for directory in before.followed.into_keys() {
                        let identity = Identity::of(&directory);
                        self.watch(directory, identity);
                    }
                }
                Err(error) => {
                    tracing::error!("edits go unseen: {error}; trying again in {PATIENCE:?}");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }

    /// Waits for a change in a followed directory, until nothing changes for a moment, and for the
    /// files that are being written to be closed.
    pub async fn changed(&mut self) {
        self.hear_again().await;
        let since = match self.since {
            Some(since) => since,
            None => {
                self.heard.signal.notified().await;
                *self.since.insert(Instant::now())
            }
        };
        let last = since + PATIENCE;
        let is_quiet = loop {
            let is_quiet = self.quiet().await;
            let now = Instant::now();
            let end = self.heard.writes().end(now).filter(|_| now < last);
            let Some(end) = end else { break is_quiet };
            // Woken by a close, or by more changes.
            timeout_at(end.min(last).into(), self.heard.signal.notified()).await.ok();
        };
        if !is_quiet {
            // The change under way is read twice rather than by half.
            self.heard.signal.notify_one();
        }
        self.told = self.heard.writes().changes;
        self.since = None;
    }

    /// Waits until nothing changes for a moment. Whether that came to be.
    async fn quiet(&self) -> bool {
        let quiet = async { while timeout(QUIET, self.heard.signal.notified()).await.is_ok() {} };
        timeout(LONGEST, quiet).await.is_ok()
    }

    pub fn is_disturbed(&mut self) -> bool {
        let changes = self.heard.writes().changes;
        let is_disturbed = changes != self.told && self.disturbed < MOST_DISTURBED;
        self.disturbed = if is_disturbed { self.disturbed + 1 } else { 0 };
        is_disturbed
    }
}

/// The directories in which a change can make some path another file.
#[derive(Default)]
struct Directories {
    found: HashSet<PathBuf>,
    /// Paths whose links, up to the root, were followed.
    done: HashSet<PathBuf>,
}

impl Directories {
    /// Adds those of `path`: the one that it is in or is, and for each link on the way, the one that
    /// the link is in and those on the way to its target.
    fn gather(&mut self, path: &Path, links: usize) {
        if self.done.contains(path) {
            return;
        }
        // Of many files in a directory, nearly all are neither links nor directories.
        let in_found = path.parent().is_some_and(|parent| self.found.contains(parent));
        if in_found && is_file(path) {
            self.done.insert(path.to_path_buf());
            return;
        }
        for ancestor in path.ancestors() {
            if self.found.contains(ancestor) {
                break;
            }
            if ancestor.is_dir() {
                self.found.insert(ancestor.to_path_buf());
                break;
            }
        }
        for link in path.ancestors() {
            if !self.done.insert(link.to_path_buf()) {
                break;
            }
            let (Ok(target), Some(parent)) = (link.read_link(), link.parent()) else { continue };
            self.found.insert(parent.to_path_buf());
            if links > 0 {
                self.gather(&parent.join(target), links - 1);
            }
        }
    }
}

/// Whether this is a file itself, and no link to one.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The reloader gives its wait up whenever a version has been made.
    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::new().unwrap();
        events.follow([directory.path()]);
        events.changed().await;
        std::fs::write(directory.path().join("a.toml"), "x").unwrap();
        for _ in 0..20 {
            assert!(timeout(QUIET / 10, events.changed()).await.is_err(), "too early");
        }
        timeout(Duration::from_secs(10), events.changed()).await.unwrap();
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_is_read_again_but_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::new().unwrap();
        events.follow([directory.path()]);
        for disturbed in [true, true, true, false, true] {
            events.changed().await;
            std::fs::write(directory.path().join("a.toml"), "x").unwrap();
            let told = events.told;
            while events.heard.writes().changes == told {
                tokio::task::yield_now().await;
            }
            assert_eq!(events.is_disturbed(), disturbed);
        }
    }

    #[tokio::test]
    async fn changes_are_heard_of_when_the_thread_that_hears_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::new().unwrap();
        events.follow([directory.path()]);
        events.changed().await;
        // It goes as it does when the thread unwinds.
        drop(std::mem::replace(&mut events.watcher, Events::new().unwrap().watcher));
        let deadline = Duration::from_secs(10);
        while !events.heard.is_deaf.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        // Something may have happened meanwhile.
        timeout(deadline, events.changed()).await.unwrap();
        assert!(!events.heard.is_deaf.load(Ordering::Relaxed));
        std::fs::write(directory.path().join("a.toml"), "x").unwrap();
        timeout(deadline, events.changed()).await.unwrap();
    }

    #[test]
    fn links_lead_to_the_directories_they_are_in_and_point_to() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir_all(path("release-1")).unwrap();
        std::fs::create_dir_all(path("store")).unwrap();
        std::fs::write(path("store/app.wasm"), "").unwrap();
        symlink("release-1", path("current")).unwrap();
        symlink("../store/app.wasm", path("release-1/app.wasm")).unwrap();
        let mut directories = Directories::default();
        directories.gather(&path("current/app.wasm"), MOST_LINKS);
        let found: HashSet<_> =
            directories.found.iter().map(|directory| directory.canonicalize().unwrap()).collect();
        let root = root.path().canonicalize().unwrap();
        let expected = [root.clone(), root.join("release-1"), root.join("store")];
        assert_eq!(found, HashSet::from(expected));
    }

    #[test]
    fn what_does_not_exist_is_watched_for_from_above() {
        let root = tempfile::tempdir().unwrap();
        let mut directories = Directories::default();
        directories.gather(&root.path().join("no/such/app.wasm"), MOST_LINKS);
        assert_eq!(directories.found, HashSet::from([root.path().to_path_buf()]));
    }
}

//! Looks for changes: for file systems whose changes the kernel does not tell, such as NFS, 9p and
//! some of FUSE and of containers.
//!
//! Not by notify's own `PollWatcher`: it compares modification times in whole seconds and, unless
//! it reads every file, nothing else (`system_time_to_seconds` in its `poll.rs`), so it misses the
//! second of two edits in a second, and a link that is switched to something older.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::PATIENCE;
use crate::config::Fingerprint;

/// How far apart two looks are that must see the same before a change counts as complete.
const SETTLED: Duration = Duration::from_millis(500);

/// Looks from a thread of its own, which a file system that hangs may hold up. It ends with this.
#[derive(Debug)]
pub struct Poller {
    followed: Sender<HashSet<PathBuf>>,
    changed: Arc<Notify>,
}

impl Poller {
    /// A poller that looks once in each `interval`.
    pub fn new(interval: Duration) -> io::Result<Self> {
        let (followed, orders) = channel();
        let changed = Arc::new(Notify::new());
        let mut looker = Looker {
            interval,
            orders,
            changed: changed.clone(),
            seen: HashMap::new(),
            since: None,
        };
        thread::Builder::new().name("poller".to_owned()).spawn(move || {
            // A panic must not be the end of looking: it goes on with what it has seen.
            while catch_unwind(AssertUnwindSafe(|| looker.run())).is_err() {
                thread::sleep(interval);
            }
        })?;
        Ok(Self { followed, changed })
    }

    /// Looks at exactly these from now on. A look follows links, so a link that is switched
    /// anywhere on the way shows as another file.
    pub fn follow(&mut self, paths: HashSet<PathBuf>) {
        // The thread runs for as long as this exists.
        self.followed.send(paths).ok();
    }

    /// Waits for a change that is complete.
    pub async fn changed(&mut self) {
        self.changed.notified().await;
    }
}

/// What a path was at the last look.
#[derive(Debug, PartialEq, Eq)]
struct Sight {
    file: Option<Fingerprint>,
    /// The names in a directory, as one number: where time stamps are coarse, its own does not
    /// tell of a file that was made in the same second as the one before.
    names: u64,
}

impl Sight {
    fn of(path: &Path) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self { file: None, names: 0 } };
        let names = if metadata.is_dir() { names(path) } else { 0 };
        Self { file: Some(Fingerprint::from(&metadata)), names }
    }
}

/// The same for the same names, in whatever order they come.
fn names(directory: &Path) -> u64 {
    let hash = |entry: fs::DirEntry| {
        let mut hasher = DefaultHasher::new();
        entry.file_name().hash(&mut hasher);
        hasher.finish()
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(hash).fold(0, u64::wrapping_add)
}

/// The thread's side.
struct Looker {
    interval: Duration,
    orders: Receiver<HashSet<PathBuf>>,
    changed: Arc<Notify>,
    seen: HashMap<PathBuf, Sight>,
    /// When the change began that has not been told yet.
    since: Option<Instant>,
}

impl Looker {
    fn run(&mut self) {
        loop {
            let pause = if self.since.is_some() { SETTLED } else { self.interval };
            match self.orders.recv_timeout(pause) {
                Ok(paths) => self.follow(paths),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn follow(&mut self, paths: HashSet<PathBuf>) {
        self.seen.retain(|path, _| paths.contains(path));
        for path in paths {
            self.seen.entry(path).or_insert_with_key(|path| {
                self.since.get_or_insert_with(Instant::now);
                Sight::of(path)
            });
        }
    }

    fn look(&mut self) {
        let mut differs = false;
        for (path, seen) in &mut self.seen {
            let sight = Sight::of(path);
            differs |= *seen != sight;
            *seen = sight;
        }
        let (since, now) = (self.since, Instant::now());
        let is_over = since.is_some_and(|since| !differs || now > since + PATIENCE);
        if is_over {
            self.since = None;
            self.changed.notify_one();
        } else if differs {
            self.since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_switched_link_and_a_new_name_are_other_sights() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for release in ["1", "2"] {
            fs::create_dir(path(release)).unwrap();
            fs::write(path(release).join("app.wasm"), "same").unwrap();
        }
        symlink("1", path("current")).unwrap();
        let app = path("current/app.wasm");
        let (file, directory) = (Sight::of(&app), Sight::of(root.path()));
        assert_eq!((&file, &directory), (&Sight::of(&app), &Sight::of(root.path())));
        fs::remove_file(path("current")).unwrap();
        let without = Sight::of(root.path());
        assert_ne!(without.names, directory.names);
        assert_eq!(Sight::of(&app).file, None);
        symlink("2", path("current")).unwrap();
        assert_ne!(Sight::of(&app), file);
        assert_eq!(Sight::of(root.path()).names, directory.names);
    }

    #[tokio::test]
    async fn a_change_is_told_once_it_is_over_and_nothing_is_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.toml");
        let mut poller = Poller::new(Duration::from_millis(100)).unwrap();
        poller.follow(HashSet::from([file.clone()]));
        poller.changed().await;
        let told = tokio::time::timeout(3 * SETTLED, poller.changed()).await;
        assert!(told.is_err(), "nothing has changed");
        fs::write(&file, "x").unwrap();
        let written = Instant::now();
        poller.changed().await;
        assert!(written.elapsed() >= SETTLED, "{:?}", written.elapsed());
    }
}

//! Looks for changes at intervals, for file systems where the kernel reports none, such as NFS, 9p,
//! some of FUSE and some of containers.
//!
//! Not by notify's own `PollWatcher`: it compares modification times in whole seconds and, unless
//! it reads every file, nothing else (`system_time_to_seconds` in its `poll.rs`), so it misses the
//! second of two edits in a second, and a link that is switched to something older.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::PATIENCE;
use crate::source::{Fingerprint, Followed, Names};
use crate::transient::is_transient;

/// The time between two looks that must agree before a change counts as complete.
const SETTLED: Duration = Duration::from_millis(500);

/// Looks from a thread of its own, because a file system may hang. The thread ends when this is
/// dropped.
#[derive(Debug)]
pub struct Poller {
    followed: Sender<HashSet<Followed>>,
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
            // After a panic, the thread goes on with the state that it has.
            while catch_unwind(AssertUnwindSafe(|| looker.run())).is_err() {
                thread::sleep(interval);
            }
        })?;
        Ok(Self { followed, changed })
    }

    /// Looks at exactly these paths from now on. Looks follow links, so a changed link anywhere on
    /// the way shows as another file.
    pub fn follow(&mut self, paths: HashSet<Followed>) {
        // Cannot fail: the thread runs as long as this exists.
        self.followed.send(paths).ok();
    }

    /// Waits for a complete change.
    pub async fn changed(&mut self) {
        self.changed.notified().await;
    }
}

/// The state of a followed path at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Nothing,
    File(Fingerprint),
    /// A hash of the names that matter. The directory's time stamp also changes for names that do
    /// not matter and, where stamps are coarse, may miss those that do.
    Directory {
        device: u64,
        inode: u64,
        names: u64,
    },
    /// Not looked at yet, because of a transient error.
    Unknown,
}

impl Sight {
    /// The present state; `None` on a transient error.
    fn of(followed: &Followed) -> Option<Self> {
        let (path, names) = match followed {
            Followed::Path(path) => (path, None),
            Followed::Names(directory, names) => (directory, Some(names)),
        };
        match Self::at(path, names) {
            Ok(sight) => Some(sight),
            Err(error) => (!is_transient(&error)).then_some(Self::Nothing),
        }
    }

    fn at(path: &Path, wanted: Option<&Names>) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return Ok(Self::File(Fingerprint::from(&metadata)));
        }
        let names = wanted.map_or(Ok(0), |wanted| names(path, wanted))?;
        Ok(Self::Directory { device: metadata.dev(), inode: metadata.ino(), names })
    }
}

/// A hash of names that does not depend on their order.
fn names(directory: &Path, wanted: &Names) -> io::Result<u64> {
    let mut sum = 0u64;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if wanted.mean(&name) {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            sum = sum.wrapping_add(hasher.finish());
        }
    }
    Ok(sum)
}

/// The state of the thread.
struct Looker {
    interval: Duration,
    orders: Receiver<HashSet<Followed>>,
    changed: Arc<Notify>,
    seen: HashMap<Followed, Sight>,
    /// When the change began that has not been reported yet.
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

    fn follow(&mut self, paths: HashSet<Followed>) {
        self.seen.retain(|path, _| paths.contains(path));
        for path in paths {
            self.seen.entry(path).or_insert_with_key(|path| {
                self.since.get_or_insert_with(Instant::now);
                Sight::of(path).unwrap_or(Sight::Unknown)
            });
        }
    }

    fn look(&mut self) {
        let mut differs = false;
        for (path, seen) in &mut self.seen {
            // After a transient error, a path counts as unchanged.
            let sight = Sight::of(path).unwrap_or(*seen);
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
        let app = Followed::Path(path("current/app.wasm"));
        let file = Sight::of(&app);
        assert_eq!(Sight::of(&app), file);
        fs::remove_file(path("current")).unwrap();
        assert_eq!(Sight::of(&app), Some(Sight::Nothing));
        symlink("2", path("current")).unwrap();
        assert_ne!(Sight::of(&app), file);
    }

    #[test]
    fn only_names_that_are_meant_make_another_sight_of_a_directory() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("services")).unwrap();
        let main = path("watershed.toml");
        let text = "[[environments]]\nname = 'e'\ndomain = 'd'\nservices = 'services/*.toml'\n";
        fs::write(&main, text).unwrap();
        let followed = crate::source::Loader::new(&main)
            .load(crate::source::Reading::Everything)
            .unwrap()
            .changes
            .watch()
            .to_vec();
        let look = || followed.iter().map(Sight::of).collect::<Vec<_>>();
        let before = look();
        for name in ["services/app.log", "services/.a.toml.swp", "log"] {
            fs::write(path(name), "x").unwrap();
            assert_eq!(look(), before, "{name}");
        }
        fs::write(path("services/a.toml"), "x").unwrap();
        assert_ne!(look(), before);
    }

    #[tokio::test]
    async fn a_change_is_told_once_it_is_over_and_nothing_is_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.toml");
        let mut poller = Poller::new(Duration::from_millis(100)).unwrap();
        poller.follow(HashSet::from([Followed::Path(file.clone())]));
        poller.changed().await;
        let told = tokio::time::timeout(3 * SETTLED, poller.changed()).await;
        assert!(told.is_err(), "nothing has changed");
        fs::write(&file, "x").unwrap();
        let written = Instant::now();
        poller.changed().await;
        assert!(written.elapsed() >= SETTLED, "{:?}", written.elapsed());
    }
}

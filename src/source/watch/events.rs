//! Hears of changes from the kernel: directories, not files, are watched, so that editors which
//! write a new file over the old name, swapped directories and Kubernetes' `..data` links are all
//! seen.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{timeout, timeout_at};

use super::interest::{Interest, Interests};
use super::writes::Writes;
use super::{Follow, PATIENCE};
use crate::transient::{advice, is_transient};

/// How long files must be left alone before they are read.
const QUIET: Duration = Duration::from_millis(50);
/// After so long they are read all the same.
const LONGEST: Duration = Duration::from_millis(400);

/// How often in a row something may change while it is read, before what was read counts.
const MOST_DISTURBED: u32 = 3;

/// How many paths are noted. Where more have changed, everything is looked at.
const PLACES_MAX: usize = 1_000;

/// How many links after one another are followed, as the kernel does.
const MOST_LINKS: usize = 40;

/// Which directory stands at a path. Inode numbers are given out again, so its birth counts too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Each directory by one path only: the kernel has one watch of it, which goes by the path that
    /// it was asked for last.
    followed: HashMap<PathBuf, Identity>,
    /// What could not be watched, which is said once.
    unseen: HashSet<PathBuf>,
    /// Whether a directory could not be looked at, or was gone before it was watched.
    is_unsure: bool,
    /// Whether a directory is followed by several paths, so that events name only one of them.
    has_aliases: bool,
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
    interests: Mutex<Interests>,
    writes: Mutex<Writes>,
    places: Mutex<Changed>,
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
    /// Takes note of an event, if it matters.
    fn hear(&self, event: notify::Result<notify::Event>) {
        let Some(event) = self.interests().of(event) else { return };
        self.places().note(&event);
        if self.writes().note(&event, Instant::now()) {
            self.signal.notify_one();
        }
    }

    fn places(&self) -> MutexGuard<'_, Changed> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interests(&self) -> MutexGuard<'_, Interests> {
        self.interests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writes(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where something has changed, as far as it is known; at first, it is not.
#[derive(Debug, Default)]
struct Changed {
    paths: HashSet<PathBuf>,
    is_known: bool,
}

impl Changed {
    fn note(&mut self, event: &notify::Result<notify::Event>) {
        match event {
            // To read a file is no change.
            Ok(event)
                if matches!(event.kind, EventKind::Access(kind)
                    if kind != AccessKind::Close(AccessMode::Write)) => {}
            Ok(event) if !event.paths.is_empty() && !event.need_rescan() => {
                self.add(event.paths.iter().cloned());
            }
            // Events were lost.
            _ => self.is_known = false,
        }
    }

    fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        if self.is_known {
            self.paths.extend(paths);
            self.is_known = self.paths.len() <= PLACES_MAX;
        }
    }

    fn take(&mut self) -> Option<HashSet<PathBuf>> {
        let paths = std::mem::take(&mut self.paths);
        std::mem::replace(&mut self.is_known, true).then_some(paths)
    }
}

impl Events {
    pub fn new() -> Result<Self, notify::Error> {
        let heard = Arc::new(Heard::default());
        let hearing = Hearing(heard.clone());
        let watcher = notify::recommended_watcher(move |event| {
            let Hearing(heard) = &hearing;
            heard.hear(event);
        })?;
        Ok(Self {
            watcher,
            followed: HashMap::new(),
            unseen: HashSet::new(),
            is_unsure: false,
            has_aliases: false,
            heard,
            since: None,
            told: 0,
            disturbed: 0,
        })
    }

    /// What does not exist is watched for from the nearest directory above it.
    pub fn follow<'a>(&mut self, followed: impl IntoIterator<Item = Follow<'a>>) {
        let mut directories = Directories::default();
        for follow in followed {
            directories.add(follow);
        }
        self.is_unsure = directories.is_unsure;
        self.has_aliases = false;
        let wanted = self.by_identity(directories);
        let is_wanted = |path: &PathBuf, identity: &Identity| {
            wanted.get(identity).is_some_and(|(wanted, _)| wanted == path)
        };
        let old = std::mem::take(&mut self.followed);
        for (path, identity) in old {
            if is_wanted(&path, &identity) {
                self.followed.insert(path, identity);
            } else {
                // Its directory may be gone, and its watch with it.
                self.watcher.unwatch(&path).ok();
            }
        }
        self.unseen.retain(|path| wanted.values().any(|(wanted, _)| wanted == path));
        let paths = wanted.iter().map(|(identity, (path, _))| (path.clone(), *identity));
        let paths: Vec<_> = paths.filter(|(path, _)| !self.followed.contains_key(path)).collect();
        // Before the first event of a new one.
        if self.heard.interests().replace(wanted.into_values().collect()) {
            self.change_anywhere();
        }
        for (path, identity) in paths {
            self.watch(path, identity);
        }
    }

    /// Follows these too, beside all that is followed. Whether that can be had.
    pub fn follow_more<'a>(&mut self, followed: impl IntoIterator<Item = Follow<'a>>) -> bool {
        let followed: Vec<_> = followed.into_iter().collect();
        let mut directories = Directories::default();
        directories.found.extend(self.followed.keys().cloned());
        followed.iter().for_each(|follow| directories.add(*follow));
        self.is_unsure |= directories.is_unsure;
        let wanted = self.by_identity(directories);
        if self.has_aliases {
            return false;
        }
        for (identity, (path, interest)) in wanted {
            self.heard.interests().add(&path, interest);
            if !self.followed.contains_key(&path) {
                self.watch(path, identity);
            }
        }
        // Something may have happened to them before.
        self.heard.places().add(followed.iter().map(|follow| follow.path().to_owned()));
        self.heard.signal.notify_one();
        true
    }

    /// Where something has changed since the last call; none where it may have been anywhere.
    pub fn places(&mut self) -> Option<HashSet<PathBuf>> {
        let places = self.heard.places().take();
        places.filter(|_| !self.has_aliases && !self.is_blind())
    }

    /// Something may have changed, and it is not known where.
    fn change_anywhere(&self) {
        self.heard.places().is_known = false;
        self.heard.signal.notify_one();
    }

    /// Each directory once, by the path that it is watched by already, if it is.
    fn by_identity(&mut self, directories: Directories) -> HashMap<Identity, (PathBuf, Interest)> {
        let Directories { found, mut interests, .. } = directories;
        let mut wanted: HashMap<Identity, (PathBuf, Interest)> = HashMap::new();
        for path in found {
            let Some(identity) = Identity::of(&path) else {
                // It has gone since it was found.
                self.is_unsure = true;
                continue;
            };
            let interest = interests.remove(&path).unwrap_or_default();
            let is_followed = self.followed.get(&path) == Some(&identity);
            match wanted.entry(identity) {
                Entry::Vacant(entry) => {
                    entry.insert((path, interest));
                }
                Entry::Occupied(mut entry) => {
                    self.has_aliases = true;
                    let (known, all) = entry.get_mut();
                    all.add(interest);
                    if is_followed {
                        *known = path;
                    }
                }
            }
        }
        wanted
    }

    fn watch(&mut self, directory: PathBuf, identity: Identity) {
        match self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
            Ok(()) => {
                if self.unseen.remove(&directory) {
                    tracing::info!("edits in {} are seen again", directory.display());
                }
                self.followed.insert(directory, identity);
                self.change_anywhere();
            }
            Err(mut error) => {
                // We name it ourselves.
                error.paths.clear();
                if self.unseen.insert(directory.clone()) {
                    tracing::warn!(
                        "edits in {} go unseen, and are looked for every few seconds: {error}. {}",
                        directory.display(),
                        remedy(&error)
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
                    self.has_aliases = before.has_aliases;
                    *self.heard.interests() = std::mem::take(&mut before.heard.interests());
                    for (directory, identity) in before.followed {
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

    /// Whether changes somewhere go unseen.
    pub fn is_blind(&self) -> bool {
        self.is_unsure || !self.unseen.is_empty()
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

/// What to do about a directory that cannot be watched.
fn remedy(error: &notify::Error) -> &'static str {
    match &error.kind {
        ErrorKind::Io(error) if is_transient(error) => advice(error),
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "Let the user that runs watershed read the directory"
        }
        _ => {
            "Raise `sysctl fs.inotify.max_user_watches`, or set `watch = \"poll:2s\"` under `[server]`"
        }
    }
}

/// The directories in which a change can make some path another file.
#[derive(Default)]
struct Directories {
    found: HashSet<PathBuf>,
    /// What matters in a directory, be it found or not.
    interests: HashMap<PathBuf, Interest>,
    /// Whether some directory could not be looked at for a moment.
    is_unsure: bool,
    /// Paths whose links, up to the root, were followed.
    done: HashSet<PathBuf>,
}

impl Directories {
    fn add(&mut self, follow: Follow<'_>) {
        match follow {
            Follow::Path(path) => self.gather(path, MOST_LINKS),
            Follow::Names(directory, names) => {
                self.gather(directory, MOST_LINKS);
                self.interests.entry(directory.to_owned()).or_default().add_glob(names);
            }
        }
    }

    /// Takes an interest in a path, where it is in a directory that is watched.
    fn note(&mut self, path: &Path) {
        let Some((parent, name)) = path.parent().zip(path.file_name()) else { return };
        match self.interests.get_mut(parent) {
            Some(interest) => interest.add_name(name),
            None => self.interests.entry(parent.to_owned()).or_default().add_name(name),
        }
    }

    fn is_directory(&mut self, path: &Path) -> bool {
        match path.metadata() {
            Ok(found) => found.is_dir(),
            Err(error) => {
                self.is_unsure |= is_transient(&error);
                false
            }
        }
    }

    /// Adds those of `path`: the one that it is in or is, and for each link on the way, the one that
    /// the link is in and those on the way to its target.
    fn gather(&mut self, path: &Path, links: usize) {
        if self.done.contains(path) {
            return;
        }
        // Of many files in a directory, nearly all are neither links nor directories.
        let in_found = path.parent().is_some_and(|parent| self.found.contains(parent));
        if in_found && is_file(path) {
            self.note(path);
            self.done.insert(path.to_path_buf());
            return;
        }
        for ancestor in path.ancestors() {
            if self.found.contains(ancestor) {
                break;
            }
            if self.is_directory(ancestor) {
                self.found.insert(ancestor.to_path_buf());
                break;
            }
        }
        for link in path.ancestors() {
            if !self.done.insert(link.to_path_buf()) {
                break;
            }
            self.note(link);
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

    #[test]
    fn where_events_were_lost_or_are_too_many_it_may_have_been_anywhere() {
        let event = |path: &str| {
            Ok(notify::Event::new(EventKind::Create(notify::event::CreateKind::File))
                .add_path(path.into()))
        };
        let mut changed = Changed::default();
        assert_eq!(changed.take(), None, "nothing is known at first");
        changed.note(&event("/a.toml"));
        assert_eq!(changed.take(), Some(HashSet::from(["/a.toml".into()])));
        assert_eq!(changed.take(), Some(HashSet::new()));
        for lost in [
            Ok(notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)),
            Err(notify::Error::generic("lost")),
        ] {
            changed.note(&event("/a.toml"));
            changed.note(&lost);
            changed.note(&event("/b.toml"));
            assert_eq!(changed.take(), None);
        }
        (0..=PLACES_MAX).for_each(|number| changed.note(&event(&format!("/{number}.toml"))));
        assert_eq!(changed.take(), None);
    }

    /// The reloader gives its wait up whenever a version has been made.
    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::new().unwrap();
        let file = directory.path().join("a.toml");
        events.follow([Follow::Path(&file)]);
        events.changed().await;
        std::fs::write(&file, "x").unwrap();
        for _ in 0..20 {
            assert!(timeout(QUIET / 10, events.changed()).await.is_err(), "too early");
        }
        timeout(Duration::from_secs(10), events.changed()).await.unwrap();
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_is_read_again_but_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::new().unwrap();
        let file = directory.path().join("a.toml");
        events.follow([Follow::Path(&file)]);
        for disturbed in [true, true, true, false, true] {
            events.changed().await;
            std::fs::write(&file, "x").unwrap();
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
        let file = directory.path().join("a.toml");
        let mut events = Events::new().unwrap();
        events.follow([Follow::Path(&file)]);
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
        std::fs::write(file, "x").unwrap();
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

    /// Waits for a change, if there is one soon.
    async fn hears(events: &mut Events) -> bool {
        timeout(2 * LONGEST, events.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn what_is_not_followed_is_not_heard() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let mut events = Events::new().unwrap();
        let (main, missing) = (path("watershed.toml"), path("services"));
        events.follow([Follow::Path(&main), Follow::Path(&missing)]);
        events.changed().await;
        std::fs::write(path("log"), "a line").unwrap();
        assert!(!hears(&mut events).await);
        assert_eq!(events.heard.writes().end(Instant::now()), None, "nobody waits for its end");
        std::fs::create_dir(path("services")).unwrap();
        assert!(hears(&mut events).await, "a directory that appears");
        std::fs::rename(path("log"), &main).unwrap();
        assert!(hears(&mut events).await, "a file that takes the place of another");
    }

    #[tokio::test]
    async fn a_name_that_begins_to_matter_counts_as_changed() {
        let root = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| root.path().join(name));
        let mut events = Events::new().unwrap();
        events.follow([Follow::Path(&a)]);
        events.changed().await;
        events.follow([Follow::Path(&a)]);
        assert!(!hears(&mut events).await);
        events.follow([Follow::Path(&a), Follow::Path(&b)]);
        assert!(hears(&mut events).await);
    }

    /// The kernel has one watch of a directory, whatever the number of its names.
    #[tokio::test]
    async fn a_directory_with_two_names_is_heard_by_what_matters_under_each() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("release")).unwrap();
        symlink("release", path("current")).unwrap();
        let (a, b) = (path("current/a"), path("release/b"));
        let mut events = Events::new().unwrap();
        events.follow([Follow::Path(&a), Follow::Path(&b)]);
        events.changed().await;
        for name in ["release/a", "current/b"] {
            std::fs::write(path(name), "x").unwrap();
            assert!(hears(&mut events).await, "{name}");
        }
        // Without one of its names, it is still the same directory.
        for only in [&b, &a, &b] {
            events.follow([Follow::Path(only)]);
            while hears(&mut events).await {}
            std::fs::write(only, "y").unwrap();
            assert!(hears(&mut events).await, "{only:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_watched_is_told_and_tried_again() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("private");
        std::fs::create_dir(&directory).unwrap();
        let mut events = Events::new().unwrap();
        // As after the kernel has given out its last watch.
        events.unseen.insert(directory.clone());
        assert!(events.is_blind());
        events.follow([Follow::Path(&directory.join("a"))]);
        assert!(!events.is_blind() && events.followed.contains_key(&directory));
    }
}

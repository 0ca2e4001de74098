//! Hears of changes from the kernel: directories, not files, are watched, so that editors which
//! write a new file over the old name, swapped directories and Kubernetes' `..data` links are all
//! seen.

mod directories;
mod heard;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::time::{timeout, timeout_at};

use super::interest::Interest;
use super::{Follow, PATIENCE};
use crate::transient::{advice, is_transient};
use directories::{Directories, Identity};
use heard::{Heard, Hearing};

/// How long files must be left alone before they are read.
const QUIET: Duration = Duration::from_millis(50);
/// After so long they are read all the same.
const LONGEST: Duration = Duration::from_millis(400);

/// How often in a row something may change while it is read, before what was read counts.
const MOST_DISTURBED: u32 = 3;

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

//! Receives changes from the kernel (inotify). Directories are watched, not files, so that edits by
//! renaming, exchanged directories and Kubernetes' `..data` links are all seen. Used by
//! [`Watcher`](super::Watcher). Files: `directories` (which to watch), `heard` (what the thread
//! that receives events shares with the reloader).

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

/// How long files must stay unchanged before they are read.
const QUIET: Duration = Duration::from_millis(50);
/// After this time they are read anyway.
const LONGEST: Duration = Duration::from_millis(400);

/// How many loads in a row may be discarded because files changed meanwhile.
const MOST_DISTURBED: u32 = 3;

/// Receives changes in directories.
///
/// Events are gathered here and not by a debouncing library. Such libraries leave out a file that
/// was created and removed within a moment, but the reloader may have read that file.
#[derive(Debug)]
pub struct Events {
    watcher: RecommendedWatcher,
    /// Each directory under one path only: the kernel keeps one watch for each directory, named by
    /// the path that was passed last.
    followed: HashMap<PathBuf, Identity>,
    /// Directories that could not be watched. Each is logged once.
    unseen: HashSet<PathBuf>,
    /// Whether a directory could not be looked at, or disappeared before it was watched.
    is_unsure: bool,
    /// Whether a directory is followed under several paths. Events name only one of them.
    has_aliases: bool,
    heard: Arc<Heard>,
    /// When the change began that [`Events::changed`] has not returned for yet.
    since: Option<Instant>,
    /// The number of changes when [`Events::changed`] returned last.
    told: u64,
    /// How many loads in a row were discarded.
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

    /// A path that does not exist is watched from the nearest existing directory above it.
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
                // Fails if the directory is gone, and the watch with it.
                self.watcher.unwatch(&path).ok();
            }
        }
        self.unseen.retain(|path| wanted.values().any(|(wanted, _)| wanted == path));
        let paths = wanted.iter().map(|(identity, (path, _))| (path.clone(), *identity));
        let paths: Vec<_> = paths.filter(|(path, _)| !self.followed.contains_key(path)).collect();
        // Set before a new directory is watched, so that its first event counts.
        if self.heard.interests().replace(wanted.into_values().collect()) {
            self.change_anywhere();
        }
        for (path, identity) in paths {
            self.watch(path, identity);
        }
    }

    /// Follows these paths in addition. `false` if that is not possible, because a directory has
    /// several paths.
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
        // They may have changed before they were watched.
        self.heard.places().add(followed.iter().map(|follow| follow.path().to_owned()));
        self.heard.signal.notify_one();
        true
    }

    /// The paths that have changed since the last call; `None` if any path may have changed.
    pub fn places(&mut self) -> Option<HashSet<PathBuf>> {
        let places = self.heard.places().take();
        places.filter(|_| !self.has_aliases && !self.is_blind())
    }

    /// Reports a change of which the place is unknown.
    fn change_anywhere(&self) {
        self.heard.places().is_known = false;
        self.heard.signal.notify_one();
    }

    /// Each directory once, under the path that it is watched by already, if any.
    fn by_identity(&mut self, directories: Directories) -> HashMap<Identity, (PathBuf, Interest)> {
        let Directories { found, mut interests, .. } = directories;
        let mut wanted: HashMap<Identity, (PathBuf, Interest)> = HashMap::new();
        for path in found {
            let Some(identity) = Identity::of(&path) else {
                // The directory disappeared after it was found.
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
                    tracing::info!("edits in {} are noticed at once again", directory.display());
                }
                self.followed.insert(directory, identity);
                self.change_anywhere();
            }
            Err(mut error) => {
                // The message names the directory already.
                error.paths.clear();
                if self.unseen.insert(directory.clone()) {
                    tracing::warn!(
                        "cannot watch {}: {error}. Edits there are looked for every few seconds. {}",
                        directory.display(),
                        remedy(&error)
                    );
                }
            }
        }
    }

    /// Replaces a thread that has panicked by a new one that watches the same directories.
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
                    tracing::error!("cannot watch files: {error}; trying again in {PATIENCE:?}");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }

    /// Whether some changes are missed.
    pub fn is_blind(&self) -> bool {
        self.is_unsure || !self.unseen.is_empty()
    }

    /// Waits for a change in a followed directory, then until nothing changes for a moment and all
    /// files being written are closed.
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
            // Ends early when a file is closed, or at the next change.
            timeout_at(end.min(last).into(), self.heard.signal.notified()).await.ok();
        };
        if !is_quiet {
            // The change goes on: it is read now, and once more when it is complete.
            self.heard.signal.notify_one();
        }
        self.told = self.heard.writes().changes;
        self.since = None;
    }

    /// Waits until nothing changes for a moment. `false` if that took too long.
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

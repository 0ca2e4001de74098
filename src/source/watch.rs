//! Waits until files of the configuration have changed, and until the change seems complete. The
//! reloader names the paths and waits. [`events`] receives changes from the kernel; [`poll`] looks for
//! changes on file systems where the kernel reports none.

mod events;
#[cfg(test)]
mod fake;
mod interest;
mod poll;
mod writes;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

use self::events::Events;
#[cfg(test)]
pub use self::fake::Fake;
use self::poll::Poller;
use super::{Followed, Names};
use crate::config::Watch;

/// How long files may keep changing before they are read anyway, so that one file that is written
/// all the time does not hold up the edits of all others.
const PATIENCE: Duration = Duration::from_secs(5);

/// Files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(
        "cannot watch files: {0}. Raise `sysctl fs.inotify.max_user_instances`, or set \
         `watch = \"poll:2s\"` under `[server]` to do without"
    )]
    Events(#[from] notify::Error),
    #[error("cannot watch files: no thread for it: {0}. Raise the limit of threads (`ulimit -u`)")]
    Poll(std::io::Error),
}

/// A path to follow.
#[derive(Clone, Copy, Debug)]
pub enum Follow<'a> {
    /// A file or a directory, and every link on the way to it. It need not exist.
    Path(&'a Path),
    /// Entries with matching names in a directory.
    Names(&'a Path, &'a Names),
}

impl Follow<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Names(path, _) => path,
        }
    }
}

impl<'a> From<&'a Followed> for Follow<'a> {
    fn from(followed: &'a Followed) -> Self {
        match followed {
            Followed::Path(path) => Self::Path(path),
            Followed::Names(directory, names) => Self::Names(directory, names),
        }
    }
}

impl From<Follow<'_>> for Followed {
    fn from(follow: Follow<'_>) -> Self {
        match follow {
            Follow::Path(path) => Self::Path(path.to_owned()),
            Follow::Names(directory, names) => Self::Names(directory.to_owned(), names.clone()),
        }
    }
}

/// Watches files and directories for changes.
#[derive(Debug)]
pub struct Watcher(Means);

#[derive(Debug)]
enum Means {
    Events(Events),
    Poll(Poller),
    #[cfg(test)]
    Fake(Arc<Fake>),
}

impl Watcher {
    /// A watcher that follows nothing yet.
    ///
    /// # Errors
    ///
    /// Where the operating system gives out no more watchers or threads.
    pub fn new(watch: Watch) -> Result<Self, WatchError> {
        let means = match watch {
            Watch::Events => Means::Events(Events::new()?),
            Watch::Poll(interval) => Means::Poll(Poller::new(interval).map_err(WatchError::Poll)?),
        };
        Ok(Self(means))
    }

    /// A watcher of no files, for tests that report changes themselves.
    #[cfg(test)]
    pub fn fake(fake: Arc<Fake>) -> Self {
        Self(Means::Fake(fake))
    }

    /// Follows exactly these paths from now on. Newly followed paths count as changed, because they
    /// may have changed before.
    pub fn follow<'a>(&mut self, followed: impl IntoIterator<Item = Follow<'a>>) {
        match &mut self.0 {
            Means::Events(events) => events.follow(followed),
            Means::Poll(poller) => {
                poller.follow(followed.into_iter().map(Followed::from).collect());
            }
            #[cfg(test)]
            Means::Fake(_) => {}
        }
    }

    /// Follows these paths in addition; they count as changed. `false` if that is not possible:
    /// then pass every path to [`Watcher::follow`].
    pub fn follow_more<'a>(&mut self, followed: impl IntoIterator<Item = Follow<'a>>) -> bool {
        match &mut self.0 {
            Means::Events(events) => events.follow_more(followed),
            Means::Poll(_) => false,
            #[cfg(test)]
            Means::Fake(_) => false,
        }
    }

    /// The paths that have changed since the last call; `None` if any path may have changed.
    pub fn places(&mut self) -> Option<HashSet<PathBuf>> {
        match &mut self.0 {
            Means::Events(events) => events.places(),
            Means::Poll(_) => None,
            #[cfg(test)]
            Means::Fake(_) => None,
        }
    }

    /// Whether some changes are missed. The next [`Watcher::follow`] tries to watch everything
    /// again.
    pub fn is_blind(&self) -> bool {
        match &self.0 {
            Means::Events(events) => events.is_blind(),
            // A poller looks again in any case.
            Means::Poll(_) => false,
            #[cfg(test)]
            Means::Fake(_) => false,
        }
    }

    /// Waits for a change, and until it seems complete. Changes between two calls count once.
    /// Cancel-safe.
    pub async fn changed(&mut self) {
        match &mut self.0 {
            Means::Events(events) => events.changed().await,
            Means::Poll(poller) => poller.changed().await,
            #[cfg(test)]
            Means::Fake(fake) => fake.changed().await,
        }
    }

    /// Whether files changed since [`Watcher::changed`] returned, so that what was read may be
    /// inconsistent. Then [`Watcher::changed`] returns again. After several such answers in a row,
    /// `false`, so that files that change all the time are read in the end.
    pub fn is_disturbed(&mut self) -> bool {
        match &mut self.0 {
            Means::Events(events) => events.is_disturbed(),
            // A poller sees the change at its next look only.
            Means::Poll(_) => false,
            #[cfg(test)]
            Means::Fake(fake) => fake.is_disturbed(),
        }
    }
}

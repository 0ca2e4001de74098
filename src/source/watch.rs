//! Tells when the files of a configuration have changed, and not before what changes them seems to
//! be done. The reloader names the files and waits; [`events`] hears of changes from the kernel,
//! [`poll`] looks for them where the kernel says nothing.

mod events;
#[cfg(test)]
mod fake;
mod interest;
mod poll;
mod writes;

use std::path::Path;
#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

use self::events::Events;
#[cfg(test)]
pub use self::fake::Fake;
use self::poll::Poller;
use super::{Followed, Names};
use crate::config::Watch;

/// How long files may go on changing before they are read all the same, so that one that is always
/// written does not keep the edits of all others back.
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

/// Something that is followed.
#[derive(Clone, Copy, Debug)]
pub enum Follow<'a> {
    /// A file or a directory, and every link on the way to it. It need not be there.
    Path(&'a Path),
    /// What has some names in a directory.
    Names(&'a Path, &'a Names),
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

    /// A watcher of no files, which a test tells of changes.
    #[cfg(test)]
    pub fn fake(fake: Arc<Fake>) -> Self {
        Self(Means::Fake(fake))
    }

    /// Follows exactly these from now on. What was not followed until now counts as changed:
    /// something may have happened to it before.
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

    /// Whether changes somewhere go unseen, which the next [`Watcher::follow`] may mend.
    pub fn is_blind(&self) -> bool {
        match &self.0 {
            Means::Events(events) => events.is_blind(),
            // It looks again in any case.
            Means::Poll(_) => false,
            #[cfg(test)]
            Means::Fake(_) => false,
        }
    }

    /// Waits for a change, and until it seems complete. Changes while nobody waits count once, and
    /// a wait that is given up loses none.
    pub async fn changed(&mut self) {
        match &mut self.0 {
            Means::Events(events) => events.changed().await,
            Means::Poll(poller) => poller.changed().await,
            #[cfg(test)]
            Means::Fake(fake) => fake.changed().await,
        }
    }

    /// Whether files changed since [`Watcher::changed`] returned, so that what was read since may
    /// be half of something. The next change is then on its way. If it happens again and again, the
    /// answer is no.
    pub fn is_disturbed(&mut self) -> bool {
        match &mut self.0 {
            Means::Events(events) => events.is_disturbed(),
            // It would be seen at the next look, which is too late to tell.
            Means::Poll(_) => false,
            #[cfg(test)]
            Means::Fake(fake) => fake.is_disturbed(),
        }
    }
}

//! Tells when files change: directories, not files, are watched, so that editors which write a new
//! file over the old name, swapped directories and Kubernetes' `..data` links are all seen.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify_debouncer_full::notify::{self, EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::Notify;

/// How long a file must be left alone before it is read.
const QUIET: Duration = Duration::from_millis(100);

/// The operating system does not let us watch files.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch files: {0}. Raise `sysctl fs.inotify.max_user_instances`")]
pub struct WatchError(#[from] notify::Error);

/// Watches directories for changes.
pub struct Watcher {
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    followed: HashSet<PathBuf>,
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
        let debouncer = new_debouncer(QUIET, None, move |events: DebounceEventResult| {
            if is_change(&events) {
                notify.notify_one();
            }
        })?;
        Ok(Self { debouncer, followed: HashSet::new(), changed })
    }

    /// Follows exactly these directories from now on. Each is watched anew, since another
    /// directory may stand at its path by now; one that does not exist is watched for from the
    /// nearest directory above it.
    pub fn follow(&mut self, directories: &[PathBuf]) {
        for directory in self.followed.drain() {
            // Its directory may be gone, and its watch with it.
            self.debouncer.unwatch(&directory).ok();
        }
        let existing = directories
            .iter()
            .filter_map(|directory| directory.ancestors().find(|directory| directory.is_dir()));
        for directory in existing.collect::<HashSet<_>>() {
            match self.debouncer.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.followed.insert(directory.to_path_buf());
                }
                Err(error) => {
                    tracing::warn!("edits in {} go unseen: {error}", directory.display());
                }
            }
        }
    }

    /// Waits for a change in a followed directory. Changes while nobody waits count once.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Whether something was written, and not only read.
fn is_change(events: &DebounceEventResult) -> bool {
    match events {
        Ok(events) => events.iter().any(|event| !matches!(event.kind, EventKind::Access(_))),
        // Events were lost: look at the files.
        Err(_) => true,
    }
}

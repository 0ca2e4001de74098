//! Loading: works out which files may have changed, and reads them on a blocking thread. `take`
//! handles the result.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Reloader;
use super::candidates::Again;
use super::outcome::{Outcome, Reload};
use super::stale::Places;
use super::take::Unread;
use crate::source::{Loader, Reading, Watcher};
use crate::versions::ServiceKey;

/// How thoroughly a load looks for changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) reading: Reading,
    pub(super) again: Again,
    /// Whether every file is looked at, and not only those that the watcher or a command named.
    pub(super) is_everywhere: bool,
}

impl Reloader {
    /// Loads once. `None` if files changed while they were read: the watcher then reports another
    /// change.
    pub(super) async fn reload(&mut self, scope: Scope, watcher: &mut Watcher) -> Option<Reload> {
        let Scope { reading, again, is_everywhere } = scope;
        self.changed.add(match watcher.places().filter(|_| !is_everywhere) {
            Some(paths) => Places::Paths(paths),
            None => Places::Everywhere,
        });
        let (paths, touched) = self.to_look_at();
        let loader = self.loader.clone();
        let load = move || {
            let mut loader = lock(&loader);
            let only = paths
                .as_ref()
                .and_then(|paths| loader.load_only(paths.iter().map(PathBuf::as_path)));
            only.map_or_else(|| loader.load(reading), Ok)
        };
        let loaded = tokio::task::spawn_blocking(load).await;
        if watcher.is_disturbed() {
            return None;
        }
        self.changed = Places::none();
        let reload = match loaded {
            Ok(Ok(loaded)) => self.take(loaded, &touched, again).await,
            Ok(Err(rejected)) => self.refuse(rejected, again).await,
            Err(panicked) => {
                // The result of this load is lost, so the next one looks everywhere.
                let why = format!("loading the configuration failed: {panicked}");
                self.unread = Unread { files: 1, why };
                self.changed = Places::Everywhere;
                self.came_of(Outcome::Postponed, 0)
            }
        };
        self.count_awaited_secrets();
        self.look_at_listener(reading).await;
        Some(self.with_listener(reload))
    }

    /// The paths of configuration files that may have changed, or `None` if any may have; and the
    /// services with a component or a secret that may have changed.
    fn to_look_at(&self) -> (Option<Vec<PathBuf>>, HashSet<ServiceKey>) {
        let Places::Paths(paths) = &self.changed else { return (None, HashSet::new()) };
        if self.versions.have_links() {
            return (None, HashSet::new());
        }
        let loader = lock(&self.loader);
        let (mut of_config, mut touched) = (Vec::new(), HashSet::new());
        for path in paths {
            let users = self.versions.users(path);
            touched.extend(users.into_iter().flatten().cloned());
            // The file of a service may be a secret of another one too.
            if users.is_none() || loader.knows(path) {
                of_config.push(path.clone());
            }
        }
        (Some(of_config), touched)
    }

    pub(super) fn count_awaited_secrets(&mut self) {
        let snapshot = self.live.load();
        let entries = self.with_secret.iter().filter_map(|key| snapshot.get(key));
        self.awaited_secrets = entries.filter(|service| service.awaits_secret()).count();
    }
}

pub(super) fn lock(loader: &Mutex<Loader>) -> MutexGuard<'_, Loader> {
    loader.lock().unwrap_or_else(PoisonError::into_inner)
}

//! From an edited file to served traffic: watch → load → compile → record → publish.
//!
//! One [`Reloader`] runs for the life of the process. It alone publishes, so generations follow one
//! another; whatever fails on the way leaves what is served as it is, and is told in [`Reloads`].

mod candidates;
mod journal;
mod outcome;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub use outcome::{Outcome, Reload, Reloads};
pub use watch::{WatchError, Watcher};

use crate::config::{
    Config, Loaded, Loader, Reading, Rejected, Rejection, Report, Service, Warnings, restart_keys,
};
use crate::registry::{Live, Programs, Snapshot, declared};
use crate::telemetry::Telemetry;
use candidates::Versions;
use journal::Journal;
use outcome::Askers;

/// How long a publish waits for versions that need no compilation, so that most edits are one
/// generation and not two.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(150);

/// Loads, compiles and publishes. Driven by [`Reloader::run`].
pub struct Reloader {
    path: PathBuf,
    loader: Arc<Mutex<Loader>>,
    live: Arc<Live>,
    reloads: Arc<Reloads>,
    telemetry: Telemetry,
    /// What was loaded last, and what the process was started with.
    config: Arc<Config>,
    started_with: Arc<Config>,
    /// What a main file that was rejected leads to: mending that may be enough.
    rejected_watch: Vec<PathBuf>,
    versions: Versions,
    journal: Journal,
    /// What the process was started with and does not serve, until that is told.
    rejected_at_start: Option<Vec<Rejection>>,
}

impl Reloader {
    /// A reloader that goes on with `loader`, which loaded `config` when the process started, and
    /// `rejected` what it does not hold.
    pub fn new(
        loader: Loader,
        (config, rejected): (Arc<Config>, Vec<Rejection>),
        programs: Programs,
        live: Arc<Live>,
        reloads: Arc<Reloads>,
        telemetry: Telemetry,
    ) -> Self {
        let directory = config.state.directory.clone();
        let journal = Journal::new(directory, reloads.clone(), telemetry.clone());
        Self {
            path: loader.path().to_owned(),
            loader: Arc::new(Mutex::new(loader)),
            live,
            reloads,
            telemetry,
            started_with: config.clone(),
            config,
            rejected_watch: Vec::new(),
            versions: Versions::new(programs),
            journal,
            rejected_at_start: Some(rejected),
        }
    }

    /// Publishes what the process was started with, then follows its files until dropped. Run again,
    /// after a panic, it goes on with what it has.
    pub async fn run(&mut self, watcher: &mut Watcher) {
        watcher.follow(self.watched());
        match self.rejected_at_start.take() {
            Some(rejected) => self.begin(rejected).await,
            None => self.begin_again(watcher).await,
        }
        loop {
            let askers = tokio::select! {
                prepared = self.versions.prepared() => {
                    if self.versions.accept(prepared) {
                        self.publish().await;
                    }
                    continue;
                }
                () = watcher.changed() => None,
                () = self.reloads.asked() => Some(self.reloads.askers()),
            };
            self.react(askers, watcher).await;
            watcher.follow(self.watched());
        }
    }

    async fn begin(&mut self, rejected: Vec<Rejection>) {
        self.versions.renew(&self.config);
        self.reject(rejected);
        self.warn();
        self.publish().await;
        let read = self.config.services().count();
        self.note(&Arc::new(self.came_of(Outcome::Published, read)));
    }

    /// Nobody knows how far the last run came: every file is read, and whoever still waits for an
    /// answer gets it.
    async fn begin_again(&mut self, watcher: &mut Watcher) {
        self.versions.forget_creating();
        let askers = Askers { reading: Reading::Everything, ..self.reloads.askers() };
        self.react(Some(askers), watcher).await;
        watcher.follow(self.watched());
        self.publish().await;
    }

    /// Loads, and tells what came of it: also those who asked, if that is why.
    async fn react(&mut self, askers: Option<Askers>, watcher: &mut Watcher) {
        let Some(Askers { number, reading, attributions }) = askers else {
            if let Some(reload) = self.reload(Reading::Changed, watcher).await {
                self.note(&Arc::new(reload));
            }
            return;
        };
        self.journal.expect(attributions);
        let reload = loop {
            // Whoever asked waits for an answer.
            if let Some(reload) = self.reload(reading, watcher).await {
                break Arc::new(reload);
            }
        };
        self.journal.finish(&self.live.load()).await;
        self.note(&reload);
        self.reloads.answer(number, &reload);
    }

    /// Nothing came of it if files changed while they were read.
    async fn reload(&mut self, reading: Reading, watcher: &mut Watcher) -> Option<Reload> {
        let loader = self.loader.clone();
        let load = move || lock(&loader).load(reading);
        let loaded = tokio::task::spawn_blocking(load).await;
        if watcher.is_disturbed() {
            return None;
        }
        Some(match loaded {
            Ok(Ok(loaded)) => self.take(loaded).await,
            Ok(Err(Rejected { report, rest })) => {
                tracing::error!("configuration rejected, nothing changed:\n{report}");
                self.telemetry.rejected(self.reloads.rejected().len() + 1);
                let is_closed = self.close(&report, rest.as_deref());
                self.rejected_watch = rest.map(|config| config.watch).unwrap_or_default();
                // A secret that is rotated does not wait for that, nor does what is closed.
                if is_closed || self.has_stale_secret() {
                    self.publish().await;
                }
                let report = Some(report);
                Reload { report, ..self.came_of(Outcome::Rejected, 0) }
            }
            Err(panicked) => {
                tracing::error!("loading the configuration failed: {panicked}");
                self.came_of(Outcome::Unchanged, 0)
            }
        })
    }

    async fn take(&mut self, loaded: Loaded) -> Reload {
        lock(&self.loader).keep(&loaded);
        self.rejected_watch.clear();
        let Loaded { config, rejected, read, .. } = loaded;
        let same = config.is_served_like(&self.config);
        self.config = Arc::new(config);
        let rejected_anew = self.reject(rejected);
        self.warn();
        if self.versions.renew(&self.config) || !same || self.has_stale_secret() {
            self.publish().await;
            let outcome = match restart_keys(&self.started_with, &self.config) {
                keys if keys.is_empty() => Outcome::Published,
                keys => Outcome::NeedsRestart(keys),
            };
            return self.came_of(outcome, read);
        }
        let outcome = if rejected_anew { Outcome::Rejected } else { Outcome::Unchanged };
        self.came_of(outcome, read)
    }

    /// Closes what the services' files close that are right by themselves, beside a main file that is
    /// wrong. Whether there is anything.
    fn close(&mut self, report: &Report, rest: Option<&Config>) -> bool {
        let is_right = |service: &Service| report.problems.iter().all(|it| it.file != service.file);
        let Some(closed) = rest.and_then(|rest| self.config.closing(rest, is_right)) else {
            return false;
        };
        tracing::warn!("what services close is closed all the same");
        self.config = Arc::new(closed);
        true
    }

    /// Whether the secret of some service's overrides is another one by now.
    fn has_stale_secret(&self) -> bool {
        self.live.load().services.iter().any(|service| service.has_stale_secret())
    }

    /// Tells of the services' files that are wrong. Whether some were not so before.
    fn reject(&self, rejected: Vec<Rejection>) -> bool {
        let before = self.reloads.rejected();
        let mut anew = false;
        for rejection in rejected.iter().filter(|rejection| !before.contains(rejection)) {
            anew = true;
            let Rejection { serves, report, .. } = rejection;
            match serves {
                Some(name) => {
                    tracing::error!("rejected, and {name} goes on as it was:\n{report}");
                }
                None => tracing::error!("rejected, and not served:\n{report}"),
            }
        }
        self.telemetry.rejected(rejected.len());
        self.reloads.reject(rejected);
        anew
    }

    /// Tells of what is right in the files and yet can hardly be meant, once.
    fn warn(&self) {
        let warnings = &self.config.warnings;
        if *self.reloads.warnings() == *warnings {
            return;
        }
        if !warnings.is_empty() {
            tracing::warn!("served as it is written:\n{}", Warnings(warnings));
        }
        self.reloads.warn(warnings.clone());
    }

    fn came_of(&self, outcome: Outcome, read: usize) -> Reload {
        let rejected = self.reloads.rejected();
        Reload {
            at: SystemTime::now(),
            outcome,
            generation: self.live.load().generation,
            read,
            report: (!rejected.is_empty()).then(|| Report::of(&rejected)),
        }
    }

    /// Publishes the next generation, after a short wait for versions that are nearly ready.
    async fn publish(&mut self) {
        let patience = tokio::time::sleep(PUBLISH_PATIENCE);
        tokio::pin!(patience);
        while self.versions.are_creating() {
            tokio::select! {
                prepared = self.versions.prepared() => { self.versions.accept(prepared); }
                () = &mut patience => break,
            }
        }
        let started = Instant::now();
        let before = self.live.load();
        let generation = self.journal.next(before.generation).await;
        let statuses = self.versions.statuses(&self.config);
        let snapshot = Snapshot::numbered(generation, &before, &self.config, &statuses);
        let snapshot = Arc::new(snapshot);
        // Before anybody sees it: whatever was served is in the history, even if we are killed.
        self.journal.record(&before, &snapshot).await;
        self.telemetry.published(generation);
        let changed = snapshot.services.iter().filter(|service| service.since == generation);
        for service in changed {
            let name = &service.key.service;
            match &service.held {
                Some(why) if service.is_settled() => {
                    tracing::warn!(service = %name, "what is declared is not served: {why}");
                }
                Some(why) => tracing::debug!(service = %name, "not served yet: {why}"),
                None => {}
            }
            if let Some(warning) = service.warning() {
                tracing::warn!(service = %name, "{warning}");
            }
        }
        self.journal.settle(&snapshot);
        self.live.publish(snapshot);
        tracing::info!(generation, took_us = started.elapsed().as_micros(), "published");
        if !self.versions.are_creating() {
            self.versions.forget_others();
            self.reloads.settle();
        }
    }

    fn note(&self, reload: &Arc<Reload>) {
        self.telemetry.reloaded(reload.outcome.word(), reload.report.is_none());
        let before = self.reloads.last().and_then(|last| last.report.clone());
        match &reload.outcome {
            Outcome::Unchanged if reload.report == before => return,
            Outcome::Unchanged if reload.report.is_none() => {
                tracing::info!("the configuration is again what is served");
            }
            Outcome::NeedsRestart(keys) => {
                tracing::warn!("restart to apply {}; all else is served", keys.join(", "));
            }
            Outcome::Published | Outcome::Unchanged | Outcome::Rejected => {}
        }
        self.reloads.note(reload.clone());
    }

    /// Every file and directory in which a change could matter.
    fn watched(&self) -> Vec<&Path> {
        let config = &self.config;
        let files = declared(config).flat_map(|(_, _, spec)| spec.files());
        let secrets = config.services().filter_map(|(_, service)| service.policy.file());
        std::iter::once(self.path.as_path())
            .chain(config.watch.iter().chain(&self.rejected_watch).map(PathBuf::as_path))
            .chain(files)
            .chain(secrets)
            .collect()
    }
}

fn lock(loader: &Mutex<Loader>) -> MutexGuard<'_, Loader> {
    loader.lock().unwrap_or_else(PoisonError::into_inner)
}

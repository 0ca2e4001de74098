//! From an edited file to served traffic: watch → load → compile → record → publish.
//!
//! One [`Reloader`] runs for the life of the process. It alone publishes, so generations follow one
//! another; whatever fails on the way leaves what is served as it is, and is told in [`Reloads`].

mod candidates;
mod journal;
mod outcome;
mod retry;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior};

pub use outcome::{Outcome, Reload, Reloads};

use crate::config::{Config, Report, Service, Warnings, restart_keys};
use crate::source::{Follow, Followed, Loaded, Loader, Reading, Rejected, Rejection, Watcher};
use crate::telemetry::Telemetry;
use crate::versions::{Live, Preparer, Snapshot, declared};
use candidates::{Again, Versions};
use journal::Journal;
use outcome::Askers;
use retry::Retry;

/// How long a publish waits for versions that need no compilation, so that most edits are one
/// generation and not two.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(150);

/// How often we look whether the history is still where it was.
const HISTORY_LOOKS: Duration = Duration::from_secs(2);

/// How long whoever asks for a reload waits for an error of a moment to pass.
const ASKERS_PATIENCE: Duration = Duration::from_secs(1);

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
    /// All in which a change could change what was loaded last.
    watch: Vec<Followed>,
    /// What a main file that was rejected leads to: mending that may be enough.
    rejected_watch: Vec<Followed>,
    versions: Versions,
    journal: Journal,
    /// What the process was started with and does not serve, until that is told.
    rejected_at_start: Option<Vec<Rejection>>,
    /// The configuration's files that could not be read for a moment in the last load, and why.
    unread: Unread,
    /// How many services waited for the secret of their overrides after the last load.
    awaited_secrets: usize,
    retry: Retry,
}

#[derive(Debug, Default)]
struct Unread {
    files: usize,
    why: String,
}

/// Why something is loaded.
enum Cause {
    Change,
    Asked(Askers),
    Retry,
}

impl Reloader {
    /// A reloader that goes on with `loader`, which loaded `config` when the process started, from what
    /// is in `watch`, and `rejected` what it does not hold.
    pub fn new(
        loader: Loader,
        (config, watch, rejected): (Arc<Config>, Vec<Followed>, Vec<Rejection>),
        preparer: Preparer,
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
            watch,
            rejected_watch: Vec::new(),
            versions: Versions::new(Arc::new(preparer)),
            journal,
            rejected_at_start: Some(rejected),
            unread: Unread::default(),
            awaited_secrets: 0,
            retry: Retry::default(),
        }
    }

    /// Publishes what the process was started with, then follows its files until dropped. Run again,
    /// after a panic, it goes on with what it has.
    pub async fn run(&mut self, watcher: &mut Watcher) {
        watcher.follow(self.watched());
        match self.rejected_at_start.take() {
            Some(rejected) => self.begin(rejected, watcher).await,
            None => self.begin_again(watcher).await,
        }
        let mut looks = tokio::time::interval(HISTORY_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cause = tokio::select! {
                prepared = self.versions.prepared() => {
                    if self.versions.accept(prepared) {
                        self.publish().await;
                    }
                    self.plan_retry(watcher);
                    continue;
                }
                () = watcher.changed() => Cause::Change,
                () = self.reloads.asked() => Cause::Asked(self.reloads.askers()),
                () = self.retry.due() => Cause::Retry,
                _ = looks.tick() => {
                    self.journal.keep(&self.live.load()).await;
                    continue;
                }
            };
            self.react(cause, watcher).await;
            watcher.follow(self.watched());
            self.plan_retry(watcher);
        }
    }

    async fn begin(&mut self, rejected: Vec<Rejection>, watcher: &Watcher) {
        self.versions.renew(&self.config, Again::Passing);
        self.reject(rejected);
        self.warn();
        self.publish().await;
        self.count_awaited_secrets();
        self.plan_retry(watcher);
        let read = self.config.services().count();
        self.note(&Arc::new(self.came_of(Outcome::Published, read)));
    }

    /// Nobody knows how far the last run came: every file is read, and whoever still waits for an
    /// answer gets it.
    async fn begin_again(&mut self, watcher: &mut Watcher) {
        self.versions.forget_creating();
        let askers = Askers { reading: Reading::Everything, ..self.reloads.askers() };
        self.react(Cause::Asked(askers), watcher).await;
        watcher.follow(self.watched());
        self.publish().await;
        self.plan_retry(watcher);
    }

    /// Loads, and tells what came of it: also those who asked, if that is why.
    async fn react(&mut self, cause: Cause, watcher: &mut Watcher) {
        match cause {
            Cause::Change => {
                if let Some(reload) = self.reload(Reading::Changed, Again::Passing, watcher).await {
                    self.note(&Arc::new(reload));
                }
            }
            Cause::Retry => {
                let reload = self.reload(Reading::Changed, Again::Transient, watcher).await;
                // That nothing has come of a try yet is no news.
                if let Some(reload) = reload.filter(|reload| self.is_news(reload)) {
                    self.note(&Arc::new(reload));
                }
            }
            Cause::Asked(askers) => self.answer(askers, watcher).await,
        }
    }

    fn is_news(&self, reload: &Reload) -> bool {
        let known = self.reloads.last().and_then(|last| last.report.clone());
        let is_served = matches!(reload.outcome, Outcome::Published | Outcome::NeedsRestart(_));
        is_served || reload.report != known
    }

    /// Loads for those who asked, who wait for an answer.
    async fn answer(&mut self, askers: Askers, watcher: &mut Watcher) {
        let Askers { number, mut reading, attributions } = askers;
        self.journal.expect(attributions);
        let mut again = match reading {
            Reading::Changed => Again::Passing,
            Reading::Everything => Again::All,
        };
        let (began, mut pause) = (Instant::now(), retry::FIRST);
        let reload = loop {
            let reload = self.reload(reading, again, watcher).await;
            match reload {
                Some(_) if self.unread.files > 0 && began.elapsed() < ASKERS_PATIENCE => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    // All else was tried.
                    (reading, again) = (Reading::Changed, Again::Transient);
                }
                Some(reload) => break Arc::new(reload),
                None => {}
            }
        };
        self.journal.finish(&self.live.load()).await;
        self.note(&reload);
        self.reloads.answer(number, &reload);
    }

    /// Nothing came of it if files changed while they were read.
    async fn reload(
        &mut self,
        reading: Reading,
        again: Again,
        watcher: &mut Watcher,
    ) -> Option<Reload> {
        let loader = self.loader.clone();
        let load = move || lock(&loader).load(reading);
        let loaded = tokio::task::spawn_blocking(load).await;
        if watcher.is_disturbed() {
            return None;
        }
        let reload = match loaded {
            Ok(Ok(loaded)) => self.take(loaded, again).await,
            Ok(Err(rejected)) => self.refuse(rejected, again).await,
            Err(panicked) => {
                // What it would have found is not known, and is looked for again.
                let why = format!("loading the configuration failed: {panicked}");
                self.unread = Unread { files: 1, why };
                self.came_of(Outcome::Postponed, 0)
            }
        };
        self.count_awaited_secrets();
        Some(reload)
    }

    fn count_awaited_secrets(&mut self) {
        let snapshot = self.live.load();
        let awaiting = snapshot.services.iter().filter(|service| service.awaits_secret());
        self.awaited_secrets = awaiting.count();
    }

    /// Nothing changes, since the main file is wrong, or cannot be read for a moment.
    async fn refuse(&mut self, rejected: Rejected, again: Again) -> Reload {
        let Rejected { report, is_transient, rest, watch } = rejected;
        self.unread = Unread::of(&report);
        let is_closed = self.close(&report, rest.as_deref());
        let outcome = match is_transient {
            true => Outcome::Postponed,
            false => {
                let known = self.reloads.last().and_then(|last| last.report.clone());
                if again != Again::Transient || known.as_ref() != Some(&report) {
                    tracing::error!("configuration rejected, nothing changed:\n{report}");
                }
                self.telemetry.rejected(self.wrong_files() + 1);
                Outcome::Rejected
            }
        };
        self.rejected_watch = watch;
        // Versions that wait for an error to pass, a secret that is rotated, and what is closed do not
        // wait for that.
        self.versions.try_again();
        if is_closed || self.has_stale_secret() {
            self.publish().await;
        }
        Reload { report: Some(report), ..self.came_of(outcome, 0) }
    }

    /// How many services' files are known to be wrong.
    fn wrong_files(&self) -> usize {
        let rejected = self.reloads.rejected();
        rejected.iter().filter(|rejection| !rejection.report.is_transient()).count()
    }

    async fn take(&mut self, loaded: Loaded, again: Again) -> Reload {
        lock(&self.loader).keep(&loaded);
        self.rejected_watch.clear();
        let Loaded { config, rejected, read, watch, .. } = loaded;
        let same = config.is_served_like(&self.config) && watch == self.watch;
        self.watch = watch;
        self.config = Arc::new(config);
        let rejected_anew = self.reject(rejected);
        self.warn();
        if self.versions.renew(&self.config, again) || !same || self.has_stale_secret() {
            self.publish().await;
            let outcome = match restart_keys(&self.started_with, &self.config) {
                keys if keys.is_empty() => Outcome::Published,
                keys => Outcome::NeedsRestart(keys),
            };
            return self.came_of(outcome, read);
        }
        let outcome = match rejected_anew {
            true => Outcome::Rejected,
            false if self.unread.files > 0 => Outcome::Postponed,
            false => Outcome::Unchanged,
        };
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

    /// Has everything tried again that an error of a moment was in the way of.
    fn plan_retry(&mut self, watcher: &Watcher) {
        let (versions, of_version) = self.versions.waiting();
        let waiting = self.unread.files + versions + self.awaited_secrets;
        self.telemetry.unread(waiting);
        let why = || match (self.unread.files, of_version) {
            (0, Some(why)) => why.to_owned(),
            (0, None) => "a secret, or another file".to_owned(),
            (_, _) => self.unread.why.clone(),
        };
        self.retry.plan(waiting, why, watcher.is_blind());
    }

    /// Whether the secret of some service's overrides is another one by now.
    fn has_stale_secret(&self) -> bool {
        self.live.load().services.iter().any(|service| service.has_stale_secret())
    }

    /// Tells of the services' files that are wrong. Whether some were not so before.
    fn reject(&mut self, rejected: Vec<Rejection>) -> bool {
        let before = self.reloads.rejected();
        let mut anew = false;
        let wrong = rejected.iter().filter(|rejection| !rejection.report.is_transient());
        for rejection in wrong.filter(|rejection| !before.contains(rejection)) {
            anew = true;
            let Rejection { serves, report, .. } = rejection;
            match serves {
                Some(name) => {
                    tracing::error!("rejected, and {name} goes on as it was:\n{report}");
                }
                None => tracing::error!("rejected, and not served:\n{report}"),
            }
        }
        self.unread = Unread::of_files(&rejected);
        self.reloads.reject(rejected);
        self.telemetry.rejected(self.wrong_files());
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
            report: (!rejected.is_empty()).then(|| Rejection::summary(&rejected)),
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
            Outcome::Published | Outcome::Unchanged | Outcome::Rejected | Outcome::Postponed => {}
        }
        self.reloads.note(reload.clone());
    }

    /// Everything in which a change could matter.
    fn watched(&self) -> Vec<Follow<'_>> {
        let config = &self.config;
        let files = declared(config).flat_map(|(_, _, spec)| spec.files());
        let secrets = config.services().filter_map(|(_, service)| service.policy.file());
        let of_config = self.watch.iter().chain(&self.rejected_watch).map(Follow::from);
        let paths = std::iter::once(self.path.as_path()).chain(files).chain(secrets);
        paths.map(Follow::Path).chain(of_config).collect()
    }
}

impl Unread {
    fn of(report: &Report) -> Self {
        let first = report.problems.iter().find(|problem| problem.is_transient);
        let why = first.map(|it| format!("{}: {}; {}", it.file.display(), it.message, it.help));
        Self { files: usize::from(why.is_some()), why: why.unwrap_or_default() }
    }

    fn of_files(rejected: &[Rejection]) -> Self {
        let transient = rejected.iter().filter(|rejection| rejection.report.may_pass());
        let count = transient.clone().count();
        transient
            .map(|it| Self::of(&it.report))
            .next()
            .map_or_else(Self::default, |first| Self { files: count, ..first })
    }
}

fn lock(loader: &Mutex<Loader>) -> MutexGuard<'_, Loader> {
    loader.lock().unwrap_or_else(PoisonError::into_inner)
}

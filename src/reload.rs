//! From an edited file to served traffic: watch → load → compile → record → publish.
//!
//! One [`Reloader`] runs for the life of the process. It alone publishes, so generations follow one
//! another; whatever fails on the way leaves what is served as it is, and is told in [`Reloads`].

mod candidates;
mod journal;
mod outcome;
mod retry;
mod stale;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior};

pub use outcome::{Outcome, Reload, Reloads};

use crate::config::{Config, Report, Service, VersionSpec, Warnings, restart_keys};
use crate::history::Attribution;
use crate::source::{
    Changed, Changes, Follow, Followed, Loaded, Loader, Reading, Rejected, Rejection, Watcher,
};
use crate::telemetry::Telemetry;
use crate::versions::{Live, Preparer, ServiceEntry, ServiceKey, Snapshot, Update, declared};
use candidates::{Again, Prepared, Versions};
use journal::{Journal, key_of};
use outcome::Askers;
use retry::Retry;
use stale::{Places, Stale};

/// How long a publish waits for versions that need no compilation, so that most edits are one
/// generation and not two.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(150);

/// The same at most until the first versions are known, when each publish has more to say of more
/// services: so that a start of a hundred thousand of them is not mostly publishing.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// How much lower the priority of what reloads is (nice(2)).
const NICE: i32 = 10;

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
    /// Where files may have changed since what is kept was loaded.
    changed: Places,
    /// What is to be published.
    stale: Stale,
    /// How long the next publish waits for versions, and whether all were known once.
    patience: Duration,
    is_settled: bool,
    /// The services whose overrides have a secret.
    with_secret: HashSet<ServiceKey>,
    following: Following,
    /// What the process was started with and does not serve, until that is told.
    rejected_at_start: Option<Vec<Rejection>>,
    /// The configuration's files that could not be read for a moment in the last load, and why.
    unread: Unread,
    /// How many services waited for the secret of their overrides after the last load.
    awaited_secrets: usize,
    retry: Retry,
}

/// What the watcher is to follow from now on.
#[derive(Debug)]
enum Following {
    /// All that there is: it may be something else.
    Anew,
    /// This beside all that it follows.
    More(Vec<Followed>),
}

/// What may have changed, and where it is looked for.
#[derive(Clone, Copy, Debug)]
struct Look {
    reading: Reading,
    again: Again,
    /// Whether all files are looked at, and not only those that somebody has named.
    is_everywhere: bool,
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
        let path = loader.path().to_owned();
        let loader = Arc::new(Mutex::new(loader));
        reloads.show_loader(loader.clone());
        let directory = config.state.directory.clone();
        let journal = Journal::new(directory, reloads.clone(), telemetry.clone());
        Self {
            path,
            loader,
            live,
            reloads,
            telemetry,
            started_with: config.clone(),
            config,
            watch,
            rejected_watch: Vec::new(),
            versions: Versions::new(Arc::new(preparer)),
            journal,
            changed: Places::Everywhere,
            stale: Stale::All,
            patience: PUBLISH_PATIENCE,
            is_settled: false,
            with_secret: HashSet::new(),
            following: Following::Anew,
            rejected_at_start: Some(rejected),
            unread: Unread::default(),
            awaited_secrets: 0,
            retry: Retry::default(),
        }
    }

    /// Publishes what the process was started with, then follows its files until dropped. Run again,
    /// after a panic, it goes on with what it has.
    pub async fn run(&mut self, watcher: &mut Watcher) {
        self.following = Following::Anew;
        self.follow(watcher);
        match self.rejected_at_start.take() {
            Some(rejected) => self.begin(rejected, watcher).await,
            None => self.begin_again(watcher).await,
        }
        let mut looks = tokio::time::interval(HISTORY_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cause = tokio::select! {
                prepared = self.versions.prepared() => {
                    if self.accept(prepared) {
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
            self.follow(watcher);
            self.plan_retry(watcher);
        }
    }

    /// Takes the end of a preparation. Whether there is something to publish by it.
    fn accept(&mut self, prepared: Prepared) -> bool {
        let Some(key) = self.versions.accept(prepared) else { return false };
        let live = self.live.load();
        self.stale.touch(&key, || declared_in(&live, &key));
        true
    }

    /// Has the watcher follow what the last load leads to.
    fn follow(&mut self, watcher: &mut Watcher) {
        let is_followed = match &self.following {
            Following::Anew => false,
            Following::More(more) if more.is_empty() => true,
            Following::More(more) => watcher.follow_more(more.iter().map(Follow::from)),
        };
        if !is_followed {
            watcher.follow(self.watched());
        }
        self.following = Following::More(Vec::new());
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
        self.stale = Stale::All;
        self.react(Cause::Asked(askers), watcher).await;
        self.follow(watcher);
        self.publish().await;
        self.plan_retry(watcher);
    }

    /// Loads, and tells what came of it: also those who asked, if that is why.
    async fn react(&mut self, cause: Cause, watcher: &mut Watcher) {
        match cause {
            Cause::Change => {
                let (reading, again) = (Reading::Changed, Again::Passing);
                let look = Look { reading, again, is_everywhere: false };
                if let Some(reload) = self.reload(look, watcher).await {
                    self.note(&Arc::new(reload));
                }
            }
            Cause::Retry => {
                let (reading, again) = (Reading::Changed, Again::Transient);
                let look = Look { reading, again, is_everywhere: true };
                let reload = self.reload(look, watcher).await;
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
        let Askers { number, reading, attributions } = askers;
        let named = self.named_by(&attributions);
        let is_everywhere = reading == Reading::Everything || named.is_none();
        self.changed.add(Places::Paths(named.unwrap_or_default()));
        self.journal.expect(attributions);
        let again = match reading {
            Reading::Changed => Again::Passing,
            Reading::Everything => Again::All,
        };
        let mut look = Look { reading, again, is_everywhere };
        let (began, mut pause) = (Instant::now(), retry::FIRST);
        let reload = loop {
            match self.reload(look, watcher).await {
                Some(_) if self.unread.files > 0 && began.elapsed() < ASKERS_PATIENCE => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    // All else was tried.
                    let (reading, again) = (Reading::Changed, Again::Transient);
                    look = Look { reading, again, is_everywhere: true };
                }
                Some(reload) => break Arc::new(reload),
                None => {}
            }
        };
        self.journal.finish(&self.live.load()).await;
        self.note(&reload);
        self.reloads.answer(number, &reload);
    }

    /// The files that others say that they have changed; none if it is not known which they are.
    fn named_by(&self, attributions: &[Attribution]) -> Option<HashSet<PathBuf>> {
        let live = self.live.load();
        let file = |attribution: &Attribution| {
            let entry = live.get(&key_of(attribution)?)?;
            Some(entry.declared.file.clone())
        };
        attributions.iter().map(file).collect()
    }

    /// Nothing came of it if files changed while they were read.
    async fn reload(&mut self, look: Look, watcher: &mut Watcher) -> Option<Reload> {
        let Look { reading, again, is_everywhere } = look;
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
                // What it would have found is not known, and is looked for again.
                let why = format!("loading the configuration failed: {panicked}");
                self.unread = Unread { files: 1, why };
                self.changed = Places::Everywhere;
                self.came_of(Outcome::Postponed, 0)
            }
        };
        self.count_awaited_secrets();
        Some(reload)
    }

    /// The paths of the configuration's files that may have changed, none if all may have; and the
    /// services of which a component or a secret may have.
    fn to_look_at(&self) -> (Option<Vec<PathBuf>>, HashSet<ServiceKey>) {
        let Places::Paths(paths) = &self.changed else { return (None, HashSet::new()) };
        let (mut of_config, mut touched) = (Vec::new(), HashSet::new());
        for path in paths {
            match self.versions.users(path) {
                Some(users) => touched.extend(users.iter().cloned()),
                None => of_config.push(path.clone()),
            }
        }
        (Some(of_config), touched)
    }

    fn count_awaited_secrets(&mut self) {
        let snapshot = self.live.load();
        let entries = self.with_secret.iter().filter_map(|key| snapshot.get(key));
        self.awaited_secrets = entries.filter(|service| service.awaits_secret()).count();
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
        self.following = Following::Anew;
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

    /// Takes what is loaded. `touched` are services of which a component or a secret may have changed.
    async fn take(
        &mut self,
        loaded: Loaded,
        touched: &HashSet<ServiceKey>,
        again: Again,
    ) -> Reload {
        lock(&self.loader).keep(&loaded);
        let Loaded { config, rejected, read, changes, .. } = loaded;
        let before = std::mem::replace(&mut self.config, config);
        let is_changed = match changes {
            Changes::Any { watch } => self.take_all(&before, watch, again),
            Changes::Services { services, watch } => {
                self.take_some(services, watch, touched, again)
            }
        };
        let rejected_anew = self.reject(rejected);
        self.warn();
        if is_changed || self.has_stale_secret() {
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

    /// Whether there is something to publish where anything may have changed.
    fn take_all(&mut self, before: &Config, watch: Vec<Followed>, again: Again) -> bool {
        self.rejected_watch.clear();
        let same = self.config.is_served_like(before) && watch == self.watch;
        self.watch = watch;
        self.following = Following::Anew;
        let is_changed = self.versions.renew(&self.config, again) || !same;
        if is_changed {
            self.stale = Stale::All;
        }
        is_changed
    }

    /// The same where only some services may be others than before.
    fn take_some(
        &mut self,
        services: Vec<Changed>,
        mut watch: Vec<Followed>,
        touched: &HashSet<ServiceKey>,
        again: Again,
    ) -> bool {
        let live = self.live.load();
        let mut same = watch.is_empty();
        let mut all: Vec<(ServiceKey, Option<Arc<Service>>)> = Vec::new();
        for Changed { environment, name, now } in services {
            let key = ServiceKey { environment, service: name };
            let is_same = live.get(&key).map(|entry| &entry.declared) == now.as_ref();
            same &= is_same;
            if !is_same {
                self.stale.declare(key.clone(), now.clone());
            }
            all.push((key, now));
        }
        self.watch.extend(watch.iter().cloned());
        let files = all.iter().filter_map(|(_, now)| now.as_ref()).flat_map(|now| files_of(now));
        let new = files.filter(|file| self.versions.users(file).is_none());
        watch.extend(new.map(|file| Followed::Path(file.to_owned())));
        if let Following::More(more) = &mut self.following {
            more.extend(watch);
        }
        let known: HashSet<_> = all.iter().map(|(key, _)| key.clone()).collect();
        let unsettled = self.versions.take_failed();
        for key in touched.union(&unsettled).filter(|key| !known.contains(*key)) {
            all.push((key.clone(), declared_in(&live, key)));
        }
        let renewing = all.iter().map(|(key, now)| (key, now.as_ref()));
        let renewed = self.versions.renew_some(renewing, again);
        if renewed {
            for (key, now) in all {
                self.stale.touch(&key, || now);
            }
        }
        renewed || !same
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
        self.stale = Stale::All;
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
    fn has_stale_secret(&mut self) -> bool {
        let live = self.live.load();
        let entries = self.with_secret.iter().filter_map(|key| live.get(key));
        let mut is_any = false;
        for entry in entries.filter(|entry| entry.has_stale_secret()) {
            self.stale.touch(&entry.key, || Some(entry.declared.clone()));
            is_any = true;
        }
        is_any
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
        let patience = tokio::time::sleep(self.patience);
        tokio::pin!(patience);
        while self.versions.are_creating() {
            tokio::select! {
                prepared = self.versions.prepared() => { self.accept(prepared); }
                () = &mut patience => break,
            }
        }
        let started = Instant::now();
        let before = self.live.load();
        let generation = self.journal.next(before.generation).await;
        let (snapshot, keys) = self.next(generation, &before);
        let snapshot = Arc::new(snapshot);
        // Before anybody sees it: whatever was served is in the history, even if we are killed.
        self.journal.record(&before, &snapshot, keys.as_ref()).await;
        self.telemetry.published(generation);
        let changed: Vec<&Arc<ServiceEntry>> = match &keys {
            Some(keys) => keys.iter().filter_map(|key| snapshot.get(key)).collect(),
            None => snapshot.services.iter().collect(),
        };
        for service in changed.into_iter().filter(|service| service.since == generation) {
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
        if self.versions.are_creating() {
            if !self.is_settled {
                self.patience = (started.elapsed() * 3).clamp(PUBLISH_PATIENCE, START_PATIENCE);
            }
            return;
        }
        if !std::mem::replace(&mut self.is_settled, true) {
            yield_to_requests();
        }
        self.patience = PUBLISH_PATIENCE;
        self.versions.forget_others();
        self.reloads.settle();
    }

    /// The next generation, and the services in which it may differ from the one before; none if in
    /// any.
    fn next(
        &mut self,
        generation: u64,
        before: &Snapshot,
    ) -> (Snapshot, Option<HashSet<ServiceKey>>) {
        let stale = std::mem::replace(&mut self.stale, Stale::none());
        let is_few = |services: usize| services * 8 < before.services.len() + 64;
        let services = match stale {
            Stale::Some(services) if before.generation > 0 && is_few(services.len()) => services,
            _ => {
                let statuses = self.versions.statuses(&self.config);
                let next = Snapshot::numbered(generation, before, &self.config, &statuses);
                let secretive = next.services.iter().filter(|service| service.has_secret());
                self.with_secret = secretive.map(|service| service.key.clone()).collect();
                return (next, None);
            }
        };
        let keys: HashSet<_> = services.keys().cloned().collect();
        let updates = services.into_iter().map(|(key, now)| {
            let now = now.map(|now| {
                let statuses = self.versions.statuses_of(&key, &now);
                (now, statuses)
            });
            Update { key, now }
        });
        let next = Snapshot::updated(generation, before, updates.collect());
        for key in &keys {
            self.with_secret.remove(key);
            if next.get(key).is_some_and(|service| service.has_secret()) {
                self.with_secret.insert(key.clone());
            }
        }
        (next, Some(keys))
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

/// Lets the threads that serve go before the one that reloads, and before those that it starts: who has
/// edited a file waits for some milliseconds more, and nobody else does.
fn yield_to_requests() {
    // Of the calling thread alone, as Linux has it.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!("the reloader runs like everything else: {error}");
    }
}

/// What a service is declared to be by what is served.
fn declared_in(snapshot: &Snapshot, key: &ServiceKey) -> Option<Arc<Service>> {
    snapshot.get(key).map(|entry| entry.declared.clone())
}

/// Every file that something of a service is made from.
fn files_of(service: &Service) -> impl Iterator<Item = &Path> {
    service.versions.iter().flat_map(VersionSpec::files).chain(service.policy.file())
}

fn lock(loader: &Mutex<Loader>) -> MutexGuard<'_, Loader> {
    loader.lock().unwrap_or_else(PoisonError::into_inner)
}

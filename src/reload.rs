//! From an edited file to served traffic: watch → load → compile → record → publish.
//!
//! One [`Reloader`] runs for the life of the process. Only the reloader publishes, so generations
//! follow one another. When a step fails, the process keeps serving the last good generation, and
//! [`ReloadHandle`] reports the failure. `load` reads changed files, `take` compares the result with
//! what is served, `publish` makes the next generation, and `handover` lets one process take over from another.

mod candidates;
mod handover;
mod journal;
mod listener;
mod load;
mod news;
mod outcome;
mod publish;
mod retry;
mod stale;
mod take;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

pub use handover::{Go, Progress, Rest, Turn, name as service_name};
pub use listener::{ListenerState, ticket_keys};
pub use outcome::{Outcome, Reload, ReloadHandle};

use crate::config::{Config, Service, TlsSettings};
use crate::history::Attribution;
use crate::source::{Follow, Followed, Loader, Reading, Rejection, Watcher};
use crate::telemetry::Telemetry;
use crate::versions::{Live, Preparer, ServiceKey, Snapshot, declared};
use candidates::{Again, Prepared, Versions};
use journal::{Journal, key_of};
use listener::Listener;
use load::{Scope, lock};
use news::News;
use outcome::Askers;
use publish::PUBLISH_PATIENCE;
use retry::Retry;
use stale::{Places, Stale};
use take::Unread;

/// How often the reloader checks that the history file is still in place.
const HISTORY_LOOKS: Duration = Duration::from_secs(2);

/// How long a requested reload retries files with a transient error before it answers.
const ASKERS_PATIENCE: Duration = Duration::from_secs(1);

/// The target of the reloader's log lines, whichever of its files writes them: users filter by it.
const LOG: &str = "watershed::reload";

/// Loads, compiles and publishes. Driven by [`Reloader::run`].
pub struct Reloader {
    path: PathBuf,
    loader: Arc<Mutex<Loader>>,
    live: Arc<Live>,
    reloads: Arc<ReloadHandle>,
    telemetry: Telemetry,
    /// The configuration loaded last, and the one that the process started with.
    config: Arc<Config>,
    started_with: Arc<Config>,
    /// Every path in which a change could alter the configuration loaded last.
    watch: Vec<Followed>,
    /// The paths that a rejected main file leads to: correcting one of these may be enough.
    rejected_watch: Vec<Followed>,
    versions: Versions,
    journal: Journal,
    listener: Listener,
    /// Where files may have changed since the last load that was kept.
    changed: Places,
    /// The services to publish.
    stale: Stale,
    /// How long the next publish waits for versions.
    patience: Duration,
    /// Whether every version declared at the start has become normal or error.
    is_settled: bool,
    /// The services whose overrides have a secret.
    with_secret: HashSet<ServiceKey>,
    following: Following,
    /// The files that were rejected at the start, until they are reported.
    rejected_at_start: Option<Vec<Rejection>>,
    /// The configuration files that the last load could not read because of a transient error, and
    /// that error.
    unread: Unread,
    /// How many services waited for their override secret after the last load.
    awaited_secrets: usize,
    retry: Retry,
    /// Whether the main file was wrong at the last load.
    is_refused: bool,
    /// What changed, and is not told yet.
    news: News,
    /// What the first publish waits for, where another process still serves.
    turn: Option<Turn>,
}

/// What the watcher must follow from now on.
#[derive(Debug)]
enum Following {
    /// Every path anew: any of them may differ.
    Anew,
    /// These paths, in addition to those that it follows.
    More(Vec<Followed>),
}

/// Why the reloader loads the configuration.
enum Cause {
    Change,
    Asked(Askers),
    Retry,
}

impl Reloader {
    /// A reloader that continues with `loader`. At the start of the process, `loader` loaded
    /// `config` from the paths in `watch`, and rejected the files in `rejected`.
    pub fn new(
        loader: Loader,
        (config, watch, rejected): (Arc<Config>, Vec<Followed>, Vec<Rejection>),
        preparer: Preparer,
        live: Arc<Live>,
        reloads: Arc<ReloadHandle>,
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
            listener: Listener::default(),
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
            is_refused: false,
            news: News::default(),
            turn: None,
        }
    }

    /// Publishes the configuration that the process started with, then follows its files until
    /// dropped. When called again after a panic, it continues with the state that it has.
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
                rest = self.reloads.asked_to_rest() => {
                    self.rest(rest).await;
                    continue;
                }
                _ = looks.tick() => {
                    self.journal.keep(&self.live.load()).await;
                    self.tend_listener().await;
                    continue;
                }
            };
            self.react(cause, watcher).await;
            self.news.tell(&self.live);
            self.follow(watcher);
            self.plan_retry(watcher);
        }
    }

    /// Takes the result of a preparation. Returns whether there is something to publish.
    fn accept(&mut self, prepared: Prepared) -> bool {
        let Some(key) = self.versions.accept(prepared) else { return false };
        let live = self.live.load();
        self.stale.touch(&key, || declared_in(&live, &key));
        true
    }

    /// Makes the watcher follow the paths that the last load found.
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
        let files = {
            let loader = lock(&self.loader);
            loader.texts().take_edited();
            loader.good_files()
        };
        self.journal.note_texts(files);
        self.reject(rejected);
        self.warn();
        self.publish().await;
        self.journal.keep_texts().await;
        self.count_awaited_secrets();
        self.plan_retry(watcher);
        let read = self.config.services().count();
        let reload = self.with_listener(self.came_of(Outcome::Published, read));
        self.note(&Arc::new(reload));
    }

    /// Starts again after a panic. How far the last run came is unknown, so every file is read, and
    /// requests for a reload that are still waiting are answered.
    async fn begin_again(&mut self, watcher: &mut Watcher) {
        self.versions.forget_creating();
        let askers = Askers { reading: Reading::Everything, ..self.reloads.askers() };
        self.stale = Stale::All;
        self.react(Cause::Asked(askers), watcher).await;
        self.follow(watcher);
        self.publish().await;
        self.plan_retry(watcher);
    }

    /// Loads, and reports the outcome; if a reload was requested, also to those who requested it.
    async fn react(&mut self, cause: Cause, watcher: &mut Watcher) {
        match cause {
            Cause::Change => {
                let (reading, again) = (Reading::Changed, Again::Passing);
                let scope = Scope { reading, again, is_everywhere: false };
                if let Some(reload) = self.reload(scope, watcher).await {
                    self.note(&Arc::new(reload));
                }
            }
            Cause::Retry => {
                let (reading, again) = (Reading::Changed, Again::Transient);
                let scope = Scope { reading, again, is_everywhere: true };
                let reload = self.reload(scope, watcher).await;
                // A retry that changed nothing is not worth a report.
                if let Some(reload) = reload.filter(|reload| self.is_news(reload)) {
                    self.note(&Arc::new(reload));
                }
            }
            Cause::Asked(askers) => self.answer(askers, watcher).await,
        }
    }

    fn is_news(&self, reload: &Reload) -> bool {
        let known = self.reloads.last().and_then(|last| last.report.clone());
        let is_served = matches!(reload.outcome, Outcome::Published | Outcome::NeedsRestart);
        is_served || reload.report != known
    }

    /// Loads for those who requested a reload and wait for its outcome.
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
        let mut scope = Scope { reading, again, is_everywhere };
        let (began, mut pause) = (Instant::now(), retry::FIRST);
        let reload = loop {
            match self.reload(scope, watcher).await {
                Some(_) if self.unread.files > 0 && began.elapsed() < ASKERS_PATIENCE => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    // Everything but the files with transient errors was handled in the first
                    // round.
                    let (reading, again) = (Reading::Changed, Again::Transient);
                    scope = Scope { reading, again, is_everywhere: true };
                }
                Some(reload) => break Arc::new(reload),
                None => {}
            }
        };
        self.journal.finish(&self.live.load()).await;
        self.note(&reload);
        self.reloads.answer(number, &reload);
    }

    /// The files that commands say they have changed; `None` if any of these files is unknown.
    fn named_by(&self, attributions: &[Attribution]) -> Option<HashSet<PathBuf>> {
        let live = self.live.load();
        let file = |attribution: &Attribution| {
            let entry = live.get(&key_of(attribution)?)?;
            Some(entry.declared.file.clone())
        };
        attributions.iter().map(file).collect()
    }

    /// Schedules the next try of everything that failed with a transient error.
    fn plan_retry(&mut self, watcher: &Watcher) {
        let (versions, of_version) = self.versions.waiting();
        let (of_listener, why_listener) = self.listener.unread();
        let waiting = self.unread.files + versions + self.awaited_secrets + of_listener;
        self.telemetry.unread(waiting);
        let why = || match (self.unread.files, of_version) {
            (0, Some(why)) => why,
            (0, None) => why_listener.unwrap_or_else(|| "a secret, or another file".to_owned()),
            (_, _) => self.unread.why.clone(),
        };
        self.retry.plan(waiting, why, watcher.is_blind());
    }

    fn note(&self, reload: &Arc<Reload>) {
        self.telemetry.reloaded(reload.outcome.word(), reload.report.is_none());
        let before = self.reloads.last().and_then(|last| last.report.clone());
        match &reload.outcome {
            Outcome::Unchanged if reload.report == before => return,
            Outcome::Unchanged if reload.report.is_none() => {
                tracing::info!("the files again say what is served");
            }
            Outcome::NeedsRestart => {
                let keys: Vec<_> = reload.restart.iter().map(|change| change.key).collect();
                tracing::warn!("restart to apply {}; all else is served", keys.join(", "));
            }
            Outcome::Published | Outcome::Unchanged | Outcome::Rejected | Outcome::Postponed => {}
        }
        self.reloads.note(reload.clone());
    }

    /// Every path in which a change could matter.
    fn watched(&self) -> Vec<Follow<'_>> {
        let config = &self.config;
        let files = declared(config).flat_map(|(_, _, spec)| spec.files());
        let secrets = config.services().filter_map(|(_, service)| service.policy.file());
        let of_config = self.watch.iter().chain(&self.rejected_watch).map(Follow::from);
        let tls = config.server.tls.iter().flat_map(TlsSettings::files);
        let paths = std::iter::once(self.path.as_path()).chain(files).chain(secrets).chain(tls);
        paths.map(Follow::Path).chain(of_config).collect()
    }
}

/// The declaration of a service, as it is served.
fn declared_in(snapshot: &Snapshot, key: &ServiceKey) -> Option<Arc<Service>> {
    snapshot.get(key).map(|entry| entry.declared.clone())
}

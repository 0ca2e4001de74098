//! From an edited file to served traffic: watch → load → compile → record → publish.
//!
//! One [`Reloader`] runs for the life of the process. It alone publishes, so generations follow one
//! another; whatever fails on the way leaves what is served as it is, and is told in [`Reloads`].

mod candidates;
mod journal;
mod load;
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

pub use outcome::{Outcome, Reload, Reloads};

use crate::config::{Config, Service};
use crate::history::Attribution;
use crate::source::{Follow, Followed, Loader, Reading, Rejection, Watcher};
use crate::telemetry::Telemetry;
use crate::versions::{Live, Preparer, ServiceKey, Snapshot, declared};
use candidates::{Again, Prepared, Versions};
use journal::{Journal, key_of};
use load::Look;
use outcome::Askers;
use publish::PUBLISH_PATIENCE;
use retry::Retry;
use stale::{Places, Stale};
use take::Unread;

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

/// What a service is declared to be by what is served.
fn declared_in(snapshot: &Snapshot, key: &ServiceKey) -> Option<Arc<Service>> {
    snapshot.get(key).map(|entry| entry.declared.clone())
}

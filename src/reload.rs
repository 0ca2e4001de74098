//! From an edited file to served traffic: watch → load → compile → publish.
//!
//! One [`Reloader`] runs for the life of the process. It alone publishes, so generations follow one
//! another; whatever fails on the way leaves what is served as it is, and is told in
//! [`Reloads::last`].

mod watch;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, watch as channel};

pub use watch::{WatchError, Watcher};

use crate::config::{self, Config, Report, VersionName, VersionSpec};
use crate::registry::{
    Candidates, Fingerprint, Live, Programs, ServiceKey, Snapshot, Status, StatusError,
    VersionEntry, declared,
};
use crate::telemetry::Telemetry;

/// How long a publish waits for versions that need no compilation, so that most edits are one
/// generation and not two.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(150);

/// What came of a load.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A new generation is served.
    Published,
    /// Nothing that matters had changed.
    Unchanged,
    /// Something is wrong, and nothing was changed.
    Rejected(Report),
    /// A new generation is served, but these keys take effect at the next start.
    NeedsRestart(Vec<&'static str>),
}

impl Outcome {
    /// The word for it in the API, in logs and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Rejected(_) => "rejected",
            Self::NeedsRestart(_) => "needs-restart",
        }
    }
}

/// One load and what came of it.
#[derive(Clone, Debug)]
pub struct Reload {
    pub at: SystemTime,
    pub outcome: Outcome,
}

/// What others can see of the reloader's work.
#[derive(Debug)]
pub struct Reloads {
    last: ArcSwapOption<Reload>,
    /// Whether every version declared at the start has become normal or error.
    settled: channel::Sender<bool>,
}

impl Default for Reloads {
    fn default() -> Self {
        Self { last: ArcSwapOption::empty(), settled: channel::Sender::new(false) }
    }
}

impl Reloads {
    /// The last load that found something changed.
    pub fn last(&self) -> Option<Arc<Reload>> {
        self.last.load_full()
    }

    /// Waits until no version is being made for the first time.
    pub async fn settled(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.settled.subscribe().wait_for(|settled| *settled).await.ok();
    }
}

/// A version as it was declared when its candidate was made.
type VersionKey = (ServiceKey, VersionName);

/// A declared version on its way to normal or error.
#[derive(Debug)]
struct Candidate {
    spec: VersionSpec,
    fingerprint: Option<Fingerprint>,
    status: Status,
    /// Grows with every candidate, so that the end of one that was replaced is not mistaken.
    number: u64,
}

/// The end of a candidate's preparation.
struct Prepared {
    key: VersionKey,
    number: u64,
    result: Result<Arc<VersionEntry>, StatusError>,
}

/// Loads, compiles and publishes. Driven by [`Reloader::run`].
pub struct Reloader {
    path: PathBuf,
    programs: Programs,
    live: Arc<Live>,
    reloads: Arc<Reloads>,
    telemetry: Telemetry,
    /// The configuration that was loaded last, and the one that the process was started with.
    config: Arc<Config>,
    started_with: Arc<Config>,
    candidates: HashMap<VersionKey, Candidate>,
    count: u64,
    prepared: (mpsc::UnboundedSender<Prepared>, mpsc::UnboundedReceiver<Prepared>),
}

impl Reloader {
    /// A reloader of the file at `path`, which said `config` when the process started.
    pub fn new(
        path: PathBuf,
        config: Arc<Config>,
        programs: Programs,
        live: Arc<Live>,
        reloads: Arc<Reloads>,
        telemetry: Telemetry,
    ) -> Self {
        Self {
            path,
            programs,
            live,
            reloads,
            telemetry,
            started_with: config.clone(),
            config,
            candidates: HashMap::new(),
            count: 0,
            prepared: mpsc::unbounded_channel(),
        }
    }

    /// Publishes what the process was started with, then follows its files until dropped.
    pub async fn run(mut self, mut watcher: Watcher) {
        watcher.follow(self.watched());
        self.renew_candidates();
        self.publish().await;
        self.note(Outcome::Published);
        loop {
            tokio::select! {
                Some(prepared) = self.prepared.1.recv() => {
                    if self.accept(prepared) {
                        self.publish().await;
                    }
                }
                () = watcher.changed() => {
                    // Directories may have been swapped: watch what is there now, then read it.
                    watcher.follow(self.watched());
                    let outcome = self.reload().await;
                    self.note(outcome);
                    watcher.follow(self.watched());
                }
            }
        }
    }

    async fn reload(&mut self) -> Outcome {
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path)).await;
        let config = match loaded {
            Ok(Ok(config)) => Arc::new(config),
            Ok(Err(report)) => return Outcome::Rejected(report),
            Err(panicked) => {
                tracing::error!("loading the configuration failed: {panicked}");
                return Outcome::Unchanged;
            }
        };
        let same = *config == *self.config;
        self.config = config;
        if !self.renew_candidates() && same {
            return Outcome::Unchanged;
        }
        self.publish().await;
        match restart_keys(&self.started_with, &self.config) {
            keys if keys.is_empty() => Outcome::Published,
            keys => Outcome::NeedsRestart(keys),
        }
    }

    fn last_was_rejected(&self) -> bool {
        let last = self.reloads.last();
        last.is_some_and(|last| matches!(last.outcome, Outcome::Rejected(_)))
    }

    /// Starts to prepare every declared version that is new, whose component file changed, or that
    /// failed in a way that may pass, and forgets those no longer declared. Whether anything was different.
    fn renew_candidates(&mut self) -> bool {
        let mut old = std::mem::take(&mut self.candidates);
        let mut renewed = false;
        let config = self.config.clone();
        for (service, _, spec) in declared(&config) {
            let key = (service, spec.name.clone());
            let fingerprint = Fingerprint::of(&spec.component);
            let kept = old.remove(&key).filter(|candidate| {
                let error = candidate.status.error();
                candidate.spec == *spec
                    && candidate.fingerprint == fingerprint
                    && !error.is_some_and(|error| error.code.may_pass())
            });
            let candidate = match kept {
                Some(candidate) => candidate,
                None => {
                    renewed = true;
                    self.count += 1;
                    self.prepare(key.clone(), spec.clone());
                    let (spec, number) = (spec.clone(), self.count);
                    Candidate { spec, fingerprint, status: Status::Creating, number }
                }
            };
            self.candidates.insert(key, candidate);
        }
        renewed || !old.is_empty()
    }

    fn prepare(&self, key: VersionKey, spec: VersionSpec) {
        let programs = self.programs.clone();
        let done = self.prepared.0.clone();
        let number = self.count;
        tokio::spawn(async move {
            let result = programs.prepare(&key.0, &spec).await;
            // Nobody waits for it once the process ends.
            done.send(Prepared { key, number, result }).ok();
        });
    }

    /// Takes the end of a preparation. Whether it was still wanted.
    fn accept(&mut self, prepared: Prepared) -> bool {
        let Prepared { key, number, result } = prepared;
        let Some(candidate) = self.candidates.get_mut(&key) else { return false };
        if candidate.number != number {
            return false;
        }
        let (service, version) = (&key.0.service, &key.1);
        candidate.status = match result {
            Ok(entry) => {
                tracing::info!(%service, %version, digest = %entry.digest(), "version is normal");
                Status::Normal(entry)
            }
            Err(error) => {
                tracing::error!(%service, %version, code = error.code.as_str(), "{error}");
                Status::Error(error)
            }
        };
        true
    }

    /// Publishes the next generation, after a short wait for candidates that are nearly ready.
    async fn publish(&mut self) {
        let patience = tokio::time::sleep(PUBLISH_PATIENCE);
        tokio::pin!(patience);
        while self.is_creating() {
            tokio::select! {
                Some(prepared) = self.prepared.1.recv() => { self.accept(prepared); }
                () = &mut patience => break,
            }
        }
        let started = Instant::now();
        let before = self.live.load();
        let snapshot = Arc::new(Snapshot::after(&before, &self.config, &self.statuses()));
        self.telemetry.published(snapshot.generation);
        for service in &snapshot.services {
            let name = &service.key.service;
            match &service.held {
                Some(why) if service.is_settled() => {
                    tracing::warn!(service = %name, "what is declared is not served: {why}");
                }
                Some(why) => tracing::debug!(service = %name, "not served yet: {why}"),
                None => {}
            }
        }
        let generation = snapshot.generation;
        self.live.publish(snapshot);
        tracing::info!(generation, took_us = started.elapsed().as_micros(), "published");
        if !self.is_creating() {
            self.programs.keep_only(&self.digests());
            self.reloads.settled.send_replace(true);
        }
    }

    fn is_creating(&self) -> bool {
        self.candidates.values().any(|candidate| matches!(candidate.status, Status::Creating))
    }

    /// The digests of every version that could be given traffic by an edit.
    fn digests(&self) -> HashSet<[u8; 32]> {
        let normal = self.candidates.values().filter_map(|candidate| match &candidate.status {
            Status::Normal(version) => Some(*version.guest.program().digest()),
            Status::Creating | Status::Error(_) => None,
        });
        normal.collect()
    }

    fn statuses(&self) -> Candidates {
        let mut statuses = Candidates::new();
        for (service, _, spec) in declared(&self.config) {
            let key = (service, spec.name.clone());
            if let Some(candidate) = self.candidates.get(&key) {
                statuses.entry(key.0).or_default().push(candidate.status.clone());
            }
        }
        statuses
    }

    fn note(&self, outcome: Outcome) {
        self.telemetry.reloaded(outcome.word());
        match &outcome {
            Outcome::Unchanged if !self.last_was_rejected() => return,
            Outcome::Unchanged => tracing::info!("the configuration is again what is served"),
            Outcome::Published => {}
            Outcome::Rejected(report) => {
                tracing::error!("configuration rejected, nothing changed:\n{report}");
            }
            Outcome::NeedsRestart(keys) => {
                tracing::warn!("restart to apply {}; all else is served", keys.join(", "));
            }
        }
        let reload = Reload { at: SystemTime::now(), outcome };
        self.reloads.last.store(Some(Arc::new(reload)));
    }

    /// Every file and directory in which a change could matter.
    fn watched(&self) -> Vec<&Path> {
        let config = &self.config;
        let services = config.environments.iter().flat_map(|environment| &environment.services);
        let components = declared(config).map(|(_, _, spec)| spec.component.as_path());
        std::iter::once(self.path.as_path())
            .chain(config.watch.iter().map(PathBuf::as_path))
            .chain(services.map(|service| service.file.as_path()))
            .chain(components)
            .collect()
    }
}

/// The keys that differ and that only a restart can apply.
fn restart_keys(started_with: &Config, now: &Config) -> Vec<&'static str> {
    let differs = [
        ("server.listen", started_with.server.listen != now.server.listen),
        ("server.threads", started_with.server.threads != now.server.threads),
        ("server.sandboxes", started_with.server.sandboxes != now.server.sandboxes),
        ("server.grace-period", started_with.server.grace_period != now.server.grace_period),
        ("admin", started_with.admin != now.admin),
        ("state", started_with.state != now.state),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

//! One process takes over from another: one reloader *rests* without the history, and the other waits for
//! its *turn* before it publishes anything.

use std::collections::HashSet;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use super::Reloader;
use super::candidates::Again;
use super::load::lock;
use crate::source::Reading;
use crate::versions::{ServiceEntry, Snapshot};

/// Services that are named, where more are not ready.
const NAMED: usize = 200;

/// Asks a reloader to rest.
#[derive(Debug)]
pub(super) struct RestRequest {
    rests: oneshot::Sender<Result<Rested, String>>,
    goes_on: oneshot::Receiver<u64>,
    went_on: oneshot::Sender<()>,
}

/// What a reloader leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rested {
    generation: u64,
    has_history: bool,
}

/// A reloader that rests: it publishes nothing, and the history is closed. It takes the history back, and
/// goes on, when this is dropped.
#[derive(Debug)]
pub struct Rest {
    /// The last generation that was published.
    pub generation: u64,
    /// Whether there was a history.
    pub has_history: bool,
    goes_on: oneshot::Sender<u64>,
    went_on: oneshot::Receiver<()>,
}

impl Rest {
    /// Ends it, and waits until the reloader serves a generation behind those of the process that was to take over, of
    /// which `generation` is one.
    pub async fn end(self, generation: u64) {
        // Where the reloader has panicked, it begins again by itself.
        self.goes_on.send(generation).ok();
        self.went_on.await.ok();
    }

    /// Has the reloader rest as long as the process lives.
    pub fn for_ever(self) {
        // Neither sent nor dropped, so that the reloader hears nothing.
        std::mem::forget(self.goes_on);
    }
}

impl RestRequest {
    /// The request, and what becomes of it.
    pub fn new() -> (Self, impl Future<Output = Result<Rest, String>>) {
        let ((rests, rested), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel());
        let (went_on, has_gone_on) = oneshot::channel();
        let outcome = async move {
            let ended = |_| "the reloader does not answer".to_owned();
            let Rested { generation, has_history } = rested.await.map_err(ended)??;
            Ok(Rest { generation, has_history, goes_on: go_on, went_on: has_gone_on })
        };
        (Self { rests, goes_on, went_on }, outcome)
    }
}

/// What a reloader tells of its start, before its turn.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many versions are ready, or in error.
    Preparing { done: usize, all: usize },
    /// It would serve everything but this, and waits.
    Ready {
        /// Services without a normal version for their traffic, as `ENVIRONMENT/SERVICE`, with a reason.
        unready: Vec<(String, String)>,
        /// Files that are wrong.
        rejected: Vec<PathBuf>,
    },
    /// It cannot open the history, and publishes nothing.
    Failed(String),
}

/// What a reloader goes on behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Go {
    /// The last generation of the process before.
    pub generation: u64,
    /// Whether that process had a history, which is closed now.
    pub has_history: bool,
}

/// A reloader's wait for its turn.
#[derive(Debug)]
pub struct Turn {
    progress: mpsc::UnboundedSender<Progress>,
    go: oneshot::Receiver<Go>,
}

impl Turn {
    /// The wait, what is told meanwhile, and what ends it. If the latter is dropped, there is nobody to go
    /// on behind.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Progress>, oneshot::Sender<Go>) {
        let ((progress, told), (sender, go)) = (mpsc::unbounded_channel(), oneshot::channel());
        (Self { progress, go }, told, sender)
    }

    /// Nobody may listen any more, and that is no error.
    fn tell(&self, progress: Progress) {
        self.progress.send(progress).ok();
    }
}

impl Reloader {
    /// Has the reloader wait for its turn before the first publish.
    #[must_use]
    pub fn waiting_for(self, turn: Option<Turn>) -> Self {
        Self { turn, ..self }
    }

    /// Waits for the turn, if there is one to wait for. All versions are prepared meanwhile.
    pub(super) async fn await_turn(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        self.prepare_all(&turn).await;
        turn.tell(self.readiness());
        let taken = match (&mut turn.go).await {
            Ok(Go { generation, has_history }) => {
                self.journal.take_over(generation, has_history).await
            }
            Err(_) => {
                self.journal.inherit().await;
                Ok(())
            }
        };
        if let Err(why) = taken {
            turn.tell(Progress::Failed(why));
            // Whoever hears that ends the process.
            std::future::pending::<()>().await;
        }
        self.catch_up(&turn).await;
    }

    /// Takes what was edited since the files were read: the process before has served it. Without this, an older edit
    /// would be served for a moment.
    async fn catch_up(&mut self, turn: &Turn) {
        if self.look_again().await {
            self.prepare_all(turn).await;
        }
    }

    /// Takes what was edited while another process served, or was to. Returns whether anything was.
    async fn look_again(&mut self) -> bool {
        let loader = self.loader.clone();
        let load = move || lock(&loader).load(Reading::Changed);
        // A main file that is wrong now changes nothing, here as there; the watcher knows of it.
        let Ok(Ok(loaded)) = tokio::task::spawn_blocking(load).await else { return false };
        let is_changed = self.adopt(loaded, &HashSet::new(), Again::Passing).is_changed;
        if is_changed {
            tracing::info!("what was edited during the restart is taken");
        }
        is_changed
    }

    async fn prepare_all(&mut self, turn: &Turn) {
        let all = self.versions.count();
        loop {
            let done = all.saturating_sub(self.versions.creating());
            turn.tell(Progress::Preparing { done, all });
            if !self.versions.are_creating() {
                return;
            }
            let prepared = self.versions.prepared().await;
            self.accept(prepared);
        }
    }

    /// What would be served.
    fn readiness(&self) -> Progress {
        let statuses = self.versions.statuses(&self.config);
        let next = Snapshot::numbered(1, &Snapshot::default(), &self.config, &statuses);
        let unready = next.services.iter().filter(|service| !service.is_ready());
        let unready = unready.take(NAMED).map(|service| (name(service), why(service))).collect();
        let rejected = self.reloads.rejected();
        let rejected = rejected.iter().take(NAMED).map(|it| it.file.clone()).collect();
        Progress::Ready { unready, rejected }
    }

    /// Rests until it shall go on.
    pub(super) async fn rest(&mut self, RestRequest { rests, goes_on, went_on }: RestRequest) {
        let generation = self.live.load().generation;
        let given = self.journal.give_away().await;
        let is_given = given.is_ok();
        let rested = given.map(|has_history| Rested { generation, has_history });
        let mut reached = 0;
        if rests.send(rested).is_ok() && is_given {
            // Whoever had it rest may be gone without a word.
            reached = goes_on.await.unwrap_or(0);
        }
        self.reloads.go_on();
        if self.journal.take_back(reached).await > generation {
            // The other process has served later ones, which somebody may have seen.
            self.look_again().await;
            self.publish().await;
        }
        // Nobody waits where the other process has not served.
        went_on.send(()).ok();
    }
}

/// A service, as both processes name it.
pub fn name(service: &ServiceEntry) -> String {
    format!("{}/{}", service.key.environment, service.key.service)
}

/// Why a service is not ready.
fn why(service: &ServiceEntry) -> String {
    let errors = service.versions.iter().filter_map(|version| {
        let error = version.status.error()?;
        Some(format!("{} {}: {}", version.name, error.code.as_str(), error.detail))
    });
    let errors: Vec<_> = errors.take(3).collect();
    match (errors.is_empty(), &service.held) {
        (false, _) => errors.join("; "),
        (true, Some(held)) => held.clone(),
        (true, None) => "no version takes its traffic".to_owned(),
    }
}

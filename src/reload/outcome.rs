//! What came of loading, for whoever asks: the status API, scripts that wait for their edit, logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch as channel};

use crate::config::{Rejection, Report};

/// What came of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new generation is served. Services whose files are wrong are in it as they were before.
    Published,
    /// Nothing that matters had changed.
    Unchanged,
    /// Something is wrong, and nothing was changed.
    Rejected,
    /// A new generation is served, but these keys take effect at the next start.
    NeedsRestart(Vec<&'static str>),
}

impl Outcome {
    /// The word for it in the API, in logs and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::NeedsRestart(_) => "needs-restart",
        }
    }
}

/// One load and what came of it.
#[derive(Clone, Debug)]
pub struct Reload {
    pub at: SystemTime,
    pub outcome: Outcome,
    /// The generation that is served after it.
    pub generation: u64,
    /// How many services' files were read.
    pub read: usize,
    /// What is wrong: with the main file, or with the services' files that are not served.
    pub report: Option<Report>,
}

/// What others can see of the reloader's work, and how they ask it to work.
#[derive(Debug)]
pub struct Reloads {
    last: ArcSwapOption<Reload>,
    rejected: ArcSwap<Vec<Rejection>>,
    /// Whether every version declared at the start has become normal or error.
    settled: channel::Sender<bool>,
    /// How many reloads were asked for.
    asked: AtomicU64,
    ask: Notify,
    /// The last reload that was asked for, and the number of those that it answers.
    answered: channel::Sender<(u64, Option<Arc<Reload>>)>,
}

impl Default for Reloads {
    fn default() -> Self {
        Self {
            last: ArcSwapOption::empty(),
            rejected: ArcSwap::default(),
            settled: channel::Sender::new(false),
            asked: AtomicU64::new(0),
            ask: Notify::new(),
            answered: channel::Sender::new((0, None)),
        }
    }
}

impl Reloads {
    /// The last load that found something changed.
    pub fn last(&self) -> Option<Arc<Reload>> {
        self.last.load_full()
    }

    /// The services' files that are wrong now.
    pub fn rejected(&self) -> Arc<Vec<Rejection>> {
        self.rejected.load_full()
    }

    /// Waits until no version is being made for the first time.
    pub async fn settled(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.settled.subscribe().wait_for(|settled| *settled).await.ok();
    }

    /// Has everything read again at once, and waits for what comes of it. `None` only while the
    /// process ends.
    pub async fn request(&self) -> Option<Arc<Reload>> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.ask.notify_one();
        let mut answered = self.answered.subscribe();
        let answer = answered.wait_for(|(answered, _)| *answered >= number).await.ok()?;
        answer.1.clone()
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        self.ask.notified().await;
    }

    /// How many have asked by now: whom a reload that begins now answers.
    pub(super) fn askers(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn answer(&self, askers: u64, reload: &Arc<Reload>) {
        self.answered.send_replace((askers, Some(reload.clone())));
    }

    pub(super) fn note(&self, reload: Arc<Reload>) {
        self.last.store(Some(reload));
    }

    pub(super) fn reject(&self, rejected: Vec<Rejection>) {
        self.rejected.store(Arc::new(rejected));
    }

    pub(super) fn settle(&self) {
        self.settled.send_replace(true);
    }
}

//! The outcome of reloads, for the status API, for commands that wait for their edit, and for the
//! log. [`ReloadHandle`] is how other rooms see the reloader's work and ask it for a reload.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, watch as channel};

use super::ListenerState;
use super::handover::{Rest, RestRequest};
use crate::config::{Digest, Problem, Report, RestartChange};
use crate::history::{Attribution, History};
use crate::source::{Loader, Objection, Reading, Rejection, TextDigests};

/// The outcome of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new generation is served. Services whose files are wrong are in it as they were before.
    Published,
    /// Nothing relevant had changed.
    Unchanged,
    /// Something is wrong, and nothing changed.
    Rejected,
    /// Something cannot be read because of a transient error and is tried again; as far as is
    /// known, nothing relevant changed.
    Postponed,
    /// A new generation is served, but some keys take effect at the next start.
    NeedsRestart,
}

impl Outcome {
    /// The word for it in the API, in logs and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Postponed => "postponed",
            Self::NeedsRestart => "needs-restart",
        }
    }
}

/// One load and its outcome.
#[derive(Clone, Debug)]
pub struct Reload {
    pub at: SystemTime,
    pub outcome: Outcome,
    /// The generation that is served after it.
    pub generation: u64,
    /// How many services' files were read.
    pub read: usize,
    /// Keys of the main file that take effect at the next start, whichever load has read them.
    pub restart: Vec<RestartChange>,
    /// What is wrong with the main file, with service files that are rejected, or with files of the listener.
    pub report: Option<Report>,
}

/// What other rooms see of the reloader's work, and how they request a reload.
#[derive(Debug)]
pub struct ReloadHandle {
    last: ArcSwapOption<Reload>,
    rejected: ArcSwap<Vec<Rejection>>,
    warnings: ArcSwap<Vec<Problem>>,
    listener: ArcSwap<ListenerState>,
    /// Whether every version declared at the start has become normal or error.
    settled: channel::Sender<bool>,
    questions: Mutex<Questions>,
    ask: Notify,
    /// The last requested reload, and the number of the last request that it answers.
    answered: channel::Sender<(u64, Option<Arc<Reload>>)>,
    /// The history, or why there is none.
    history: ArcSwap<Result<History, String>>,
    /// The loader, once there is a reloader.
    loader: ArcSwapOption<Mutex<Loader>>,
    /// What the loader has read of each file.
    texts: ArcSwapOption<TextDigests>,
    /// Somebody who wants the reloader to rest.
    rest: Mutex<Option<RestRequest>>,
    ask_to_rest: Notify,
    /// Whether another process reads the files by now.
    ended: channel::Sender<bool>,
}

/// Requests for a reload.
#[derive(Debug, Default)]
struct Questions {
    /// How many requests there were since the start.
    number: u64,
    /// Whether any request that no reload has begun for wants every file read.
    wants_everything: bool,
    /// The edits that these requests tell of.
    attributions: Vec<Attribution>,
    /// Who takes these edits instead, because another process reads the files.
    heir: Option<UnboundedSender<Attribution>>,
}

impl Questions {
    fn expect(&mut self, attribution: Attribution) {
        match &self.heir {
            // Fails in a process that has nothing left to do but to end.
            Some(heir) => drop(heir.send(attribution)),
            None => self.attributions.push(attribution),
        }
    }
}

/// The requests that a reload answers.
#[derive(Debug)]
pub(super) struct Askers {
    /// The number of the last request that it answers.
    pub number: u64,
    pub reading: Reading,
    pub attributions: Vec<Attribution>,
}

impl Default for ReloadHandle {
    fn default() -> Self {
        Self {
            last: ArcSwapOption::empty(),
            rejected: ArcSwap::default(),
            warnings: ArcSwap::default(),
            listener: ArcSwap::default(),
            settled: channel::Sender::new(false),
            questions: Mutex::default(),
            ask: Notify::new(),
            answered: channel::Sender::new((0, None)),
            history: ArcSwap::from_pointee(Err("nothing is published yet".to_owned())),
            loader: ArcSwapOption::empty(),
            texts: ArcSwapOption::empty(),
            rest: Mutex::default(),
            ask_to_rest: Notify::new(),
            ended: channel::Sender::new(false),
        }
    }
}

impl ReloadHandle {
    /// The last load that found something changed.
    pub fn last(&self) -> Option<Arc<Reload>> {
        self.last.load_full()
    }

    /// The service files that are wrong now, or cannot be read.
    pub fn rejected(&self) -> Arc<Vec<Rejection>> {
        self.rejected.load_full()
    }

    /// Settings that are valid and probably a mistake.
    pub fn warnings(&self) -> Arc<Vec<Problem>> {
        self.warnings.load_full()
    }

    /// How the listener's certificates and ticket keys stand; nothing without HTTPS.
    pub fn listener(&self) -> Arc<ListenerState> {
        self.listener.load_full()
    }

    /// Waits until every version declared at the start has become normal or error.
    pub async fn settled(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.settled.subscribe().wait_for(|settled| *settled).await.ok();
    }

    /// Requests that every file is read again, and waits for the outcome. `None` only while the
    /// process ends.
    pub async fn request(&self) -> Option<Arc<Reload>> {
        let number = self.question(|questions| questions.wants_everything = true);
        self.answer_to(number).await
    }

    /// As [`request`](Self::request), for a command that has changed a file: only changed files are
    /// read, and the history names the command as the author.
    pub async fn request_by(&self, attribution: Attribution) -> Option<Arc<Reload>> {
        let number = self.question(|questions| questions.expect(attribution));
        self.answer_to(number).await
    }

    /// The same, for who does not wait for the outcome.
    pub fn expect(&self, attribution: Attribution) {
        self.question(|questions| questions.expect(attribution));
        self.ask.notify_one();
    }

    /// Has the reloader rest: it ends what it does, closes the history for another process, and publishes nothing
    /// until the returned value is dropped. Requests for a reload wait that long.
    ///
    /// # Errors
    ///
    /// Where the history cannot be closed. The reloader goes on then.
    pub async fn rest(&self) -> Result<Rest, String> {
        let (request, rested) = RestRequest::new();
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        self.ask_to_rest.notify_one();
        rested.await
    }

    /// Waits for somebody who wants the reloader to rest.
    pub(super) async fn asked_to_rest(&self) -> RestRequest {
        loop {
            let request = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
            match request {
                Some(request) => return request,
                None => self.ask_to_rest.notified().await,
            }
        }
    }

    /// Answers everybody who waits for a reload, or asks for one, that none comes any more: another process reads the
    /// files. Returns the edits that commands tell of, from those on that no reload has begun for: that process is to name
    /// their authors.
    pub fn end(&self) -> UnboundedReceiver<Attribution> {
        let (heir, edits) = unbounded_channel();
        let mut questions = self.questions();
        questions.heir = Some(heir);
        for attribution in std::mem::take(&mut questions.attributions) {
            questions.expect(attribution);
        }
        drop(questions);
        self.ended.send_replace(true);
        edits
    }

    /// Takes that back.
    pub(super) fn go_on(&self) {
        self.questions().heir = None;
        self.ended.send_replace(false);
    }

    /// The history of what was published.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn history(&self) -> Result<History, String> {
        Result::clone(&self.history.load())
    }

    /// Whether the configuration would be right if the file at a path, which is there or is to be made,
    /// had this text. Waits for a load that is under way. `None` where nothing is loaded.
    pub async fn check(
        &self,
        file: PathBuf,
        is_there: bool,
        text: String,
    ) -> Option<Result<(), Objection>> {
        let loader = self.loader()?;
        let check = move || {
            let loader = loader.lock().unwrap_or_else(PoisonError::into_inner);
            loader.check(&file, is_there, &text)
        };
        tokio::task::spawn_blocking(check).await.ok()
    }

    /// The digest of what a service's file said when it was read last, right or wrong, without its byte order mark.
    /// `None` if it never could be read.
    pub fn file_digest(&self, file: &Path) -> Option<Digest> {
        self.texts.load().as_ref()?.of(file)
    }

    pub(super) fn loader(&self) -> Option<Arc<Mutex<Loader>>> {
        self.loader.load_full()
    }

    pub(super) fn show_loader(&self, loader: Arc<Mutex<Loader>>) {
        let texts = loader.lock().unwrap_or_else(PoisonError::into_inner).texts().clone();
        self.texts.store(Some(Arc::new(texts)));
        self.loader.store(Some(loader));
    }

    fn question(&self, ask: impl FnOnce(&mut Questions)) -> u64 {
        let mut questions = self.questions();
        ask(&mut questions);
        questions.number += 1;
        questions.number
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer_to(&self, number: u64) -> Option<Arc<Reload>> {
        self.ask.notify_one();
        let (mut answered, mut ended) = (self.answered.subscribe(), self.ended.subscribe());
        tokio::select! {
            answer = answered.wait_for(|(answered, _)| *answered >= number) => answer.ok()?.1.clone(),
            // The sender lives in `self`, so waiting cannot fail.
            _ = ended.wait_for(|ended| *ended) => None,
        }
    }

    /// Waits for a request.
    pub(super) async fn asked(&self) {
        self.ask.notified().await;
    }

    /// The requests up to now, which a reload that begins now answers.
    pub(super) fn askers(&self) -> Askers {
        let mut questions = self.questions();
        let attributions = std::mem::take(&mut questions.attributions);
        let reading = match std::mem::take(&mut questions.wants_everything) {
            true => Reading::Everything,
            false => Reading::Changed,
        };
        Askers { number: questions.number, reading, attributions }
    }

    pub(super) fn answer(&self, number: u64, reload: &Arc<Reload>) {
        self.answered.send_replace((number, Some(reload.clone())));
    }

    pub(super) fn note(&self, reload: Arc<Reload>) {
        self.last.store(Some(reload));
    }

    pub(super) fn reject(&self, rejected: Vec<Rejection>) {
        self.rejected.store(Arc::new(rejected));
    }

    pub(super) fn warn(&self, warnings: Vec<Problem>) {
        self.warnings.store(Arc::new(warnings));
    }

    pub(super) fn show_listener(&self, state: ListenerState) {
        self.listener.store(Arc::new(state));
    }

    pub(super) fn show_history(&self, history: Result<History, String>) {
        self.history.store(Arc::new(history));
    }

    pub(super) fn settle(&self) {
        self.settled.send_replace(true);
    }
}

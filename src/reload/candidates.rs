//! Declared versions on their way to normal or error. Those that an edit does not change stay what
//! they are; their components are not even read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::config::{Config, VersionName, VersionSpec};
use crate::source::Look;
use crate::versions::{
    Backend, Preparer, ServiceKey, Status, StatusCode, StatusError, Statuses, VersionEntry,
    declared,
};

/// A version over all services.
type Key = (ServiceKey, VersionName);

/// What a version's files, its component and its secrets, look like from outside.
type Sights = Vec<Look>;

/// Which versions in error are tried again although their files look the same. What an error of a
/// moment was in the way of always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    /// No others.
    Transient,
    /// Those that may do the next time: somebody has edited something.
    Passing,
    /// All of them: somebody asks for it.
    All,
}

/// A declared version.
#[derive(Debug)]
struct Candidate {
    spec: VersionSpec,
    sights: Sights,
    /// `creating` also while it is tried again and again, if there is one before it that serves.
    status: Status,
    /// Grows with every try, so that the end of one that was replaced is not mistaken.
    number: u64,
    /// The last renewal in which it was declared.
    renewal: u64,
    progress: Progress,
    /// Whether one of its name was normal when it came: that serves until this one is known.
    replaces: bool,
}

/// How far a candidate is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// It is being made.
    First,
    /// An error of a moment was in the way, this one, and it is being made again.
    Again(String),
    /// An error of a moment was in the way. It is to be made again.
    Waits(String),
    Done,
}

/// The end of a candidate's preparation.
pub struct Prepared {
    key: Key,
    number: u64,
    result: Result<Arc<VersionEntry>, StatusError>,
}

/// What makes versions ready. A trait, so that a test can say when each is.
#[async_trait]
pub trait Prepare: Send + Sync {
    /// Takes a version from declared to normal, or says why it cannot be.
    async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<VersionEntry>, StatusError>;

    /// Forgets what none of these backends uses.
    fn keep_only(&self, normal: &[&Backend]);

    /// Has everything that failed tried anew by whoever wants it next.
    fn forget_failed(&self);
}

#[async_trait]
impl Prepare for Preparer {
    async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<VersionEntry>, StatusError> {
        Self::prepare(self, key, spec).await
    }

    fn keep_only(&self, normal: &[&Backend]) {
        Self::keep_only(self, normal.iter().copied());
    }

    fn forget_failed(&self) {
        Self::forget_failed(self);
    }
}

/// Every declared version.
pub struct Versions {
    preparer: Arc<dyn Prepare>,
    candidates: HashMap<Key, Candidate>,
    creating: usize,
    /// How many files could not be looked at in the last renewal.
    obscured: usize,
    count: u64,
    renewals: u64,
    prepared: (mpsc::UnboundedSender<Prepared>, mpsc::UnboundedReceiver<Prepared>),
}

impl Versions {
    /// No version is declared yet.
    pub fn new(preparer: Arc<dyn Prepare>) -> Self {
        let prepared = mpsc::unbounded_channel();
        Self {
            preparer,
            candidates: HashMap::new(),
            creating: 0,
            obscured: 0,
            count: 0,
            renewals: 0,
            prepared,
        }
    }

    /// Starts to prepare every version of `config` that is new, whose files changed, or that is to
    /// be tried `again`, and forgets those that it does not declare. Whether anything was different.
    pub fn renew(&mut self, config: &Config, again: Again) -> bool {
        self.renewals += 1;
        if again == Again::All {
            self.preparer.forget_failed();
        }
        let mut looks = Looks::default();
        let mut renewed = false;
        for (service, _, spec) in declared(config) {
            let key = (service, spec.name.clone());
            let sights = looks.at(spec);
            let candidate = match self.candidates.remove(&key) {
                Some(known) if known.is_still(spec, &sights, again) => self.keep(&key, known),
                before => {
                    renewed = true;
                    self.prepare(&key, spec, sights, before.as_ref())
                }
            };
            self.candidates.insert(key, candidate);
        }
        let before = self.candidates.len();
        self.candidates.retain(|_, candidate| candidate.renewal == self.renewals);
        let creating = |candidate: &&Candidate| candidate.progress == Progress::First;
        self.creating = self.candidates.values().filter(creating).count();
        self.obscured = looks.seen.values().filter(|look| **look == Look::Obscured).count();
        renewed || self.candidates.len() < before
    }

    /// Tries again what an error of a moment was in the way of, and nothing else.
    pub fn try_again(&mut self) {
        let waits = |candidate: &Candidate| matches!(candidate.progress, Progress::Waits(_));
        let waiting = self.candidates.iter().filter(|(_, candidate)| waits(candidate));
        let waiting: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in waiting {
            if let Some(known) = self.candidates.remove(&key) {
                let candidate = self.keep(&key, known);
                self.candidates.insert(key, candidate);
            }
        }
    }

    /// Keeps a candidate, and tries again what is to be tried again. Until that is over, it stands
    /// where it stood.
    fn keep(&mut self, key: &Key, mut known: Candidate) -> Candidate {
        known.renewal = self.renewals;
        if let Progress::Waits(why) = known.progress {
            known.number = self.start(key, &known.spec);
            known.progress = Progress::Again(why);
        }
        known
    }

    fn prepare(
        &mut self,
        key: &Key,
        spec: &VersionSpec,
        sights: Sights,
        before: Option<&Candidate>,
    ) -> Candidate {
        Candidate {
            spec: spec.clone(),
            sights,
            status: Status::Creating,
            number: self.start(key, spec),
            renewal: self.renewals,
            progress: Progress::First,
            replaces: before.is_some_and(|it| it.replaces || it.status.normal().is_some()),
        }
    }

    /// Has a version made, beside everything else. The number of this try.
    fn start(&mut self, key: &Key, spec: &VersionSpec) -> u64 {
        self.count += 1;
        let (preparer, done) = (self.preparer.clone(), self.prepared.0.clone());
        let (number, declared, key) = (self.count, spec.clone(), key.clone());
        let service = key.0.clone();
        let preparing = tokio::spawn(async move { preparer.prepare(&service, &declared).await });
        tokio::spawn(async move {
            // Without an end, it would be `creating` for ever.
            let result = preparing.await.unwrap_or_else(|panicked| Err(internal(&panicked)));
            // Nobody waits for it once the process ends.
            done.send(Prepared { key, number, result }).ok();
        });
        number
    }

    /// Forgets the versions that are not ready, so that the next renewal prepares them anew: their
    /// ends may have been lost.
    pub fn forget_creating(&mut self) {
        self.candidates.retain(|_, candidate| !matches!(candidate.status, Status::Creating));
        self.creating = 0;
    }

    /// Waits for the end of some preparation.
    pub async fn prepared(&mut self) -> Prepared {
        match self.prepared.1.recv().await {
            Some(prepared) => prepared,
            // A sender lives in `self`.
            None => std::future::pending().await,
        }
    }

    /// Takes the end of a preparation. Whether a version stands elsewhere by it.
    pub fn accept(&mut self, prepared: Prepared) -> bool {
        let Prepared { key, number, result } = prepared;
        let Some(candidate) = self.candidates.get_mut(&key) else { return false };
        if candidate.number != number {
            return false;
        }
        if candidate.progress == Progress::First {
            self.creating = self.creating.saturating_sub(1);
        }
        let (service, version) = (&key.0.service, &key.1);
        candidate.progress = Progress::Done;
        let status = match result {
            Ok(entry) => {
                tracing::info!(%service, %version, digest = %entry.digest(), "version is normal");
                Status::Normal(entry)
            }
            // It is told once for all that wait.
            Err(error) if error.is_transient => {
                candidate.progress = Progress::Waits(format!("{version} of {service}: {error}"));
                if candidate.replaces {
                    return false;
                }
                Status::Error(error)
            }
            Err(error) => {
                tracing::error!(%service, %version, code = error.code.as_str(), "{error}");
                Status::Error(error)
            }
        };
        let is_news = candidate.status != status;
        (candidate.status, candidate.replaces) = (status, false);
        is_news
    }

    /// How many versions and files wait for an error to pass, and such an error.
    pub fn waiting(&self) -> (usize, Option<&str>) {
        let waiting = self.candidates.values().filter_map(|candidate| match &candidate.progress {
            Progress::Waits(why) | Progress::Again(why) => Some(why.as_str()),
            Progress::First | Progress::Done => None,
        });
        let mut waiting = waiting.peekable();
        let why = waiting.peek().copied();
        (waiting.count() + self.obscured, why)
    }

    /// Whether a version is still on its way.
    pub fn are_creating(&self) -> bool {
        self.creating > 0
    }

    /// Forgets the compiled code that no normal version runs: no edit could give it traffic at once.
    pub fn forget_others(&self) {
        let normal = self.candidates.values().filter_map(|candidate| candidate.status.normal());
        self.preparer.keep_only(&normal.map(|version| &version.backend).collect::<Vec<_>>());
    }

    /// Where every version of `config` stands.
    pub fn statuses(&self, config: &Config) -> Statuses {
        let mut statuses = Statuses::new();
        for (service, _, spec) in declared(config) {
            let key = (service, spec.name.clone());
            if let Some(candidate) = self.candidates.get(&key) {
                statuses.entry(key.0).or_default().push(candidate.status.clone());
            }
        }
        statuses
    }
}

impl Candidate {
    /// Whether it is what would be made of a declaration again. A file that cannot be looked at for
    /// a moment is what it was.
    fn is_still(&self, spec: &VersionSpec, sights: &Sights, again: Again) -> bool {
        let differs = |(before, now): (&Look, &Look)| now.differs_from(*before);
        let is_same = self.spec == *spec && !self.sights.iter().zip(sights).any(differs);
        let is_tried_again = self.status.error().is_some_and(|error| match again {
            Again::Transient => false,
            Again::Passing => error.code.may_pass() && !error.is_transient,
            Again::All => true,
        });
        is_same && !is_tried_again
    }
}

fn internal(panicked: &tokio::task::JoinError) -> StatusError {
    StatusError::new(StatusCode::Internal, format!("making it ready: {panicked}"))
}

/// Files that were looked at. Many versions may name one.
#[derive(Default)]
struct Looks<'a> {
    seen: HashMap<&'a Path, Look>,
}

impl<'a> Looks<'a> {
    fn at(&mut self, spec: &'a VersionSpec) -> Sights {
        let look = |path| *self.seen.entry(path).or_insert_with(|| Look::at(path));
        spec.files().map(look).collect()
    }
}

//! Declared versions on their way to normal or error. Those that an edit does not change stay what
//! they are; their components are not even read.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::{Config, Fingerprint, VersionName, VersionSpec};
use crate::registry::{
    Programs, ServiceKey, Status, StatusCode, StatusError, Statuses, VersionEntry, declared,
};

/// A version over all services.
type Key = (ServiceKey, VersionName);

/// What a version's files, its component and its secrets, look like from outside.
type Fingerprints = Vec<Option<Fingerprint>>;

/// A declared version.
#[derive(Debug)]
struct Candidate {
    spec: VersionSpec,
    fingerprints: Fingerprints,
    status: Status,
    /// Grows with every candidate, so that the end of one that was replaced is not mistaken.
    number: u64,
    /// The last renewal in which it was declared.
    renewal: u64,
}

/// The end of a candidate's preparation.
pub struct Prepared {
    key: Key,
    number: u64,
    result: Result<Arc<VersionEntry>, StatusError>,
}

/// Every declared version.
pub struct Versions {
    programs: Programs,
    candidates: HashMap<Key, Candidate>,
    creating: usize,
    count: u64,
    renewals: u64,
    prepared: (mpsc::UnboundedSender<Prepared>, mpsc::UnboundedReceiver<Prepared>),
}

impl Versions {
    /// No version is declared yet.
    pub fn new(programs: Programs) -> Self {
        let prepared = mpsc::unbounded_channel();
        Self { programs, candidates: HashMap::new(), creating: 0, count: 0, renewals: 0, prepared }
    }

    /// Starts to prepare every version of `config` that is new, whose files changed, or that failed
    /// in a way that may pass, and forgets those that it does not declare. Whether anything was
    /// different.
    pub fn renew(&mut self, config: &Config) -> bool {
        self.renewals += 1;
        let mut looks = Looks::default();
        let mut renewed = false;
        for (service, _, spec) in declared(config) {
            let key = (service, spec.name.clone());
            let fingerprints = looks.at(spec);
            match self.candidates.get_mut(&key) {
                Some(candidate) if candidate.is_still(spec, &fingerprints) => {
                    candidate.renewal = self.renewals;
                }
                _ => {
                    renewed = true;
                    let candidate = self.prepare(key.clone(), spec, fingerprints);
                    self.candidates.insert(key, candidate);
                }
            }
        }
        let before = self.candidates.len();
        self.candidates.retain(|_, candidate| candidate.renewal == self.renewals);
        let creating = |candidate: &&Candidate| matches!(candidate.status, Status::Creating);
        self.creating = self.candidates.values().filter(creating).count();
        renewed || self.candidates.len() < before
    }

    fn prepare(&mut self, key: Key, spec: &VersionSpec, fingerprints: Fingerprints) -> Candidate {
        self.count += 1;
        let (programs, done) = (self.programs.clone(), self.prepared.0.clone());
        let (number, declared, service) = (self.count, spec.clone(), key.0.clone());
        let preparing = tokio::spawn(async move { programs.prepare(&service, &declared).await });
        tokio::spawn(async move {
            // Without an end, it would be `creating` for ever.
            let result = preparing.await.unwrap_or_else(|panicked| Err(internal(&panicked)));
            // Nobody waits for it once the process ends.
            done.send(Prepared { key, number, result }).ok();
        });
        let (spec, status, renewal) = (spec.clone(), Status::Creating, self.renewals);
        Candidate { spec, fingerprints, status, number, renewal }
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

    /// Takes the end of a preparation. Whether it was still wanted.
    pub fn accept(&mut self, prepared: Prepared) -> bool {
        let Prepared { key, number, result } = prepared;
        let Some(candidate) = self.candidates.get_mut(&key) else { return false };
        if candidate.number != number {
            return false;
        }
        self.creating = self.creating.saturating_sub(1);
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

    /// Whether a version is still on its way.
    pub fn are_creating(&self) -> bool {
        self.creating > 0
    }

    /// Forgets the compiled code that no version could use which an edit could give traffic.
    pub fn forget_others(&self) {
        let normal = self.candidates.values().filter_map(|candidate| match &candidate.status {
            Status::Normal(version) => Some(*version.guest.program().digest()),
            Status::Creating | Status::Error(_) => None,
        });
        self.programs.keep_only(&normal.collect::<HashSet<_>>());
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
    /// Whether it is what would be made of a declaration again.
    fn is_still(&self, spec: &VersionSpec, fingerprints: &Fingerprints) -> bool {
        let may_pass = self.status.error().is_some_and(|error| error.code.may_pass());
        self.spec == *spec && self.fingerprints == *fingerprints && !may_pass
    }
}

fn internal(panicked: &tokio::task::JoinError) -> StatusError {
    StatusError::new(StatusCode::Internal, format!("making it ready: {panicked}"))
}

/// Files that were looked at. Many versions may name one.
#[derive(Default)]
struct Looks<'a> {
    seen: HashMap<&'a Path, Option<Fingerprint>>,
}

impl<'a> Looks<'a> {
    fn at(&mut self, spec: &'a VersionSpec) -> Fingerprints {
        let look = |path| *self.seen.entry(path).or_insert_with(|| Fingerprint::of(path));
        spec.files().map(look).collect()
    }
}

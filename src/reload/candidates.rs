//! Declared versions on their way to `normal` or `error`. [`Versions`] holds one candidate for each
//! declared version and prepares those that are new or changed; the files of all others are not
//! read. Used by the reloader only.

mod candidate;
mod prepare;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::{Config, Service, VersionName, VersionSpec};
use crate::versions::{
    ReadyVersion, ServiceKey, Status, StatusCode, StatusError, Statuses, declared,
};
use candidate::{Candidate, Looks, Progress, Sights};

pub use prepare::Prepare;

/// Identifies a version across all services.
type Key = (ServiceKey, VersionName);

/// Which versions in error are tried again although their files look unchanged. Versions with a
/// transient error are always tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    /// Only those with a transient error.
    Transient,
    /// Also those whose error may pass, because a file was edited.
    Passing,
    /// All of them, because a user asked for it.
    All,
}

/// The result of a preparation.
pub struct Prepared {
    key: Key,
    number: u64,
    result: Result<Arc<ReadyVersion>, StatusError>,
}

/// Every declared version.
pub struct Versions {
    preparer: Arc<dyn Prepare>,
    candidates: HashMap<Key, Candidate>,
    /// The versions of each service.
    names: HashMap<ServiceKey, Vec<VersionName>>,
    /// The services that use a file.
    users: HashMap<PathBuf, HashSet<ServiceKey>>,
    /// Whether one of these files is a link, or has further names by hard links: a write through
    /// another name says nothing of the name that is known.
    have_links: bool,
    creating: usize,
    /// Versions that wait for a transient error to pass.
    waiting: HashSet<Key>,
    /// Services with a version in error that the edit of any file may correct.
    failed: HashSet<ServiceKey>,
    /// Whether compiled code may be left that no version uses.
    has_dropped: bool,
    /// How many files could not be looked at in the last renewal.
    obscured: usize,
    count: u64,
    prepared: (mpsc::UnboundedSender<Prepared>, mpsc::UnboundedReceiver<Prepared>),
}

impl Versions {
    /// No version is declared yet.
    pub fn new(preparer: Arc<dyn Prepare>) -> Self {
        let prepared = mpsc::unbounded_channel();
        Self {
            preparer,
            candidates: HashMap::new(),
            names: HashMap::new(),
            users: HashMap::new(),
            have_links: false,
            creating: 0,
            waiting: HashSet::new(),
            failed: HashSet::new(),
            has_dropped: true,
            obscured: 0,
            count: 0,
            prepared,
        }
    }

    /// Starts to prepare every version of `config` that is new, has changed files, or is tried
    /// `again`, and forgets versions that `config` does not declare. Returns whether any version
    /// was started or forgotten.
    pub fn renew(&mut self, config: &Config, again: Again) -> bool {
        if again == Again::All {
            self.preparer.forget_failed();
        }
        let mut looks = Looks::default();
        let mut renewed = false;
        let mut there = HashSet::new();
        self.users.clear();
        self.have_links = false;
        for (environment, service) in config.services() {
            let key = ServiceKey::of(environment, service);
            renewed |= self.renew_service(&key, Some(service), again, &mut looks);
            there.insert(key);
        }
        let gone = self.names.keys().filter(|key| !there.contains(*key));
        for key in gone.cloned().collect::<Vec<_>>() {
            renewed |= self.renew_service(&key, None, again, &mut looks);
        }
        self.obscured = looks.obscured();
        renewed
    }

    /// As [`renew`](Self::renew), for some services only. Each comes with its declaration; `None`
    /// if it is not declared any more.
    pub fn renew_some<'a>(
        &mut self,
        services: impl IntoIterator<Item = (&'a ServiceKey, Option<&'a Arc<Service>>)>,
        again: Again,
    ) -> bool {
        let mut looks = Looks::default();
        let mut renewed = false;
        for (key, service) in services {
            renewed |= self.renew_service(key, service, again, &mut looks);
        }
        // Files of other services may still be unreadable: the next retry looks at all.
        self.obscured = self.obscured.max(looks.obscured());
        renewed
    }

    fn renew_service<'a>(
        &mut self,
        key: &ServiceKey,
        service: Option<&'a Arc<Service>>,
        again: Again,
        looks: &mut Looks<'a>,
    ) -> bool {
        let mut renewed = false;
        let specs = service.map_or(&[][..], |service| &service.versions);
        for spec in specs {
            let key = (key.clone(), spec.name.clone());
            let sights = looks.at(spec);
            let candidate = match self.take(&key) {
                Some(mut known) if known.is_still(spec, &sights, again) => {
                    known.spec.place = spec.place.clone();
                    self.keep(&key, known)
                }
                before => {
                    renewed = true;
                    self.has_dropped |= before.is_some();
                    self.prepare(&key, spec, sights, before.as_ref())
                }
            };
            self.put(key, candidate);
        }
        let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        let before = match names.is_empty() {
            true => self.names.remove(key),
            false => self.names.insert(key.clone(), names),
        };
        for name in before.into_iter().flatten() {
            if !specs.iter().any(|spec| spec.name == name) {
                renewed |= self.take(&(key.clone(), name)).is_some();
                self.has_dropped = true;
            }
        }
        let secret = service.and_then(|service| service.policy.file());
        for file in specs.iter().flat_map(VersionSpec::files).chain(secret) {
            // A file that is known may have become a link since.
            self.have_links |= looks.has_other_names(file);
            match self.users.get_mut(file) {
                Some(users) if users.contains(key) => {}
                Some(users) => users.extend([key.clone()]),
                None => self.users.extend([(file.to_owned(), HashSet::from([key.clone()]))]),
            }
        }
        renewed
    }

    /// Whether a change of one of their files may be told of another path only.
    pub fn have_links(&self) -> bool {
        self.have_links
    }

    /// The services that used a file when they were last renewed.
    pub fn users(&self, file: &Path) -> Option<&HashSet<ServiceKey>> {
        self.users.get(file)
    }

    fn take(&mut self, key: &Key) -> Option<Candidate> {
        let candidate = self.candidates.remove(key)?;
        self.creating -= usize::from(candidate.progress == Progress::First);
        self.waiting.remove(key);
        Some(candidate)
    }

    fn put(&mut self, key: Key, candidate: Candidate) {
        self.creating += usize::from(candidate.progress == Progress::First);
        if matches!(candidate.progress, Progress::Waits(_) | Progress::Again(_)) {
            self.waiting.insert(key.clone());
        }
        if candidate.status.error().is_some_and(StatusError::may_pass) {
            self.failed.insert(key.0.clone());
        }
        self.candidates.insert(key, candidate);
    }

    /// Takes the services with versions that any edit is a reason to try again.
    pub fn take_failed(&mut self) -> HashSet<ServiceKey> {
        let waiting = self.waiting.iter().map(|(service, _)| service.clone());
        std::mem::take(&mut self.failed).into_iter().chain(waiting).collect()
    }

    /// Tries again the versions with a transient error, and no others.
    pub fn try_again(&mut self) {
        let waiting: Vec<Key> = self.waiting.iter().cloned().collect();
        for key in waiting {
            if let Some(known) = self.take(&key) {
                let candidate = self.keep(&key, known);
                self.put(key, candidate);
            }
        }
    }

    /// Keeps a candidate. If it waits for a transient error to pass, tries it again; its status
    /// stays until the new result is known.
    fn keep(&mut self, key: &Key, mut known: Candidate) -> Candidate {
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
            progress: Progress::First,
            replaces: before.is_some_and(|it| it.replaces || it.status.normal().is_some()),
        }
    }

    /// Starts to prepare a version in a task of its own. Returns the number of this try.
    fn start(&mut self, key: &Key, spec: &VersionSpec) -> u64 {
        self.count += 1;
        let (preparer, done) = (self.preparer.clone(), self.prepared.0.clone());
        let (number, declared, key) = (self.count, spec.clone(), key.clone());
        let service = key.0.clone();
        let preparing = tokio::spawn(async move { preparer.prepare(&service, &declared).await });
        tokio::spawn(async move {
            // A panic must be reported too, or the version would be `creating` for ever.
            let result = preparing.await.unwrap_or_else(|panicked| Err(internal(&panicked)));
            // Nobody receives it once the process ends.
            done.send(Prepared { key, number, result }).ok();
        });
        number
    }

    /// Forgets the versions that are being made, so that the next renewal prepares them again:
    /// their results may have been lost in a panic.
    pub fn forget_creating(&mut self) {
        self.candidates.retain(|_, candidate| !matches!(candidate.status, Status::Creating));
        self.waiting.retain(|key| self.candidates.contains_key(key));
        self.creating = 0;
    }

    /// Waits for the result of any preparation.
    pub async fn prepared(&mut self) -> Prepared {
        match self.prepared.1.recv().await {
            Some(prepared) => prepared,
            // Cannot happen: `self` holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Takes the result of a preparation. Returns the service if the status of its version changed.
    pub fn accept(&mut self, prepared: Prepared) -> Option<ServiceKey> {
        let Prepared { key, number, result } = prepared;
        let mut candidate = self.take(&key)?;
        let is_news = candidate.number == number && self.end(&key, &mut candidate, result);
        let service = is_news.then(|| key.0.clone());
        self.put(key, candidate);
        service
    }

    fn end(
        &mut self,
        key: &Key,
        candidate: &mut Candidate,
        result: Result<Arc<ReadyVersion>, StatusError>,
    ) -> bool {
        let (ServiceKey { environment, service }, version) = (&key.0, &key.1);
        candidate.progress = Progress::Done;
        let status = match result {
            Ok(entry) => {
                tracing::info!(%environment, %service, %version, digest = %entry.digest(), "version is normal");
                if let Some(substitute) = entry.backend.substitute() {
                    let fault = &substitute.fault;
                    let (code, from) = (fault.code.as_str(), substitute.source().as_str());
                    tracing::warn!(%environment, %service, %version, code, from, "is not made from its file: {fault}");
                }
                Status::Normal(entry)
            }
            // Logged once for all waiting versions, by `Retry`.
            Err(error) if error.is_transient => {
                candidate.progress = Progress::Waits(format!("{version} of {service}: {error}"));
                // A name that nobody knows is more often wrong than late, so it is told of at once.
                if candidate.replaces && error.code != StatusCode::Unresolved {
                    return false;
                }
                Status::Error(error)
            }
            Err(error) => {
                let (code, place) = (error.code.as_str(), &candidate.spec.place);
                tracing::error!(%environment, %service, %version, code, %place, "{error}");
                self.has_dropped = true;
                Status::Error(error)
            }
        };
        let is_news = candidate.status != status;
        (candidate.status, candidate.replaces) = (status, false);
        is_news
    }

    /// How many versions and files wait for a transient error to pass, and one such error.
    pub fn waiting(&self) -> (usize, Option<String>) {
        let candidates =
            self.waiting.iter().filter_map(|key| Some((key, self.candidates.get(key)?)));
        let mut reasons = candidates.filter_map(|(key, candidate)| match &candidate.progress {
            Progress::Waits(why) | Progress::Again(why) => {
                let (ServiceKey { environment, service }, version) = key;
                Some(format!("version {version} of {environment}/{service}: {why}"))
            }
            Progress::First | Progress::Done => None,
        });
        (self.waiting.len() + self.obscured, reasons.next())
    }

    /// Whether any version is still being made for the first time.
    pub fn are_creating(&self) -> bool {
        self.creating > 0
    }

    /// How many versions are being made for the first time.
    pub fn creating(&self) -> usize {
        self.creating
    }

    /// How many versions there are.
    pub fn count(&self) -> usize {
        self.candidates.len()
    }

    /// Frees the compiled code that no normal version uses.
    pub fn forget_others(&mut self) {
        if !std::mem::take(&mut self.has_dropped) {
            return;
        }
        let normal = self.candidates.values().filter_map(|candidate| candidate.status.normal());
        self.preparer.keep_only(&normal.map(|version| &version.backend).collect::<Vec<_>>());
    }

    /// The status of every version of `config`.
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

    /// The status of every version of a service, in the order of declaration.
    pub fn statuses_of(&self, key: &ServiceKey, service: &Service) -> Vec<Status> {
        let candidate = |spec: &VersionSpec| {
            let candidate = self.candidates.get(&(key.clone(), spec.name.clone()))?;
            Some(candidate.status.clone())
        };
        service.versions.iter().filter_map(candidate).collect()
    }
}

fn internal(panicked: &tokio::task::JoinError) -> StatusError {
    StatusError::new(StatusCode::Internal, format!("preparing the version failed: {panicked}"))
}

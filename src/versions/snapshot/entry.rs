//! One service in a snapshot: what serves it, and what operators see of it. Made by
//! [`Snapshot`](super::Snapshot).

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::super::decider::Decider;
use super::super::secrets::{self, Found};
use super::super::status::{Status, StatusError};
use super::super::version::ReadyVersion;
use super::ServiceKey;
use super::past::{Past, Shares};
use super::secret::{Secret, look};
use crate::api::{Explanation, Standing};
use crate::config::{
    DomainPattern, Percent, Route, SecretSource, Service, VersionName, VersionSpec,
};
use crate::policy::explain::Question;
use crate::policy::{Case, Obstacle, Serve, Verdict};
use crate::routing::{HostPattern, Part};
use crate::source::Look;
use crate::telemetry::{Refusals, Tally};

/// A service as it is served, and its declaration, which may differ.
#[derive(Debug)]
pub struct ServiceEntry {
    pub key: ServiceKey,
    pub declared: Arc<Service>,
    /// The generation in which the service changed last.
    pub since: u64,
    pub decider: Decider,
    /// How often a request was decided for each version since the traffic last changed, by the
    /// versions' indexes in the decider.
    pub tally: Arc<Tally>,
    /// Requests that its rate limit refused.
    pub refusals: Arc<Refusals>,
    /// Since when the traffic is as it is.
    pub traffic_since: TrafficSince,
    past: Past,
    /// Why what is declared is not what is served.
    pub held: Option<String>,
    pub versions: Vec<VersionView>,
    secret: Secret,
}

/// The publish that last changed who gets a service's requests, or what a version that may get some is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficSince {
    pub generation: u64,
    /// By the wall clock.
    pub at: SystemTime,
    /// Whether it is the first publish of the process, so that the traffic may have been the same before.
    pub is_start: bool,
}

#[derive(Clone, Debug)]
pub struct VersionView {
    pub name: VersionName,
    pub remark: Option<String>,
    pub status: Status,
    /// Its share of the traffic now.
    pub share: Percent,
    /// Its share by the file. Under `latest`, the newest version without an obstacle has 100 %.
    pub declared_share: Percent,
    /// Why it takes no share, if it takes none.
    pub obstacle: Option<Obstacle>,
}

impl VersionView {
    /// Why a process that starts now could not make the version, although it is normal here: its component is in the
    /// memory of this one alone, or no name of its targets is found any more.
    fn lost(&self) -> Option<StatusError> {
        let backend = &self.status.normal()?.backend;
        if let Some(upstream) = backend.upstream() {
            return upstream.lost().map(StatusError::from);
        }
        let substitute = backend.substitute()?;
        (!substitute.source().outlives_process()).then(|| substitute.fault.clone())
    }

    /// Whether the version is normal and gets no traffic because of a quarantine entry.
    pub fn is_quarantined(&self) -> bool {
        self.status.normal().is_some() && matches!(self.obstacle, Some(Obstacle::Quarantined(_)))
    }
}

impl ServiceEntry {
    /// Releases what versions have kept idle for too long, and samples the counters of all
    /// versions, including those without traffic.
    pub fn sweep(&self, now: Instant) {
        let serving: Vec<_> = self.decider.entries().collect();
        let is_serving = |version| serving.iter().any(|other| Arc::ptr_eq(version, *other));
        let normal = self.versions.iter().filter_map(|view| view.status.normal());
        let others = normal.filter(|version| !is_serving(version));
        for version in serving.iter().copied().chain(others) {
            version.backend.sweep();
            version.meter.sample(now);
        }
        self.tally.sample(now);
        self.refusals.sample(now);
        if let Some(limit) = self.decider.limit() {
            limit.sweep(now);
        }
        if let Some(pins) = self.decider.pins() {
            pins.sweep(now);
        }
    }

    /// The share of the traffic that a version had at a time in the last hour.
    pub fn share_at(&self, version: &VersionName, at: Instant) -> Percent {
        let now = || {
            let own = self.versions.iter().find(|view| view.name == *version);
            own.map_or(Percent::ZERO, |view| view.share)
        };
        self.past.share_at(version, at).unwrap_or_else(now)
    }

    /// The hosts and paths that lead to the service.
    pub(super) fn parts(&self) -> impl Iterator<Item = (HostPattern<'_>, Part<'_>)> {
        let overrides = self.declared.policy.overrides.as_ref();
        let has_previews = overrides.is_some_and(|overrides| overrides.preview_domains);
        let Service { domains, routes, .. } = &*self.declared;
        let domains = domains.iter().map(|domain| (domain, Route::WHOLE));
        let parts = domains.chain(routes.iter().map(|it| (&it.domain, it.path.as_str())));
        parts.map(move |(domain, path)| {
            let host = match domain {
                DomainPattern::Exact(host) => HostPattern::Exact(host),
                DomainPattern::Wildcard(suffix) => HostPattern::Wildcard(suffix),
                DomainPattern::Any => HostPattern::Any,
            };
            (host, Part { path, has_previews })
        })
    }

    /// Who would get what from a process that starts now, where that is not what is served. `None` also
    /// while a version is being made: what becomes of it is not known yet.
    pub fn after_restart(&self) -> Option<Vec<(VersionName, Percent)>> {
        let declared = || self.versions.iter().take(self.declared.versions.len());
        let is_certain = self.held.is_none() && declared().all(|view| view.lost().is_none());
        if is_certain || !self.is_settled() {
            return None;
        }
        let standing = |view: &VersionView| match view.lost() {
            Some(fault) => Standing::Error((&fault).into()),
            None => view.status.standing(),
        };
        let standings: Vec<_> = declared().map(standing).collect();
        let case = Case { service: &self.declared, standings: &standings, before: None };
        let (then, now) = (case.verdict().shares, self.decider.shares());
        let of = |shares: &[(VersionName, Percent)]| {
            let some = shares.iter().filter(|(_, share)| *share > Percent::ZERO);
            some.cloned().collect::<Vec<_>>()
        };
        let now: Vec<_> =
            now.into_iter().map(|(version, share)| (version.spec.name.clone(), share)).collect();
        let then = of(&then);
        (then != of(&now)).then_some(then)
    }

    /// Explains the decision for a request.
    pub fn explain(&self, question: &Question, generation: u64) -> Explanation {
        let mut explanation =
            self.decider.explain(self.key.environment.as_str(), question, Instant::now());
        for chance in &mut explanation.distribution {
            let mut entries = self.decider.entries();
            let entry = entries.find(|entry| entry.spec.name.as_str() == chance.version);
            chance.unhealthy = entry.is_some_and(|entry| entry.is_unhealthy());
        }
        Explanation { generation: Some(generation), held: self.held.clone(), ..explanation }
    }

    /// What is wrong with the service although it is served as declared.
    pub fn warning(&self) -> Option<String> {
        let missing = self.secret.missing.as_ref()?;
        Some(format!("every override is denied, since its secret cannot be read: {missing}"))
    }

    /// Whether the file with the secret of overrides has changed since it was read, and can be read
    /// now.
    pub fn has_stale_secret(&self) -> bool {
        self.secret_source().is_some_and(|source| {
            look(source).differs_from(self.secret.look)
                && !matches!(secrets::lock(source), Found::Obscured(_))
        })
    }

    /// Whether the file with the secret of overrides has, or may have, changed since it was read.
    pub fn awaits_secret(&self) -> bool {
        self.secret_source().is_some_and(|source| {
            let look = look(source);
            look == Look::Obscured || look != self.secret.look
        })
    }

    /// Whether it has a secret of overrides.
    pub fn has_secret(&self) -> bool {
        self.secret_source().is_some()
    }

    fn secret_source(&self) -> Option<&SecretSource> {
        self.declared.policy.overrides.as_ref()?.secret.as_ref()
    }

    /// Whether a new entry for this declaration and these statuses would be equal to this one.
    pub(super) fn is_still(&self, service: &Arc<Service>, statuses: &[Status]) -> bool {
        let declared = self.versions.iter().take(service.versions.len());
        self.declared == *service
            && !self.has_stale_secret()
            && declared.len() == statuses.len()
            && declared.zip(statuses).all(|(view, status)| view.status == *status)
    }

    pub(super) fn new(
        key: ServiceKey,
        service: &Arc<Service>,
        statuses: &[Status],
        last: Option<&Arc<Self>>,
        (since, is_start): (u64, bool),
    ) -> Self {
        let before = last.map(|last| &last.decider);
        let overrides = service.policy.overrides.as_ref();
        let source = overrides.and_then(|overrides| overrides.secret.as_ref());
        let same = last.filter(|last| last.secret_source() == source);
        let secret = Secret::look(source, same.map(|last| &last.secret));
        let lock = secret.lock.clone();
        let standings: Vec<_> = statuses.iter().map(Status::standing).collect();
        let was = before.map(Decider::before);
        let case = Case { service, standings: &standings, before: was.as_ref() };
        let Verdict { serve, held, eligibilities, declared, .. } = case.verdict();
        let environment = key.environment.as_str();
        let obstacles =
            eligibilities.iter().map(|eligibility| eligibility.obstacle().cloned()).collect();
        let decider = match (serve, before) {
            (Serve::Before(base), Some(before)) => before.held(environment, service, base, lock),
            // Where nothing goes on, overrides can still choose the versions that are normal.
            (Serve::Declared(base) | Serve::Before(base), _) => {
                let versions = (eligibilities, entries(service, statuses, before));
                Decider::new(environment, service, versions, base, lock, before)
            }
        };
        let versions = views(service, statuses, &decider, (obstacles, declared));
        let (tally, traffic_since) = match last.filter(|last| decider.serves_as(&last.decider)) {
            Some(last) => (last.tally_for(&decider), last.traffic_since),
            None => (new_tally(&decider), TrafficSince::now(since, is_start)),
        };
        let refusals = last.map(|last| last.refusals.clone());
        Self {
            key,
            declared: service.clone(),
            since,
            tally,
            refusals: refusals.unwrap_or_else(|| Arc::new(Refusals::new(Instant::now()))),
            traffic_since,
            past: past(last, &decider),
            decider,
            held,
            versions,
            secret,
        }
    }

    /// The tally for a decider that serves the same. An edit that leaves the traffic as it is does not restart the
    /// count, also where it adds or deletes a version that nobody gets.
    fn tally_for(&self, decider: &Decider) -> Arc<Tally> {
        let versions = &decider.declared().0.versions;
        let places: Vec<_> = versions.iter().map(|spec| self.decider.place(&spec.name)).collect();
        let same = self.decider.declared().0.versions.len() == places.len();
        let is_same = |(index, place): (usize, &Option<usize>)| *place == Some(index);
        match same && places.iter().enumerate().all(is_same) {
            true => self.tally.clone(),
            false => Arc::new(self.tally.reordered(&places)),
        }
    }

    /// Whether the service's traffic, if it should have any, has versions to go to. The rescue version is one of them,
    /// unless a better one is still being made.
    pub fn is_ready(&self) -> bool {
        let is_rescued = || self.is_settled() && self.decider.stand_in().is_some();
        self.versions.is_empty() || !self.decider.is_nothing() || is_rescued()
    }

    /// Whether no version of it is still being made.
    pub fn is_settled(&self) -> bool {
        !self.versions.iter().any(|version| matches!(version.status, Status::Creating))
    }

    /// The domain by which a client on this machine reaches the service.
    pub fn default_domain(&self) -> String {
        self.declared.domains.first().map(DomainPattern::to_string).unwrap_or_default()
    }
}

impl TrafficSince {
    fn now(generation: u64, is_start: bool) -> Self {
        Self { generation, at: SystemTime::now(), is_start }
    }
}

/// The shares before those of a decider.
fn past(last: Option<&Arc<ServiceEntry>>, decider: &Decider) -> Past {
    let Some(last) = last else { return Past::new(Instant::now()) };
    let shares = |decider: &Decider| -> Shares {
        let shares = decider.shares().into_iter();
        shares.map(|(version, share)| (version.spec.name.clone(), share)).collect()
    };
    let before = shares(&last.decider);
    match before == shares(decider) {
        true => last.past.clone(),
        false => last.past.after(before, Instant::now()),
    }
}

/// A tally that begins now. The counters of all versions are sampled at the same moment, so that what is measured since
/// then is measured over the same time.
fn new_tally(decider: &Decider) -> Arc<Tally> {
    let now = Instant::now();
    decider.entries().for_each(|version| version.meter.sample(now));
    Arc::new(Tally::new(now, decider.declared().0.versions.len()))
}

/// The version that takes the requests of each declared version. While a version is being made
/// again, the version of that name that was served before.
fn entries(
    service: &Service,
    statuses: &[Status],
    before: Option<&Decider>,
) -> Vec<Option<Arc<ReadyVersion>>> {
    let entry = |(spec, status): (&VersionSpec, &Status)| match status {
        Status::Normal(entry) => Some(entry.clone()),
        Status::Creating => before.and_then(|before| before.named(&spec.name)).cloned(),
        Status::Error(_) => None,
    };
    service.versions.iter().zip(statuses).map(entry).collect()
}

/// Each declared version, and then the versions that are served without being declared any more.
fn views(
    service: &Service,
    statuses: &[Status],
    decider: &Decider,
    (obstacles, shares): (Vec<Option<Obstacle>>, Vec<Percent>),
) -> Vec<VersionView> {
    let served = decider.shares();
    let share_of = |name: &VersionName| {
        let found = served.iter().find(|(version, _)| version.spec.name == *name);
        found.map_or(Percent::ZERO, |(_, share)| *share)
    };
    let declared = service.versions.iter().zip(statuses).zip(obstacles.into_iter().zip(shares));
    let declared = declared.map(|((spec, status), (obstacle, declared_share))| VersionView {
        name: spec.name.clone(),
        remark: spec.remark.clone(),
        status: status.clone(),
        share: share_of(&spec.name),
        declared_share,
        obstacle,
    });
    let kept = served
        .iter()
        .filter(|(version, _)| !service.versions.iter().any(|spec| spec.name == version.spec.name));
    let kept = kept.map(|(version, share)| VersionView {
        name: version.spec.name.clone(),
        remark: version.spec.remark.clone(),
        status: Status::Normal((*version).clone()),
        share: *share,
        declared_share: Percent::ZERO,
        obstacle: None,
    });
    declared.chain(kept).collect()
}

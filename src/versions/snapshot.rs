//! Everything that is served in one generation: built from a configuration, the statuses of its
//! versions, and the snapshot before it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::decider::Decider;
use super::secrets::{self, Found};
use super::status::Status;
use super::version::ReadyVersion;
use crate::api::Explanation;
use crate::config::{
    Config, ConnectionLimits, DomainPattern, Environment, EnvironmentName, Expose, Percent, Route,
    SecretSource, Service, ServiceName, VersionName, VersionSpec,
};
use crate::policy::explain::Question;
use crate::policy::{Case, Obstacle, Serve, Verdict};
use crate::routing::{HostPattern, Lock, Part, RouteTable, RouteTableBuilder, Shards};
use crate::source::Look;
use crate::telemetry::Tally;

/// The name of a service over all environments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey {
    pub environment: EnvironmentName,
    pub service: ServiceName,
}

/// Every version that a configuration declares, in the order of declaration.
pub fn declared(
    config: &Config,
) -> impl Iterator<Item = (ServiceKey, &Arc<Service>, &VersionSpec)> {
    config.services().flat_map(|(environment, service)| {
        let key = ServiceKey::of(environment, service);
        service.versions.iter().map(move |spec| (key.clone(), service, spec))
    })
}

/// The status of every declared version, by service and in the order of declaration.
pub type Statuses = HashMap<ServiceKey, Vec<Status>>;

impl EnvironmentView {
    fn of(environment: &Environment) -> Self {
        Self { name: environment.name.clone(), domain: environment.domain.clone() }
    }
}

impl ServiceKey {
    /// The key of a service of an environment.
    pub fn of(environment: &Environment, service: &Service) -> Self {
        Self { environment: environment.name.clone(), service: service.name.clone() }
    }

    /// As one text, which no other key has: names have no slash.
    fn text(&self) -> Arc<str> {
        format!("{}/{}", self.environment, self.service).into()
    }
}

/// What may be new of a service.
#[derive(Debug)]
pub struct Update {
    pub key: ServiceKey,
    /// What it is declared to be, and the status of each version; none if it is declared no more.
    pub now: Option<(Arc<Service>, Vec<Status>)>,
}

/// Everything that is served in one generation.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// 0 is the empty snapshot before the first publish.
    pub generation: u64,
    pub routes: RouteTable<Arc<ServiceEntry>>,
    /// In the order of declaration.
    pub services: Vec<Arc<ServiceEntry>>,
    by_name: Shards<Arc<ServiceEntry>>,
    /// How many of them have no normal version for the traffic that they are to have.
    unready: usize,
    /// In the order of declaration, as are the services of each.
    pub environments: Vec<EnvironmentView>,
    pub expose: Expose,
    /// What a client may take before a request of it is served.
    pub limits: ConnectionLimits,
}

/// An environment as an operator sees it.
#[derive(Clone, Debug)]
pub struct EnvironmentView {
    pub name: EnvironmentName,
    pub domain: String,
}

/// A service as it is served, and as it is declared where that differs.
#[derive(Debug)]
pub struct ServiceEntry {
    pub key: ServiceKey,
    pub declared: Arc<Service>,
    /// The generation in which the service changed last.
    pub since: u64,
    pub decider: Decider,
    /// How often each version was drawn since the split last changed, in the order of
    /// [`Decider::shares`].
    pub tally: Arc<Tally>,
    /// Why what is declared is not what is served.
    pub held: Option<String>,
    pub versions: Vec<VersionView>,
    secret: Secret,
}

/// The secret without which nobody may override, as it was when it was looked up.
#[derive(Clone, Debug)]
struct Secret {
    lock: Lock,
    /// At its file, if it is in one, before it was read.
    look: Look,
    /// Why it cannot be read, if it cannot.
    missing: Option<String>,
}

/// A version as an operator sees it.
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
    /// Whether the version is normal and gets no traffic because of a quarantine entry.
    pub fn is_quarantined(&self) -> bool {
        self.status.normal().is_some() && matches!(self.obstacle, Some(Obstacle::Quarantined(_)))
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            generation: 0,
            routes: RouteTableBuilder::default().build(),
            services: Vec::new(),
            by_name: Shards::for_names(0),
            unready: 0,
            environments: Vec::new(),
            expose: Expose::None,
            limits: ConnectionLimits::default(),
        }
    }
}

impl Snapshot {
    /// The generation after `previous`. A service whose declared traffic cannot be served yet, or at
    /// all, goes on with what it serves in `previous`, and says why. The entry of a service that did
    /// not change is the same `Arc` as in `previous`.
    pub fn after(previous: &Self, config: &Config, statuses: &Statuses) -> Self {
        Self::numbered(previous.generation + 1, previous, config, statuses)
    }

    /// The same with a generation of the caller's choice, greater than that of `previous`. A process
    /// continues the numbers of the process before it.
    pub fn numbered(
        generation: u64,
        previous: &Self,
        config: &Config,
        statuses: &Statuses,
    ) -> Self {
        let mut routes = RouteTableBuilder::default();
        let mut services = Vec::with_capacity(previous.services.len());
        for (environment, service) in config.services() {
            let key = ServiceKey::of(environment, service);
            let statuses = statuses.get(&key).map_or(&[][..], Vec::as_slice);
            let entry = match previous.get(&key) {
                Some(same) if same.is_still(service, statuses) => Arc::clone(same),
                last => Arc::new(ServiceEntry::new(key, service, statuses, last, generation)),
            };
            for (host, part) in entry.parts() {
                routes.route(host, part, entry.clone());
            }
            services.push(entry);
        }
        let mut by_name = Shards::for_names(services.len());
        services.iter().for_each(|entry| by_name.insert(entry.key.text(), entry.clone()));
        let environments = config.environments.iter().map(EnvironmentView::of).collect();
        let (routes, expose, limits) = (routes.build(), config.server.expose, config.server.limits);
        let unready = services.iter().filter(|entry| !entry.is_ready()).count();
        Self { generation, routes, services, by_name, unready, environments, expose, limits }
    }

    /// The generation after `previous` where nothing but some services may differ from it: what each of
    /// them is declared to be and where its versions stand; nothing of one that is declared no more.
    pub fn updated(generation: u64, previous: &Self, updates: Vec<Update>) -> Self {
        let mut next = Self { generation, ..previous.clone() };
        let mut changes = Vec::new();
        for Update { key, now } in updates {
            let last = previous.get(&key);
            let entry = match (now, last) {
                (None, None) => continue,
                (None, Some(_)) => None,
                (Some((service, statuses)), Some(same)) if same.is_still(&service, &statuses) => {
                    continue;
                }
                (Some((service, statuses)), last) => {
                    Some(Arc::new(ServiceEntry::new(key, &service, &statuses, last, generation)))
                }
            };
            changes.push((last, entry));
        }
        // What one gives up, another may take.
        for (last, entry) in &changes {
            last.iter().for_each(|last| next.take_away(last, entry.as_ref()));
        }
        changes.into_iter().filter_map(|(_, entry)| entry).for_each(|entry| next.put(entry));
        next
    }

    fn take_away(&mut self, last: &Arc<ServiceEntry>, next: Option<&Arc<ServiceEntry>>) {
        for (host, part) in last.parts() {
            self.routes.remove(host, part.path, |entry| Arc::ptr_eq(entry, last));
        }
        self.by_name.remove(&last.key.text());
        self.unready -= usize::from(!last.is_ready());
        // Its place is kept where it stays.
        let stays = next.is_some_and(|next| next.declared.file == last.declared.file);
        if let Some(place) = self.place(last).ok().filter(|_| !stays) {
            self.services.remove(place);
        }
    }

    fn put(&mut self, entry: Arc<ServiceEntry>) {
        for (host, part) in entry.parts() {
            self.routes.add(host, part, entry.clone());
        }
        self.by_name.insert(entry.key.text(), entry.clone());
        self.unready += usize::from(!entry.is_ready());
        let place = self.place(&entry);
        let (Ok(start) | Err(start)) = place;
        self.services.splice(start..start + usize::from(place.is_ok()), [entry]);
    }

    /// Where a service is, or is to be, in the order of declaration: that of environments, and in each
    /// that of files.
    fn place(&self, entry: &ServiceEntry) -> Result<usize, usize> {
        let order = |entry: &ServiceEntry| {
            let own = |view: &EnvironmentView| view.name == entry.key.environment;
            self.environments.iter().position(own)
        };
        let wanted = order(entry);
        self.services.binary_search_by(|other| {
            let file = || other.declared.file.cmp(&entry.declared.file);
            order(other).cmp(&wanted).then_with(file)
        })
    }

    /// A service by its name.
    pub fn get(&self, key: &ServiceKey) -> Option<&Arc<ServiceEntry>> {
        self.by_name.get(&key.text())
    }

    /// Whether every service that is to have traffic has normal versions for it.
    pub fn is_ready(&self) -> bool {
        self.generation > 0 && self.unready == 0
    }

    /// How many services that are to have traffic have no normal version for it.
    pub fn unready(&self) -> usize {
        self.unready
    }
}

impl Secret {
    /// The secret as it is now. Where a transient error is in the way, the secret as it was in `last`.
    fn look(source: Option<&SecretSource>, last: Option<&Self>) -> Self {
        let Some(source) = source else {
            return Self { lock: Lock::default(), look: Look::Nothing, missing: None };
        };
        // Looked at before it is read, so that what is written in between will look different.
        let look = look(source);
        match secrets::lock(source) {
            Found::Lock(lock) => Self { lock, look, missing: None },
            Found::Missing(why) => Self { lock: Lock::Closed, look, missing: Some(why) },
            Found::Obscured(why) => last.cloned().unwrap_or(Self {
                lock: Lock::Closed,
                look: Look::Obscured,
                missing: Some(why),
            }),
        }
    }
}

fn look(source: &SecretSource) -> Look {
    source.file().map_or(Look::Nothing, Look::at)
}

impl ServiceEntry {
    /// Gives back what versions have kept idle for too long, and samples the counters of all versions,
    /// also of those without traffic.
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
        if let Some(pins) = self.decider.pins() {
            pins.sweep(now);
        }
    }

    /// The parts of hosts that lead to it.
    fn parts(&self) -> impl Iterator<Item = (HostPattern<'_>, Part<'_>)> {
        let overrides = self.declared.policy.overrides.as_ref();
        let has_previews = overrides.is_some_and(|overrides| overrides.preview_domains);
        let Service { domains, routes, .. } = &*self.declared;
        let domains = domains.iter().map(|domain| (domain, Route::WHOLE));
        let parts = domains.chain(routes.iter().map(|it| (&it.domain, it.path.as_str())));
        parts.map(move |(domain, path)| {
            let host = match domain {
                DomainPattern::Exact(host) => HostPattern::Exact(host),
                DomainPattern::Wildcard(suffix) => HostPattern::Wildcard(suffix),
            };
            (host, Part { path, has_previews })
        })
    }

    /// What would be decided for a request now, and why.
    pub fn explain(&self, question: &Question, generation: u64) -> Explanation {
        Explanation {
            generation: Some(generation),
            held: self.held.clone(),
            ..self.decider.explain(self.key.environment.as_str(), question, Instant::now())
        }
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
    fn is_still(&self, service: &Arc<Service>, statuses: &[Status]) -> bool {
        let declared = self.versions.iter().take(service.versions.len());
        self.declared == *service
            && !self.has_stale_secret()
            && declared.len() == statuses.len()
            && declared.zip(statuses).all(|(view, status)| view.status == *status)
    }

    fn new(
        key: ServiceKey,
        service: &Arc<Service>,
        statuses: &[Status],
        last: Option<&Arc<Self>>,
        since: u64,
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
        let tally = tally(&decider, last);
        Self { key, declared: service.clone(), since, decider, tally, held, versions, secret }
    }

    /// Whether the service's traffic, if it should have any, has versions to go to.
    pub fn is_ready(&self) -> bool {
        self.versions.is_empty() || !self.decider.is_nothing()
    }

    /// Whether no version of it is still being made.
    pub fn is_settled(&self) -> bool {
        !self.versions.iter().any(|version| matches!(version.status, Status::Creating))
    }

    /// The address under which a client on this machine reaches the service, by its default domain.
    pub fn url(&self, port: u16) -> String {
        let domain =
            self.declared.domains.first().map(DomainPattern::to_string).unwrap_or_default();
        match port {
            80 => format!("http://{domain}"),
            port => format!("http://{domain}:{port}"),
        }
    }
}

/// The tally of `last` where the same names have the same shares, and else a new one: an edit that does
/// not change what is drawn does not begin the count anew.
fn tally(decider: &Decider, last: Option<&Arc<ServiceEntry>>) -> Arc<Tally> {
    let odds = |decider: &Decider| -> Vec<(VersionName, Percent)> {
        let shares = decider.shares().into_iter();
        shares.map(|(version, share)| (version.spec.name.clone(), share)).collect()
    };
    match last.filter(|last| odds(&last.decider) == odds(decider)) {
        Some(last) => last.tally.clone(),
        None => Arc::new(Tally::new(Instant::now(), decider.shares().len())),
    }
}

/// What takes the requests of each declared version. While a version is made anew, that is the
/// version of its name that was served before.
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

//! One generation of everything that is served, built from a configuration, the statuses of its
//! versions and the snapshot before it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::explain::{Explanation, Question};
use super::lifecycle::Status;
use super::policy::{Fallback, Standing};
use super::secrets;
use super::serving::{Serving, VersionEntry};
use crate::config::{
    Config, ConnectionLimits, DomainPattern, Environment, EnvironmentName, Expose, Fingerprint,
    Percent, Quarantined, Reach, Route, SecretSource, Service, ServiceName, Split, Traffic,
    VersionName, VersionSpec,
};
use crate::routing::{Lock, Part, RouteTable, RouteTableBuilder};
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
    fn of(environment: &Environment, service: &Service) -> Self {
        Self { environment: environment.name.clone(), service: service.name.clone() }
    }
}

/// One generation.
#[derive(Debug)]
pub struct Snapshot {
    /// 0 is the empty snapshot before the first publish.
    pub generation: u64,
    pub routes: RouteTable<Arc<ServiceEntry>>,
    /// In the order of declaration.
    pub services: Vec<Arc<ServiceEntry>>,
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
    /// The generation in which it changed last.
    pub since: u64,
    pub serving: Serving,
    /// How often each version was drawn since the split is as it is, in the order of
    /// [`Serving::shares`].
    pub tally: Arc<Tally>,
    /// Why what is declared is not what is served.
    pub held: Option<String>,
    pub versions: Vec<VersionView>,
    secret: Secret,
}

/// The secret without which nobody may override, as it was when it was looked up.
#[derive(Clone, Debug, Default)]
struct Secret {
    lock: Lock,
    /// Of its file, if it is in one.
    fingerprint: Option<Fingerprint>,
    /// Why it cannot be had.
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
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            generation: 0,
            routes: RouteTableBuilder::default().build(),
            services: Vec::new(),
            environments: Vec::new(),
            expose: Expose::None,
            limits: ConnectionLimits::default(),
        }
    }
}

impl Snapshot {
    /// The generation after `previous`. A service whose declared traffic cannot be served yet, or
    /// at all, keeps what it serves in `previous`, and says why. One that nothing changed stays the
    /// same one.
    pub fn after(previous: &Self, config: &Config, statuses: &Statuses) -> Self {
        Self::numbered(previous.generation + 1, previous, config, statuses)
    }

    /// The same with a number of the caller's choice, which is greater than that of `previous`: a
    /// process goes on where the one before it ended.
    pub fn numbered(
        generation: u64,
        previous: &Self,
        config: &Config,
        statuses: &Statuses,
    ) -> Self {
        let before: HashMap<_, _> =
            previous.services.iter().map(|service| (&service.key, service)).collect();
        let mut routes = RouteTableBuilder::default();
        let mut services = Vec::with_capacity(before.len());
        for (environment, service) in config.services() {
            let key = ServiceKey::of(environment, service);
            let statuses = statuses.get(&key).map_or(&[][..], Vec::as_slice);
            let entry = match before.get(&key) {
                Some(same) if same.is_still(service, statuses) => Arc::clone(same),
                last => {
                    let last = last.copied();
                    Arc::new(ServiceEntry::new(key, service, statuses, last, generation))
                }
            };
            route(&mut routes, &entry);
            services.push(entry);
        }
        let environments = config.environments.iter().map(EnvironmentView::of).collect();
        let (routes, expose, limits) = (routes.build(), config.server.expose, config.server.limits);
        Self { generation, routes, services, environments, expose, limits }
    }

    /// Whether every service that is to have traffic has normal versions for it.
    pub fn is_ready(&self) -> bool {
        self.generation > 0 && self.services.iter().all(|service| service.is_ready())
    }
}

fn route(routes: &mut RouteTableBuilder<Arc<ServiceEntry>>, entry: &Arc<ServiceEntry>) {
    let overrides = entry.declared.policy.overrides.as_ref();
    let has_previews = overrides.is_some_and(|overrides| overrides.preview_domains);
    let Service { domains, routes: parts, .. } = &*entry.declared;
    let domains = domains.iter().map(|domain| (domain, Route::WHOLE));
    for (domain, path) in domains.chain(parts.iter().map(|it| (&it.domain, it.path.as_str()))) {
        let part = Part { path, has_previews };
        match domain {
            DomainPattern::Exact(host) => routes.exact(host, part, entry.clone()),
            DomainPattern::Wildcard(suffix) => routes.wildcard(suffix, part, entry.clone()),
        };
    }
}

impl Secret {
    fn look(source: Option<&SecretSource>) -> Self {
        let Some(source) = source else { return Self::default() };
        // Before it is read: what is written meanwhile will look different.
        let fingerprint = fingerprint(source);
        let (lock, missing) = secrets::lock(source);
        Self { lock, fingerprint, missing }
    }
}

fn fingerprint(source: &SecretSource) -> Option<Fingerprint> {
    match source {
        SecretSource::File(path) => Fingerprint::of(path),
        SecretSource::FromEnv(_) => None,
    }
}

impl ServiceEntry {
    /// Gives back what its versions have kept for too long without a request, and notes what they
    /// have done by now, those without traffic too.
    pub fn sweep(&self, now: Instant) {
        let serving: Vec<_> = self.serving.entries().collect();
        let is_serving = |version| serving.iter().any(|other| Arc::ptr_eq(version, *other));
        let normal = self.versions.iter().filter_map(|view| view.status.normal());
        let others = normal.filter(|version| !is_serving(version));
        for version in serving.iter().copied().chain(others) {
            version.guest.sweep();
            version.meter.sample(now);
        }
        self.tally.sample(now);
        if let Some(pins) = self.serving.pins() {
            pins.sweep(now);
        }
    }

    /// What it would do with a request.
    pub fn explain(&self, question: &Question, generation: u64) -> Explanation {
        Explanation {
            generation: Some(generation),
            held: self.held.clone(),
            ..self.serving.explain(self.key.environment.as_str(), question)
        }
    }

    /// What is wrong with it although it is served as declared.
    pub fn warning(&self) -> Option<String> {
        let missing = self.secret.missing.as_ref()?;
        Some(format!("every override is denied, since its secret cannot be had: {missing}"))
    }

    /// Whether the secret of its overrides is in another file than the one that was read.
    pub fn has_stale_secret(&self) -> bool {
        self.secret_source().is_some_and(|source| fingerprint(source) != self.secret.fingerprint)
    }

    fn secret_source(&self) -> Option<&SecretSource> {
        self.declared.policy.overrides.as_ref()?.secret.as_ref()
    }

    /// Whether this is what would be made of a service again.
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
        let before = last.map(|last| &last.serving);
        let overrides = service.policy.overrides.as_ref();
        let secret = Secret::look(overrides.and_then(|overrides| overrides.secret.as_ref()));
        let (fallback, held) = match fallback(service, statuses, before) {
            Ok(fallback) => (Some(fallback), None),
            // What was served goes on. Where nothing was, those that are normal can be asked for.
            Err(why) if before.is_some_and(|before| !before.is_nothing()) => (None, Some(why)),
            Err(why) => (Some(Fallback::Nothing), Some(why)),
        };
        let lock = secret.lock.clone();
        let serving = match (fallback, before) {
            (None, Some(before)) => before.held(service, lock),
            (fallback, _) => {
                let there = there(service, statuses, before);
                let fallback = fallback.unwrap_or(Fallback::Nothing);
                let environment = key.environment.as_str();
                Serving::new(environment, service, there, fallback, lock, before)
            }
        };
        let versions = views(service, statuses, &serving);
        let tally = tally(&serving, last);
        Self { key, declared: service.clone(), since, serving, tally, held, versions, secret }
    }

    /// Whether its traffic, if it is to have any, has normal versions to go to.
    pub fn is_ready(&self) -> bool {
        self.versions.is_empty() || !self.serving.is_nothing()
    }

    /// Whether no version of it is still being made.
    pub fn is_settled(&self) -> bool {
        !self.versions.iter().any(|version| matches!(version.status, Status::Creating))
    }

    /// Where a client on this machine reaches it, by its default domain.
    pub fn url(&self, port: u16) -> String {
        let domain =
            self.declared.domains.first().map(DomainPattern::to_string).unwrap_or_default();
        match port {
            80 => format!("http://{domain}"),
            port => format!("http://{domain}:{port}"),
        }
    }
}

/// Goes on while the same names have the same shares: not every edit changes what is drawn.
fn tally(serving: &Serving, last: Option<&Arc<ServiceEntry>>) -> Arc<Tally> {
    let odds = |serving: &Serving| -> Vec<(VersionName, Percent)> {
        let shares = serving.shares().into_iter();
        shares.map(|(version, share)| (version.spec.name.clone(), share)).collect()
    };
    match last.filter(|last| odds(&last.serving) == odds(serving)) {
        Some(last) => last.tally.clone(),
        None => Arc::new(Tally::new(Instant::now(), serving.shares().len())),
    }
}

/// What decides where nothing else does, if what is declared can be served.
fn fallback(
    service: &Service,
    statuses: &[Status],
    last: Option<&Serving>,
) -> Result<Fallback, String> {
    match &service.traffic {
        Traffic::Split(split) if split.is_offline() => Ok(Fallback::Offline),
        Traffic::Split(split) => may_serve(service, split, statuses).map(|()| Fallback::Split),
        Traffic::Latest => latest(service, statuses, last).map(Fallback::Latest),
    }
}

/// Where each declared version stands as far as decisions go, and what takes its requests. While one
/// is made anew, the one before it does.
fn there(
    service: &Service,
    statuses: &[Status],
    before: Option<&Serving>,
) -> (Vec<Standing>, Vec<Option<Arc<VersionEntry>>>) {
    let there = |(spec, status): (&VersionSpec, &Status)| {
        let entry = match status {
            Status::Normal(entry) => Some(entry),
            Status::Creating => before.and_then(|before| before.named(&spec.name)),
            Status::Error(_) => None,
        };
        let standing = match entry {
            Some(it) if service.quarantined(&it.spec, &it.digest()).is_some() => {
                Standing::Quarantined
            }
            Some(_) => Standing::Normal,
            None => Standing::Missing,
        };
        (standing, entry.cloned())
    };
    service.versions.iter().zip(statuses).map(there).unzip()
}

/// Whether every version with a share is normal, or why not.
fn may_serve(service: &Service, split: &Split, statuses: &[Status]) -> Result<(), String> {
    for &(index, share) in split.shares() {
        if share == Percent::ZERO {
            continue;
        }
        let spec = service.versions.get(index);
        let name = spec.map_or("", |spec| spec.name.as_str());
        if let Some(entry) = spec.and_then(|it| quarantined(service, it, statuses.get(index))) {
            return Err(in_quarantine(name, share, entry));
        }
        match statuses.get(index) {
            Some(Status::Normal(_)) => {}
            Some(Status::Error(error)) => {
                return Err(format!(
                    "the split gives {name} {share} %, and {name} cannot become normal ({error})"
                ));
            }
            Some(Status::Creating) | None => {
                return Err(format!("{name} gets {share} % once it is normal"));
            }
        }
    }
    Ok(())
}

/// What keeps a version from getting traffic, as far as its digest is known yet.
fn quarantined<'a>(
    service: &'a Service,
    spec: &VersionSpec,
    status: Option<&Status>,
) -> Option<&'a Quarantined> {
    if service.quarantine.is_empty() {
        return None;
    }
    let digest = match status {
        Some(Status::Normal(version)) => Some(version.digest()),
        _ => spec.digest,
    };
    service.quarantined(spec, &digest?)
}

fn in_quarantine(version: &str, share: Percent, entry: &Quarantined) -> String {
    let named = entry.version.as_str();
    let why = match &entry.remark {
        Some(remark) => remark.clone(),
        None if named == version => "its component has the digest of an entry".to_owned(),
        None => format!("its component is the one of {named}"),
    };
    format!(
        "the split gives {version} {share} %, and {version} is quarantined: {why}; remove its \
         `[[quarantine]]` entry, or use `watershed traffic … --force`"
    )
}

/// The last declared version that is normal, open to everybody and not quarantined; while a later
/// one is being made, what was served before goes on.
fn latest(service: &Service, statuses: &[Status], last: Option<&Serving>) -> Result<usize, String> {
    let versions = service.versions.iter().zip(statuses).enumerate().rev();
    let live = versions.filter(|(index, _)| service.policy.reach_of(*index) == Reach::Live);
    let mut passed_over = None;
    for (index, (spec, status)) in live {
        if quarantined(service, spec, Some(status)).is_some() {
            passed_over.get_or_insert(&spec.name);
            continue;
        }
        match status {
            Status::Normal(_) => return Ok(index),
            Status::Creating if last.is_some_and(Serving::takes_traffic) => {
                return Err(format!("{} gets everything once it is normal", spec.name));
            }
            Status::Creating | Status::Error(_) => {}
        }
    }
    Err(match passed_over {
        Some(name) => format!(
            "no declared version is normal and may have traffic: {name} is quarantined; deploy \
             another one, or remove its `[[quarantine]]` entry"
        ),
        None if service.policy.reach.iter().any(|reach| *reach != Reach::Live) => {
            "no declared version is normal and has the reach `live`".to_owned()
        }
        None => "no declared version is normal".to_owned(),
    })
}

fn views(service: &Service, statuses: &[Status], serving: &Serving) -> Vec<VersionView> {
    let shares = serving.shares();
    let share_of = |name: &VersionName| {
        let found = shares.iter().find(|(version, _)| version.spec.name == *name);
        found.map_or(Percent::ZERO, |(_, share)| *share)
    };
    let declared = service.versions.iter().zip(statuses).map(|(spec, status)| VersionView {
        name: spec.name.clone(),
        remark: spec.remark.clone(),
        status: status.clone(),
        share: share_of(&spec.name),
    });
    let kept = shares
        .iter()
        .filter(|(version, _)| !service.versions.iter().any(|spec| spec.name == version.spec.name));
    let kept = kept.map(|(version, share)| VersionView {
        name: version.spec.name.clone(),
        remark: version.spec.remark.clone(),
        status: Status::Normal((*version).clone()),
        share: *share,
    });
    declared.chain(kept).collect()
}

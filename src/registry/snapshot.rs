//! One generation of everything that is served, built from a configuration, the statuses of its
//! versions and the snapshot before it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::lifecycle::Status;
use super::serving::{Serving, VersionEntry};
use crate::config::{
    Config, DomainPattern, Environment, EnvironmentName, Expose, Percent, Quarantined, Service,
    ServiceName, Split, Traffic, VersionName, VersionSpec,
};
use crate::routing::{RouteTable, RouteTableBuilder};
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
        let (routes, expose) = (routes.build(), config.server.expose);
        Self { generation, routes, services, environments, expose }
    }

    /// Whether every service that is to have traffic has normal versions for it.
    pub fn is_ready(&self) -> bool {
        self.generation > 0 && self.services.iter().all(|service| service.is_ready())
    }
}

fn route(routes: &mut RouteTableBuilder<Arc<ServiceEntry>>, entry: &Arc<ServiceEntry>) {
    for domain in &entry.declared.domains {
        match domain {
            DomainPattern::Exact(host) => routes.exact(host, entry.clone()),
            DomainPattern::Wildcard(suffix) => routes.wildcard(suffix, entry.clone()),
        };
    }
}

impl ServiceEntry {
    /// Gives back what its versions have kept for too long without a request, and notes what they
    /// have done by now, those without traffic too.
    pub fn sweep(&self, now: Instant) {
        let serving = self.serving.shares();
        let is_serving = |version| serving.iter().any(|(other, _)| Arc::ptr_eq(version, other));
        let normal = self.versions.iter().filter_map(|view| view.status.normal());
        let others = normal.filter(|version| !is_serving(version));
        for version in serving.iter().map(|(version, _)| *version).chain(others) {
            version.guest.sweep();
            version.meter.sample(now);
        }
        self.tally.sample(now);
    }

    /// Whether this is what would be made of a service again.
    fn is_still(&self, service: &Arc<Service>, statuses: &[Status]) -> bool {
        let declared = self.versions.iter().take(service.versions.len());
        self.declared == *service
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
        let declared = match &service.traffic {
            Traffic::Split(split) => serve_split(service, split, statuses),
            Traffic::Latest => serve_latest(service, statuses, before),
        };
        let (serving, held) = match declared {
            Ok(serving) => (serving, None),
            Err(why) => (before.cloned().unwrap_or(Serving::Nothing), Some(why)),
        };
        let versions = views(service, statuses, &serving);
        let tally = tally(&serving, last);
        Self { key, declared: service.clone(), since, serving, tally, held, versions }
    }

    /// Whether its traffic, if it is to have any, has normal versions to go to.
    pub fn is_ready(&self) -> bool {
        self.versions.is_empty() || !matches!(self.serving, Serving::Nothing)
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

/// Serves a split, if every version with a share is normal.
fn serve_split(service: &Service, split: &Split, statuses: &[Status]) -> Result<Serving, String> {
    if split.is_offline() {
        return Ok(Serving::Offline);
    }
    let mut versions: Vec<(Arc<VersionEntry>, Percent)> = Vec::new();
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
            Some(Status::Normal(version)) => versions.push((version.clone(), share)),
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
    Ok(Serving::split(versions))
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

/// Serves the last declared version that is normal and not quarantined; while a later one is being
/// made, what was served before goes on.
fn serve_latest(
    service: &Service,
    statuses: &[Status],
    last: Option<&Serving>,
) -> Result<Serving, String> {
    let versions = service.versions.iter().zip(statuses).rev();
    let mut passed_over = None;
    for (spec, status) in versions {
        if quarantined(service, spec, Some(status)).is_some() {
            passed_over.get_or_insert(&spec.name);
            continue;
        }
        match status {
            Status::Normal(version) => return Ok(Serving::Latest(version.clone())),
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

//! Everything that is served in one generation: built from a configuration, the statuses of its
//! versions, and the snapshot before it. The reloader makes snapshots, the gateway and the admin
//! listener read them. `entry` is one service in a snapshot, `secret` its override secret, `past` the shares that it had.

mod entry;
mod past;
mod secret;

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

use super::status::Status;
use crate::config::{
    Config, Environment, EnvironmentName, Expose, ServerSettings, Service, ServiceName,
    TlsSettings, VersionSpec,
};
use crate::routing::{RouteTable, RouteTableBuilder, Shards};

pub use entry::{ServiceEntry, TrafficSince, VersionView};

/// Identifies a service across all environments.
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

    /// The key as one text. It is unique, because names have no slash.
    fn text(&self) -> Arc<str> {
        format!("{}/{}", self.environment, self.service).into()
    }
}

/// A service that may have changed.
#[derive(Debug)]
pub struct Update {
    pub key: ServiceKey,
    /// Its declaration and the status of each version; `None` if it is not declared any more.
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
    /// How many services have no normal version for the traffic that they should have.
    unready: usize,
    /// In the order of declaration, as are the services of each.
    pub environments: Vec<EnvironmentView>,
    /// How requests are served, as the file has it: what only a restart changes may still be otherwise.
    pub server: Arc<ServerSettings>,
    /// The field that has browsers use HTTPS only, where they are told to.
    pub hsts: Option<HeaderValue>,
}

/// `strict-transport-security` ([RFC 6797, section 6.1](https://www.rfc-editor.org/rfc/rfc6797#section-6.1)).
fn hsts(tls: &TlsSettings) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("max-age={}", tls.hsts?.as_secs())).ok()
}

/// An environment as an operator sees it.
#[derive(Clone, Debug)]
pub struct EnvironmentView {
    pub name: EnvironmentName,
    pub domain: String,
}

/// A version as an operator sees it.
impl Default for Snapshot {
    fn default() -> Self {
        Self {
            generation: 0,
            routes: RouteTableBuilder::default().build(),
            services: Vec::new(),
            by_name: Shards::for_names(0),
            unready: 0,
            environments: Vec::new(),
            server: Arc::new(ServerSettings { expose: Expose::None, ..ServerSettings::default() }),
            hsts: None,
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
        let since = (generation, previous.generation == 0);
        for (environment, service) in config.services() {
            let key = ServiceKey::of(environment, service);
            let statuses = statuses.get(&key).map_or(&[][..], Vec::as_slice);
            let entry = match previous.get(&key) {
                Some(same) if same.is_still(service, statuses) => Arc::clone(same),
                last => Arc::new(ServiceEntry::new(key, service, statuses, last, since)),
            };
            for (host, part) in entry.parts() {
                routes.route(host, part, entry.clone());
            }
            services.push(entry);
        }
        let mut by_name = Shards::for_names(services.len());
        services.iter().for_each(|entry| by_name.insert(entry.key.text(), entry.clone()));
        let environments = config.environments.iter().map(EnvironmentView::of).collect();
        let (routes, server) = (routes.build(), Arc::new(config.server.clone()));
        let hsts = server.tls.as_ref().and_then(hsts);
        let unready = services.iter().filter(|entry| !entry.is_ready()).count();
        Self { generation, routes, services, by_name, unready, environments, server, hsts }
    }

    /// The generation after `previous`, where only the services of `updates` may differ.
    pub fn updated(generation: u64, previous: &Self, updates: Vec<Update>) -> Self {
        let mut next = Self { generation, ..previous.clone() };
        let mut changes = Vec::new();
        let since = (generation, previous.generation == 0);
        for Update { key, now } in updates {
            let last = previous.get(&key);
            let entry = match (now, last) {
                (None, None) => continue,
                (None, Some(_)) => None,
                (Some((service, statuses)), Some(same)) if same.is_still(&service, &statuses) => {
                    continue;
                }
                (Some((service, statuses)), last) => {
                    Some(Arc::new(ServiceEntry::new(key, &service, &statuses, last, since)))
                }
            };
            changes.push((last, entry));
        }
        // Removed first: a service may take a name that another gives up.
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
        // A service that stays keeps its place.
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

    /// The index that a service has, or would have, in the order of declaration: by environment,
    /// then by file.
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

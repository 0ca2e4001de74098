//! A process that serves the site: the versions that it has made, and what it has published. It stands in for the
//! reloader, and its candidates are like the reloader's.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use watershed::config::{Config, Digest, VersionName, VersionSpec};
use watershed::policy::Standing;
use watershed::runtime::{Engine, Grant, Guest, PoolSize, Program};
use watershed::telemetry::Telemetry;
use watershed::versions::{
    Backend, GuestBackend, ReadyVersion, ServiceKey, Snapshot, Status, StatusCode, StatusError,
    Statuses, declared,
};

use super::Seen;
use super::invariants::{Memory, Probes, Publish};
use super::site::{Component, NAMES, Site};
use crate::support::plugin;

/// The programs of versions: two, compiled once.
pub struct Makes {
    programs: [Program; 2],
    telemetry: Telemetry,
    pub probes: Probes,
}

impl Makes {
    pub fn new() -> Self {
        let size = PoolSize { sandboxes: 4, concurrency: 4, memory: 1 << 20 };
        let engine = Engine::new(size).unwrap();
        let bytes = fs::read(plugin("greeter")).unwrap();
        let program = |which| Program::compile(&engine, None, [which; 32], bytes.clone()).unwrap();
        Self {
            programs: [program(1), program(2)],
            telemetry: Telemetry::default(),
            probes: Probes::new(),
        }
    }

    fn make(&self, key: &ServiceKey, spec: &VersionSpec, component: usize) -> Arc<ReadyVersion> {
        let (service, second) = (key.service.as_str(), Duration::from_secs(1));
        let grant = Grant::new(service, spec.name.as_str(), 1 << 20, second, second);
        let guest = Guest::new(self.programs[component].clone(), grant);
        let backend = Backend::Guest(GuestBackend::new(guest, Vec::new()));
        let meter = self.telemetry.version("default", service, spec.name.as_str());
        Arc::new(ReadyVersion::new(spec.clone(), backend, meter))
    }
}

type Key = (ServiceKey, VersionName);

/// A declared version on its way.
struct Candidate {
    spec: VersionSpec,
    /// How often its file had been written when it was read.
    written: u64,
    status: Status,
    is_making: bool,
    /// Whether a transient error was in the way.
    waits: bool,
    /// Whether a version of its name was normal when it was declared.
    replaces: bool,
}

/// The process.
pub struct Process<'a> {
    makes: &'a Makes,
    last: Snapshot,
    generation: u64,
    config: Config,
    candidates: BTreeMap<String, (Key, Candidate)>,
    memory: Memory,
}

fn label(key: &Key) -> String {
    format!("{}/{}", key.0.service, key.1)
}

fn written(site: &Site, name: &VersionName) -> (Component, u64) {
    site.files[NAMES.iter().position(|known| *known == name.as_str()).unwrap()]
}

impl<'a> Process<'a> {
    pub fn start(makes: &'a Makes) -> Self {
        Self {
            makes,
            last: Snapshot::default(),
            generation: 0,
            config: Config { environments: Vec::new(), ..Site::new().config() },
            candidates: BTreeMap::new(),
            memory: Memory::default(),
        }
    }

    /// Loads the site, and publishes if anything is different.
    pub fn take(&mut self, site: &Site, seen: &mut Seen) -> Result<(), String> {
        let files = site.config();
        let is_other = match site.main_is_wrong {
            // What services close is closed nevertheless.
            true => match self.config.closing(&files, |_| true) {
                Some(closed) => {
                    super::invariants::see(seen, "a main file that is wrong");
                    self.config = closed;
                    true
                }
                None => false,
            },
            false => {
                let is_same = files.is_served_like(&self.config);
                self.config = files;
                self.renew(site) || !is_same
            }
        };
        if is_other { self.publish(seen) } else { Ok(()) }
    }

    /// Whether some version is made anew or gone.
    fn renew(&mut self, site: &Site) -> bool {
        let before = std::mem::take(&mut self.candidates);
        let (count, mut before, mut is_other) = (before.len(), before, false);
        for (service, _, spec) in declared(&self.config) {
            let key = (service, spec.name.clone());
            let written = written(site, &spec.name).1;
            let known = before.remove(&label(&key)).map(|(_, known)| known);
            let candidate = match known {
                Some(mut known) if known.spec == *spec && known.written == written => {
                    known.is_making |= std::mem::take(&mut known.waits);
                    known
                }
                known => {
                    is_other = true;
                    Candidate {
                        spec: spec.clone(),
                        written,
                        status: Status::Creating,
                        is_making: true,
                        waits: false,
                        replaces: known
                            .is_some_and(|it| it.replaces || it.status.normal().is_some()),
                    }
                }
            };
            self.candidates.insert(label(&key), (key, candidate));
        }
        is_other || self.candidates.len() < count
    }

    /// Lets the preparation of a version end. Returns whether its standing changed.
    fn end(&mut self, site: &Site, label: &str) -> bool {
        let makes = self.makes;
        let Some((key, candidate)) = self.candidates.get_mut(label) else { return false };
        candidate.is_making = false;
        let status = match written(site, &candidate.spec.name).0 {
            Component::Good(which) => Status::Normal(makes.make(&key.0, &candidate.spec, which)),
            Component::Missing => Status::Error(StatusError::new(StatusCode::NotFound, "no file")),
            Component::Unreadable => {
                candidate.waits = true;
                if candidate.replaces {
                    return false;
                }
                let error = std::io::Error::from_raw_os_error(5);
                Status::Error(StatusError::transient(StatusCode::Unreadable, "for now", &error))
            }
        };
        let is_news = candidate.status != status;
        (candidate.status, candidate.replaces) = (status, false);
        is_news
    }

    fn making(&self) -> Vec<String> {
        let making = self.candidates.iter().filter(|(_, (_, candidate))| candidate.is_making);
        making.map(|(label, _)| label.clone()).collect()
    }

    pub fn prepare(&mut self, site: &Site, which: usize, seen: &mut Seen) -> Result<(), String> {
        let making = self.making();
        let Some(label) = making.get(which % making.len().max(1)) else { return Ok(()) };
        if self.end(site, label) { self.publish(seen) } else { Ok(()) }
    }

    pub fn prepare_all(&mut self, site: &Site, seen: &mut Seen) -> Result<(), String> {
        let mut is_news = false;
        for label in self.making() {
            is_news |= self.end(site, &label);
        }
        if is_news { self.publish(seen) } else { Ok(()) }
    }

    pub fn retry(&mut self) {
        for (_, candidate) in self.candidates.values_mut() {
            candidate.is_making |= std::mem::take(&mut candidate.waits);
        }
    }

    /// Nothing of the process is left. A wrong main file is repaired first, because no process would start with it.
    pub fn restart(
        &mut self,
        site: &mut Site,
        ready: usize,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let generation = self.generation;
        *self = Self { generation, ..Self::start(self.makes) };
        site.main_is_wrong = false;
        self.config = site.config();
        self.renew(site);
        for label in self.making().into_iter().take(ready) {
            self.end(site, &label);
        }
        self.publish(seen)
    }

    /// The digest of a version, or the one that it would have by its file.
    pub fn digest_of(&self, site: &Site, service: usize, place: usize) -> Digest {
        let name = site.name_at(service, place);
        let label = format!("{}/{}", super::site::SERVICES[service], NAMES[name]);
        let status = self.candidates.get(&label).map(|(_, candidate)| &candidate.status);
        match (status.and_then(Status::normal), site.files[name].0) {
            (Some(entry), _) => entry.digest(),
            (None, Component::Good(1)) => Digest::from_bytes([2; 32]),
            (None, _) => Digest::from_bytes([1; 32]),
        }
    }

    fn publish(&mut self, seen: &mut Seen) -> Result<(), String> {
        self.generation += 1;
        let (mut statuses, mut standings) = (Statuses::new(), BTreeMap::new());
        for (key, _, spec) in declared(&self.config) {
            let (_, candidate) = &self.candidates[&label(&(key.clone(), spec.name.clone()))];
            let standing: Standing = candidate.status.standing();
            let of_service: &mut Vec<_> = standings.entry(key.service.to_string()).or_default();
            of_service.push(standing);
            statuses.entry(key).or_default().push(candidate.status.clone());
        }
        let after = Snapshot::numbered(self.generation, &self.last, &self.config, &statuses);
        let publish = Publish {
            probes: &self.makes.probes,
            config: &self.config,
            statuses: &statuses,
            standings: &standings,
            before: &self.last,
            after: &after,
        };
        publish.check_invariants(&mut self.memory, seen)?;
        self.last = after;
        Ok(())
    }
}

//! A service in a file, the components and secrets beside it, and the records of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::api::Description;
use crate::code::Coded;
use crate::config::{
    Digest, EnvValue, Percent, SecretSource, Service, ServiceName, VersionName, VersionSpec,
};
use crate::history::{
    Author, MadeOf, Parts, ROLLBACK, Record, RecordOutcome, RecordedVersion, Served, Share,
};
use crate::policy::Standing;
use crate::rollout::{
    Aim, Ground, Question, Restoration, Rollback, RollbackError, Shares, State, rollback,
};
use crate::source::{ComponentStore, Loader, ServiceFile};
use crate::versions::secret_digest;

pub fn name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

pub fn share(hundredths: u16) -> Percent {
    Percent::from_hundredths(hundredths).unwrap()
}

/// All to one version.
pub fn all(version: &str) -> Shares {
    Shares::all(name(version))
}

/// A service in a file, the components and secrets beside it, and the records of it.
pub struct World {
    pub directory: tempfile::TempDir,
    pub service: Service,
    pub records: Vec<Record>,
    pub parts: Parts,
}

pub const SHOP: &str = r#"# The shop.
[[versions]]
name = "v1"
component = "a.wasm" # built by hand
env = { GREETING = "Hello", TOKEN = { file = "token" } } # what it sees
limits.memory = "128MiB"

# The second.
[[versions]]
name = "v2"
component = "b.wasm"
[versions.env]
GREETING = "Hi"

[traffic]
split = { v1 = 100, v2 = 0 }
"#;

impl Ground for World {
    fn service(&self) -> &Service {
        &self.service
    }

    fn may_serve(&self, version: &VersionName, then: Option<&str>) -> Result<(), String> {
        let spec = self.service.versions.iter().find(|spec| spec.name == *version);
        let spec = spec.ok_or("is not declared any more")?;
        let made = self.made_of(spec).ok_or("is in error")?;
        match then.is_none_or(|then| then == made) {
            true => Ok(()),
            false => Err("has another component now".to_owned()),
        }
    }

    fn made_of(&self, spec: &VersionSpec) -> Option<String> {
        match spec.guest() {
            Some(guest) => self.digest_at(&guest.component).ok(),
            None => spec.declared_digest().map(|digest| digest.to_string()),
        }
    }

    fn digest_at(&self, component: &Path) -> Result<String, String> {
        let bytes = fs::read(component).map_err(|error| error.to_string())?;
        Ok(Digest::of(bytes).to_string())
    }

    fn stored(&self, digest: &str) -> Option<PathBuf> {
        let name = ServiceName::new("shop").ok()?;
        let store = ComponentStore::new(&self.directory.path().join("components"));
        Some(store.find(&name, &digest.parse().ok()?)?.0)
    }

    fn secret(&self, _: &str, key: &str, place: &SecretSource) -> Result<String, String> {
        secret_digest(key, place)
    }
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("services")).unwrap();
        fs::write(at("watershed.toml"), "[server]\n").unwrap();
        for (name, text) in [("a.wasm", "a"), ("b.wasm", "b"), ("c.wasm", "c"), ("token", "one")] {
            fs::write(at("services").join(name), text).unwrap();
        }
        fs::write(at("services/shop.toml"), SHOP).unwrap();
        let service = load(&directory);
        let mut world = Self { directory, service, records: Vec::new(), parts: Parts::default() };
        world.publish();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("services").join(name)
    }

    /// Has a copy of a component in the store.
    pub fn keep(&self, version: &str, bytes: &[u8]) {
        let (name, version) =
            (ServiceName::new("shop").unwrap(), VersionName::new(version).unwrap());
        let store = ComponentStore::new(&self.directory.path().join("components"));
        let place = store.place(&name, &version, &Digest::of(bytes));
        store.keep(&place, bytes, Path::new("")).unwrap();
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.path("shop.toml")).unwrap()
    }

    pub fn write(&mut self, text: &str) -> u64 {
        fs::write(self.path("shop.toml"), text).unwrap();
        self.publish()
    }

    pub fn replace(&mut self, from: &str, to: &str) -> u64 {
        let text = self.text();
        assert!(text.contains(from), "{text}");
        self.write(&text.replace(from, to))
    }

    pub fn served(&self, parts: &mut Parts) -> Served {
        let versions = self.service.versions.iter().enumerate().map(|(index, spec)| {
            let secret = |(key, value): &(String, EnvValue)| {
                Some((key.clone(), self.secret("", key, value.secret()?).ok()?))
            };
            let secrets = spec.env().iter().filter_map(secret).collect();
            let made_of = MadeOf { digest: self.made_of(spec), secrets };
            let declaration = spec.written_with(self.service.policy.reach_of(index));
            (spec.name.to_string(), declaration, made_of)
        });
        Served::new(self.service.written(), versions, parts)
    }

    pub fn shares(&self) -> Shares {
        Shares::declared(&self.service).unwrap()
    }

    /// Serves and records what the file says.
    pub fn publish(&mut self) -> u64 {
        self.service = load(&self.directory);
        let generation = self.records.first().map_or(1, |newest| newest.generation + 1);
        let mut parts = std::mem::take(&mut self.parts);
        let served = Some(self.served(&mut parts));
        self.parts = parts;
        let share = |(version, share): (&VersionName, Percent)| Share {
            version: version.to_string(),
            share: f64::from(share.hundredths()) / 100.0,
        };
        let versions = self.service.versions.iter().map(|spec| RecordedVersion {
            name: spec.name.to_string(),
            status: "normal".to_owned(),
            digest: self.made_of(spec),
        });
        let record = Record {
            generation,
            at: 0,
            environment: "default".to_owned(),
            service: "shop".to_owned(),
            author: Author::FileEdit,
            before: Vec::new(),
            after: self.shares().takers().map(share).collect(),
            served,
            versions: versions.collect(),
            remark: None,
            outcome: RecordOutcome::Published,
            restores: None,
            file_digest: None,
        };
        self.records.insert(0, record);
        generation
    }

    pub fn decide(&self, aim: &Aim, bad: bool) -> Result<Rollback, RollbackError> {
        self.decide_on(aim, bad, false)
    }

    pub fn decide_on(
        &self,
        aim: &Aim,
        bad: bool,
        traffic_only: bool,
    ) -> Result<Rollback, RollbackError> {
        let mut parts = Parts::default();
        let served = self.served(&mut parts);
        let now = State { shares: self.shares(), contents: served.contents(&parts) };
        rollback(&Question {
            service: "shop",
            aim,
            now: &now,
            declared: &now.shares,
            records: &self.records,
            parts: &self.parts,
            ground: self,
            bad,
            traffic_only,
        })
    }

    /// Rolls back, and publishes the result.
    pub fn back(&mut self, aim: &Aim) -> Result<Rollback, RollbackError> {
        self.back_by(aim, false)
    }

    /// The same, where perhaps the shares alone are taken back.
    pub fn back_by(&mut self, aim: &Aim, traffic_only: bool) -> Result<Rollback, RollbackError> {
        let found = self.decide_on(aim, false, traffic_only)?;
        let mut file = ServiceFile::open(&self.path("shop.toml")).unwrap();
        let rest = found.restoration().filter(|_| !traffic_only);
        rest.iter().for_each(|rest| rest.apply(&mut file.text));
        let names = self.service.versions.iter().map(|spec| &spec.name);
        let again = rest.into_iter().flat_map(Restoration::declared);
        file.text.set_split(&found.to.over(names.chain(again)));
        let text = file.text.to_string();
        let saved = file.save(&self.directory.path().join("watershed.toml"));
        saved.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let generation = self.publish();
        self.records[0].restores = found.generation;
        self.records[0].author =
            Author::Command { user: "ada".to_owned(), command: format!("{ROLLBACK}shop") };
        assert_eq!(generation, self.records[0].generation);
        Ok(found)
    }

    pub fn refused(&self, aim: &Aim) -> String {
        self.decide(aim, false).unwrap_err().line()
    }

    pub fn env(&self, version: &str, key: &str) -> Option<EnvValue> {
        let spec = self.service.versions.iter().find(|spec| spec.name.as_str() == version)?;
        spec.env().iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    /// The versions with shares and the policy, as `watershed plan` describes them.
    pub fn description(&self) -> (BTreeMap<String, String>, Vec<String>) {
        let config = crate::source::load(&self.directory.path().join("watershed.toml")).unwrap();
        let description = Description::of_files(&config, self.directory.path(), None, |spec| {
            let digest = self.made_of(spec).and_then(|digest| digest.parse().ok());
            Standing::Normal { digest: digest.unwrap_or(Digest::from_bytes([0; 32])) }
        });
        let service = &description.environments[0].services[0];
        let policy = service.policy.iter();
        let policy = policy
            .filter(|(key, _)| !key.ends_with(".reach") && *key != "override.secret")
            .map(|(key, value)| (key.clone(), value.text.clone()))
            .collect();
        let versions = service.versions.iter().filter(|it| it.share > Percent::ZERO);
        let shown = versions.map(|version| {
            let settings: BTreeMap<_, _> = version
                .settings
                .iter()
                .filter(|(key, _)| *key != "digest")
                .map(|(key, value)| (key, &value.text))
                .collect();
            format!("{} {} {:?} {settings:?}", version.name, version.share, version.standing)
        });
        (policy, shown.collect())
    }
}

pub fn load(directory: &tempfile::TempDir) -> Service {
    let mut loader = Loader::new(&directory.path().join("watershed.toml"));
    let config = loader.inspect().unwrap_or_else(|wrong| panic!("{}", wrong.report));
    (*config.environments[0].services[0]).clone()
}

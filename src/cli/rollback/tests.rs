//! What a rollback decides and writes, on real files: single steps, and any sequence of edits.

mod sequences;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::api::Description;
use crate::config::{
    Digest, EnvValue, Percent, Reach, SecretSource, Service, VersionName, VersionSpec,
};
use crate::history::{Author, Made, Parts, Record, RecordOutcome, RecordedVersion, Served, Share};
use crate::policy::Standing;
use crate::rollout::{
    Ground, Question, Rollback, RollbackError, Shares, State, Target, Versions, rollback,
};
use crate::runtime::digest_of;
use crate::source::{Loader, ServiceFile};
use crate::versions::secret_digest;

fn name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

fn share(hundredths: u16) -> Percent {
    Percent::from_hundredths(hundredths).unwrap()
}

/// All to one version.
fn all(version: &str) -> Shares {
    Shares::all(name(version))
}

/// A service in a file, the components and secrets beside it, and what was recorded of it.
struct World {
    directory: tempfile::TempDir,
    service: Service,
    records: Vec<Record>,
    parts: Parts,
}

const SHOP: &str = r#"# The shop.
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

    fn made_of(&self, spec: &VersionSpec) -> Option<String> {
        self.digest_at(&spec.component).ok()
    }

    fn digest_at(&self, component: &Path) -> Result<String, String> {
        let bytes = fs::read(component).map_err(|error| error.to_string())?;
        Ok(Digest::from_bytes(digest_of(&bytes)).to_string())
    }

    fn secret(&self, _: &str, key: &str, place: &SecretSource) -> Result<String, String> {
        secret_digest(key, place)
    }
}

impl Versions for World {
    fn may_serve(&self, version: &VersionName, then: Option<&str>) -> Result<(), String> {
        let spec = self.service.versions.iter().find(|spec| spec.name == *version);
        let spec = spec.ok_or("is not declared any more")?;
        let made = self.made_of(spec).ok_or("is in error")?;
        match then.is_none_or(|then| then == made) {
            true => Ok(()),
            false => Err("has another component now".to_owned()),
        }
    }
}

impl World {
    fn new() -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("services").join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("shop.toml")).unwrap()
    }

    fn write(&mut self, text: &str) -> u64 {
        fs::write(self.path("shop.toml"), text).unwrap();
        self.publish()
    }

    fn replace(&mut self, from: &str, to: &str) -> u64 {
        let text = self.text();
        assert!(text.contains(from), "{text}");
        self.write(&text.replace(from, to))
    }

    fn served(&self, parts: &mut Parts) -> Served {
        let versions = self.service.versions.iter().enumerate().map(|(index, spec)| {
            let secret = |(key, value): &(String, EnvValue)| {
                Some((key.clone(), self.secret("", key, value.secret()?).ok()?))
            };
            let secrets = spec.env.iter().filter_map(secret).collect();
            let made = Made { digest: self.made_of(spec), secrets };
            (spec, self.service.policy.reach_of(index), made)
        });
        Served::new(&self.service, versions, parts)
    }

    fn shares(&self) -> Shares {
        Shares::declared(&self.service).unwrap()
    }

    /// What the file says is served, and recorded.
    fn publish(&mut self) -> u64 {
        self.service = load(&self.directory);
        let generation = self.records.len() as u64 + 1;
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

    fn decide(&self, target: &Target, bad: bool) -> Result<Rollback, RollbackError> {
        self.decide_on(target, bad, false)
    }

    fn decide_on(
        &self,
        target: &Target,
        bad: bool,
        traffic_only: bool,
    ) -> Result<Rollback, RollbackError> {
        let mut parts = Parts::default();
        let served = self.served(&mut parts);
        let now = State { shares: self.shares(), contents: served.contents(&parts) };
        rollback(&Question {
            service: "shop",
            target,
            now: &now,
            declared: &now.shares,
            records: &self.records,
            parts: &self.parts,
            ground: self,
            bad,
            traffic_only,
        })
    }

    /// Rolls back, and publishes that.
    fn back(&mut self, target: &Target) -> Result<Rollback, RollbackError> {
        let found = self.decide(target, false)?;
        let mut file = ServiceFile::open(&self.path("shop.toml")).unwrap();
        let rest = found.restoration().unwrap();
        rest.apply(&mut file.text);
        let names = self.service.versions.iter().map(|spec| &spec.name);
        file.text.set_split(&found.to.over(names.chain(rest.declared())));
        let text = file.text.to_string();
        let saved = file.save(&self.directory.path().join("watershed.toml"));
        saved.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let generation = self.publish();
        self.records[0].restores = found.generation;
        assert_eq!(generation, self.records[0].generation);
        Ok(found)
    }

    fn refused(&self, target: &Target) -> String {
        self.decide(target, false).unwrap_err().to_string()
    }

    fn env(&self, version: &str, key: &str) -> Option<EnvValue> {
        let spec = self.service.versions.iter().find(|spec| spec.name.as_str() == version)?;
        spec.env.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    /// The versions with shares and the policy, as `watershed plan` describes them.
    fn description(&self) -> (BTreeMap<String, String>, Vec<String>) {
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

fn load(directory: &tempfile::TempDir) -> Service {
    let mut loader = Loader::new(&directory.path().join("watershed.toml"));
    let config = loader.inspect().unwrap_or_else(|wrong| panic!("{}", wrong.report));
    (*config.environments[0].services[0]).clone()
}

fn plain(text: &str) -> EnvValue {
    EnvValue::Plain(text.to_owned())
}

/// R11: the environment is part of what was served.
#[test]
fn an_environment_comes_back() {
    let mut world = World::new();
    let before = world.text();
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Target::Previous).unwrap();
    let rest = found.restoration().unwrap();
    assert_eq!(rest.lines(), ["v1  env.GREETING `bad` → `Hello`"]);
    assert_eq!(rest.remade(), [&name("v1")]);
    assert_eq!(world.text(), before, "comments, order and all");
    assert_eq!(
        world.refused(&Target::Previous),
        RollbackError::NothingBefore("shop".to_owned()).to_string()
    );
}

#[test]
fn a_rollback_to_a_generation_brings_back_its_environment_with_its_shares() {
    let mut world = World::new();
    world.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100");
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Target::Generation(1)).unwrap();
    assert!(found.to.is_same(&all("v1")));
    assert_eq!(world.env("v1", "GREETING"), Some(plain("Hello")));
    // What did not serve then is left alone.
    world.replace("\"Hi\"", "\"Hey\"");
    world.replace("v1 = 100, v2 = 0", "v1 = 50, v2 = 50");
    world.back(&Target::Generation(1)).unwrap();
    assert_eq!(world.env("v2", "GREETING"), Some(plain("Hey")));
}

#[test]
fn what_came_since_is_taken_out_and_what_went_comes_back() {
    let mut world = World::new();
    world.replace("GREETING = \"Hello\", ", "DEBUG = \"1\", ");
    world.replace("limits.memory = \"128MiB\"", "limits.memory = \"64MiB\"");
    let found = world.back(&Target::Generation(1)).unwrap();
    assert_eq!(
        found.restoration().unwrap().lines(),
        [
            "v1  env.GREETING `Hello` comes back",
            "v1  env.DEBUG `1` is taken out",
            "v1  limits.memory 64MiB → 128MiB",
        ]
    );
    assert_eq!(world.env("v1", "DEBUG"), None);
}

#[test]
fn rules_stickiness_and_overrides_come_back() {
    let mut world = World::new();
    let policy = "pick = \"smooth\"\nsticky = { key = \"header:x-user\" }\n\
                  override = { header = true }\n[[traffic.rules]]\nname = \"beta\"\nversion = \"v2\"\n";
    world.write(&(SHOP.to_owned() + policy));
    let decided = world.description();
    let found = world.back(&Target::Previous).unwrap();
    let lines = found.restoration().unwrap().lines();
    for line in ["pick smooth → random", "rule beta: taken out"] {
        assert!(lines.iter().any(|it| it == line), "{lines:?}");
    }
    assert!(lines.iter().any(|it| it.starts_with("sticky ")), "{lines:?}");
    assert!(world.service.policy.rules.is_empty() && world.service.policy.sticky.is_none());
    world.back(&Target::Generation(2)).unwrap();
    assert_eq!(world.description(), decided);
}

#[test]
fn a_component_comes_back_from_where_it_was() {
    let mut world = World::new();
    world.replace("component = \"a.wasm\"", "component = \"c.wasm\"");
    let found = world.back(&Target::Previous).unwrap();
    let lines = found.restoration().unwrap().lines();
    assert!(lines[0].starts_with("v1  component /"), "{lines:?}");
    assert!(world.text().contains("component = \"a.wasm\" # built by hand"), "{}", world.text());
    // Where the bytes are elsewhere by now, the version is what it was.
    fs::rename(world.path("a.wasm"), world.path("moved.wasm")).unwrap();
    world.replace("component = \"a.wasm\"", "component = \"moved.wasm\"");
    assert!(matches!(world.decide(&Target::Generation(1), false), Err(RollbackError::Same(_))));
}

#[test]
fn a_component_that_is_gone_is_told() {
    let mut world = World::new();
    fs::write(world.path("a.wasm"), "a new build").unwrap();
    world.publish();
    let refused = world.refused(&Target::Generation(1));
    assert!(refused.contains("the component of v1 was sha256:"), "{refused}");
    assert!(refused.contains("a.wasm has the digest sha256:"), "{refused}");
    fs::remove_file(world.path("a.wasm")).unwrap();
    assert!(world.refused(&Target::Generation(1)).contains("No such file"));
}

#[test]
fn another_secret_is_told_and_never_written() {
    let mut world = World::new();
    world.replace("\"Hello\"", "\"bad\"");
    fs::write(world.path("token"), "two").unwrap();
    world.publish();
    let refused = world.refused(&Target::Generation(1));
    assert!(refused.contains("env.TOKEN of v1 (file /") && refused.contains("another secret"));
    assert!(refused.contains("--traffic-only") && !refused.contains("two"), "{refused}");
    // A rotation is a step by itself: older ones would have the old secret too.
    let refused = world.refused(&Target::Previous);
    assert!(refused.starts_with("generation 2 served"), "{refused}");
    let found = world.decide_on(&Target::Generation(1), false, true);
    assert!(matches!(found, Err(RollbackError::Same(_))), "{found:?}");
    // The same value at another place is the same secret.
    fs::write(world.path("old"), "one\n").unwrap();
    world.replace("file = \"token\"", "file = \"old\"");
    world.back(&Target::Generation(1)).unwrap();
    assert_eq!(world.env("v1", "GREETING"), Some(plain("Hello")));
    assert!(world.text().contains("file = \"old\""), "{}", world.text());
    let json = serde_json::to_string(&world.parts).unwrap();
    assert!(!json.contains("\"one") && !json.contains("\"two"), "{json}");
}

#[test]
fn a_deleted_version_is_declared_again() {
    let mut world = World::new();
    let only_two = SHOP.find("# The second.").map(|at| &SHOP[at..]).unwrap();
    world.write(&only_two.replace("v1 = 100, v2 = 0", "v2 = 100"));
    let found = world.back(&Target::Generation(1)).unwrap();
    let rest = found.restoration().unwrap();
    assert!(rest.lines()[0].starts_with("v1  is declared again, from /"), "{:?}", rest.lines());
    assert_eq!(world.env("v1", "GREETING"), Some(plain("Hello")));
    assert!(matches!(world.env("v1", "TOKEN"), Some(EnvValue::Secret(SecretSource::File(_)))));
    assert!(world.shares().is_same(&all("v1")));
    world.write(&only_two.replace("v1 = 100, v2 = 0", "v2 = 100"));
    fs::write(world.path("a.wasm"), "other").unwrap();
    let refused = world.refused(&Target::Generation(1));
    assert!(refused.contains("v1 was deleted since"), "{refused}");
}

#[test]
fn nobody_is_let_in_again() {
    let mut world = World::new();
    world.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100");
    world.replace("component = \"a.wasm\"", "reach = \"cutoff\"\ncomponent = \"a.wasm\"");
    let refused = world.refused(&Target::Generation(1));
    assert!(refused.contains("v1 has the reach `cutoff` now"), "{refused}");
    // What did not serve stays cut off, and that is told.
    world.write(
        &SHOP.replace("component = \"b.wasm\"", "component = \"b.wasm\"\nreach = \"cutoff\""),
    );
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Target::Generation(1)).unwrap();
    assert_eq!(
        found.restoration().unwrap().kept,
        ["v2  reach cutoff, and live then: it is not widened"]
    );
    assert_eq!(world.service.policy.reach_of(1), Reach::Cutoff);
}

#[test]
fn what_is_quarantined_since_does_not_come_back() {
    let mut world = World::new();
    let bad = world.made_of(&world.service.versions[0]).unwrap();
    let entry = format!("\n[[quarantine]]\ndigest = \"{bad}\"\nversion = \"v1\"\n");
    world.write(&(SHOP.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100") + &entry));
    let refused = world.refused(&Target::Generation(1));
    assert!(refused.contains("v1 as it was is quarantined"), "{refused}");
}

#[test]
fn the_secret_of_overrides_stays() {
    let mut world = World::new();
    world.write(&(SHOP.to_owned() + "override = { header = true }\n"));
    let secret = "override = { header = true, query = \"v\", secret = { file = \"token\" } }\n";
    world.write(&(SHOP.to_owned() + secret));
    let found = world.back(&Target::Generation(2)).unwrap();
    assert_eq!(found.restoration().unwrap().kept, ["override.secret  stays as it is now"]);
    let overrides = world.service.policy.overrides.clone().unwrap();
    assert!(overrides.secret.is_some() && overrides.query.is_none());
}

/// What a version is now may be what is bad, though its shares stay.
#[test]
fn a_replaced_environment_can_be_what_is_bad() {
    let mut world = World::new();
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.decide(&Target::Previous, true).unwrap();
    assert_eq!(found.losers(&world.shares()), [name("v1")]);
    let mut world = World::new();
    world.replace("\"128MiB\"", "\"64MiB\"");
    let refused = world.decide(&Target::Generation(1), true).unwrap_err();
    assert!(matches!(refused, RollbackError::NoneBad { .. }), "a limit is not what is bad");
}

#[test]
fn notes_and_domains_are_no_step_back() {
    let mut world = World::new();
    world.write(&format!("domains = [\"shop.example.com\"]\n{SHOP}"));
    world.replace("limits.memory", "remark = \"the first\"\nlimits.memory");
    let refused = world.decide(&Target::Previous, false).unwrap_err();
    assert_eq!(refused, RollbackError::NothingBefore("shop".to_owned()));
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Target::Generation(1)).unwrap();
    let kept = &found.restoration().unwrap().kept;
    assert!(kept[0].starts_with("domains  stay "), "{kept:?}");
    assert!(world.text().starts_with("domains = [\"shop.example.com\"]"));
}

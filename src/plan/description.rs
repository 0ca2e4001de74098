//! What is declared and served, without anything secret: of a running process or of files, in one
//! shape that two sides can be compared in. An environment value is only ever its digest.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::policy;
use crate::config::{
    BackendSpec, Config, ConnectionLimits, Digest, EnvValue, Expose, GuestLimits, GuestSpec,
    Limits, Percent, Quarantined, SecretSource, ServerSettings, Service, Setting, Split, Traffic,
    VersionName, VersionSpec, show_duration,
};
use crate::policy::{Base, Before, Case, Fault, Incumbent, Standing, Verdict};
use serde::{Deserialize, Serialize};

/// All that a process serves, or that files declare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The generation that is served; none of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The directory of the main file, absolute.
    pub root: PathBuf,
    /// Of the main file, applied by a reload.
    pub settings: Settings,
    /// Of the main file, applied by a restart: what a process was started with.
    pub started_with: Settings,
    /// Those that have services.
    pub environments: Vec<EnvironmentDescription>,
}

/// Keys and what they say.
pub type Settings = BTreeMap<String, Value>;

/// What a key says, to be shown and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// For people.
    pub text: String,
    /// The same where `text` names an absolute path: from the main file's directory on. Copies of
    /// a configuration say the same by this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentDescription {
    pub name: String,
    pub services: Vec<ServiceDescription>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDescription {
    pub name: String,
    pub file: PathBuf,
    pub domains: Vec<String>,
    /// Parts of other domains: domain and path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    pub traffic: Kind,
    /// What decides before the shares do, as far as it is said.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub policy: Settings,
    /// Why what is declared is not what is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What must not get traffic: name and digests. Empty from a process that knows none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<String>,
    /// In the order of declaration, then those that are only served.
    pub versions: Vec<VersionDescription>,
}

/// How a service says who gets what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Latest,
    Split,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionDescription {
    pub name: String,
    #[serde(flatten)]
    pub backend: BackendDescription,
    /// Every other key.
    pub settings: Settings,
    /// Percent of the traffic: now, or as the files declare.
    #[serde(with = "percent")]
    pub share: Percent,
    #[serde(flatten)]
    pub standing: Standing,
}

/// What serves a version, under the key that declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendDescription {
    /// A guest, by the path of its component.
    Component(Value),
}

/// A percentage as a JSON number.
pub mod percent {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use crate::config::Percent;

    pub fn serialize<S: Serializer>(percent: &Percent, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(f64::from(percent.hundredths()) / 100.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Percent, D::Error> {
        Percent::from_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Description {
    /// What a process would serve by files, where each version stands as `standing` says: one that
    /// serves `before`, or else one that starts with them.
    pub fn of_files(
        config: &Config,
        root: &Path,
        before: Option<&Self>,
        standing: impl Fn(&VersionSpec) -> Standing,
    ) -> Self {
        let ServerSettings { expose, limits, .. } = &config.server;
        let applied = applied(*expose, limits);
        let mut description = Self::new(root, applied, started_with(root, config), None);
        for (environment, service) in config.services() {
            let environment = environment.name.as_str();
            let standings: Vec<_> = service.versions.iter().map(&standing).collect();
            let last = before.and_then(|before| before.service(environment, service.name.as_str()));
            let served = last.map(|last| Served::of(last, service));
            let served = served.as_ref().map(Served::before);
            let case = Case { service, standings: &standings, before: served.as_ref() };
            let Verdict { held, shares, .. } = case.verdict();
            let share = |name: &VersionName| {
                let found = shares.iter().find(|(taker, _)| taker == name);
                found.map_or(Percent::ZERO, |(_, share)| *share)
            };
            let versions = service.versions.iter().zip(standings);
            let mut versions: Vec<_> = versions
                .map(|(spec, standing)| {
                    VersionDescription::of(root, spec, share(&spec.name), standing)
                })
                .collect();
            versions.extend(last.into_iter().flat_map(|last| kept(last, service, share)));
            description.push(environment, ServiceDescription::of(root, service, held, versions));
        }
        description
    }

    /// A description without services yet.
    pub fn new(
        root: &Path,
        settings: Settings,
        started_with: Settings,
        generation: Option<u64>,
    ) -> Self {
        Self { generation, root: root.to_owned(), settings, started_with, environments: Vec::new() }
    }

    fn service(&self, environment: &str, name: &str) -> Option<&ServiceDescription> {
        let environment = self.environments.iter().find(|known| known.name == environment)?;
        environment.services.iter().find(|service| service.name == name)
    }

    /// Adds a service, after those of its environment.
    pub fn push(&mut self, environment: &str, service: ServiceDescription) {
        match self.environments.iter_mut().find(|known| known.name == environment) {
            Some(known) => known.services.push(service),
            None => self.environments.push(EnvironmentDescription {
                name: environment.to_owned(),
                services: vec![service],
            }),
        }
    }
}

/// The settings that a reload changes.
pub fn applied(expose: Expose, limits: &ConnectionLimits) -> Settings {
    let ConnectionLimits { head, headers, head_time, idle_time } = limits;
    let settings = [
        ("server.expose", expose.as_str().to_owned()),
        ("server.limits.head", head.to_string()),
        ("server.limits.headers", headers.to_string()),
        ("server.limits.head-time", show_duration(*head_time)),
        ("server.limits.idle-time", show_duration(*idle_time)),
    ];
    settings.map(|(key, text)| (key.to_owned(), Value::text(text))).into()
}

/// The settings that only a restart changes.
pub fn started_with(root: &Path, config: &Config) -> Settings {
    let value = |setting: Setting| match setting {
        Setting::Text(text) => Value::text(text),
        Setting::Path(path) => Value::path(root, &path),
    };
    let fixed = config.fixed().into_iter();
    fixed.filter_map(|(key, setting)| Some((key.to_owned(), value(setting?)))).collect()
}

/// The versions with a share that are declared no more.
fn kept(
    last: &ServiceDescription,
    service: &Service,
    share: impl Fn(&VersionName) -> Percent,
) -> Vec<VersionDescription> {
    let is_declared = |name: &VersionName| service.versions.iter().any(|spec| spec.name == *name);
    let kept = last.versions.iter().filter_map(|version| {
        let name = VersionName::new(&version.name).ok()?;
        let share = share(&name);
        let is_kept = share > Percent::ZERO && !is_declared(&name);
        is_kept.then(|| VersionDescription { share, ..version.clone() })
    });
    kept.collect()
}

/// What a service serves until now, as far as its description tells.
struct Served<'a> {
    versions: Vec<(VersionName, &'a VersionDescription, Option<&'a VersionSpec>)>,
    /// Whether nobody's having a share is meant.
    is_offline: bool,
}

impl<'a> Served<'a> {
    /// The environment of a version is known where it has its name still: only a name that is used
    /// again for something else could mislead.
    fn of(last: &'a ServiceDescription, service: &'a Service) -> Self {
        let versions = last.versions.iter().filter_map(|version| {
            let name = VersionName::new(&version.name).ok()?;
            let spec = service.versions.iter().find(|spec| spec.name == name);
            Some((name, version, spec))
        });
        let is_offline = last.traffic == Kind::Split && last.held.is_none();
        Self { versions: versions.collect(), is_offline }
    }

    fn before(&self) -> Before<'_> {
        let shares = self.versions.iter().enumerate().map(|(index, (_, it, _))| (index, it.share));
        let base = match Split::new(shares.collect()) {
            Ok(split) if !split.is_offline() => Base::Split(split),
            _ if self.is_offline => Base::Offline,
            _ => Base::Nothing,
        };
        let incumbents = self.versions.iter().map(|(name, version, spec)| {
            let env = spec.map(VersionSpec::env);
            Some(Incumbent { name, digest: version.standing.digest(), env })
        });
        Before { base, incumbents: incumbents.collect() }
    }
}

impl ServiceDescription {
    /// A service with these versions.
    pub fn of(
        root: &Path,
        service: &Service,
        held: Option<String>,
        versions: Vec<VersionDescription>,
    ) -> Self {
        let Service { name, domains, routes, versions: _, traffic, policy: _, quarantine, file } =
            service;
        Self {
            name: name.to_string(),
            file: file.clone(),
            domains: domains.iter().map(ToString::to_string).collect(),
            routes: routes.iter().map(ToString::to_string).collect(),
            traffic: match traffic {
                Traffic::Latest => Kind::Latest,
                Traffic::Split(_) => Kind::Split,
            },
            policy: policy::settings(root, service),
            held,
            quarantine: quarantine.iter().map(quarantined).collect(),
            versions,
        }
    }
}

fn quarantined(entry: &Quarantined) -> String {
    let Quarantined { digest, env, version, remark: _ } = entry;
    let env = env.map(|env| format!(" with env {env}")).unwrap_or_default();
    format!("{version} {digest}{env}")
}

impl VersionDescription {
    /// A version with this share.
    pub fn of(root: &Path, spec: &VersionSpec, share: Percent, standing: Standing) -> Self {
        let VersionSpec { name, remark, backend, limits } = spec;
        let mut settings = limit_settings(limits);
        settings.extend(remark.as_ref().map(|text| ("remark".to_owned(), Value::text(text))));
        let backend = match backend {
            BackendSpec::Guest(guest) => {
                settings.extend(guest_settings(root, guest));
                BackendDescription::Component(Value::path(root, &guest.component))
            }
        };
        Self { name: name.to_string(), backend, settings, share, standing }
    }

    /// The digest of what serves it, where that is known: of a guest, its component's.
    pub fn digest(&self) -> Option<Digest> {
        self.standing.digest()
    }

    /// Why it is in error, if it is.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.standing {
            Standing::Error(fault) => Some(fault),
            Standing::Creating | Standing::Normal { .. } => None,
        }
    }
}

fn limit_settings(limits: &Limits) -> Settings {
    let Limits { wall_time, request_body, concurrency, queue_time } = limits;
    let settings = [
        ("limits.wall-time", show_duration(*wall_time)),
        ("limits.request-body", request_body.to_string()),
        ("limits.concurrency", concurrency.to_string()),
        ("limits.queue-time", show_duration(*queue_time)),
    ];
    settings.map(|(key, text)| (key.to_owned(), Value::text(text))).into()
}

/// The keys of a guest beside `component`.
fn guest_settings(root: &Path, guest: &GuestSpec) -> Settings {
    let GuestSpec { component: _, digest, env, limits } = guest;
    let GuestLimits { memory, cpu_time, instance_reuse } = limits;
    let limits = [
        ("limits.memory", memory.to_string()),
        ("limits.cpu-time", show_duration(*cpu_time)),
        ("limits.instance-reuse", instance_reuse.to_string()),
    ];
    let mut settings =
        Settings::from(limits.map(|(key, text)| (key.to_owned(), Value::text(text))));
    settings.extend(digest.map(|digest| ("digest".to_owned(), Value::text(digest))));
    let variable =
        |(key, value): &(String, EnvValue)| (format!("env.{key}"), shown(root, key, value));
    settings.extend(env.iter().map(variable));
    settings
}

impl BackendDescription {
    /// The key that declares it, with what that says.
    pub(super) fn entry(&self) -> (&'static str, &Value) {
        match self {
            Self::Component(path) => ("component", path),
        }
    }
}

/// Where a value comes from, or a digest of it.
fn shown(root: &Path, key: &str, value: &EnvValue) -> Value {
    match value {
        EnvValue::Plain(text) => Value::text(EnvValue::digest_of(key, text)),
        EnvValue::Secret(source) => place(root, source),
    }
}

/// Where a secret is.
pub(super) fn place(root: &Path, source: &SecretSource) -> Value {
    match source {
        SecretSource::File(path) => Value::path(root, path).behind("file:"),
        SecretSource::FromEnv(variable) => Value::text(format!("from-env:{variable}")),
    }
}

impl Value {
    /// A value that is not a path.
    pub fn text(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), relative: None }
    }

    /// An absolute path in a configuration whose main file is in `root`.
    pub fn path(root: &Path, path: &Path) -> Self {
        let relative = relative(root, path).display().to_string();
        Self { text: path.display().to_string(), relative: Some(relative) }
    }

    /// Whether both mean one thing, also as parts of two copies of a configuration.
    pub fn is_same(&self, other: &Self) -> bool {
        self.text == other.text || (self.relative.is_some() && self.relative == other.relative)
    }

    /// The same with something before it.
    fn behind(self, prefix: &str) -> Self {
        let behind = |text: String| format!("{prefix}{text}");
        Self { text: behind(self.text), relative: self.relative.map(behind) }
    }
}

/// The way from one absolute directory to an absolute path, by names.
fn relative(root: &Path, path: &Path) -> PathBuf {
    let shared = root.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = root.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

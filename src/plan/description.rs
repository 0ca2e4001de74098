//! What is declared and served, without anything secret: of a running process or of files, in one
//! shape that two sides can be compared in. An environment value is only ever its digest.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::policy;
use crate::config::{
    Config, ConnectionLimits, EnvValue, Expose, Limits, Percent, Quarantined, Reach,
    ServerSettings, Service, Setting, Traffic, VersionSpec, show_duration,
};

/// Hexadecimal digits of the digest that stands for an environment value.
const VALUE_DIGITS: usize = 12;

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
    pub component: Value,
    /// Every other key.
    pub settings: Settings,
    /// Percent of the traffic: now, or as the files declare.
    #[serde(with = "percent")]
    pub share: Percent,
    #[serde(flatten)]
    pub standing: Standing,
}

/// Where a version stands; one that is only declared stands as well as its files let it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Standing {
    Creating,
    Normal {
        /// Of the component: `sha256:…`.
        digest: String,
    },
    Error(Fault),
}

/// Why a version is in error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: String,
    pub detail: String,
    pub suggestion: String,
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
    /// What files declare, where each version stands as `standing` says.
    pub fn of_files(
        config: &Config,
        root: &Path,
        standing: impl Fn(&VersionSpec) -> Standing,
    ) -> Self {
        let ServerSettings { expose, limits, .. } = &config.server;
        let applied = applied(*expose, limits);
        let mut description = Self::new(root, applied, started_with(root, config), None);
        for (environment, service) in config.services() {
            let standings: Vec<_> = service.versions.iter().map(&standing).collect();
            let latest = latest(service, &standings);
            let versions = service.versions.iter().zip(standings).enumerate();
            let versions = versions.map(|(index, (spec, standing))| {
                let share = declared_share(service, latest, index);
                VersionDescription::of(root, spec, share, standing)
            });
            let service = ServiceDescription::of(root, service, None, versions.collect());
            description.push(environment.name.as_str(), service);
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

/// The last version that may get traffic.
fn latest(service: &Service, standings: &[Standing]) -> Option<usize> {
    let may_serve = |(spec, standing): (&VersionSpec, &Standing)| match standing {
        Standing::Normal { digest } => {
            digest.parse().map_or(true, |digest| service.quarantined(spec, &digest).is_none())
        }
        Standing::Creating | Standing::Error(_) => true,
    };
    let is_live = |index: &usize| service.policy.reach_of(*index) == Reach::Live;
    let versions = service.versions.iter().zip(standings).enumerate();
    let mut live = versions.rev().filter(|(index, _)| is_live(index));
    live.find(|(_, version)| may_serve(*version)).map(|(index, _)| index)
}

/// A version's share once everything declared is normal.
fn declared_share(service: &Service, latest: Option<usize>, index: usize) -> Percent {
    match &service.traffic {
        Traffic::Split(split) => split.share_of(index),
        Traffic::Latest if Some(index) == latest => Percent::ALL,
        Traffic::Latest => Percent::ZERO,
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
        let VersionSpec { name, component, digest, env, remark, limits } = spec;
        let mut settings = limit_settings(limits);
        settings.extend(digest.map(|digest| ("digest".to_owned(), Value::text(digest))));
        settings.extend(remark.as_ref().map(|text| ("remark".to_owned(), Value::text(text))));
        let variable =
            |(key, value): &(String, EnvValue)| (format!("env.{key}"), shown(root, key, value));
        settings.extend(env.iter().map(variable));
        let component = Value::path(root, component);
        Self { name: name.to_string(), component, settings, share, standing }
    }

    /// The digest of its component, where it is known.
    pub fn digest(&self) -> Option<&str> {
        match &self.standing {
            Standing::Normal { digest } => Some(digest),
            Standing::Creating | Standing::Error(_) => None,
        }
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
    let Limits {
        memory,
        cpu_time,
        wall_time,
        request_body,
        concurrency,
        queue_time,
        instance_reuse,
    } = limits;
    let settings = [
        ("limits.memory", memory.to_string()),
        ("limits.cpu-time", show_duration(*cpu_time)),
        ("limits.wall-time", show_duration(*wall_time)),
        ("limits.request-body", request_body.to_string()),
        ("limits.concurrency", concurrency.to_string()),
        ("limits.queue-time", show_duration(*queue_time)),
        ("limits.instance-reuse", instance_reuse.to_string()),
    ];
    settings.into_iter().map(|(key, text)| (key.to_owned(), Value::text(text))).collect()
}

/// Where a value comes from, or a digest of it. The variable's name is part of the digest, so that
/// two variables do not show that they have one value.
fn shown(root: &Path, key: &str, value: &EnvValue) -> Value {
    match value {
        EnvValue::Plain(text) => {
            let digest: [u8; 32] = Sha256::digest(format!("{key}\0{text}")).into();
            let mut digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.truncate(VALUE_DIGITS);
            Value::text(format!("sha256:{digits}"))
        }
        EnvValue::File(path) => Value::path(root, path).behind("file:"),
        EnvValue::FromEnv(variable) => Value::text(format!("from-env:{variable}")),
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
    pub(super) fn behind(self, prefix: &str) -> Self {
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

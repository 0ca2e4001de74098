//! Describes what a running process serves, or what files declare.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::{policy, upstream};
use crate::api::{
    BackendDescription, Description, EnvironmentDescription, Fault, QuarantineDescription,
    ServiceDescription, Settings, Standing, TrafficKind, Value, VersionDescription,
};
use crate::config::{
    BackendSpec, CertificateFiles, Config, ConnectionLimits, Digest, EnvValue, GuestSpec, IdleTime,
    Limits, Percent, Quarantined, SecretSource, ServerSettings, Service, Setting, Split,
    TlsSettings, Traffic, VersionName, VersionSpec, show_duration,
};
use crate::policy::{Base, Before, Case, Incumbent, Verdict};

impl Description {
    /// Describes what a process would serve by these files: a process that serves `before` now, or one
    /// that starts. `standing` says where each version stands.
    pub fn of_files(
        config: &Config,
        root: &Path,
        before: Option<&Self>,
        standing: impl Fn(&VersionSpec) -> Standing,
    ) -> Self {
        let applied = applied(root, &config.server);
        let mut description = Self::new(root, applied, started_with(root, config), None);
        for (environment, service) in config.services() {
            let environment = environment.name.as_str();
            let last = before.and_then(|before| before.service(environment, service.name.as_str()));
            let service = ServiceDescription::declared(root, service, last, &standing);
            description.push(environment, service);
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

    /// A service of an environment.
    pub fn service(&self, environment: &str, name: &str) -> Option<&ServiceDescription> {
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
pub fn applied(root: &Path, server: &ServerSettings) -> Settings {
    let ServerSettings { expose, health_path, trusted_proxies, tls, limits, .. } = server;
    let ConnectionLimits {
        head,
        headers,
        head_time,
        idle_time,
        connections,
        client_rate: _,
        streams,
        resets,
    } = limits;
    let client_rate = limits.client_rate_written();
    let trusted: Vec<_> = trusted_proxies.iter().map(ToString::to_string).collect();
    let settings = [
        ("server.expose", Some(expose.as_str().to_owned())),
        ("server.health-path", health_path.clone()),
        ("server.trusted-proxies", Some(trusted.join(", ")).filter(|text| !text.is_empty())),
        ("server.limits.head", Some(head.to_string())),
        ("server.limits.headers", Some(headers.to_string())),
        ("server.limits.head-time", Some(show_duration(*head_time))),
        ("server.limits.idle-time", Some(show_duration(*idle_time))),
        ("server.limits.connections", Some(connections.to_string())),
        ("server.limits.client-rate", Some(client_rate)),
        ("server.limits.streams", Some(streams.to_string())),
        ("server.limits.resets", Some(resets.to_string())),
    ];
    let settings = settings.into_iter();
    let settings = settings.filter_map(|(key, text)| Some((key.to_owned(), Value::text(text?))));
    settings.chain(tls.iter().flat_map(|tls| applied_tls(root, tls))).collect()
}

fn applied_tls(root: &Path, tls: &TlsSettings) -> Settings {
    let TlsSettings { listen: _, minimum, redirect, hsts, ticket_keys, certificates } = tls;
    let files = certificates.iter().enumerate().flat_map(|(index, files)| {
        let CertificateFiles { certificate, key } = files;
        let at = format!("server.tls.certificates[{index}]");
        [(format!("{at}.certificate"), certificate), (format!("{at}.key"), key)]
    });
    let files = files.map(|(key, file)| (key, Value::path(root, &file.path)));
    let settings = [
        ("server.tls.minimum", Some(Value::text(minimum.as_str().to_owned()))),
        ("server.tls.redirect", Some(Value::text(redirect.to_string()))),
        ("server.tls.hsts", hsts.map(|hsts| Value::text(show_duration(hsts)))),
        ("server.tls.ticket-keys", ticket_keys.as_ref().map(|file| Value::path(root, &file.path))),
    ];
    let settings = settings.into_iter();
    settings.filter_map(|(key, value)| Some((key.to_owned(), value?))).chain(files).collect()
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

/// Versions that still have a share and are no longer declared.
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
    /// Whether the service is offline on purpose.
    is_offline: bool,
}

impl<'a> Served<'a> {
    /// A version has the environment that the files declare under its name. This misleads only where
    /// the name is used again for something else.
    fn of(last: &'a ServiceDescription, service: &'a Service) -> Self {
        let versions = last.versions.iter().filter_map(|version| {
            let name = VersionName::new(&version.name).ok()?;
            let spec = service.versions.iter().find(|spec| spec.name == name);
            Some((name, version, spec))
        });
        let is_offline = last.traffic == TrafficKind::Split && last.held.is_none();
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
    /// Describes what a process would serve by this declaration: a process that serves `last` now, or
    /// one that starts. `standing` says where each version stands.
    pub fn declared(
        root: &Path,
        service: &Service,
        last: Option<&Self>,
        standing: impl Fn(&VersionSpec) -> Standing,
    ) -> Self {
        let standings: Vec<_> = service.versions.iter().map(standing).collect();
        let served = last.map(|last| Served::of(last, service));
        let served = served.as_ref().map(Served::before);
        let case = Case { service, standings: &standings, before: served.as_ref() };
        let Verdict { held, shares, stand_in, .. } = case.verdict();
        let share = |name: &VersionName| {
            let found = shares.iter().find(|(taker, _)| taker == name);
            found.map_or(Percent::ZERO, |(_, share)| *share)
        };
        let versions = service.versions.iter().zip(standings);
        let versions = versions.map(|(spec, standing)| {
            VersionDescription::of(root, spec, share(&spec.name), standing)
        });
        let mut versions: Vec<_> = versions.collect();
        versions.extend(last.into_iter().flat_map(|last| kept(last, service, share)));
        let rescuer = stand_in.map(|name| name.to_string());
        Self { rescuer, ..Self::of(root, service, held, versions) }
    }

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
                Traffic::Latest => TrafficKind::Latest,
                Traffic::Split(_) => TrafficKind::Split,
            },
            policy: policy::settings(root, service),
            held,
            rescuer: None,
            quarantined: quarantine.iter().map(quarantined).collect(),
            versions,
        }
    }
}

fn quarantined(entry: &Quarantined) -> QuarantineDescription {
    let Quarantined { digest, env, version, remark: _ } = entry;
    QuarantineDescription {
        version: version.to_string(),
        digest: digest.to_string(),
        env: env.map(|env| env.to_string()),
    }
}

impl VersionDescription {
    /// A version with this share.
    pub fn of(root: &Path, spec: &VersionSpec, share: Percent, standing: Standing) -> Self {
        let VersionSpec { name, remark, backend, limits, place: _ } = spec;
        let mut settings = limit_settings(limits);
        settings.extend(remark.as_ref().map(|text| ("remark".to_owned(), Value::text(text))));
        let backend = match backend {
            BackendSpec::Guest(guest) => {
                settings.extend(guest_settings(root, guest));
                BackendDescription::Component(Value::path(root, &guest.component))
            }
            BackendSpec::Upstream(upstream) => {
                settings.extend(upstream::settings(root, upstream));
                let targets = upstream.targets.iter();
                let targets: Vec<_> = targets.map(|it| it.address.to_string()).collect();
                BackendDescription::Upstream(Value::text(targets.join(", ")))
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

/// An older process does not know `idle-time`, and has its default.
fn limit_settings(limits: &Limits) -> Settings {
    let mut settings = settings_of(&limits.entries());
    if limits.idle_time == IdleTime::WallTime {
        settings.remove("limits.idle-time");
    }
    settings
}

/// The keys of a guest beside `component`.
fn guest_settings(root: &Path, guest: &GuestSpec) -> Settings {
    let GuestSpec { component: _, digest, env, outbound, limits } = guest;
    let mut settings = settings_of(&limits.entries());
    settings.extend(digest.map(|digest| ("digest".to_owned(), Value::text(digest))));
    // One key for each, so that a plan shows what is added and what is taken away.
    settings.extend(outbound.iter().map(|it| (format!("outbound.{it}"), Value::text("allowed"))));
    let variable =
        |(key, value): &(String, EnvValue)| (format!("env.{key}"), shown(root, key, value));
    settings.extend(env.iter().map(variable));
    settings
}

fn settings_of(limits: &[(&str, toml::Value)]) -> Settings {
    let text = |written: &toml::Value| match written {
        toml::Value::String(text) => Value::text(text),
        number => Value::text(number),
    };
    limits.iter().map(|(key, written)| (format!("limits.{key}"), text(written))).collect()
}

impl BackendDescription {
    /// The key that declares it, with what that says.
    pub(super) fn entry(&self) -> (&'static str, &Value) {
        match self {
            Self::Component(path) => ("component", path),
            Self::Upstream(targets) => ("upstream", targets),
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

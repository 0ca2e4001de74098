//! One version as declared: the settings that every version has, and those of its backend.
//!
//! A backend is what serves a version. Each match on [`BackendSpec`] names every variant, so that a new kind of backend
//! makes the compiler list the places to extend.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ByteSize, Digest, EnvValue, Origin, Place, UpstreamSpec, VersionName, hours};

/// One immutable deployable of a service, as declared: nothing has been read or compiled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSpec {
    pub name: VersionName,
    /// A note for people.
    pub remark: Option<String>,
    pub backend: BackendSpec,
    pub limits: Limits,
    /// Where the file names what serves it.
    pub place: Place,
}

/// What serves a version, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendSpec {
    Guest(GuestSpec),
    Upstream(Box<UpstreamSpec>),
}

/// A WebAssembly component, its environment and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSpec {
    /// Absolute; the file need not exist.
    pub component: PathBuf,
    /// The digest that the component must have, where one is declared.
    pub digest: Option<Digest>,
    /// Sorted by key.
    pub env: Vec<(String, EnvValue)>,
    /// What it may reach; nothing where this is empty. Sorted, and each once.
    pub outbound: Vec<Origin>,
    pub limits: GuestLimits,
}

/// What one version may use, whatever its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time until the response head.
    pub wall_time: Duration,
    pub idle_time: IdleTime,
    pub request_body: ByteSize,
    /// Requests of the version in flight.
    pub concurrency: NonZeroU32,
    /// How long a request beyond `concurrency` waits before it gets a 503.
    pub queue_time: Duration,
}

/// How long a response may pause between two parts of its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdleTime {
    /// As long as its head may take.
    #[default]
    WallTime,
    After(Duration),
    /// For ever, for streams of events.
    Never,
}

impl IdleTime {
    pub const NONE: &str = "none";
    pub const RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=hours(24);
}

/// What one guest may use, beside the [`Limits`] of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestLimits {
    /// All linear memories and tables of one instance together.
    pub memory: ByteSize,
    /// Time spent running guest code for one request.
    pub cpu_time: Duration,
    /// Requests that one instance may serve; 1 is a fresh sandbox for every request.
    pub instance_reuse: NonZeroU32,
    /// Calls that a guest may make for one request.
    pub outbound_requests: NonZeroU32,
    /// Calls of the version's guests in flight.
    pub outbound_concurrency: NonZeroU32,
}

/// Every limit that a table `limits` can set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllLimits {
    pub version: Limits,
    pub guest: GuestLimits,
}

impl VersionSpec {
    /// A version with the default limits.
    pub fn new(name: VersionName, backend: impl Into<BackendSpec>) -> Self {
        Self {
            name,
            remark: None,
            backend: backend.into(),
            limits: Limits::default(),
            place: Place::default(),
        }
    }

    /// Every file that the version is made from, in an order that depends on the declaration alone: a guest's component
    /// first, then the files of its secrets.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let guest = self.guest().into_iter().flat_map(|GuestSpec { component, env, .. }| {
            let secrets = env.iter().filter_map(|(_, value)| value.secret()?.file());
            std::iter::once(component.as_path()).chain(secrets)
        });
        guest.chain(self.upstream().into_iter().flat_map(UpstreamSpec::files))
    }

    /// The component that serves the version, if one does.
    pub fn guest(&self) -> Option<&GuestSpec> {
        match &self.backend {
            BackendSpec::Guest(guest) => Some(guest),
            BackendSpec::Upstream(_) => None,
        }
    }

    /// The upstream that serves the version, if one does.
    pub fn upstream(&self) -> Option<&UpstreamSpec> {
        match &self.backend {
            BackendSpec::Upstream(upstream) => Some(upstream),
            BackendSpec::Guest(_) => None,
        }
    }

    /// The environment variables of the version, sorted by key; empty where the backend has none.
    pub fn env(&self) -> &[(String, EnvValue)] {
        match &self.backend {
            BackendSpec::Guest(guest) => &guest.env,
            BackendSpec::Upstream(_) => &[],
        }
    }

    /// The digest of what serves the version, where the declaration alone tells it.
    pub fn declared_digest(&self) -> Option<Digest> {
        match &self.backend {
            BackendSpec::Guest(guest) => guest.digest,
            BackendSpec::Upstream(upstream) => Some(upstream.digest()),
        }
    }
}

impl GuestSpec {
    /// A component without a declared digest or an environment, which may reach nothing, under the default limits.
    pub fn new(component: impl Into<PathBuf>) -> Self {
        let limits = GuestLimits::default();
        let (env, outbound) = Default::default();
        Self { component: component.into(), digest: None, env, outbound, limits }
    }
}

impl From<UpstreamSpec> for BackendSpec {
    fn from(upstream: UpstreamSpec) -> Self {
        Self::Upstream(Box::new(upstream))
    }
}

impl From<GuestSpec> for BackendSpec {
    fn from(guest: GuestSpec) -> Self {
        Self::Guest(guest)
    }
}

impl Limits {
    /// How long a response may pause between two parts of its body; `None`: for ever.
    pub fn idle_time(&self) -> Option<Duration> {
        match self.idle_time {
            IdleTime::WallTime => Some(self.wall_time),
            IdleTime::After(time) => Some(time),
            IdleTime::Never => None,
        }
    }

    pub const WALL_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=hours(24);
    pub const REQUEST_BODY: RangeInclusive<ByteSize> = ByteSize::new(0)..=ByteSize::gib(1024);
    pub const CONCURRENCY: RangeInclusive<i64> = 1..=100_000;
    pub const QUEUE_TIME: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: Duration::from_secs(30),
            idle_time: IdleTime::default(),
            request_body: ByteSize::mib(16),
            concurrency: NonZeroU32::MIN.saturating_add(511),
            queue_time: Duration::from_millis(100),
        }
    }
}

impl GuestLimits {
    pub const MEMORY: RangeInclusive<ByteSize> = ByteSize::kib(64)..=ByteSize::gib(4);
    pub const CPU_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=hours(1);
    pub const INSTANCE_REUSE: RangeInclusive<i64> = 1..=u32::MAX as i64;
    pub const OUTBOUND_REQUESTS: RangeInclusive<i64> = 1..=100_000;
    pub const OUTBOUND_CONCURRENCY: RangeInclusive<i64> = 1..=100_000;
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self {
            memory: ByteSize::mib(128),
            cpu_time: Duration::from_secs(1),
            instance_reuse: NonZeroU32::MIN,
            outbound_requests: NonZeroU32::MIN.saturating_add(63),
            outbound_concurrency: NonZeroU32::MIN.saturating_add(255),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretSource;

    /// The reloader follows these files, a quarantine entry may name them, and the history keeps them.
    #[test]
    fn a_version_answers_for_its_backend() {
        let secret = EnvValue::Secret(SecretSource::File("/run/token".into()));
        let variable = EnvValue::Secret(SecretSource::FromEnv("KEY".to_owned()));
        let digest = Digest::of("component");
        let guest = GuestSpec {
            digest: Some(digest),
            env: vec![("A".to_owned(), secret), ("B".to_owned(), variable)],
            ..GuestSpec::new("/app.wasm")
        };
        let spec = VersionSpec::new(VersionName::new("v1").unwrap(), guest);
        let files: Vec<_> = spec.files().collect();
        assert_eq!(files, [Path::new("/app.wasm"), Path::new("/run/token")]);
        assert_eq!(spec.declared_digest(), Some(digest));
        assert_eq!(spec.env().len(), 2);
        let written = spec.written();
        let limits = written["limits"].as_table().unwrap();
        let keys: Vec<_> = limits.keys().map(String::as_str).collect();
        let expected = [
            "concurrency",
            "cpu-time",
            "idle-time",
            "instance-reuse",
            "memory",
            "outbound-concurrency",
            "outbound-requests",
            "queue-time",
            "request-body",
            "wall-time",
        ];
        assert_eq!(keys, expected);
        assert_eq!(written["component"].as_str(), Some("/app.wasm"));
    }
}

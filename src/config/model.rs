//! The configuration as the rest of the program sees it. A value of these types cannot be wrong:
//! names are labels, splits add up, paths are absolute. Every default is written here and nowhere
//! else. `validate` is the only place that builds a [`Config`]; `versions` and the server read
//! it.

mod address_kind;
mod closing;
mod connection;
mod env;
mod glob;
mod name;
mod outbound;
mod place;
mod policy;
mod quantity;
mod quarantine;
mod share;
mod upstream;
mod version;
mod written;

pub use address_kind::AddressKind;
pub use connection::ConnectionLimits;
pub use env::{EnvValue, SecretSource};
pub use glob::{Glob, GlobError, Part};
pub use name::{
    DomainError, DomainPattern, EnvironmentName, LabelError, RuleName, ServiceName, VersionName,
    domain,
};
pub use outbound::{Host, Origin, OriginError, OriginHost, OriginScheme, split_port};
pub use place::Place;
pub use policy::{
    CookieSettings, Destination, Match, Otherwise, Overrides, Pick, PolicySpec, Reach, Rescue,
    Route, Rule, SameSite, Sticky, StickyKey, StickyMode, WhenUnhealthy,
};
pub use quantity::{ByteSize, Digest, DigestError, QuantityError, parse_duration, show_duration};
pub use quarantine::Quarantined;
pub use share::{Percent, PercentError, Split, SplitError, gap, show_hundredths, spread};
pub use upstream::{
    Balance, EjectSpec, HealthSpec, HostHeader, IdentitySpec, Protocol, RetrySpec, TargetAddress,
    TargetSpec, TlsSpec, UpstreamSpec,
};
pub use version::{AllLimits, BackendSpec, GuestLimits, GuestSpec, IdleTime, Limits, VersionSpec};

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::report::Problem;

/// Everything that the files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub server: ServerSettings,
    pub admin: AdminSettings,
    pub state: StateSettings,
    pub components: ComponentSettings,
    pub environments: Vec<Environment>,
    /// Warnings: what is right in the services' files and yet can hardly be meant, in the order of files.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// The services of all environments, in the order of declaration.
    pub fn services(&self) -> impl Iterator<Item = (&Environment, &Arc<Service>)> {
        self.environments.iter().flat_map(|environment| {
            environment.services.iter().map(move |service| (environment, service))
        })
    }

    /// Whether two configurations are served alike. Warnings, and the lines that they are on, do not matter.
    pub fn is_served_like(&self, other: &Self) -> bool {
        let Self { server, admin, state, components, environments, warnings: _ } = self;
        *server == other.server
            && *admin == other.admin
            && *state == other.state
            && *components == other.components
            && *environments == other.environments
    }
}

/// How requests reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// At least one.
    pub listen: Vec<SocketAddr>,
    /// Worker threads; 0 means one for each core.
    pub threads: usize,
    /// Sandboxes that may exist at once, over all versions.
    pub sandboxes: NonZeroU32,
    /// How long requests in flight may finish on SIGTERM.
    pub grace_period: Duration,
    /// How long requests are still accepted after SIGTERM, before the grace period.
    pub drain_delay: Duration,
    pub expose: Expose,
    pub watch: Watch,
    pub limits: ConnectionLimits,
}

impl ServerSettings {
    pub const THREADS: RangeInclusive<i64> = 0..=1024;
    pub const SANDBOXES: RangeInclusive<i64> = 1..=10_000;
    pub const GRACE_PERIOD: RangeInclusive<Duration> = Duration::ZERO..=hours(1);
    pub const DRAIN_DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: vec![loopback(8080)],
            threads: 0,
            sandboxes: NonZeroU32::MIN.saturating_add(1023),
            grace_period: Duration::from_secs(10),
            drain_delay: Duration::ZERO,
            expose: Expose::Version,
            watch: Watch::Events,
            limits: ConnectionLimits::default(),
        }
    }
}

/// What a response tells a client about the decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expose {
    /// Nothing.
    None,
    /// The header `watershed-version`.
    Version,
    /// That header and `watershed-decision`.
    Decision,
}

impl Expose {
    pub const ALL: [Self; 3] = [Self::None, Self::Version, Self::Decision];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Version => "version",
            Self::Decision => "decision",
        }
    }
}

/// How changes of files are noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// The kernel reports them.
    Events,
    /// Watershed looks at the files this often: for file systems that report nothing, such as NFS.
    Poll(Duration),
}

impl Watch {
    pub const EVENTS: &str = "events";
    /// What comes before the duration.
    pub const POLL: &str = "poll:";
    pub const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=hours(1);
}

impl fmt::Display for Watch {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => f.write_str(Self::EVENTS),
            Self::Poll(interval) => write!(f, "{}{}", Self::POLL, show_duration(*interval)),
        }
    }
}

/// How operators reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// A loopback address unless there is a token file.
    pub listen: SocketAddr,
    /// Absolute. A request for more than the process's health must present this file's content.
    pub token_file: Option<PathBuf>,
    /// Host names, in lower case, under which the listener answers beside addresses and loopback names.
    pub hosts: Vec<String>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: loopback(9090), token_file: None, hosts: Vec::new() }
    }
}

/// Where state is kept that must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSettings {
    /// Absolute. Holds the history and the compile cache.
    pub directory: PathBuf,
}

impl StateSettings {
    /// Relative to the main file.
    pub const DIRECTORY: &str = "../state";
}

/// Where `deploy` keeps copies of components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSettings {
    /// Absolute. Holds a directory for each service. It need not exist.
    pub directory: PathBuf,
}

impl ComponentSettings {
    /// Relative to the main file.
    pub const DIRECTORY: &str = "components";
}

/// A namespace of services with one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    pub name: EnvironmentName,
    /// Lower case, no wildcard.
    pub domain: String,
    /// In the order of their files' paths.
    pub services: Vec<Arc<Service>>,
}

impl Environment {
    /// The domain of the environment of a file that declares none.
    pub const DOMAIN: &str = "localhost";
    /// Where an environment's services are, relative to the main file.
    pub const SERVICES: &str = "services/*.toml";
}

/// Something with domains, versions and a traffic policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: ServiceName,
    /// The default domain `<service>.<environment domain>` first.
    pub domains: Vec<DomainPattern>,
    /// Parts of domains that the service shares with others.
    pub routes: Vec<Route>,
    /// In the order of the file: the last one is the latest. May be empty only under [`Traffic::Latest`].
    pub versions: Vec<VersionSpec>,
    pub traffic: Traffic,
    pub policy: PolicySpec,
    /// Components that must not get traffic.
    pub quarantine: Vec<Quarantined>,
    /// Absolute.
    pub file: PathBuf,
}

impl Service {
    /// Every domain of which the service has all or a part.
    pub fn all_domains(&self) -> Vec<&DomainPattern> {
        self.domains.iter().chain(self.routes.iter().map(|route| &route.domain)).collect()
    }
}

/// Who gets what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// A full upgrade: the newest version that is normal gets all traffic.
    #[default]
    Latest,
    /// A gray upgrade: shares set by hand.
    Split(Split),
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

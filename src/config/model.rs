//! The configuration as the rest of the program sees it. A value of these types cannot be wrong:
//! names are labels, splits add up, paths are absolute. Every default is written here and nowhere
//! else. `validate` is the only place that builds a [`Config`]; `versions` and the server read
//! it.

mod address_kind;
mod closing;
mod connection;
mod domain;
mod env;
mod glob;
mod name;
mod outbound;
mod place;
mod policy;
mod quantity;
mod quarantine;
mod rate_limit;
mod server;
mod share;
mod upstream;
mod version;
mod written;

pub use address_kind::AddressKind;
pub use connection::ConnectionLimits;
pub use domain::{DomainError, DomainPattern, domain};
pub use env::{EnvValue, SecretSource};
pub use glob::{Glob, GlobError, Part};
pub use name::{EnvironmentName, LabelError, RuleName, ServiceName, VersionName};
pub use outbound::{Host, Origin, OriginError, OriginHost, OriginScheme, split_port};
pub use place::Place;
pub use policy::{
    CookieSettings, Destination, Match, Otherwise, Overrides, Pick, PolicySpec, Reach, Rescue,
    Route, Rule, SameSite, Sticky, StickyKey, StickyMode, WhenUnhealthy,
};
pub use quantity::{ByteSize, Digest, DigestError, QuantityError, parse_duration, show_duration};
pub use quarantine::Quarantined;
pub use rate_limit::{Rate, RateError, RateKey, RateLimit};
pub use server::{
    CertificateFiles, Expose, NamedFile, ProxyProtocol, ServerSettings, TlsSettings, TlsVersion,
    Watch,
};
pub use share::{Percent, PercentError, Split, SplitError, gap, show_hundredths, spread};
pub use upstream::{
    Balance, EjectSpec, HealthSpec, HostHeader, IdentitySpec, Protocol, RetrySpec, TargetAddress,
    TargetSpec, TlsSpec, UpstreamSpec,
};
pub use version::{AllLimits, BackendSpec, GuestLimits, GuestSpec, IdleTime, Limits, VersionSpec};
pub use written::RATE_LIMIT;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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

//! An upstream as declared: HTTP services on the network that serve a version, and how they are asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Percent, hours};

/// A set of targets that serve a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// At least one. No address is there twice.
    pub targets: Vec<TargetSpec>,
    pub protocol: Protocol,
    pub balance: Balance,
    pub host: HostHeader,
    /// How often names are looked up again.
    pub resolve: Duration,
    pub connect_timeout: Duration,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// `None`: no active checks.
    pub health: Option<HealthSpec>,
    /// `None`: no target is ejected for its failures.
    pub eject: Option<EjectSpec>,
    pub retry: RetrySpec,
}

/// One address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    pub address: TargetAddress,
    pub weight: NonZeroU32,
}

/// Where a target is. A name may stand for several addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetAddress {
    Address(SocketAddr),
    /// A host name in lower case, without a dot at its end, and a port.
    Name(String, u16),
}

/// The protocol that targets speak.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
    /// TLS, in which ALPN chooses HTTP/2 or HTTP/1.1.
    Tls(TlsSpec),
}

/// How TLS to a target begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsSpec {
    /// Whom the target's certificate must name; `None`: the target's own host.
    pub server_name: Option<String>,
    /// Absolute. PEM. `None`: the roots of the system.
    pub ca: Option<PathBuf>,
    /// For mutual TLS.
    pub identity: Option<IdentitySpec>,
}

/// The certificate that a target is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentitySpec {
    /// Absolute. PEM, the certificate first, then its chain.
    pub certificate: PathBuf,
    /// Absolute. PEM.
    pub key: PathBuf,
}

/// How the target of a request is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    #[default]
    RoundRobin,
    Random,
    /// Of two targets drawn at random, the one with fewer requests for its weight.
    LeastRequests,
    /// Consistent: by the sticky key, or else by the client's address.
    Hash,
}

/// Which host a target is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostHeader {
    /// The client's.
    #[default]
    Keep,
    /// The target's own, as it is declared.
    Target,
    Name(String),
}

/// Active checks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthSpec {
    /// What is asked for; `None`: a TCP connection is enough.
    pub path: Option<String>,
    /// The statuses of a healthy target.
    pub status: RangeInclusive<u16>,
    pub interval: Duration,
    pub timeout: Duration,
    /// Successes in a row until a target is healthy.
    pub healthy: NonZeroU32,
    /// Failures in a row until it is not.
    pub unhealthy: NonZeroU32,
}

/// When a target that fails requests gets none for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EjectSpec {
    /// In a row: failures to connect, resets, and statuses from 500 on.
    pub failures: NonZeroU32,
    /// Doubled each time, up to [`EjectSpec::LONGEST`].
    pub duration: Duration,
    /// Of the targets.
    pub at_most: Percent,
}

/// When a request is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySpec {
    /// Beside the first.
    pub attempts: u32,
    /// After a failure to connect.
    pub connect: bool,
    /// After a reset, if the method is idempotent.
    pub reset: bool,
    /// After these statuses, if the method is idempotent. Sorted.
    pub statuses: Vec<u16>,
    /// Retries, as a share of requests.
    pub budget: Percent,
}

impl UpstreamSpec {
    pub const TARGETS: RangeInclusive<usize> = 1..=1024;
    pub const RESOLVE: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(24);
    pub const CONNECT_TIMEOUT: RangeInclusive<Duration> =
        Duration::from_millis(1)..=Duration::from_secs(60);
    pub const IDLE_TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=hours(1);

    /// Every file that the upstream is made from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let tls = match &self.protocol {
            Protocol::Tls(tls) => Some(tls),
            Protocol::Http1 | Protocol::H2c => None,
        };
        tls.into_iter().flat_map(|TlsSpec { ca, identity, server_name: _ }| {
            let identity = identity.iter().flat_map(|it| [&it.certificate, &it.key]);
            ca.iter().chain(identity).map(PathBuf::as_path)
        })
    }

    /// These targets, with the default settings.
    pub fn new(targets: Vec<TargetSpec>) -> Self {
        Self {
            targets,
            protocol: Protocol::Http1,
            balance: Balance::default(),
            host: HostHeader::default(),
            resolve: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(60),
            health: None,
            eject: Some(EjectSpec::default()),
            retry: RetrySpec::default(),
        }
    }
}

impl TargetSpec {
    pub const WEIGHT: RangeInclusive<i64> = 1..=1000;

    /// A target of the default weight.
    pub fn new(address: TargetAddress) -> Self {
        Self { address, weight: NonZeroU32::MIN }
    }
}

impl TargetAddress {
    /// The host as it is declared, without brackets.
    pub fn host(&self) -> String {
        match self {
            Self::Address(address) => address.ip().to_string(),
            Self::Name(name, _) => name.clone(),
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Name(_, port) => *port,
        }
    }

    /// The address, where none has to be looked up.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip()),
            Self::Name(..) => None,
        }
    }
}

impl fmt::Display for TargetAddress {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl Protocol {
    pub const ALL: [&str; 3] = ["http1", "h2c", "tls"];

    /// As it is written in the file.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2c => "h2c",
            Self::Tls(_) => "tls",
        }
    }
}

impl Balance {
    pub const ALL: [Self; 4] = [Self::RoundRobin, Self::Random, Self::LeastRequests, Self::Hash];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
            Self::LeastRequests => "least-requests",
            Self::Hash => "hash",
        }
    }
}

impl HostHeader {
    pub const KEEP: &str = "keep";
    pub const TARGET: &str = "target";
}

impl HealthSpec {
    pub const STATUS: RangeInclusive<u16> = 100..=599;
    pub const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=hours(1);
    pub const TIMEOUT: RangeInclusive<Duration> =
        Duration::from_millis(10)..=Duration::from_secs(60);
    pub const IN_A_ROW: RangeInclusive<i64> = 1..=100;
}

impl Default for HealthSpec {
    fn default() -> Self {
        Self {
            path: None,
            status: 200..=399,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            healthy: NonZeroU32::MIN.saturating_add(1),
            unhealthy: NonZeroU32::MIN.saturating_add(2),
        }
    }
}

impl EjectSpec {
    pub const FAILURES: RangeInclusive<i64> = 1..=1000;
    /// The longest time without requests, however often it was doubled.
    pub const LONGEST: Duration = Duration::from_secs(300);
    pub const DURATION: RangeInclusive<Duration> = Duration::from_millis(100)..=Self::LONGEST;
}

impl Default for EjectSpec {
    fn default() -> Self {
        Self {
            failures: NonZeroU32::MIN.saturating_add(4),
            duration: Duration::from_secs(10),
            at_most: Percent::FIFTY,
        }
    }
}

impl RetrySpec {
    pub const ATTEMPTS: RangeInclusive<i64> = 0..=10;
    pub const CONNECT: &str = "connect";
    pub const RESET: &str = "reset";
    pub const STATUSES: RangeInclusive<u16> = 500..=599;
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            attempts: 2,
            connect: true,
            reset: true,
            statuses: Vec::new(),
            budget: Percent::TWENTY,
        }
    }
}

//! How requests reach us: `[server]`.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::super::report::Problem;
use super::{ConnectionLimits, Place, hours, loopback, show_duration};

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
    /// The path that says whether the process serves, for any host; it begins with `/`.
    pub health_path: Option<String>,
    pub proxy_protocol: ProxyProtocol,
    /// The proxies whose word on the client and the scheme is believed, and whose word on the host is passed on.
    pub trusted_proxies: Vec<IpNet>,
    /// HTTPS, where there is any.
    pub tls: Option<TlsSettings>,
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
            health_path: None,
            proxy_protocol: ProxyProtocol::Off,
            trusted_proxies: Vec::new(),
            tls: None,
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

/// Whether connections begin with the address of the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyProtocol {
    Off,
    /// Each begins with a header of version 1 or 2, and comes from a trusted proxy.
    V1V2,
}

impl ProxyProtocol {
    pub const ALL: [Self; 2] = [Self::Off, Self::V1V2];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::V1V2 => "v1-v2",
        }
    }
}

/// How HTTPS is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// At least one.
    pub listen: Vec<SocketAddr>,
    /// The oldest version that is spoken.
    pub minimum: TlsVersion,
    /// Whether a cleartext request for a name that has a certificate is sent to HTTPS.
    pub redirect: bool,
    /// How long browsers are told to use HTTPS only.
    pub hsts: Option<Duration>,
    /// The keys of session tickets; without it, each process makes its own.
    pub ticket_keys: Option<NamedFile>,
    /// At least one. The first is for clients that name no host, or one that no certificate has.
    pub certificates: Vec<CertificateFiles>,
}

impl TlsSettings {
    pub const CERTIFICATES_MAX: usize = 10_000;
    pub const HSTS: RangeInclusive<Duration> = Duration::ZERO..=hours(730 * 24);

    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.certificates.iter();
        let pairs = pairs.flat_map(|files| [&files.certificate, &files.key]);
        pairs.chain(&self.ticket_keys).map(|file| file.path.as_path())
    }
}

impl Default for TlsSettings {
    /// Without a certificate yet.
    fn default() -> Self {
        Self {
            listen: vec![loopback(8443)],
            minimum: TlsVersion::V1_2,
            redirect: false,
            hsts: None,
            ticket_keys: None,
            certificates: Vec::new(),
        }
    }
}

/// A version of TLS that can be the oldest one that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

impl TlsVersion {
    pub const ALL: [Self; 2] = [Self::V1_2, Self::V1_3];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

/// A certificate, and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate, and its chain.
    pub certificate: NamedFile,
    pub key: NamedFile,
}

/// A file that the main file names, and where it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedFile {
    /// Absolute.
    pub path: PathBuf,
    pub place: Place,
}

impl NamedFile {
    /// A problem with the file, at the place that names it; or of the file itself, where no place is known.
    pub fn problem(&self, message: impl Into<String>, help: impl Into<String>) -> Problem {
        self.place.problem(&self.path, message, help)
    }
}

impl From<PathBuf> for NamedFile {
    /// A file that nothing names.
    fn from(path: PathBuf) -> Self {
        Self { path, place: Place::default() }
    }
}

//! How versions are chosen other than by their shares: overrides, rules and stickiness; and the paths at which a
//! service shares a domain with others. Versions are indexes into those of the service, as in a [`Split`].

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::{ByteSize, DomainPattern, Glob, RateLimit, RuleName, SecretSource, Split, hours};

/// The keys of `[traffic]` beside the shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySpec {
    pub pick: Pick,
    /// Whether a component is told the lane of its request, to pass it on.
    pub propagate: bool,
    /// None unless written.
    pub overrides: Option<Overrides>,
    /// In order: the first that matches decides.
    pub rules: Vec<Rule>,
    pub sticky: Option<Sticky>,
    /// The reach of each version, in the order of versions.
    pub reach: Vec<Reach>,
    pub rescue: Option<Rescue>,
    pub when_unhealthy: WhenUnhealthy,
    pub rate_limit: Option<RateLimit>,
}

/// Which version answers the requests of versions that fail before their head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescue {
    /// The index of the version.
    pub version: usize,
    /// Request bodies up to this size are kept.
    pub buffer: ByteSize,
    /// Methods that may be done twice beside the idempotent ones, in upper case. Sorted.
    pub methods: Vec<String>,
    /// Statuses that count as failures. Sorted.
    pub statuses: Vec<u16>,
}

impl Rescue {
    pub const BUFFER: RangeInclusive<ByteSize> = ByteSize::new(0)..=ByteSize::mib(16);
    pub const BUFFER_DEFAULT: ByteSize = ByteSize::kib(64);
    pub const STATUSES: RangeInclusive<u16> = 500..=599;
}

/// What becomes of the share of a version without a healthy target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnhealthy {
    /// Its requests fail.
    #[default]
    Fail,
    /// The others get it, in proportion.
    Others,
}

impl WhenUnhealthy {
    pub const ALL: [Self; 2] = [Self::Fail, Self::Others];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Others => "others",
        }
    }
}

impl PolicySpec {
    /// Who may reach a version.
    pub fn reach_of(&self, version: usize) -> Reach {
        self.reach.get(version).copied().unwrap_or_default()
    }

    /// The file with the override key, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.overrides.as_ref()?.secret.as_ref()?.file()
    }
}

/// How a version is picked by its share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// At random, each request by itself.
    #[default]
    Random,
    /// In turns, so that the shares are right for a few requests too.
    Smooth,
}

impl Pick {
    pub const ALL: [Self; 2] = [Self::Random, Self::Smooth];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Smooth => "smooth",
        }
    }
}

/// Who may get a version in addition to its share. Each variant includes those that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Everybody: by its share, by rules, by stickiness and by overrides.
    #[default]
    Live,
    /// Users who are pinned to it already, and overrides.
    Pinned,
    /// Overrides.
    Override,
    /// Nobody.
    Cutoff,
}

impl Reach {
    pub const ALL: [Self; 4] = [Self::Live, Self::Pinned, Self::Override, Self::Cutoff];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Pinned => "pinned",
            Self::Override => "override",
            Self::Cutoff => "cutoff",
        }
    }
}

/// A kind of requests, and the version that they get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub name: RuleName,
    pub matches: Match,
    pub to: Destination,
    pub otherwise: Otherwise,
}

/// Where a rule sends what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Version(usize),
    /// Never offline.
    Split(Split),
}

/// What happens to a request whose rule leads to a version that cannot take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// The request is decided as if the rule had not matched.
    #[default]
    Next,
    /// The request fails.
    Fail,
}

impl Otherwise {
    pub const ALL: [Self; 2] = [Self::Next, Self::Fail];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Fail => "fail",
        }
    }
}

/// Conditions that a request must meet, all of them. Without a condition, every request matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Matches the path, percent-decoded except for `%2F`.
    pub path: Option<Glob>,
    /// The method, a token; case matters.
    pub method: Option<String>,
    /// Names in lower case, sorted; any value of the header may match.
    pub header: Vec<(String, Glob)>,
    /// Sorted by name; any value of the parameter may match, percent-decoded.
    pub query: Vec<(String, Glob)>,
    /// Sorted by name.
    pub cookie: Vec<(String, Glob)>,
    /// The network of the connection's other end.
    pub client: Option<IpNet>,
}

/// How requests of one user stay with one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    pub key: StickyKey,
    pub mode: StickyMode,
}

impl Sticky {
    pub const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(24 * 400);
    /// The most versions of a split with stickiness: the work to compile it grows with the square of their number.
    pub const VERSIONS_MAX: usize = 64;
    /// How long a pin holds by default.
    pub const DEFAULT_TTL: Duration = hours(24);
}

/// What identifies the requests of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StickyKey {
    /// A header's value; its name in lower case.
    Header(String),
    Cookie(String),
    Query(String),
    /// The address of the connection's other end.
    ClientAddress,
    /// A cookie that watershed sets.
    Generated(CookieSettings),
}

impl StickyKey {
    pub const HEADER: &str = "header:";
    pub const COOKIE: &str = "cookie:";
    pub const QUERY: &str = "query:";
    pub const CLIENT_ADDRESS: &str = "client-address";
    pub const GENERATED: &str = "generated";
}

impl fmt::Display for StickyKey {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "{}{name}", Self::HEADER),
            Self::Cookie(name) => write!(f, "{}{name}", Self::COOKIE),
            Self::Query(name) => write!(f, "{}{name}", Self::QUERY),
            Self::ClientAddress => f.write_str(Self::CLIENT_ADDRESS),
            Self::Generated(_) => f.write_str(Self::GENERATED),
        }
    }
}

/// How long users stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StickyMode {
    /// As long as the shares let them: a hash of the key decides.
    #[default]
    Hash,
    /// With the version that they got first, for this long from then on.
    Pin { ttl: Duration },
}

impl StickyMode {
    pub const HASH: &str = "hash";
    pub const PIN: &str = "pin";

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hash => Self::HASH,
            Self::Pin { .. } => Self::PIN,
        }
    }
}

/// A cookie that watershed sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    /// A token.
    pub name: String,
    pub ttl: Duration,
    pub secure: bool,
    pub http_only: bool,
    /// `None` only for a secure cookie.
    pub same_site: SameSite,
}

impl CookieSettings {
    pub const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(24 * 400);
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            name: "watershed-id".to_owned(),
            ttl: hours(24 * 30),
            secure: false,
            http_only: true,
            same_site: SameSite::Lax,
        }
    }
}

/// With which requests from other sites a browser sends a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

impl SameSite {
    pub const ALL: [Self; 3] = [Self::Lax, Self::Strict, Self::None];

    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "lax",
            Self::Strict => "strict",
            Self::None => "none",
        }
    }
}

/// The ways in which a request may ask for a version. At least one is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrides {
    /// By the header `watershed-version`.
    pub header: bool,
    /// By this query parameter.
    pub query: Option<String>,
    /// By this cookie.
    pub cookie: Option<String>,
    /// By `<version>--` in front of one of the service's domains.
    pub preview_domains: bool,
    /// The secret that `watershed-key` must have.
    pub secret: Option<SecretSource>,
}

/// A part of a domain that a service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub domain: DomainPattern,
    /// A prefix of whole segments: `/`, or a path such as `/api` without a slash at its end.
    pub path: String,
}

impl Route {
    /// The whole domain.
    pub const WHOLE: &str = "/";
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            Self::WHOLE => write!(f, "{}", self.domain),
            path => write!(f, "{}{path}", self.domain),
        }
    }
}

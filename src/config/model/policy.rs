//! Which version a request gets otherwise than by its share: overrides, rules and stickiness, and
//! the paths at which a service shares a domain with others. Versions are indexes into those of the
//! service, as in a [`Split`].

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::{DomainPattern, Glob, RuleName, SecretSource, Split, hours};

/// What is said under `[traffic]` beside who gets what.
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
    /// Of each version, in their order.
    pub reach: Vec<Reach>,
}

impl PolicySpec {
    /// Who may reach a version.
    pub fn reach_of(&self, version: usize) -> Reach {
        self.reach.get(version).copied().unwrap_or_default()
    }

    /// The file that must be read for it, if any.
    pub fn file(&self) -> Option<&Path> {
        self.overrides.as_ref()?.secret.as_ref()?.file()
    }
}

/// How a share of the requests is picked where nothing else decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// Each request by itself.
    #[default]
    Random,
    /// In turns, so that few requests have the shares too.
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

/// Who may get a version, beside those who get it by its share. Each includes those that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Everybody: by its share, by rules, by stickiness and by overrides.
    #[default]
    Live,
    /// Who is pinned to it already, and overrides.
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

/// Requests that are alike, and the version that they get.
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

/// What becomes of a request whose rule leads to a version that cannot take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// It is decided as if the rule had not matched.
    #[default]
    Next,
    /// It fails.
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

/// What a request must be like: all of it. Empty, it is every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Of the path, percent-decoded but for `%2F`.
    pub path: Option<Glob>,
    /// A token; case matters.
    pub method: Option<String>,
    /// Names in lower case, sorted; any of the header's values.
    pub header: Vec<(String, Glob)>,
    /// Sorted by name; any of the parameter's values, percent-decoded.
    pub query: Vec<(String, Glob)>,
    /// Sorted by name.
    pub cookie: Vec<(String, Glob)>,
    /// Of the connection's other end.
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
    /// How many versions of a split users can stay with: what it takes to find out grows with their
    /// square.
    pub const VERSIONS_MAX: usize = 64;
    /// How long a pin holds that says nothing else.
    pub const DEFAULT_TTL: Duration = hours(24);
}

/// What requests of one user have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StickyKey {
    /// A header's value; its name in lower case.
    Header(String),
    Cookie(String),
    Query(String),
    /// The address of the connection's other end.
    ClientAddress,
    /// A cookie of our own.
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

/// How long a user stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StickyMode {
    /// As long as the shares let him: a hash of the key decides.
    #[default]
    Hash,
    /// With the version that he was given first, for as long, counted from then.
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

/// A cookie of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    /// A token.
    pub name: String,
    pub ttl: Duration,
    pub secure: bool,
    pub http_only: bool,
    /// `None` only where it is secure.
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

/// How a request may say which version it wants. At least one way is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrides {
    /// By the header `watershed-version`.
    pub header: bool,
    /// By this query parameter.
    pub query: Option<String>,
    /// By this cookie.
    pub cookie: Option<String>,
    /// By `<version>--` before one of the service's domains.
    pub preview_domains: bool,
    /// What must come along in `watershed-key`.
    pub secret: Option<SecretSource>,
}

/// A part of a domain that a service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub domain: DomainPattern,
    /// A prefix of whole segments: `/`, or `/api` without a slash at its end.
    pub path: String,
}

impl Route {
    /// All of a domain.
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

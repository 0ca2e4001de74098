//! What a guest may reach, as declared: origins, networks and services. A text is normalised once, here, and so is the
//! URL of every call, so that two ways to write one place compare as one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use super::name::{EnvironmentName, LabelError, ServiceName};

/// What precedes the name of a service.
const SERVICE: &str = "service:";
/// RFC 1035, section 2.3.4, as text.
const NAME_MAX: usize = 253;

/// An entry of `outbound`: something that a guest may reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// `scheme://host[:port]`.
    Url { scheme: OriginScheme, host: OriginHost, port: u16 },
    /// Addresses, at any port and over either scheme.
    Network(IpNet),
    /// A service of this process, asked by one of its domains.
    Service {
        /// `None`: the environment of the version.
        environment: Option<EnvironmentName>,
        name: ServiceName,
    },
}

/// The schemes that guests can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OriginScheme {
    Http,
    Https,
}

/// The hosts that an origin stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OriginHost {
    /// This name and no other.
    Exact(String),
    /// `*.example.org`, kept without its `*.`. Stands for exactly one more label in front.
    Wildcard(String),
    /// Never an IPv6 address that stands for one of IPv4.
    Address(IpAddr),
}

/// The host of a URL, normalised: lower case, ASCII, without percent-encoding and without a dot at its end. Every way to
/// write an IPv4 address is an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why a text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OriginError {
    #[error("it is empty")]
    Empty,
    #[error("it has no scheme")]
    NoScheme,
    #[error("`{0}` is not a scheme that guests can call")]
    Scheme(String),
    #[error("it names a user")]
    UserInfo,
    #[error("it has a path, and a version may reach all of an origin or nothing of it")]
    Path,
    #[error("it has a query or a fragment")]
    Query,
    #[error("`*` may only stand for one whole label, the first")]
    Wildcard,
    #[error("`{0}` is not a host")]
    Host(String),
    #[error("`{0}` is not a port")]
    Port(String),
    #[error("`{0}` is not a network")]
    Network(String),
    #[error("`{label}` is not the name of a service or an environment: {reason}")]
    Service { label: String, reason: LabelError },
}

impl OriginScheme {
    /// As it is written in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of URLs that say none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme of a text in any case.
    pub fn of(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|it| text.eq_ignore_ascii_case(it.as_str()))
    }
}

impl Host {
    /// Reads a host as browsers do ([URL standard, host parsing](https://url.spec.whatwg.org/#host-parsing)), and also
    /// takes a dot at its end away.
    ///
    /// # Errors
    ///
    /// Where the text is neither a host name nor an address.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError::Host(text.to_owned());
        match url::Host::parse(text).map_err(|_| wrong())? {
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::Address(IpAddr::V6(address).to_canonical())),
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let is_name = name.len() <= NAME_MAX && name.split('.').all(|it| !it.is_empty());
                is_name.then(|| Self::Name(name.to_owned())).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text.is_empty() {
            return Err(OriginError::Empty);
        }
        if let Some(service) = text.strip_prefix(SERVICE) {
            return self::service(service);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return url(scheme, rest);
        }
        match (text.parse::<IpNet>(), text.split_once('/')) {
            (Ok(network), _) => Ok(Self::Network(network.trunc())),
            (Err(_), Some((address, _))) if address.parse::<IpAddr>().is_ok() => {
                Err(OriginError::Network(text.to_owned()))
            }
            _ => Err(OriginError::NoScheme),
        }
    }
}

fn service(text: &str) -> Result<Origin, OriginError> {
    let (environment, name) = match text.split_once('/') {
        Some((environment, name)) => {
            let environment = EnvironmentName::new(environment)
                .map_err(|reason| OriginError::Service { label: environment.to_owned(), reason })?;
            (Some(environment), name)
        }
        None => (None, text),
    };
    let name = ServiceName::new(name)
        .map_err(|reason| OriginError::Service { label: name.to_owned(), reason })?;
    Ok(Origin::Service { environment, name })
}

fn url(scheme: &str, rest: &str) -> Result<Origin, OriginError> {
    let scheme = OriginScheme::of(scheme).ok_or_else(|| OriginError::Scheme(scheme.to_owned()))?;
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(OriginError::UserInfo);
    }
    match behind {
        "" | "/" => {}
        query if query.contains(['?', '#']) => return Err(OriginError::Query),
        _ => return Err(OriginError::Path),
    }
    let (host, port) = split_port(authority);
    let port = match port {
        None | Some("") => scheme.default_port(),
        Some(text) => self::port(text).ok_or_else(|| OriginError::Port(text.to_owned()))?,
    };
    Ok(Origin::Url { scheme, host: self::host(host)?, port })
}

/// The host of an authority, and its port as it is written.
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The last colon of `[::1]` belongs to the address.
        Some((host, port)) if host.starts_with('[') == host.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

fn host(text: &str) -> Result<OriginHost, OriginError> {
    let (is_wildcard, name) = match text.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, text),
    };
    if name.contains('*') {
        return Err(OriginError::Wildcard);
    }
    match (Host::parse(name)?, is_wildcard) {
        (Host::Name(name), true) => Ok(OriginHost::Wildcard(name)),
        (Host::Name(name), false) => Ok(OriginHost::Exact(name)),
        (Host::Address(address), false) => Ok(OriginHost::Address(address)),
        (Host::Address(_), true) => Err(OriginError::Host(text.to_owned())),
    }
}

impl fmt::Display for OriginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Address(address) => Host::Address(*address).fmt(f),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { scheme, host, port } if *port == scheme.default_port() => {
                write!(f, "{}://{host}", scheme.as_str())
            }
            Self::Url { scheme, host, port } => write!(f, "{}://{host}:{port}", scheme.as_str()),
            Self::Network(network) => network.fmt(f),
            Self::Service { environment: Some(environment), name } => {
                write!(f, "{SERVICE}{environment}/{name}")
            }
            Self::Service { environment: None, name } => write!(f, "{SERVICE}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        text.parse::<Origin>().map_or_else(|error| format!("{error:?}"), |it| it.to_string())
    }

    #[test]
    fn an_origin_that_is_written_in_many_ways_is_one() {
        for (text, origin) in [
            ("https://api.example.com", "https://api.example.com"),
            ("HTTPS://API.example.com.", "https://api.example.com"),
            ("https://api.example.com:443/", "https://api.example.com"),
            ("https://api.example.com:0443", "https://api.example.com"),
            ("https://%61pi.example.com:", "https://api.example.com"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://BÜCHER。example", "https://xn--bcher-kva.example"),
            ("http://api.example.com:443", "http://api.example.com:443"),
            ("http://my_service:8080", "http://my_service:8080"),
            ("http://*.svc.local:8080", "http://*.svc.local:8080"),
            ("http://*.SVC.local.:80/", "http://*.svc.local"),
            ("http://2130706433/", "http://127.0.0.1"),
            ("http://0x7f.1:9001", "http://127.0.0.1:9001"),
            ("http://0177.0.0.1.", "http://127.0.0.1"),
            ("http://１２７.0.0.1", "http://127.0.0.1"),
            ("http://[::ffff:127.0.0.1]:9001", "http://127.0.0.1:9001"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("fd00::/8", "fd00::/8"),
            ("service:greeter", "service:greeter"),
            ("service:prod/greeter", "service:prod/greeter"),
        ] {
            assert_eq!(written(text), origin, "{text}");
            assert_eq!(written(origin), origin, "{text}");
        }
    }

    #[test]
    fn what_is_not_an_origin_is_refused() {
        let host = |text: &str| OriginError::Host(text.to_owned());
        let port = |text: &str| OriginError::Port(text.to_owned());
        for (text, error) in [
            ("", OriginError::Empty),
            ("api.example.com", OriginError::NoScheme),
            ("127.0.0.1", OriginError::NoScheme),
            ("*", OriginError::NoScheme),
            ("10.0.0.0/33", OriginError::Network("10.0.0.0/33".to_owned())),
            ("ftp://a.example", OriginError::Scheme("ftp".to_owned())),
            ("https://user@a.example", OriginError::UserInfo),
            ("https://a.example@b.example/", OriginError::UserInfo),
            ("https://a.example/v1", OriginError::Path),
            ("https://a.example//", OriginError::Path),
            ("https://a.example\\@b.example", OriginError::Path),
            ("https://a.example/?q", OriginError::Query),
            ("https://a.example#b", OriginError::Query),
            ("https://*", OriginError::Wildcard),
            ("https://a.*.example", OriginError::Wildcard),
            ("https://*.*.example", OriginError::Wildcard),
            ("https://*a.example", OriginError::Wildcard),
            ("https://*.127.0.0.1", host("*.127.0.0.1")),
            ("https://", host("")),
            ("https://.", host(".")),
            ("https://a..example", host("a..example")),
            ("https://a b.example", host("a b.example")),
            ("https://[::1", host("[::1")),
            ("https://[fe80::1%25eth0]", host("[fe80::1%25eth0]")),
            ("https://256.0.0.1", host("256.0.0.1")),
            ("https://a.example:0", port("0")),
            ("https://a.example:65536", port("65536")),
            ("https://a.example:+80", port("+80")),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(error), "{text}");
        }
        for text in ["service:", "service:a/b/c", "service:A", "service:/a"] {
            let error = text.parse::<Origin>();
            assert!(matches!(error, Err(OriginError::Service { .. })), "{text}: {error:?}");
        }
    }
}

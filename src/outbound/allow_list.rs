//! Decides what a guest may reach: first by the URL of a call, and then by each address that the URL's name leads to. Pure:
//! it looks nothing up.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

use crate::config::{
    AddressKind, EnvironmentName, Host, Origin, OriginHost, OriginScheme, ServiceName, split_port,
};

/// The one name that may lead to this machine itself.
const LOCALHOST: &str = "localhost";

/// What the guests of one version may reach.
#[derive(Debug)]
pub struct AllowList {
    /// The version's own, which entries `service:NAME` mean.
    environment: EnvironmentName,
    origins: Vec<Origin>,
}

/// Where a call goes, by its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub scheme: OriginScheme,
    pub host: Host,
    pub port: u16,
}

/// How a destination is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// Its address is listed, or is in a network that is.
    Address,
    /// Its name is listed. It may lead to any address but reserved ones.
    Name,
    /// Its name is one of a wildcard's. It may lead to public addresses, and to those that are listed.
    Wildcard,
}

/// The URL of a call is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("a call has no absolute URL")]
    Relative,
    #[error("the URL of a call names a user")]
    UserInfo,
    #[error("{0:?} is not a host and a port")]
    Authority(String),
}

impl Destination {
    /// Where a request with this target goes.
    ///
    /// # Errors
    ///
    /// Where the target is not an absolute URL over HTTP, or names a user.
    pub fn of(uri: &Uri) -> Result<Self, UrlError> {
        let scheme = uri.scheme_str().and_then(OriginScheme::of).ok_or(UrlError::Relative)?;
        let authority = uri.authority().ok_or(UrlError::Relative)?.as_str();
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let wrong = || UrlError::Authority(authority.to_owned());
        let (host, port) = split_port(authority);
        let port = match port {
            None | Some("") => scheme.default_port(),
            Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        };
        Ok(Self { scheme, host: Host::parse(host).map_err(|_| wrong())?, port })
    }

    /// The entry that would allow it.
    pub fn entry(&self) -> Origin {
        let host = match &self.host {
            Host::Name(name) => OriginHost::Exact(name.clone()),
            Host::Address(address) => OriginHost::Address(*address),
        };
        Origin::Url { scheme: self.scheme, host, port: self.port }
    }

    /// The entry that would allow one address of it.
    pub fn entry_of(&self, address: IpAddr) -> Origin {
        let host = OriginHost::Address(address.to_canonical());
        Origin::Url { scheme: self.scheme, host, port: self.port }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry().fmt(f)
    }
}

impl AllowList {
    /// What a version of this environment may reach.
    pub fn new(environment: EnvironmentName, origins: Vec<Origin>) -> Self {
        Self { environment, origins }
    }

    /// Whether it has services of this process.
    pub fn has_services(&self) -> bool {
        self.origins.iter().any(|origin| matches!(origin, Origin::Service { .. }))
    }

    /// Whether it has this service.
    pub fn has_service(&self, environment: &EnvironmentName, name: &ServiceName) -> bool {
        self.origins.iter().any(|origin| match origin {
            Origin::Service { environment: listed, name: service } => {
                service == name && listed.as_ref().unwrap_or(&self.environment) == environment
            }
            Origin::Url { .. } | Origin::Network(_) => false,
        })
    }

    /// How a destination is allowed, if it is. Where its host is a name, each address that the name leads to must be
    /// [allowed](Self::allows) too.
    pub fn grade(&self, to: &Destination) -> Option<Grade> {
        match &to.host {
            Host::Address(address) => self.lists(to, *address).then_some(Grade::Address),
            Host::Name(name) => self.grade_of_name(to, name),
        }
    }

    /// Whether a connection for a destination of this grade may go to an address. Always asked of the address that is
    /// connected to: whoever controls a name may let it lead anywhere, and elsewhere a moment later.
    pub fn allows(&self, to: &Destination, grade: Grade, address: IpAddr) -> bool {
        let is_named = match (grade, AddressKind::of(address)) {
            (Grade::Address, _)
            | (Grade::Wildcard, AddressKind::Private | AddressKind::Reserved) => false,
            (Grade::Name, AddressKind::Private) | (_, AddressKind::Public) => true,
            (Grade::Name, AddressKind::Reserved) => {
                to.host == Host::Name(LOCALHOST.to_owned()) && address.to_canonical().is_loopback()
            }
        };
        is_named || self.lists(to, address)
    }

    fn grade_of_name(&self, to: &Destination, name: &str) -> Option<Grade> {
        let grades = self.origins.iter().filter_map(|origin| match origin {
            Origin::Url { scheme, host, port } if (*scheme, *port) == (to.scheme, to.port) => {
                match host {
                    OriginHost::Exact(listed) => (listed == name).then_some(Grade::Name),
                    OriginHost::Wildcard(suffix) => {
                        is_below(name, suffix).then_some(Grade::Wildcard)
                    }
                    OriginHost::Address(_) => None,
                }
            }
            Origin::Url { .. } | Origin::Network(_) | Origin::Service { .. } => None,
        });
        // A name that is listed by itself may lead to more.
        grades.reduce(|one, other| if one == Grade::Name { one } else { other })
    }

    /// Whether an address is listed, for the scheme and port of a destination, or is in a network that is.
    fn lists(&self, to: &Destination, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_reserved = AddressKind::of(address) == AddressKind::Reserved;
        self.origins.iter().any(|origin| match origin {
            Origin::Url { scheme, host: OriginHost::Address(listed), port } => {
                (*listed, *scheme, *port) == (address, to.scheme, to.port)
            }
            Origin::Network(network) => {
                // A network of one address lists the address itself.
                let is_one = network.prefix_len() == network.max_prefix_len();
                network.contains(&address) && (is_one || !is_reserved)
            }
            Origin::Url { .. } | Origin::Service { .. } => false,
        })
    }
}

/// Whether a name is a suffix with exactly one more label in front.
fn is_below(name: &str, suffix: &str) -> bool {
    let label = name.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.'));
    label.is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

#[cfg(test)]
mod tests;

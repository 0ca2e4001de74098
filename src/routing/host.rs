//! Host names and paths to services: exact names first, then previews, then wildcards of one label,
//! and in the end what every other host has; within a host, the longest path.

mod paths;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Write;
use std::net::Ipv6Addr;
use std::sync::Arc;

use http::request::Parts;

use super::request::{Asked, Text};
use super::shards::Shards;
use paths::{Entry, Host};

/// The longest host name that can match: 253 octets ([RFC 1035, section 2.3.4], in text form), and a
/// label before it in a preview.
///
/// [RFC 1035, section 2.3.4]: https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
const LONGEST_HOST: usize = 253 + 64;

/// What is between a version and a domain in a preview's host name.
const PREVIEW: &str = "--";

/// A table from host names and paths to `P`, built by [`RouteTableBuilder`]. Copies share what they have
/// in common.
#[derive(Clone, Debug)]
pub struct RouteTable<P> {
    exact: Shards<Host<P>>,
    /// Keyed by what follows the first label, without the dot.
    wildcard: Shards<Host<P>>,
    /// For requests that nothing else leads anywhere.
    any: Host<P>,
}

/// What a request leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'t, 'r, P> {
    pub target: &'t P,
    /// What stands before `--` in the host name, where that is how it was found; in any case.
    pub preview: Option<&'r str>,
}

/// Collects the host names of a [`RouteTable`].
#[derive(Debug)]
pub struct RouteTableBuilder<P> {
    exact: HashMap<Arc<str>, Host<P>>,
    wildcard: HashMap<Arc<str>, Host<P>>,
    any: Host<P>,
}

/// The hosts that a route is for.
#[derive(Clone, Copy, Debug)]
pub enum HostPattern<'a> {
    /// A host name or an address, an IPv6 address in brackets and in its canonical form.
    Exact(&'a str),
    /// All names of one label before a suffix.
    Wildcard(&'a str),
    /// Every host that has no other route.
    Any,
}

/// A part of a host's requests.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// A prefix of whole segments, such as `/api`; `/` is everything.
    pub path: &'a str,
    /// Whether `<label>--` before the host leads here too.
    pub has_previews: bool,
}

impl Part<'_> {
    /// A whole host, without previews.
    pub const WHOLE: Self = Self { path: "/", has_previews: false };
}

impl<P> Default for RouteTableBuilder<P> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new(), any: Host::default() }
    }
}

impl<P> RouteTableBuilder<P> {
    /// Routes one host name, given without a port. The first to claim a name and a path keeps it.
    pub fn exact(&mut self, host: &str, part: Part<'_>, target: P) -> &mut Self {
        self.exact.entry(host.to_ascii_lowercase().into()).or_default().add(part, target);
        self
    }

    /// Routes every name of exactly one label before `.suffix` that no exact name claims.
    pub fn wildcard(&mut self, suffix: &str, part: Part<'_>, target: P) -> &mut Self {
        self.wildcard.entry(suffix.to_ascii_lowercase().into()).or_default().add(part, target);
        self
    }

    /// Routes every host that has no other route.
    pub fn any(&mut self, part: Part<'_>, target: P) -> &mut Self {
        self.any.add(part, target);
        self
    }

    /// Routes the hosts of a pattern.
    pub fn route(&mut self, host: HostPattern<'_>, part: Part<'_>, target: P) -> &mut Self {
        match host {
            HostPattern::Exact(host) => self.exact(host, part, target),
            HostPattern::Wildcard(suffix) => self.wildcard(suffix, part, target),
            HostPattern::Any => self.any(part, target),
        }
    }
}

impl<P: Clone> RouteTableBuilder<P> {
    /// The finished table.
    pub fn build(self) -> RouteTable<P> {
        RouteTable { exact: sharded(self.exact), wildcard: sharded(self.wildcard), any: self.any }
    }
}

fn sharded<P: Clone>(hosts: HashMap<Arc<str>, Host<P>>) -> Shards<Host<P>> {
    let mut shards = Shards::for_names(hosts.len());
    hosts.into_iter().for_each(|(name, host)| shards.insert(name, host));
    shards
}

impl<P: Clone> RouteTable<P> {
    /// Routes the hosts of a pattern, as [`RouteTableBuilder::route`] does.
    pub fn add(&mut self, host: HostPattern<'_>, part: Part<'_>, target: P) {
        let Some((shards, name)) = self.shards(host) else { return self.any.add(part, target) };
        let mut host = shards.get(&name).cloned().unwrap_or_default();
        host.add(part, target);
        shards.insert(name, host);
    }

    /// Takes the route of a path of some hosts away, if it leads to what is meant.
    pub fn remove(&mut self, host: HostPattern<'_>, path: &str, is_meant: impl Fn(&P) -> bool) {
        let Some((shards, name)) = self.shards(host) else {
            return self.any.remove(path, is_meant);
        };
        let Some(mut host) = shards.get(&name).cloned() else { return };
        host.remove(path, is_meant);
        match host.is_empty() {
            true => shards.remove(&name),
            false => shards.insert(name, host),
        }
    }

    /// Where the routes of a name or a suffix are.
    fn shards(&mut self, host: HostPattern<'_>) -> Option<(&mut Shards<Host<P>>, Arc<str>)> {
        match host {
            HostPattern::Exact(host) => Some((&mut self.exact, host.to_ascii_lowercase().into())),
            HostPattern::Wildcard(suffix) => {
                Some((&mut self.wildcard, suffix.to_ascii_lowercase().into()))
            }
            HostPattern::Any => None,
        }
    }
}

impl<P> RouteTable<P> {
    /// The target of a request, by the authority of its URI or else its `host` header, and by its
    /// path.
    ///
    /// A port and a trailing dot are ignored, letters of a host match in either case, and an IPv6
    /// address matches however it is written. An exact name goes before a preview, that before a
    /// wildcard, and that before [`HostPattern::Any`].
    ///
    /// ```
    /// use watershed::routing::{Part, RouteTableBuilder};
    ///
    /// let mut routes = RouteTableBuilder::default();
    /// let api = Part { path: "/api", ..Part::WHOLE };
    /// routes.exact("shop.localhost", Part::WHOLE, "shop").exact("shop.localhost", api, "api");
    /// let routes = routes.build();
    ///
    /// let (parts, ()) = http::Request::get("http://SHOP.localhost:8080/").body(())?.into_parts();
    /// assert_eq!(routes.find(&parts).map(|found| *found.target), Some("shop"));
    /// let (parts, ()) = http::Request::get("http://shop.localhost/api/1").body(())?.into_parts();
    /// assert_eq!(routes.find(&parts).map(|found| *found.target), Some("api"));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn find<'r>(&self, request: &'r Parts) -> Option<Found<'_, 'r, P>> {
        let last_resort = || {
            // A backend must be told a host, so a request without one leads nowhere.
            host_of(request).filter(|host| !host.is_empty())?;
            let path = Asked { parts: request, client: None, preview: None }.path();
            Some(self.any.at(path)?.found(None))
        };
        self.named(request).or_else(last_resort)
    }

    /// The same without [`HostPattern::Any`].
    pub fn named<'r>(&self, request: &'r Parts) -> Option<Found<'_, 'r, P>> {
        let path = Asked { parts: request, client: None, preview: None }.path();
        let host = without_port(host_of(request)?);
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut buffer = [0; LONGEST_HOST];
        if host.starts_with('[') {
            return self.find_lowercase(canonical_ipv6(host, &mut buffer)?, host, path);
        }
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_lowercase(host, host, path);
        }
        let lowered = buffer.get_mut(..host.len())?;
        lowered.copy_from_slice(host.as_bytes());
        lowered.make_ascii_lowercase();
        self.find_lowercase(std::str::from_utf8(lowered).ok()?, host, path)
    }

    fn find_lowercase<'t, 'r>(
        &'t self,
        host: &str,
        sent: &'r str,
        path: Text<'_>,
    ) -> Option<Found<'t, 'r, P>> {
        let found = |entry: &'t Entry<P>| entry.found(None);
        let exact = self.exact.get(host).and_then(|host| host.at(path)).map(found);
        let preview = || self.preview(host, sent, path);
        exact.or_else(preview).or_else(|| self.wildcard(host, path).map(found))
    }

    /// By the name behind `--`, where previews are wanted.
    fn preview<'r>(&self, host: &str, sent: &'r str, path: Text<'_>) -> Option<Found<'_, 'r, P>> {
        let (label, _) = host.split_once('.')?;
        let (version, _) = label.split_once(PREVIEW)?;
        let domain = host.get(version.len() + PREVIEW.len()..)?;
        let exact = self.exact.get(domain).and_then(|host| host.at(path));
        let entry = exact.or_else(|| self.wildcard(domain, path)).filter(|it| it.has_previews)?;
        Some(entry.found(sent.get(..version.len())))
    }

    fn wildcard(&self, host: &str, path: Text<'_>) -> Option<&Entry<P>> {
        let (label, suffix) = host.split_once('.')?;
        if label.is_empty() { None } else { self.wildcard.get(suffix)?.at(path) }
    }
}

/// The host that a request names, without a port and a trailing dot; in any case, and an IPv6 address in brackets.
pub fn host(request: &Parts) -> Option<&str> {
    let host = without_port(host_of(request)?);
    Some(host.strip_suffix('.').unwrap_or(host))
}

/// The port that a request names; `None` where it names none.
pub fn port(request: &Parts) -> Option<u16> {
    // What follows a colon within an IPv6 address is no number.
    host_of(request)?.rsplit_once(':')?.1.parse().ok()
}

/// The authority that a request names, as it was sent.
fn host_of(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers.get(http::header::HOST)?.to_str().ok(),
    }
}

/// `host:port` without the port; an IPv6 literal keeps its brackets.
fn without_port(authority: &str) -> &str {
    let at = memchr::memrchr(b'@', authority.as_bytes());
    let host = at.and_then(|at| authority.get(at + 1..)).unwrap_or(authority);
    match memchr::memrchr(b':', host.as_bytes()) {
        Some(colon) if !host.ends_with(']') => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}

/// The one form of an IPv6 address in brackets, which `domains` has too.
fn canonical_ipv6<'b>(host: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    let bare = host.strip_prefix('[')?.strip_suffix(']')?;
    let address: Ipv6Addr = bare.parse().ok()?;
    let room = buffer.len();
    let mut rest = &mut *buffer;
    write!(rest, "[{address}]").ok()?;
    let length = room - rest.len();
    std::str::from_utf8(buffer.get(..length)?).ok()
}

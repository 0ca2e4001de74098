//! Host names and paths to services: exact names first, then previews, then wildcards of one label;
//! within a host, the longest path.

mod paths;

use std::collections::HashMap;
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
}

/// A host name, or all names of one label before a suffix.
#[derive(Clone, Copy, Debug)]
pub enum HostPattern<'a> {
    Exact(&'a str),
    Wildcard(&'a str),
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
        Self { exact: HashMap::new(), wildcard: HashMap::new() }
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

    /// Routes a host name or a wildcard.
    pub fn route(&mut self, host: HostPattern<'_>, part: Part<'_>, target: P) -> &mut Self {
        match host {
            HostPattern::Exact(host) => self.exact(host, part, target),
            HostPattern::Wildcard(suffix) => self.wildcard(suffix, part, target),
        }
    }
}

impl<P: Clone> RouteTableBuilder<P> {
    /// The finished table.
    pub fn build(self) -> RouteTable<P> {
        RouteTable { exact: sharded(self.exact), wildcard: sharded(self.wildcard) }
    }
}

fn sharded<P: Clone>(hosts: HashMap<Arc<str>, Host<P>>) -> Shards<Host<P>> {
    let mut shards = Shards::for_names(hosts.len());
    hosts.into_iter().for_each(|(name, host)| shards.insert(name, host));
    shards
}

impl<P: Clone> RouteTable<P> {
    /// Routes a host name or a wildcard, as [`RouteTableBuilder::route`] does.
    pub fn add(&mut self, host: HostPattern<'_>, part: Part<'_>, target: P) {
        let (shards, name) = self.shards(host);
        let mut host = shards.get(&name).cloned().unwrap_or_default();
        host.add(part, target);
        shards.insert(name, host);
    }

    /// Takes the route of a path of a host name or a wildcard away, if it leads to what is meant.
    pub fn remove(&mut self, host: HostPattern<'_>, path: &str, is_meant: impl Fn(&P) -> bool) {
        let (shards, name) = self.shards(host);
        let Some(mut host) = shards.get(&name).cloned() else { return };
        host.remove(path, is_meant);
        match host.is_empty() {
            true => shards.remove(&name),
            false => shards.insert(name, host),
        }
    }

    fn shards(&mut self, host: HostPattern<'_>) -> (&mut Shards<Host<P>>, Arc<str>) {
        match host {
            HostPattern::Exact(host) => (&mut self.exact, host.to_ascii_lowercase().into()),
            HostPattern::Wildcard(suffix) => {
                (&mut self.wildcard, suffix.to_ascii_lowercase().into())
            }
        }
    }
}

impl<P> RouteTable<P> {
    /// The target of a request, by the authority of its URI or else its `host` header, and by its
    /// path.
    ///
    /// A port and a trailing dot are ignored, and letters of a host match in either case. An exact
    /// name goes before a preview, and that before a wildcard.
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
        let path = Asked { parts: request, client: None, preview: None }.path();
        let host = without_port(host_of(request)?);
        let host = host.strip_suffix('.').unwrap_or(host);
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_lowercase(host, host, path);
        }
        let mut buffer = [0; LONGEST_HOST];
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

#[cfg(test)]
mod tests {
    use super::super::request::tests::parts;
    use super::*;

    fn find(routes: &RouteTable<u8>, host: &str) -> Option<u8> {
        find_at(routes, host, "/").map(|(target, _)| target)
    }

    fn find_at(routes: &RouteTable<u8>, host: &str, path: &str) -> Option<(u8, Option<String>)> {
        let parts = parts(path, &[("host", host)]);
        let found = routes.find(&parts)?;
        Some((*found.target, found.preview.map(str::to_owned)))
    }

    fn routes() -> RouteTable<u8> {
        let mut routes = RouteTableBuilder::default();
        routes
            .exact("a.example.org", Part::WHOLE, 1)
            .wildcard("example.org", Part::WHOLE, 2)
            .exact("[::1]", Part::WHOLE, 3);
        routes.build()
    }

    #[test]
    fn an_exact_name_goes_before_a_wildcard() {
        assert_eq!(find(&routes(), "a.example.org"), Some(1));
        assert_eq!(find(&routes(), "b.example.org"), Some(2));
    }

    #[test]
    fn a_wildcard_matches_one_label_only() {
        assert_eq!(find(&routes(), "a.b.example.org"), None);
        assert_eq!(find(&routes(), "example.org"), None);
        assert_eq!(find(&routes(), ".example.org"), None);
    }

    #[test]
    fn port_case_and_trailing_dot_do_not_matter() {
        for host in ["A.Example.ORG", "a.example.org:8080", "a.example.org.", "A.example.org.:1"] {
            assert_eq!(find(&routes(), host), Some(1), "{host}");
        }
        assert_eq!(find(&routes(), "[::1]:80"), Some(3));
        assert_eq!(find(&routes(), "[::1]"), Some(3));
    }

    #[test]
    fn an_overlong_host_matches_nothing() {
        assert_eq!(find(&routes(), &"A".repeat(400)), None);
    }

    #[test]
    fn the_authority_goes_before_the_host_header() {
        let parts = parts("http://a.example.org/", &[("host", "b.example.org")]);
        assert_eq!(routes().find(&parts).map(|found| *found.target), Some(1));
    }

    #[test]
    fn the_longest_path_wins_and_ends_at_a_segment() {
        let part = |path| Part { path, ..Part::WHOLE };
        let mut routes = RouteTableBuilder::default();
        routes
            .exact("a.test", part("/api"), 1)
            .exact("a.test", part("/api/v2"), 2)
            .exact("a.test", part("/api"), 9)
            .wildcard("test", part("/"), 3);
        let routes = routes.build();
        let at = |path| find_at(&routes, "a.test", path).map(|(target, _)| target);
        assert_eq!([at("/api"), at("/api/"), at("/api/v1"), at("/api?x=/v2")], [Some(1); 4]);
        assert_eq!([at("/api/v2"), at("/api/v2/x"), at("/%61pi/v2")], [Some(2); 3]);
        // What no path of the host has is for the wildcard.
        assert_eq!([at("/"), at("/apis"), at("/api%2Fv2")], [Some(3); 3]);
    }

    #[test]
    fn a_route_goes_without_the_others_of_its_host() {
        let part = |path| Part { path, ..Part::WHOLE };
        let mut builder = RouteTableBuilder::default();
        builder.exact("a.test", part("/api"), 1).exact("a.test", part("/"), 2);
        let before = builder.build();
        let mut after = before.clone();
        after.remove(HostPattern::Exact("A.test"), "/api/", |target| *target == 9);
        after.remove(HostPattern::Exact("A.test"), "/", |target| *target == 2);
        after.add(HostPattern::Wildcard("test"), Part::WHOLE, 3);
        fn at(routes: &RouteTable<u8>, path: &str) -> Option<u8> {
            find_at(routes, "a.test", path).map(|(target, _)| target)
        }
        assert_eq!((at(&before, "/api"), at(&before, "/")), (Some(1), Some(2)));
        assert_eq!((at(&after, "/api"), at(&after, "/")), (Some(1), Some(3)));
        after.remove(HostPattern::Exact("a.test"), "/api", |target| *target == 1);
        assert_eq!(at(&after, "/api"), Some(3));
    }

    #[test]
    fn previews_are_for_those_who_want_them() {
        let preview = Part { has_previews: true, ..Part::WHOLE };
        let mut routes = RouteTableBuilder::default();
        routes
            .exact("shop.test", preview, 1)
            .exact("v3--shop.test", Part::WHOLE, 2)
            .exact("other.test", Part::WHOLE, 3)
            .wildcard("test", Part::WHOLE, 4)
            .wildcard("example.org", preview, 5);
        let routes = routes.build();
        let at = |host| find_at(&routes, host, "/");
        assert_eq!(at("v2--shop.test"), Some((1, Some("v2".to_owned()))));
        assert_eq!(at("V2--Shop.test:80"), Some((1, Some("V2".to_owned()))));
        assert_eq!(at("v3--shop.test"), Some((2, None)), "a name of its own");
        assert_eq!(at("v2--other.test"), Some((4, None)), "no previews: a label like others");
        assert_eq!(at("v2--a.example.org"), Some((5, Some("v2".to_owned()))));
        assert_eq!(at("v2--a--b.example.org"), Some((5, Some("v2".to_owned()))));
        assert_eq!(at("--shop.test"), Some((1, Some(String::new()))));
    }
}

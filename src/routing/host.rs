//! Host names to services: exact names first, then wildcards of one label.

use std::collections::HashMap;

use http::request::Parts;

/// The longest host name that can match: 253 octets ([RFC 1035, section 2.3.4], in text form).
///
/// [RFC 1035, section 2.3.4]: https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
const LONGEST_HOST: usize = 253;

/// An immutable table from host names to `P`, built by [`RouteTableBuilder`].
#[derive(Debug)]
pub struct RouteTable<P> {
    exact: HashMap<Box<str>, P>,
    /// Keyed by what follows the first label, without the dot.
    wildcard: HashMap<Box<str>, P>,
}

/// Collects the host names of a [`RouteTable`].
#[derive(Debug)]
pub struct RouteTableBuilder<P> {
    table: RouteTable<P>,
}

impl<P> Default for RouteTableBuilder<P> {
    fn default() -> Self {
        Self { table: RouteTable { exact: HashMap::new(), wildcard: HashMap::new() } }
    }
}

impl<P> RouteTableBuilder<P> {
    /// Routes one host name, given without a port. The first to claim a name keeps it.
    pub fn exact(&mut self, host: &str, target: P) -> &mut Self {
        self.table.exact.entry(host.to_ascii_lowercase().into()).or_insert(target);
        self
    }

    /// Routes every name of exactly one label before `.suffix` that no exact name claims.
    pub fn wildcard(&mut self, suffix: &str, target: P) -> &mut Self {
        self.table.wildcard.entry(suffix.to_ascii_lowercase().into()).or_insert(target);
        self
    }

    /// The finished table.
    pub fn build(self) -> RouteTable<P> {
        self.table
    }
}

impl<P> RouteTable<P> {
    /// The target of a request, by the authority of its URI or else its `host` header.
    ///
    /// A port and a trailing dot are ignored, and letters match in either case. An exact name goes
    /// before a wildcard.
    ///
    /// ```
    /// use watershed::routing::RouteTableBuilder;
    ///
    /// let mut routes = RouteTableBuilder::default();
    /// routes.exact("greeter.localhost", "greeter").wildcard("example.org", "any");
    /// let routes = routes.build();
    ///
    /// let (parts, ()) = http::Request::get("http://GREETER.localhost:8080/").body(())?.into_parts();
    /// assert_eq!(routes.find(&parts), Some(&"greeter"));
    /// let (parts, ()) = http::Request::get("http://a.b.example.org/").body(())?.into_parts();
    /// assert_eq!(routes.find(&parts), None);
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn find(&self, request: &Parts) -> Option<&P> {
        self.find_host(host_of(request)?)
    }

    fn find_host(&self, authority: &str) -> Option<&P> {
        let host = without_port(authority);
        let host = host.strip_suffix('.').unwrap_or(host);
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_lowercase(host);
        }
        let mut buffer = [0; LONGEST_HOST];
        let lowered = buffer.get_mut(..host.len())?;
        lowered.copy_from_slice(host.as_bytes());
        lowered.make_ascii_lowercase();
        self.find_lowercase(std::str::from_utf8(lowered).ok()?)
    }

    fn find_lowercase(&self, host: &str) -> Option<&P> {
        self.exact.get(host).or_else(|| {
            let (label, suffix) = host.split_once('.')?;
            if label.is_empty() { None } else { self.wildcard.get(suffix) }
        })
    }
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
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(routes: &RouteTable<u8>, host: &str) -> Option<u8> {
        let (parts, ()) =
            http::Request::get("/").header("host", host).body(()).unwrap().into_parts();
        routes.find(&parts).copied()
    }

    fn routes() -> RouteTable<u8> {
        let mut routes = RouteTableBuilder::default();
        routes.exact("a.example.org", 1).wildcard("example.org", 2).exact("[::1]", 3);
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
        assert_eq!(find(&routes(), &"A".repeat(300)), None);
    }

    #[test]
    fn the_authority_goes_before_the_host_header() {
        let (parts, ()) = http::Request::get("http://a.example.org/")
            .header("host", "b.example.org")
            .body(())
            .unwrap()
            .into_parts();
        assert_eq!(routes().find(&parts), Some(&1));
    }
}

//! Under which names the listener answers, and which requests come from its own pages.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version};

use super::AdminError;

/// Names of this machine for itself, beside those below `localhost`
/// ([RFC 6761, section 6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
const LOOPBACK: [&str; 7] = [
    "localhost",
    "localhost4",
    "localhost6",
    "localhost.localdomain",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
];

/// Where a browser says that a request comes from ([Fetch
/// Metadata](https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header)).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The names that the operator lists, in lower case. Addresses and names of this machine need not be listed.
#[derive(Clone, Debug)]
pub struct Names(pub Arc<[String]>);

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A page of this listener, or no page.
    Ours,
    /// A page of another origin. It may read nothing that its visitor's cookie opens, and change nothing.
    Foreign,
}

impl Names {
    /// Where a request comes from.
    ///
    /// # Errors
    ///
    /// Where the listener does not answer under the name that the request uses.
    pub fn sender(&self, request: &Request) -> Result<Sender, AdminError> {
        let host = self.host(request)?;
        Ok(match is_ours(request.headers(), host.as_ref()) {
            true => Sender::Ours,
            false => Sender::Foreign,
        })
    }

    /// The host that the request is for. HTTP/1.0 clients may name none; no browser speaks HTTP/1.0.
    fn host(&self, request: &Request) -> Result<Option<Authority>, AdminError> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let header = match (hosts.next(), hosts.next()) {
            (Some(only), None) => Some(parse(only)?),
            (None, _) => None,
            (Some(_), Some(_)) => return Err(AdminError::HostMissing),
        };
        let target = request.uri().authority().cloned();
        for named in [&target, &header].into_iter().flatten() {
            if !self.answers(named) {
                return Err(AdminError::HostUnknown(named.as_str().to_owned()));
            }
        }
        // RFC 9112, section 3.2.2: an absolute target takes precedence over `Host`.
        match target.or(header) {
            None if request.version() > Version::HTTP_10 => Err(AdminError::HostMissing),
            named => Ok(named),
        }
    }

    fn answers(&self, authority: &Authority) -> bool {
        let host = authority.host();
        // Refuses a user before the host, and anything but a port behind it.
        let is_bare = authority.as_str().strip_prefix(host).is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        });
        if !is_bare {
            return false;
        }
        if let Some(literal) = host.strip_prefix('[') {
            return literal.trim_end_matches(']').parse::<Ipv6Addr>().is_ok();
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        name.parse::<Ipv4Addr>().is_ok()
            || LOOPBACK.contains(&name.as_str())
            || name.ends_with(".localhost")
            || self.0.contains(&name)
    }
}

fn parse(host: &HeaderValue) -> Result<Authority, AdminError> {
    Authority::try_from(host.as_bytes()).map_err(|_| {
        let shown = String::from_utf8_lossy(host.as_bytes()).chars().take(100).collect();
        AdminError::HostUnknown(shown)
    })
}

/// Whether no header says that the request comes from another site's page.
fn is_ours(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let site_is_ours = headers.get_all(SEC_FETCH_SITE).iter().all(|site| {
        // A page on another port of this machine is the same site, and yet may belong to somebody else.
        site == "same-origin" || site == "none"
    });
    let mut origins = headers.get_all(ORIGIN).iter();
    site_is_ours && origins.all(|origin| is_origin_of(origin, host))
}

/// Whether an origin is the host that the request is for, by either scheme: TLS may end in front of us.
fn is_origin_of(origin: &HeaderValue, host: Option<&Authority>) -> bool {
    let Some(host) = host else { return false };
    let origin = origin.to_str().unwrap_or_default();
    [("http://", 80), ("https://", 443)].into_iter().any(|(scheme, port)| {
        let origin = origin.strip_prefix(scheme).and_then(|rest| rest.parse::<Authority>().ok());
        origin.is_some_and(|origin| {
            let port_of = |authority: &Authority| authority.port_u16().unwrap_or(port);
            origin.host().eq_ignore_ascii_case(host.host()) && port_of(&origin) == port_of(host)
        })
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn names() -> Names {
        Names(["ops.example.com".to_owned()].into())
    }

    fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn addresses_loopback_names_and_listed_names_are_answered() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9090",
            "10.1.2.3:9090",
            "[::1]:9090",
            "[2001:db8::1]",
            "localhost",
            "LocalHost.:9090",
            "watershed.localhost:9090",
            "ip6-localhost",
            "ops.example.com",
            "OPS.example.com.:443",
        ] {
            assert!(names().sender(&request("GET", "/livez", &[("host", host)])).is_ok(), "{host}");
        }
    }

    #[test]
    fn no_other_name_is_answered() {
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "ops.example.com.evil.example",
            "x.ops.example.com",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "[::1].evil.example",
            "[::1",
            "",
            "a b",
        ] {
            let refused = names().sender(&request("GET", "/livez", &[("host", host)]));
            assert!(matches!(refused, Err(AdminError::HostUnknown(_))), "{host}: {refused:?}");
        }
    }

    #[test]
    fn both_names_of_a_request_count() {
        let allows = |target: &str, hosts: &[&str]| {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            names().sender(&request("GET", target, &headers))
        };
        assert!(allows("http://localhost:9090/livez", &["localhost:9090"]).is_ok());
        assert!(allows("http://evil.example/livez", &["localhost"]).is_err());
        assert!(allows("http://localhost/livez", &["evil.example"]).is_err());
        let twice = allows("/livez", &["localhost", "localhost"]);
        assert!(matches!(twice, Err(AdminError::HostMissing)), "{twice:?}");
        let nameless = allows("/livez", &[]);
        assert!(matches!(nameless, Err(AdminError::HostMissing)), "{nameless:?}");
    }

    #[test]
    fn a_client_of_http_1_0_names_no_host() {
        let mut probe = request("GET", "/livez", &[]);
        *probe.version_mut() = Version::HTTP_10;
        assert!(names().sender(&probe).is_ok());
        let mut probe = request("GET", "/livez", &[("host", "evil.example")]);
        *probe.version_mut() = Version::HTTP_10;
        assert!(names().sender(&probe).is_err());
    }

    #[test]
    fn a_page_of_another_origin_is_foreign() {
        let post = |headers: &[(&str, &str)]| {
            let headers = [&[("host", "localhost:9090")], headers].concat();
            names().sender(&request("POST", "/api/v1/reload", &headers))
        };
        for ours in [
            &[][..],
            &[("origin", "http://localhost:9090")],
            &[("origin", "https://LOCALHOST:9090"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert_eq!(post(ours).unwrap(), Sender::Ours, "{ours:?}");
        }
        for foreign in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "http://localhost:3000")],
            &[("origin", "http://localhost")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://localhost:9090.evil.example")],
            &[("origin", "http://localhost:9090"), ("origin", "http://evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert_eq!(post(foreign).unwrap(), Sender::Foreign, "{foreign:?}");
        }
    }

    #[test]
    fn an_origin_without_a_port_has_that_of_its_scheme() {
        let origin = |origin: &str, host: &str| {
            let host = host.parse().unwrap();
            is_origin_of(&HeaderValue::from_str(origin).unwrap(), Some(&host))
        };
        assert!(origin("https://ops.example.com", "ops.example.com"));
        assert!(origin("https://ops.example.com", "ops.example.com:443"));
        assert!(origin("http://ops.example.com:80", "ops.example.com"));
        assert!(!origin("http://ops.example.com", "ops.example.com:443"));
        assert!(!origin("https://ops.example.com:444", "ops.example.com"));
    }
}

//! Decides which requests the admin listener answers: one layer in front of all routes. No handler checks access by
//! itself.
//!
//! A web page can make its visitor's browser send requests to any address that the browser reaches, including this
//! listener's. By DNS rebinding the page can even read the answers, because its own name then resolves to this address.
//! The browser's headers give such requests away: `Host` has the name that the page was loaded from, and so does
//! `Origin` on a request that changes something. So the listener answers only under names that no attacker can make
//! resolve to it, and under those that the operator lists.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::console;
use super::error::AdminError;
use super::token::TokenFile;

/// Paths that need no token, only a right host: probes know no token.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

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

/// The settings by which requests are let through or refused.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Further names under which the listener answers, in lower case.
    pub hosts: Arc<[String]>,
    pub token: Option<TokenFile>,
    /// Whether the drain is announced.
    pub draining: Arc<AtomicBool>,
}

/// Passes on the requests that may be answered.
pub async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let allowed = guard.allows(&request);
    let allowed = match (allowed, authorization(&request, &guard)) {
        (Ok(()), Some((token, sent))) if !token.admits(&sent).await => Err(match sent.is_empty() {
            true => AdminError::TokenMissing,
            false => AdminError::TokenWrong,
        }),
        (allowed, _) => allowed,
    };
    let is_draining = guard.draining.load(Ordering::Relaxed);
    let mut response = match allowed {
        Ok(()) if is_draining && !request.method().is_safe() => {
            AdminError::Draining.into_response()
        }
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    if is_draining {
        // A client that tries again should reach the next process.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // Keeps a browser from taking plain text for anything else.
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert("x-content-type-options", nosniff);
    response
}

/// The token that is expected, and the one that was sent; `None` where no token is configured.
fn authorization(request: &Request, guard: &Guard) -> Option<(TokenFile, String)> {
    let path = request.uri().path();
    // The console's files say nothing of this process.
    let is_public = PROBES.contains(&path) || console::has(path);
    let token = guard.token.clone().filter(|_| !is_public)?;
    let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.split_once(' '));
    // RFC 9110, section 11.1: the scheme may be in any case.
    let sent = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Some((token, sent.map_or("", |(_, sent)| sent).to_owned()))
}

impl Guard {
    fn allows(&self, request: &Request) -> Result<(), AdminError> {
        let host = self.host(request)?;
        match request.method().is_safe() || is_ours(request.headers(), host.as_ref()) {
            true => Ok(()),
            false => Err(AdminError::ForeignOrigin),
        }
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
            || self.hosts.contains(&name)
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

    fn guard() -> Guard {
        Guard {
            hosts: ["ops.example.com".to_owned()].into(),
            token: None,
            draining: Arc::default(),
        }
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
            assert!(guard().allows(&request("GET", "/livez", &[("host", host)])).is_ok(), "{host}");
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
            let refused = guard().allows(&request("GET", "/livez", &[("host", host)]));
            assert!(matches!(refused, Err(AdminError::HostUnknown(_))), "{host}: {refused:?}");
        }
    }

    #[test]
    fn both_names_of_a_request_count() {
        let allows = |target: &str, hosts: &[&str]| {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            guard().allows(&request("GET", target, &headers))
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
        assert!(guard().allows(&probe).is_ok());
        let mut probe = request("GET", "/livez", &[("host", "evil.example")]);
        *probe.version_mut() = Version::HTTP_10;
        assert!(guard().allows(&probe).is_err());
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        let post = |headers: &[(&str, &str)]| {
            let headers = [&[("host", "localhost:9090")], headers].concat();
            guard().allows(&request("POST", "/api/v1/reload", &headers))
        };
        for ours in [
            &[][..],
            &[("origin", "http://localhost:9090")],
            &[("origin", "https://LOCALHOST:9090"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(post(ours).is_ok(), "{ours:?}");
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
            let refused = post(foreign);
            assert!(matches!(refused, Err(AdminError::ForeignOrigin)), "{foreign:?}: {refused:?}");
        }
        let cross = [("host", "localhost:9090"), ("origin", "http://evil.example")];
        assert!(guard().allows(&request("GET", "/metrics", &cross)).is_ok());
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

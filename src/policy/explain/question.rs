//! A request to be explained, built from what a user writes.

use std::net::{IpAddr, SocketAddr};

use http::header::{COOKIE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use ipnet::IpNet;

use crate::api::ExplainQuery;
use crate::code::{Coded, ErrorCode};
use crate::config::DomainPattern;
use crate::routing::Forwarded;

/// A request that is not sent.
#[derive(Clone, Debug)]
pub struct Question {
    parts: Parts,
    client: Option<IpAddr>,
    /// Whether a trusted proxy names the client.
    is_named: bool,
}

/// Why something cannot be a part of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    #[error("{0:?} is not a method")]
    Method(String),
    #[error("{0:?} is not a path")]
    Path(String),
    #[error("{0:?} is not a header")]
    Header(String),
    #[error("{0:?} is not a query parameter")]
    Query(String),
    #[error("{0:?} is not a cookie")]
    Cookie(String),
    #[error("{0:?} is not the address of a client")]
    Client(String),
}

impl Coded for QuestionError {
    fn code(&self) -> ErrorCode {
        ErrorCode::Usage
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Method(_) => "it looks like GET",
            Self::Path(_) => "it begins with `/`, and what is special in it is percent-encoded",
            Self::Header(_) => "it looks like `x-user:ann`",
            Self::Query(_) | Self::Cookie(_) => "it looks like `lane=beta`",
            Self::Client(_) => "it looks like 10.1.2.3",
        };
        Some(help.to_owned())
    }
}

impl Question {
    /// The request of a query.
    ///
    /// # Errors
    ///
    /// Names the first part that cannot be a part of a request.
    pub fn new(written: &ExplainQuery) -> Result<Self, QuestionError> {
        let ExplainQuery {
            environment: _,
            service: _,
            method,
            path,
            headers,
            query,
            cookies,
            client,
        } = written;
        let (mut parts, ()) = Request::new(()).into_parts();
        if let Some(method) = method {
            let parsed = Method::from_bytes(method.as_bytes());
            parts.method = parsed.map_err(|_| QuestionError::Method(method.clone()))?;
        }
        parts.uri = uri(path.as_deref().unwrap_or("/"), query)?;
        for header in headers {
            let (name, value) =
                self::header(header).ok_or_else(|| QuestionError::Header(header.clone()))?;
            parts.headers.append(name, value);
        }
        for cookie in cookies {
            let value = cookie
                .contains('=')
                .then(|| HeaderValue::from_bytes(cookie.as_bytes()).ok())
                .flatten();
            let value = value.ok_or_else(|| QuestionError::Cookie(cookie.clone()))?;
            parts.headers.append(COOKIE, value);
        }
        let parse = |text: &String| text.parse().map_err(|_| QuestionError::Client(text.clone()));
        Ok(Self { parts, client: client.as_ref().map(parse).transpose()?, is_named: false })
    }
}

/// The path, perhaps with a query, and further query parameters.
fn uri(path: &str, query: &[String]) -> Result<Uri, QuestionError> {
    let mut text = path.to_owned();
    for pair in query {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name.is_empty() {
            return Err(QuestionError::Query(pair.clone()));
        }
        text.push(if text.contains('?') { '&' } else { '?' });
        let encoded = form_urlencoded::Serializer::new(String::new());
        text.push_str(&{ encoded }.append_pair(name, value).finish());
    }
    let parsed = text.parse().ok().filter(|_| path.starts_with('/'));
    parsed.ok_or_else(|| QuestionError::Path(path.to_owned()))
}

fn header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    Some((name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?))
}

impl Question {
    /// The head of the request.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The client's address.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// The same request, where these proxies are trusted: if it comes from one of them, its client is whom
    /// `x-forwarded-for` names.
    #[must_use]
    pub fn behind(mut self, proxies: &[IpNet]) -> Self {
        let Some(given) = self.client else { return self };
        let peer = SocketAddr::new(given.to_canonical(), 0);
        if let Some(forwarded) = Forwarded::of(&self.parts.headers, peer, proxies) {
            self.is_named = forwarded.client.ip() != peer.ip();
            self.client = Some(forwarded.client.ip());
        }
        self
    }

    /// The client, where it is not the one that was given.
    pub fn named_client(&self) -> Option<IpAddr> {
        self.client.filter(|_| self.is_named)
    }

    /// The version that the host names, in front of one of these domains.
    pub fn preview(&self, domains: &[&DomainPattern]) -> Option<&str> {
        let host = self.parts.headers.get(HOST)?.to_str().ok()?;
        let is_one = |host: &str| domains.iter().any(|domain| matches(domain, host));
        let (label, _) = host.split_once('.').filter(|_| !is_one(host))?;
        let (version, _) = label.split_once("--")?;
        let domain = host.get(version.len() + 2..)?;
        is_one(domain).then_some(version)
    }
}

/// Whether a host, perhaps with a port, has exactly this domain, or one below the wildcard. `*` has no previews.
fn matches(domain: &DomainPattern, host: &str) -> bool {
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
    match domain {
        DomainPattern::Exact(name) => host.eq_ignore_ascii_case(name),
        DomainPattern::Wildcard(suffix) => {
            // A first label with `--` asks for a preview, and is no name below the wildcard.
            let label = host.split_once('.').filter(|(label, _)| !label.contains("--"));
            label.is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(suffix))
        }
        DomainPattern::Any => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> ExplainQuery {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        ExplainQuery {
            method: Some("POST".to_owned()),
            path: Some("/a?b=1".to_owned()),
            headers: texts(&["x-user: ann&co", "host:v2--shop.test"]),
            query: texts(&["lane=a b&c", "flag"]),
            cookies: texts(&["c=1"]),
            client: Some("10.1.2.3".to_owned()),
            ..ExplainQuery::default()
        }
    }

    #[test]
    fn a_question_is_a_request() {
        let question = Question::new(&written()).unwrap();
        let parts = question.parts();
        assert_eq!(parts.method, "POST");
        assert_eq!(parts.uri, "/a?b=1&lane=a+b%26c&flag=");
        assert_eq!(parts.headers["x-user"], "ann&co");
        assert_eq!(parts.headers["cookie"], "c=1");
        let preview = |domain: &str| question.preview(&[&domain.parse().unwrap()]);
        assert_eq!(preview("shop.test"), Some("v2"));
        assert_eq!(preview("*.test"), Some("v2"));
        assert_eq!(preview("other.test"), None);
        assert_eq!(preview("v2--shop.test"), None, "a name of its own");
        assert_eq!(question.client(), Some("10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        let hops = vec!["x-forwarded-for: 1.2.3.4, 198.51.100.7".to_owned()];
        let written = ExplainQuery { headers: hops, ..written() };
        let behind =
            |network: &str| Question::new(&written).unwrap().behind(&[network.parse().unwrap()]);
        let (proxy, stranger) = (behind("10.0.0.0/8"), behind("11.0.0.0/8"));
        assert_eq!(proxy.client(), Some("198.51.100.7".parse().unwrap()));
        assert_eq!(proxy.named_client(), proxy.client());
        assert_eq!(stranger.client(), Some("10.1.2.3".parse().unwrap()));
        assert_eq!(stranger.named_client(), None);
    }

    #[test]
    fn what_is_no_part_of_a_request_is_told() {
        let error = |written: ExplainQuery| Question::new(&written).unwrap_err();
        let some = |text: &str| Some(text.to_owned());
        let list = |text: &str| vec![text.to_owned()];
        assert_eq!(
            error(ExplainQuery { method: some("G T"), ..ExplainQuery::default() }),
            QuestionError::Method("G T".to_owned())
        );
        for path in ["a", "", "/ä ö"] {
            assert_eq!(
                error(ExplainQuery { path: some(path), ..ExplainQuery::default() }),
                QuestionError::Path(path.to_owned())
            );
        }
        assert_eq!(
            error(ExplainQuery { headers: list("x-user"), ..ExplainQuery::default() }),
            QuestionError::Header("x-user".to_owned())
        );
        assert_eq!(
            error(ExplainQuery { cookies: list("c"), ..ExplainQuery::default() }),
            QuestionError::Cookie("c".to_owned())
        );
        assert_eq!(
            error(ExplainQuery { client: some("here"), ..ExplainQuery::default() }),
            QuestionError::Client("here".to_owned())
        );
    }
}

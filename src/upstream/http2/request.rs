//! The head of a request as HTTP/2 has it.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

use super::switch;
use crate::config::HostHeader;
use crate::exchange::{Fields, RequestHead, is, trim};
use crate::upstream::http1::Host;

/// Fields about an HTTP/1.1 connection, which HTTP/2 does not have ([RFC 9113, section
/// 8.2.2](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.2)), and the host, which is `:authority`.
const NOT_IN_HTTP2: [HeaderName; 8] = [
    HOST,
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Fields that say how a message is framed or routed, and so may not be trailers.
const NO_TRAILERS: [HeaderName; 2] = [CONTENT_LENGTH, TRAILER];

/// The head that is sent. A request to switch to another protocol is an extended CONNECT ([RFC
/// 8441](https://www.rfc-editor.org/rfc/rfc8441)).
///
/// # Errors
///
/// Where the host, or the path, is none that HTTP/2 can name.
pub fn head(request: &RequestHead, scheme: Scheme, host: Host<'_>) -> Result<Request<()>, String> {
    let switch = switch::protocol(request);
    let mut parts = http::uri::Parts::default();
    parts.authority = Some(authority(request, host)?);
    if request.method != Method::CONNECT {
        let path = request.uri.path_and_query().cloned();
        parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
        parts.scheme = Some(scheme);
    }
    let mut head = Request::new(());
    *head.version_mut() = Version::HTTP_2;
    *head.uri_mut() = Uri::from_parts(parts).map_err(|error| format!("its target: {error}"))?;
    *head.headers_mut() = fields(&request.fields);
    trim(head.headers_mut());
    match switch {
        None => *head.method_mut() = request.method.clone(),
        Some(protocol) => {
            *head.method_mut() = Method::CONNECT;
            head.extensions_mut().insert(protocol);
            switch::keep_fields(head.headers_mut());
        }
    }
    Ok(head)
}

/// The trailers that are sent.
pub fn trailers(mut trailers: HeaderMap) -> HeaderMap {
    for name in NOT_IN_HTTP2.iter().chain(&NO_TRAILERS) {
        trailers.remove(name);
    }
    trim(&mut trailers);
    trailers
}

fn authority(request: &RequestHead, host: Host<'_>) -> Result<Authority, String> {
    let Host { declared, target } = host;
    let sent = request.fields.get(&HOST);
    let authority = match (declared, sent, request.uri.authority()) {
        (HostHeader::Name(name), ..) => Authority::try_from(name.as_str()),
        (HostHeader::Keep, Some(sent), _) => Authority::try_from(sent),
        (HostHeader::Keep, None, Some(authority)) => return Ok(authority.clone()),
        (HostHeader::Keep, None, None) | (HostHeader::Target, ..) => {
            Authority::try_from(target.to_string())
        }
    };
    authority.map_err(|error| format!("its host: {error}"))
}

fn fields(sent: &Fields) -> HeaderMap {
    let mut fields = sent.clone();
    fields.retain(|name| !NOT_IN_HTTP2.iter().any(|it| is(name, it.as_str())));
    if takes_trailers(sent) {
        fields.append(TE, HeaderValue::from_static("trailers"));
    }
    fields.into_map()
}

fn takes_trailers(sent: &Fields) -> bool {
    sent.values(TE).any(|te| {
        let mut codings = te.split(|byte| *byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TargetAddress;

    fn head(request: &Request<()>, declared: &HostHeader) -> Result<Request<()>, String> {
        let target = TargetAddress::Name("t.example".to_owned(), 8443);
        super::head(&request.clone().into(), Scheme::HTTPS, Host { declared, target: &target })
    }

    #[test]
    fn what_belongs_to_a_connection_of_http1_stays_behind() {
        let request = Request::get("/a?b")
            .header("host", "a.example:8080")
            .header("connection", "keep-alive, upgrade")
            .header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")
            .header("keep-alive", "timeout=5")
            .header("transfer-encoding", "chunked")
            .header("te", "gzip, Trailers")
            .header("x-a", "1")
            .header("x-a", "2")
            .body(())
            .unwrap();
        let head = self::head(&request, &HostHeader::Keep).unwrap();
        assert_eq!((head.method(), head.version()), (&Method::GET, Version::HTTP_2));
        assert_eq!(head.uri(), "https://a.example:8080/a?b");
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let fields = head.headers().iter().map(|(name, value)| (name.as_str(), text(value)));
        let fields: Vec<_> = fields.collect();
        let expected = [("x-a", "1"), ("x-a", "2"), ("te", "trailers")];
        assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
        let named = HostHeader::Name("b.example".to_owned());
        for (host, expected) in [(named, "b.example"), (HostHeader::Target, "t.example:8443")] {
            let head = self::head(&request, &host).unwrap();
            assert_eq!(head.uri().authority().unwrap(), expected);
        }
    }

    #[test]
    fn a_host_that_cannot_be_an_authority_is_an_error() {
        let request = Request::get("/").header("host", "a b").body(()).unwrap();
        assert!(head(&request, &HostHeader::Keep).unwrap_err().starts_with("its host: "));
        // HTTP/1.0 may name none.
        let request = Request::get("/").body(()).unwrap();
        let head = head(&request, &HostHeader::Keep).unwrap();
        assert_eq!(head.uri(), "https://t.example:8443/");
    }

    #[test]
    fn the_target_of_options_may_be_the_server_itself() {
        let request = Request::options("*").header("host", "a").body(()).unwrap();
        let head = head(&request, &HostHeader::Keep).unwrap();
        assert_eq!(head.uri().path(), "*");
    }
}

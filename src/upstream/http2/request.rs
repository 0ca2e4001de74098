//! The head of a request as HTTP/2 has it.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

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

/// The head that is sent: for `host` if one is given, or else for the request's own.
///
/// # Errors
///
/// Where the host, or the path, is none that HTTP/2 can name.
pub fn head(
    request: &Request<()>,
    scheme: Scheme,
    host: Option<&str>,
) -> Result<Request<()>, String> {
    let authority = authority(request, host)?;
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.version_mut() = Version::HTTP_2;
    let protocol = request.extensions().get::<h2::ext::Protocol>();
    let is_plain_connect = *request.method() == Method::CONNECT && protocol.is_none();
    let mut parts = http::uri::Parts::default();
    parts.authority = Some(authority);
    if !is_plain_connect {
        let path = request.uri().path_and_query().cloned();
        parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
        parts.scheme = Some(scheme);
    }
    *head.uri_mut() = Uri::from_parts(parts).map_err(|error| format!("its target: {error}"))?;
    if let Some(protocol) = protocol {
        head.extensions_mut().insert(protocol.clone());
    }
    *head.headers_mut() = fields(request.headers());
    Ok(head)
}

/// The trailers that are sent.
pub fn trailers(mut trailers: HeaderMap) -> HeaderMap {
    for name in NOT_IN_HTTP2.iter().chain(&NO_TRAILERS) {
        trailers.remove(name);
    }
    trailers
}

fn authority(request: &Request<()>, host: Option<&str>) -> Result<Authority, String> {
    let named = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let bytes = match (host, named) {
        (Some(host), _) => host.as_bytes(),
        (None, Some(named)) => named,
        (None, None) => {
            return request.uri().authority().cloned().ok_or_else(|| "it names no host".to_owned());
        }
    };
    Authority::try_from(bytes).map_err(|error| format!("its host: {error}"))
}

fn fields(sent: &HeaderMap) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(sent.len());
    for (name, value) in sent {
        if !NOT_IN_HTTP2.contains(name) {
            fields.append(name, value.clone());
        }
    }
    if takes_trailers(sent) {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    fields
}

fn takes_trailers(sent: &HeaderMap) -> bool {
    sent.get_all(TE).iter().any(|te| {
        let mut codings = te.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_connection_of_http1_stays_behind() {
        let request = Request::get("/a?b")
            .header("host", "a.example:8080")
            .header("connection", "keep-alive, upgrade")
            .header("upgrade", "h2c")
            .header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")
            .header("keep-alive", "timeout=5")
            .header("transfer-encoding", "chunked")
            .header("te", "gzip, Trailers")
            .header("x-a", "1")
            .header("x-a", "2")
            .body(())
            .unwrap();
        let head = super::head(&request, Scheme::HTTP, None).unwrap();
        assert_eq!(head.uri(), "http://a.example:8080/a?b");
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let fields = head.headers().iter().map(|(name, value)| (name.as_str(), text(value)));
        let fields: Vec<_> = fields.collect();
        let expected = [("x-a", "1"), ("x-a", "2"), ("te", "trailers")];
        assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
        let head = super::head(&request, Scheme::HTTPS, Some("b.example")).unwrap();
        assert_eq!(head.uri(), "https://b.example/a?b");
    }

    #[test]
    fn a_host_that_cannot_be_an_authority_is_an_error() {
        let request = Request::get("/").header("host", "a b").body(()).unwrap();
        assert!(super::head(&request, Scheme::HTTP, None).unwrap_err().starts_with("its host: "));
        let request = Request::get("/").body(()).unwrap();
        assert!(super::head(&request, Scheme::HTTP, None).is_err());
    }

    #[test]
    fn the_target_of_options_may_be_the_server_itself() {
        let request = Request::options("*").header("host", "a").body(()).unwrap();
        let head = super::head(&request, Scheme::HTTP, None).unwrap();
        assert_eq!(head.uri().path(), "*");
    }
}

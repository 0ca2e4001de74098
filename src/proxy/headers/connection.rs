//! Fields that concern one connection only, and so do not cross the proxy in either direction ([RFC 9110, section
//! 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)), except where the proxy does for the next connection what
//! was asked of it for this one.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRAILER, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Version};

use super::forwarded;

/// Fields of requests that are for us. Whoever asks for a protocol is asked again by [`tell_upstream`].
fn is_of_requests(name: &HeaderName) -> bool {
    // Compared as text: an array of names would be made, and dropped, for each field.
    matches!(
        name.as_str(),
        "connection"
            | "te"
            | "expect"
            | "upgrade"
            | "transfer-encoding"
            | "proxy-authorization"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
    )
}

/// Fields of responses that are ours to write. HTTP/2 forbids them ([RFC 9113, section
/// 8.2.2](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.2)).
fn is_of_responses(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authenticate"
            | "keep-alive"
            | "proxy-connection"
    )
}

/// Protocols that are versions of HTTP, or wrap it. Whoever switches to one of them could send requests past the checks
/// and decisions that are made here.
const OF_HTTP: [&[u8]; 3] = [b"h2", b"http", b"tls"];

/// The fields that the sender names as those of its connection.
fn named(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // Almost every sender that names a field names this one, which goes in any case.
    let names =
        names.map(<[u8]>::trim_ascii).filter(|name| !name.eq_ignore_ascii_case(b"keep-alive"));
    names.filter_map(|name| HeaderName::from_bytes(name).ok())
}

/// A copy of a request's fields without those of the connection, and with room for `more`. `copy` puts each of the others
/// into it.
pub fn end_to_end(
    sent: &HeaderMap,
    more: usize,
    copy: impl Fn(&mut HeaderMap, &HeaderName, &HeaderValue),
) -> HeaderMap {
    // A client cannot ask for `host` to be removed: without it there is no request. Nor for what proxies say about it.
    let stays = |name: &HeaderName| name == HOST || forwarded::is_about_client(name.as_str());
    let named: Vec<HeaderName> = named(sent).filter(|name| !stays(name)).collect();
    let mut headers = HeaderMap::with_capacity(sent.len() + more);
    for (name, value) in sent {
        if !is_of_requests(name) && !named.contains(name) {
            copy(&mut headers, name, value);
        }
    }
    headers
}

/// Removes the fields that are ours to write from a response, and those that its sender names.
pub fn keep_end_to_end(headers: &mut HeaderMap) {
    // Whoever names the length does not make the response longer.
    let named: Vec<_> = named(headers).filter(|name| name != CONTENT_LENGTH).collect();
    named.iter().for_each(|name| drop(headers.remove(name)));
    // Few are there, and each field is looked at anyway to know that.
    while let Some(name) = headers.keys().find(|name| is_of_responses(name)).cloned() {
        headers.remove(name);
    }
}

/// Removes fields that may not be trailers from a backend's trailers ([RFC 9110, section
/// 6.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)).
pub fn keep_trailers(trailers: &mut HeaderMap) {
    keep_end_to_end(trailers);
    for name in [CONTENT_LENGTH, HOST, TRAILER] {
        trailers.remove(name);
    }
}

/// Removes the fields of the connection from a `101`, but for the protocol that is switched to.
pub fn keep_of_switch(headers: &mut HeaderMap) {
    let protocol = headers.remove(UPGRADE);
    keep_end_to_end(headers);
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.extend(protocol.map(|protocol| (UPGRADE, protocol)));
}

/// Whether a client asks for another protocol on its connection ([RFC 9110, section
/// 7.8](https://www.rfc-editor.org/rfc/rfc9110#section-7.8)), and may have it.
pub fn asks_to_switch(request: &Parts) -> bool {
    protocol(request).is_some() && request.version >= Version::HTTP_11
}

fn protocol(request: &Parts) -> Option<&HeaderValue> {
    let mut protocols = request.headers.get_all(UPGRADE).iter();
    let protocol = protocols.next().filter(|_| protocols.next().is_none())?;
    let is_http = protocol.as_bytes().split(|byte| *byte == b',').any(|name| {
        let name = name.trim_ascii();
        let begins = |prefix: &&[u8]| {
            name.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
        };
        name.is_empty() || OF_HTTP.iter().any(begins)
    });
    let is_named = named(&request.headers).any(|name| name == UPGRADE);
    (is_named && !is_http).then_some(protocol)
}

/// Tells an upstream what concerns its own connection: that trailers are understood, that the client waits for `100
/// Continue`, and the protocol that the client wants to switch to. Takes from it what would pass for ours.
pub fn tell_upstream(sent: &Parts, headers: &mut HeaderMap, awaits_continue: bool, switches: bool) {
    while let Some(name) = headers.keys().find(|name| imitates(name)).cloned() {
        headers.remove(name);
    }
    let mut wishes = sent.headers.get_all(TE).iter().filter_map(|wish| wish.to_str().ok());
    let is_trailers = |wish: &str| wish.trim().eq_ignore_ascii_case("trailers");
    if wishes.any(|wish| wish.split(',').any(is_trailers)) {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if awaits_continue {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    if let Some(protocol) = switches.then(|| protocol(sent)).flatten() {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
        // What follows is no body, not even an empty one.
        headers.remove(CONTENT_LENGTH);
    }
}

/// Whether a server that makes variables of headers, as CGI, WSGI and Rack do, would take a client's header for one that
/// is made here: `x_forwarded_for` and `x-forwarded-for` become the same variable.
fn imitates(name: &HeaderName) -> bool {
    let name = name.as_str();
    // All of ours begin with one of these, and few others do.
    if !name.starts_with(['x', 'w']) {
        return false;
    }
    let is_ours = |name: String| {
        forwarded::is_about_client(&name)
            || name.starts_with("watershed-")
            || name == super::X_REQUEST_ID
    };
    name.as_bytes().contains(&b'_') && is_ours(name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let value = |value| HeaderValue::from_static(value);
        fields.iter().map(|(name, it)| (HeaderName::from_static(name), value(it))).collect()
    }

    fn request(sent: &[(&'static str, &'static str)]) -> Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        for (name, value) in sent {
            parts.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        parts
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn responses_keep_what_is_for_the_client() {
        let mut headers = fields(&[
            ("connection", "x-hop, Content-Length, close"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("content-length", "5"),
            ("x-kept", "1"),
        ]);
        keep_end_to_end(&mut headers);
        assert_eq!(names(&headers), ["content-length", "x-kept"]);
    }

    #[test]
    fn a_switch_names_its_protocol() {
        let mut headers = fields(&[
            ("connection", "Upgrade, x-hop"),
            ("upgrade", "websocket"),
            ("x-hop", "1"),
            ("content-length", "0"),
            ("sec-websocket-accept", "x"),
        ]);
        keep_of_switch(&mut headers);
        let mut names = names(&headers);
        names.sort_unstable();
        assert_eq!(names, ["connection", "sec-websocket-accept", "upgrade"]);
    }

    #[test]
    fn protocols_that_carry_requests_are_not_switched_to() {
        let asks = |upgrade, connection| {
            asks_to_switch(&request(&[("upgrade", upgrade), ("connection", connection)]))
        };
        assert!(asks("websocket", "Upgrade") && asks("WebSocket, chat/1", "keep-alive, upgrade"));
        assert!(!asks("websocket", "keep-alive"));
        for protocol in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.3", "", "a,,b"] {
            assert!(!asks(protocol, "upgrade"), "{protocol:?}");
        }
        let twice = [("upgrade", "a"), ("upgrade", "b"), ("connection", "upgrade")];
        assert!(!asks_to_switch(&request(&twice)));
        let mut old = request(&[("upgrade", "a"), ("connection", "upgrade")]);
        old.version = Version::HTTP_10;
        assert!(!asks_to_switch(&old));
    }

    /// Django CVE-2015-0219: a header with underscores replaced what the proxy says.
    #[test]
    fn no_header_of_a_client_passes_for_ours() {
        let mut headers = fields(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x_forwarded_for", "127.0.0.1"),
            ("x-forwarded_proto", "https"),
            ("x_request_id", "1"),
            ("x_real_ip", "127.0.0.1"),
            ("watershed_version", "v2"),
            ("my_own", "1"),
        ]);
        tell_upstream(&request(&[]), &mut headers, false, false);
        assert_eq!(names(&headers), ["x-forwarded-for", "my_own"]);
    }

    #[test]
    fn an_upstream_is_asked_for_what_the_client_asked_for() {
        let sent = request(&[
            ("te", "gzip;q=0.5, Trailers"),
            ("expect", "100-continue"),
            ("upgrade", "websocket"),
            ("connection", "te, upgrade"),
        ]);
        let mut headers = HeaderMap::new();
        tell_upstream(&sent, &mut headers, true, true);
        assert_eq!(
            headers,
            fields(&[
                ("te", "trailers"),
                ("expect", "100-continue"),
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
            ])
        );
        let mut headers = HeaderMap::new();
        tell_upstream(&request(&[("te", "gzip")]), &mut headers, false, false);
        assert!(headers.is_empty());
    }
}

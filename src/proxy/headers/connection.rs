//! Fields that concern one connection only, and so do not cross the proxy in either direction ([RFC 9110, section
//! 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)), except where the proxy does for the next connection what
//! was asked of it for this one.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRAILER, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Version};

use super::forwarded;
use crate::exchange::{Fields, is};

/// Fields of requests that are for us. Whoever asks for a protocol is asked again by [`tell_upstream`].
fn is_of_requests(name: &str) -> bool {
    // Compared as text: an array of names would be made, and dropped, for each field.
    matches!(
        name,
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
fn is_of_responses(name: &[u8]) -> bool {
    // By length first, because almost no name has the length of one of these.
    match name.len() {
        2 => is(name, "te"),
        7 => is(name, "upgrade"),
        10 => is(name, "connection") || is(name, "keep-alive"),
        16 => is(name, "proxy-connection"),
        17 => is(name, "transfer-encoding"),
        18 => is(name, "proxy-authenticate"),
        _ => false,
    }
}

/// Fields that frame, route or authenticate a request, or say how its body is to be read. They count in a head only ([RFC
/// 9110, section 6.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)).
fn is_of_heads(name: &str) -> bool {
    is_of_requests(name)
        || matches!(
            name,
            "host"
                | "content-length"
                | "content-encoding"
                | "content-range"
                | "content-type"
                | "trailer"
                | "authorization"
                | "cookie"
                | "max-forwards"
                | "range"
        )
}

/// Protocols that are versions of HTTP, or wrap it. Whoever switches to one of them could send requests past the checks
/// and decisions that are made here.
const OF_HTTP: [&[u8]; 3] = [b"h2", b"http", b"tls"];

/// The fields that the sender names as those of its connection.
fn named(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let names = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes).flat_map(options);
    names.filter_map(|name| HeaderName::from_bytes(name).ok())
}

/// The options of a `connection`, but for the one that almost every sender names: its field goes in any case.
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.filter(|name| !is(name, "keep-alive"))
}

/// A copy of a request's fields without those of the connection, and with room for `more`. `copy` puts each of the others
/// into it.
pub fn end_to_end(
    sent: &HeaderMap,
    more: usize,
    copy: impl Fn(&mut Fields, &HeaderName, &HeaderValue),
) -> Fields {
    // A client cannot ask for `host` to be removed: without it there is no request. Nor for what proxies say about it.
    let stays = |name: &HeaderName| name == HOST || forwarded::is_about_client(name.as_str());
    let named: Vec<HeaderName> = named(sent).filter(|name| !stays(name)).collect();
    let mut fields = Fields::with_room(sent.len() + more);
    for (name, value) in sent {
        if !is_of_requests(name.as_str()) && !named.contains(name) {
            copy(&mut fields, name, value);
        }
    }
    fields
}

/// Removes the fields that are ours to write from a response, and those that its sender names. Returns these names, which
/// its trailers must not have either.
pub fn keep_end_to_end(fields: &mut Fields) -> Vec<Vec<u8>> {
    let mut named = Vec::new();
    for value in fields.values(CONNECTION) {
        // Whoever names the length does not make the response longer.
        let others = options(value).filter(|name| !is(name, "content-length"));
        named.extend(others.map(<[u8]>::to_owned));
    }
    fields.retain(|name| !is_of_responses(name) && !is_among(&named, name));
    named
}

fn is_among(names: &[Vec<u8>], name: &[u8]) -> bool {
    names.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Removes fields that may not be trailers, and those that the head names, from a backend's trailers ([RFC 9110, section
/// 6.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)).
pub fn keep_trailers(trailers: HeaderMap, named: &[Vec<u8>]) -> HeaderMap {
    let mut fields = Fields::from(trailers);
    keep_end_to_end(&mut fields);
    fields.retain(|name| !is_among(named, name));
    for name in [CONTENT_LENGTH, HOST, TRAILER] {
        fields.remove(&name);
    }
    fields.into_map()
}

/// Removes from the trailers of a request what belongs to its head: fields that are for us, those that the head names as
/// those of its connection, and what backends would believe because it is made here. They might merge trailers into the
/// head.
pub fn keep_request_trailers(sent: &Parts, trailers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = named(&sent.headers).collect();
    let mut fields = Fields::from(trailers);
    fields.retain(|name| {
        // As servers read it that make variables of headers.
        let name = String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-");
        let is_named = named.iter().any(|it| it.as_str() == name);
        !is_named && !is_of_heads(&name) && !is_made_here(&name)
    });
    fields.into_map()
}

/// Removes the fields of the connection from a `101`, but for the protocol that is switched to.
pub fn keep_of_switch(fields: &mut Fields) {
    let protocol = fields.get(&UPGRADE).and_then(|it| HeaderValue::from_bytes(it).ok());
    keep_end_to_end(fields);
    fields.remove(&CONTENT_LENGTH);
    fields.append(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        fields.append(UPGRADE, protocol);
    }
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
pub fn tell_upstream(sent: &Parts, fields: &mut Fields, awaits_continue: bool, switches: bool) {
    fields.retain(|name| !imitates(name));
    let mut wishes = sent.headers.get_all(TE).iter().filter_map(|wish| wish.to_str().ok());
    let is_trailers = |wish: &str| wish.trim().eq_ignore_ascii_case("trailers");
    if wishes.any(|wish| wish.split(',').any(is_trailers)) {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    if awaits_continue {
        fields.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    if let Some(protocol) = switches.then(|| protocol(sent)).flatten() {
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, protocol.clone());
        // What follows is no body, not even an empty one.
        fields.remove(&CONTENT_LENGTH);
    }
}

/// Whether a server that makes variables of headers, as CGI, WSGI and Rack do, would take a client's header for one that
/// is made here: `x_forwarded_for` and `x-forwarded-for` become the same variable.
fn imitates(name: &[u8]) -> bool {
    // All of ours begin with one of these, few others do, and hardly a field has the other sign.
    if !matches!(name, [b'x' | b'X' | b'w' | b'W', ..]) || memchr::memchr(b'_', name).is_none() {
        return false;
    }
    is_made_here(&String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-"))
}

/// Whether a request's field says what is made here, or what a trusted proxy says.
fn is_made_here(name: &str) -> bool {
    forwarded::is_about_client(name)
        || name.starts_with("watershed-")
        || name == super::X_REQUEST_ID.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> Fields {
        let value = |value| HeaderValue::from_static(value);
        let mut all = Fields::default();
        for (name, it) in fields {
            all.append(HeaderName::from_static(name), value(it));
        }
        all
    }

    fn request(sent: &[(&'static str, &'static str)]) -> Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        for (name, value) in sent {
            parts.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        parts
    }

    fn names(fields: &Fields) -> Vec<&str> {
        fields.iter().map(|field| std::str::from_utf8(field.name).unwrap()).collect()
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
    fn trailers_of_requests_say_nothing_that_belongs_to_the_head() {
        let sent = request(&[("connection", "te, X-Hop")]);
        let trailers = fields(&[
            ("x-forwarded-for", "127.0.0.1"),
            ("x_forwarded_proto", "https"),
            ("x-real-ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("x-request-id", "1"),
            ("watershed_key", "1"),
            ("authorization", "Basic eDp5"),
            ("proxy-authorization", "Basic eDp5"),
            ("content-length", "5"),
            ("transfer_encoding", "chunked"),
            ("host", "a"),
            ("x-hop", "1"),
            ("grpc-status", "0"),
            ("content-digest", "x"),
            ("my_own", "1"),
            ("my_own", "2"),
        ]);
        let kept = Fields::from(keep_request_trailers(&sent, trailers.into_map()));
        let mut names = names(&kept);
        names.sort_unstable();
        assert_eq!(names, ["content-digest", "grpc-status", "my_own", "my_own"]);
    }

    #[test]
    fn an_upstream_is_asked_for_what_the_client_asked_for() {
        let sent = request(&[
            ("te", "gzip;q=0.5, Trailers"),
            ("expect", "100-continue"),
            ("upgrade", "websocket"),
            ("connection", "te, upgrade"),
        ]);
        let mut headers = Fields::default();
        tell_upstream(&sent, &mut headers, true, true);
        let shown = |fields: Fields| fields.into_map();
        assert_eq!(
            shown(headers),
            shown(fields(&[
                ("te", "trailers"),
                ("expect", "100-continue"),
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
            ]))
        );
        let mut headers = Fields::default();
        tell_upstream(&request(&[("te", "gzip")]), &mut headers, false, false);
        assert!(headers.is_empty());
    }
}

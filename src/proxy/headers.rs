//! Decides which headers cross the proxy, and makes those that the proxy adds. `connection` knows the fields that concern
//! one connection only, and `authority` what a host may look like.

mod authority;
mod connection;
mod forwarded;

use std::sync::Arc;

use http::header::{
    CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName, HeaderValue, MAX_FORWARDS, SET_COOKIE,
};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, Method, Version};
use pingora::http::RequestHeader;

use super::ctx::{Chosen, Lane, RequestCtx, Wish};
use super::failure::Failure;
use crate::config::VersionName;
use crate::exchange::{Fields, RequestHead};
use crate::routing::{
    self, Asked, Id, Text, WATERSHED_KEY, WATERSHED_STICKY, WATERSHED_VERSION, X_FORWARDED_FOR,
    X_FORWARDED_PROTO,
};
use crate::transport::HeadLimits;

pub use connection::{
    asks_to_switch, keep_end_to_end, keep_of_switch, keep_request_trailers, keep_trailers,
    tell_upstream,
};
pub use forwarded::Hop;

pub const WATERSHED_ERROR: HeaderName = HeaderName::from_static("watershed-error");
pub const WATERSHED_DECISION: HeaderName = HeaderName::from_static("watershed-decision");
pub const WATERSHED_GENERATION: HeaderName = HeaderName::from_static("watershed-generation");
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const LANE: [HeaderName; 3] = [WATERSHED_VERSION, WATERSHED_KEY, WATERSHED_STICKY];
/// What HTTP/2 adds to the length of each field
/// ([RFC 9113, section 6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
const FIELD_OVERHEAD: usize = 32;
/// How many headers are added to a request.
const MADE_HERE: usize = 4;

/// The longest `x-request-id` that is taken from a client.
const LONGEST_REQUEST_ID: usize = 128;

/// Whether a request may be decided. HTTP/1 has further checks, which were made as the head came in.
///
/// # Errors
///
/// The failure that the client gets.
pub fn check(request: &RequestHeader) -> Result<(), Failure> {
    if request.method == Method::CONNECT {
        return Err(Failure::Connect);
    }
    let is_whole = names_host(request) && names_one_host(request) && is_framed_once(request);
    match is_whole && has_bare_values(request) {
        true => Ok(()),
        false => Err(Failure::BadRequest),
    }
}

/// Whether the head of an HTTP/2 request has more bytes or fields than are allowed.
pub fn is_too_large(request: &Parts, limits: HeadLimits) -> bool {
    let fields = request.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD);
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    request.headers.len() > limits.fields || target + fields.sum::<usize>() > limits.bytes
}

/// Whether `:authority` and `host` name the same server ([RFC 9113, section
/// 8.3.1](https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1)), and it can be one, and the target is a path, or `*`
/// of an `OPTIONS`.
fn names_one_host(request: &Parts) -> bool {
    let mut hosts = request.headers.get_all(HOST).iter();
    let (host, other) = (hosts.next(), hosts.next());
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let is_other = |host: &HeaderValue| {
        authority.is_some_and(|authority| !host.as_bytes().eq_ignore_ascii_case(authority))
    };
    other.is_none()
        && !host.is_some_and(is_other)
        && host.map(HeaderValue::as_bytes).or(authority).is_none_or(authority::is_authority)
        && match request.uri.path().as_bytes() {
            [b'/', ..] => true,
            path => path == b"*" && request.method == Method::OPTIONS,
        }
}

/// Whether no value begins or ends with white space, which HTTP/1.1 has around values and HTTP/2 has not ([RFC 9113, section
/// 8.2.1](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.1)).
fn has_bare_values(request: &Parts) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    request.version != Version::HTTP_2
        || request
            .headers
            .values()
            .map(HeaderValue::as_bytes)
            .all(|value| !is_space(value.first()) && !is_space(value.last()))
}

/// Whether there is at most one `content-length`, and it is a number. HTTP/2 frames bodies by itself, but the backend
/// sees the field. HTTP/1 could not have been read otherwise.
fn is_framed_once(request: &Parts) -> bool {
    if request.version < Version::HTTP_2 {
        return true;
    }
    let mut lengths = request.headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |length: &HeaderValue| {
        !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
    };
    lengths.next().is_none_or(is_number) && lengths.next().is_none()
}

/// The request as every backend sees it: what the client sent, without the fields that concern only the connection ([RFC
/// 9110, section 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)), and with where the request came from: what
/// a trusted proxy says about that is kept, and what anybody else says is not. No `via` is added: a backend that sees one may switch compression off, and loops are found otherwise.
pub fn request(request: &RequestHeader, hop: Hop<'_>, request_id: &str) -> RequestHead {
    let copy = |fields: &mut Fields, name: &HeaderName, value: &HeaderValue| {
        if hop.is_believed || !forwarded::is_about_client(name.as_str()) {
            copy(fields, name, value);
        }
    };
    let mut fields = connection::end_to_end(&request.headers, MADE_HERE, copy);
    let hops = forwarded::hops(&fields, hop.peer);
    fields.insert(X_FORWARDED_FOR, hops);
    fields.insert(X_FORWARDED_PROTO, proto(hop.scheme));
    if let Some(host) = authority(request).filter(|_| !fields.contains(&X_FORWARDED_HOST)) {
        fields.append(X_FORWARDED_HOST, host);
    }
    fields.insert(X_REQUEST_ID, request_id);
    if let Some(left) = forwards_left(request) {
        fields.insert(MAX_FORWARDS, left.saturating_sub(1));
    }
    RequestHead { method: request.method.clone(), uri: request.uri.clone(), fields }
}

/// How many more proxies may forward a request: `None` where it does not say, or where its method has no such limit
/// ([RFC 9110, section 7.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.2)).
pub fn forwards_left(request: &Parts) -> Option<u32> {
    if request.method != Method::OPTIONS && request.method != Method::TRACE {
        return None;
    }
    request.headers.get(MAX_FORWARDS)?.to_str().ok()?.parse().ok()
}

/// A scheme as a field's value, without an allocation.
fn proto(scheme: &Scheme) -> HeaderValue {
    HeaderValue::from_static(if *scheme == Scheme::HTTPS { "https" } else { "http" })
}

/// Tells a backend the lane of its request, in the headers by which services behind it decide alike if it passes them
/// on.
pub fn tell_lane(sent: &RequestHeader, fields: &mut Fields, lane: &Lane, version: &VersionName) {
    let asked = Asked { parts: sent, client: None, preview: None };
    match lane.wish {
        Wish::Granted => {
            fields.insert(WATERSHED_VERSION, version.as_str());
            if let Some(key) = routing::sent_key(asked).and_then(Text::as_plain) {
                fields.insert(WATERSHED_KEY, key);
            }
        }
        // Another service may have a version of this name.
        Wish::Unknown => {
            for name in [WATERSHED_VERSION, WATERSHED_KEY] {
                if let Some(value) = sent.headers.get(&name) {
                    fields.append(name, value.clone());
                }
            }
        }
        Wish::None => {}
    }
    // A lane is passed on as it came.
    let sent = asked.header(&WATERSHED_STICKY).find(|lane| routing::is_lane(*lane));
    let sent = sent.and_then(Text::as_plain).and_then(|lane| HeaderValue::from_bytes(lane).ok());
    if let Some(hash) = sent.or_else(|| routing::lane(lane.hash?)) {
        fields.insert(WATERSHED_STICKY, hash);
    }
}

/// Tells a client of its service's rate limit, and of what is left of it
/// ([draft-ietf-httpapi-ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/)).
/// What a version says of limits of its own stays beside it. A limit of all clients together is told only to those
/// who are refused: what is left of it says how much the others do.
pub fn tell_limit(fields: &mut Fields, ctx: &RequestCtx, is_refused: bool) {
    if let Some((limit, allowance)) = ctx.limit()
        && (is_refused || limit.is_of_clients())
        && let Ok(allowance) = HeaderValue::try_from(allowance.field())
    {
        fields.append(RATE_LIMIT_POLICY, limit.policy().clone());
        fields.append(RATE_LIMIT, allowance);
    }
}

/// Gives a client its key, by which it stays with its version.
pub fn tell_key(fields: &mut Fields, chosen: &Chosen) {
    let cookie = chosen.cookie.as_deref().and_then(|cookie| HeaderValue::from_str(cookie).ok());
    if let Some(cookie) = cookie {
        fields.append(SET_COOKIE, cookie);
    }
}

/// The id of a request: the client's own if it is short and plain, or else a new random one.
pub fn request_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
    match sent.filter(|id| is_sane(id)) {
        Some(id) => id.into(),
        None => Id::random().as_str().into(),
    }
}

/// Whether the client waits for `100 Continue` before it sends its body. HTTP/1.0 does not know the expectation ([RFC
/// 9110, section 10.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1)).
pub fn expects_continue(request: &RequestHeader) -> bool {
    request.version > Version::HTTP_10
        && request
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether a request names its server, as an HTTP/1.1 request must ([RFC 9112, section
/// 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)).
fn names_host(request: &RequestHeader) -> bool {
    request.version < Version::HTTP_11
        || request.uri.authority().is_some()
        || request.headers.contains_key(HOST)
}

fn is_sane(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(&byte);
    (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(plain)
}

/// Copies a field, without what is for watershed alone.
fn copy(fields: &mut Fields, name: &HeaderName, value: &HeaderValue) {
    if is_lane(name) {
        return;
    }
    let value = match *name == COOKIE && has_key(value) {
        true => without_key(value),
        false => Some(value.clone()),
    };
    if let Some(value) = value {
        fields.append(name.clone(), value);
    }
}

/// Headers for watershed alone, unless the service passes lanes on. A key is a secret.
fn is_lane(name: &HeaderName) -> bool {
    name.as_str().starts_with("watershed-") && LANE.contains(name)
}

/// Whether the cookies may contain the override's key.
fn has_key(cookies: &HeaderValue) -> bool {
    let key = WATERSHED_KEY;
    let mut parts = cookies.as_bytes().windows(key.as_str().len());
    parts.any(|part| part == key.as_str().as_bytes())
}

/// The other cookies, if there are any.
fn without_key(cookies: &HeaderValue) -> Option<HeaderValue> {
    let is_key = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii() == WATERSHED_KEY.as_str().as_bytes()
    };
    let pairs = cookies.as_bytes().split(|byte| *byte == b';');
    let others: Vec<&[u8]> = pairs.filter(|pair| !is_key(pair)).map(<[u8]>::trim_ascii).collect();
    HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|it| !it.is_empty())
}

fn authority(request: &Parts) -> Option<HeaderValue> {
    match request.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => request.headers.get(HOST).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_by_guest(sent: &[(&'static str, &'static str)]) -> HeaderMap {
        seen(sent, false)
    }

    fn seen(sent: &[(&'static str, &'static str)], is_believed: bool) -> HeaderMap {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in sent {
            request.append_header(*name, *value).unwrap();
        }
        let peer = "192.0.2.7".parse().unwrap();
        let hop = Hop { peer, scheme: &Scheme::HTTPS, is_believed };
        super::request(&request, hop, "id").fields.into_map()
    }

    #[test]
    fn headers_that_the_connection_names_stay_behind() {
        let seen = seen_by_guest(&[
            ("connection", "keep-alive, X-Secret"),
            ("connection", "x-second, host"),
            ("host", "a.example"),
            ("x-secret", "1"),
            ("x-second", "1"),
            ("te", "trailers"),
            ("x-kept", "1"),
        ]);
        assert!(seen.contains_key("x-kept"));
        assert!(seen.contains_key("host"));
        for dropped in ["connection", "x-secret", "x-second", "te"] {
            assert!(!seen.contains_key(dropped), "{dropped}");
        }
    }

    #[test]
    fn what_is_said_to_us_alone_stays_behind() {
        let seen = seen_by_guest(&[
            ("watershed-version", "v2"),
            ("watershed-key", "secret"),
            ("watershed-sticky", "00000000000000ff"),
            ("watershed-like", "1"),
            ("cookie", "a=1; watershed-key=secret;b=2"),
            ("cookie", "watershed-key=secret"),
            ("cookie", "c=watershed-key"),
        ]);
        let names: Vec<_> = seen.keys().map(HeaderName::as_str).collect();
        assert_eq!(
            names,
            ["watershed-like", "cookie", "x-forwarded-for", "x-forwarded-proto", "x-request-id"]
        );
        let cookies: Vec<_> = seen.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2", "c=watershed-key"]);
    }

    #[test]
    fn a_trusted_proxy_is_appended_to_the_hops_and_anybody_else_begins_them() {
        let sent = [
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.2, 10.0.0.1"),
            ("x-forwarded-proto", "gopher, http"),
            ("x-forwarded-host", "outside.example"),
            ("x-forwarded-port", "8443"),
            ("x-forwarded-prefix", "/a"),
            ("x-real-ip", "198.51.100.1"),
            ("forwarded", "for=198.51.100.1"),
            ("connection", "x-forwarded-for, x-forwarded-host"),
            ("host", "a.example"),
        ];
        let shown = |seen: &HeaderMap, name: &str| {
            let values = seen.get_all(name).iter().map(|value| value.to_str().unwrap());
            values.collect::<Vec<_>>().join(" + ")
        };
        let names =
            ["for", "proto", "host", "port", "prefix"].map(|name| format!("x-forwarded-{name}"));
        let names = names.iter().map(String::as_str).chain(["x-real-ip", "forwarded"]);
        let stranger = seen(&sent, false);
        let of_stranger: Vec<_> = names.clone().map(|name| shown(&stranger, name)).collect();
        assert_eq!(of_stranger, ["192.0.2.7", "https", "a.example", "", "", "", ""]);
        let proxy = seen(&sent, true);
        let of_proxy: Vec<_> = names.map(|name| shown(&proxy, name)).collect();
        let hops = "198.51.100.1, 198.51.100.2, 10.0.0.1, 192.0.2.7";
        let kept = ["outside.example", "8443", "/a", "198.51.100.1", "for=198.51.100.1"];
        assert_eq!(of_proxy, [[hops, "https"].as_slice(), &kept].concat());
        assert_eq!(
            seen(&[("host", "a.example")], true).get("x-forwarded-host").unwrap(),
            "a.example"
        );
    }

    #[test]
    fn a_request_id_is_kept_only_if_it_is_sane() {
        let id = |sent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(sent).unwrap());
            request_id(&headers)
        };
        assert_eq!(&*id("abc-1.2"), "abc-1.2");
        for insane in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert_eq!(id(insane).len(), 32, "{insane}");
        }
    }
}

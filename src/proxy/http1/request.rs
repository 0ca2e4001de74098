//! Reads heads of requests. The connection has found where they end, and how their bodies are framed.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Version};
use pingora::http::RequestHeader;

/// The most fields of a head.
const FIELDS: usize = 256;

/// Reads a head. `None` where it is malformed.
pub fn parse(head: BytesMut) -> Option<RequestHeader> {
    let bytes = head.freeze();
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_request_with_uninit_headers(&mut request, &bytes, &mut fields)
        .ok()?;
    if parsed != httparse::Status::Complete(bytes.len()) {
        return None;
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(request.method?.as_bytes()).ok()?;
    parts.version = match request.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    parts.headers = HeaderMap::with_capacity(request.headers.len());
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?;
        parts.headers.append(name, value);
    }
    let target = request.path?.as_bytes();
    if let Some(path) = plain_path(&bytes, target) {
        parts.uri = path.into();
        return Some(RequestHeader::from(parts));
    }
    let mut header = RequestHeader::from(parts);
    header.set_raw_path(target).ok()?;
    Some(header)
}

/// A target that is a path and nothing odd, as almost all are, in the memory that it came in.
fn plain_path(head: &Bytes, target: &[u8]) -> Option<PathAndQuery> {
    if !target.starts_with(b"/") || target.contains(&b'#') {
        return None;
    }
    PathAndQuery::from_maybe_shared(head.slice_ref(target)).ok()
}

/// Whether the client keeps its connection for another request ([RFC 9112, section
/// 9.3](https://www.rfc-editor.org/rfc/rfc9112#section-9.3)).
pub fn keeps(request: &RequestHeader) -> bool {
    let (mut closes, mut keeps) = (false, request.version >= Version::HTTP_11);
    let values = request.headers.get_all(CONNECTION).iter();
    for option in values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let option = option.trim_ascii();
        closes |= option.eq_ignore_ascii_case(b"close");
        keeps |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keeps && !closes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Option<RequestHeader> {
        parse(BytesMut::from(head))
    }

    #[test]
    fn a_head_is_read_as_it_was_sent() {
        let head = "POST /a?b=%20c HTTP/1.1\r\nHost: a.example\r\nX-Two: 1\r\nx-two:\t2 \r\nX-Raw: \u{e9}\r\n\r\n";
        let request = parsed(head).unwrap();
        assert_eq!((request.method.as_str(), request.version), ("POST", Version::HTTP_11));
        assert_eq!(request.uri.to_string(), "/a?b=%20c");
        assert_eq!(request.uri.query(), Some("b=%20c"));
        let fields: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let raw = "\u{e9}".as_bytes();
        assert_eq!(
            fields,
            [("host", b"a.example".as_slice()), ("x-two", b"1"), ("x-two", b"2"), ("x-raw", raw)]
        );
    }

    #[test]
    fn targets_may_be_odd_and_heads_may_not() {
        for target in ["/", "*", "/a|b\"{}", "//a", "/\u{e4}", "a.example:443", "/%"] {
            let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
            assert!(parsed(&head).is_some(), "{target}");
        }
        for head in [
            "",
            "GET / HTTP/1.1\r\nhost: a\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\nx",
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nho(st: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost\r\n\r\n",
            "GET / HTTP/1.1\r\n: a\r\n\r\n",
        ] {
            assert!(parsed(head).is_none(), "{head:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: 1\r\n".repeat(FIELDS + 1));
        assert!(parsed(&many).is_none());
    }

    #[test]
    fn who_asks_to_close_closes() {
        let keeps = |version, fields: &str| {
            keeps(&parsed(&format!("GET / HTTP/1.{version}\r\n{fields}\r\n")).unwrap())
        };
        assert!(keeps(1, "") && !keeps(0, ""));
        assert!(keeps(0, "connection: Keep-Alive\r\n"));
        assert!(!keeps(1, "connection: te\r\nconnection: x, Close\r\n"));
        assert!(!keeps(0, "connection: close, keep-alive\r\n"));
    }
}

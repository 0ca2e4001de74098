//! Writes the head of a request.

use std::io::Write;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method};

use crate::config::{HostHeader, TargetAddress};
use crate::exchange::{Field, Fields, RequestHead, is};

/// Room for a head as most are.
const ROOM: usize = 512;

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// There is none, and bytes may follow if the target switches to another protocol.
    Upgrade,
    Length(u64),
    Chunked,
}

/// Which host a target is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    pub declared: &'a HostHeader,
    pub target: &'a TargetAddress,
}

/// The head of a request, as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// How the body after it is framed.
    pub framing: Framing,
    /// Whether it asks for another protocol.
    pub is_upgrade: bool,
}

/// What a request says of its body and its connection. Found while its other fields are written.
#[derive(Clone, Copy, Debug, Default)]
struct Said<'a> {
    length: Option<&'a [u8]>,
    is_upgrade: bool,
    takes_trailers: bool,
}

impl<'a> Said<'a> {
    /// Whether a field is about the connection or the framing, and so is written anew for this one.
    fn takes(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        // By length first, because few names have the length of one of these.
        match name.len() {
            2 if is(name, "te") => self.takes_trailers |= names_trailers(value),
            4 => return is(name, "host"),
            7 if is(name, "upgrade") => self.is_upgrade = true,
            10 => return is(name, "connection") || is(name, "keep-alive"),
            14 if is(name, "content-length") => self.length = self.length.or(Some(value)),
            16 => return is(name, "proxy-connection"),
            17 => return is(name, "transfer-encoding"),
            _ => return false,
        }
        true
    }
}

fn names_trailers(te: &[u8]) -> bool {
    let mut codings = te.split(|byte| *byte == b',');
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Writes the head.
///
/// Nothing that a client sends can end the head or a field early: the types of methods, targets, names and values admit
/// neither line ends nor NUL.
pub fn write(head: &mut Vec<u8>, request: &RequestHead, host: Host<'_>, has_body: bool) -> Written {
    let RequestHead { method, fields, .. } = request;
    head.reserve(ROOM);
    line(head, request);
    host_field(head, request, host);
    let mut said = Said::default();
    for field in fields.iter() {
        let Field { name, value, .. } = field;
        if !said.takes(name, value) {
            field.write(head);
        }
    }
    connection(head, fields, said);
    let framing = framing(method, said, has_body);
    match framing {
        Framing::Length(length) => {
            // Writing to memory does not fail.
            write!(head, "content-length: {length}\r\n").ok();
        }
        Framing::Chunked => field(head, TRANSFER_ENCODING.as_str(), b"chunked"),
        Framing::None if is_empty_body(method, said) => {
            field(head, CONTENT_LENGTH.as_str(), b"0");
        }
        Framing::None | Framing::Upgrade => {}
    }
    head.extend_from_slice(b"\r\n");
    Written { framing, is_upgrade: said.is_upgrade }
}

/// Writes the last chunk of a body, and its trailers.
pub fn write_end(output: &mut Vec<u8>, trailers: &HeaderMap) {
    output.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        // What says how a message is framed or routed may be no trailer (RFC 9110, section 6.5.1).
        let is_framing = Said::default().takes(name.as_str().as_bytes(), value.as_bytes());
        if !is_framing && name != TRAILER {
            field(output, name.as_str(), value.as_bytes());
        }
    }
    output.extend_from_slice(b"\r\n");
}

fn line(head: &mut Vec<u8>, RequestHead { method, uri, .. }: &RequestHead) {
    head.extend_from_slice(method.as_str().as_bytes());
    head.push(b' ');
    let target = match (method, uri.path_and_query()) {
        (&Method::CONNECT, _) => uri.authority().map_or("", |authority| authority.as_str()),
        (_, Some(target)) => target.as_str(),
        (_, None) => "/",
    };
    head.extend_from_slice(target.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
}

fn field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

/// The client's host is that of its `host`, or of its `:authority` over HTTP/2. HTTP/1.0 may name none.
fn host_field(head: &mut Vec<u8>, request: &RequestHead, Host { declared, target }: Host<'_>) {
    let sent = || request.fields.get(&HOST);
    let authority = || Some(request.uri.authority()?.as_str().as_bytes());
    let name = match declared {
        HostHeader::Name(name) => Some(name.as_bytes()),
        HostHeader::Keep => sent().or_else(authority),
        HostHeader::Target => None,
    };
    match name {
        Some(name) => field(head, HOST.as_str(), name),
        // Writing to memory does not fail.
        None => drop(write!(head, "host: {target}\r\n")),
    }
}

/// An upgrade that the client asked for, and trailers that it can take. Each must be announced as a field of the
/// connection ([RFC 9110, section 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)).
fn connection(head: &mut Vec<u8>, fields: &Fields, said: Said<'_>) {
    let options: &[u8] = match (said.is_upgrade, said.takes_trailers) {
        (true, true) => b"upgrade, te",
        (true, false) => b"upgrade",
        (false, true) => b"te",
        (false, false) => return,
    };
    field(head, CONNECTION.as_str(), options);
    if said.is_upgrade {
        for upgrade in fields.values(UPGRADE) {
            field(head, UPGRADE.as_str(), upgrade);
        }
    }
    if said.takes_trailers {
        field(head, TE.as_str(), b"trailers");
    }
}

/// The length that the client promised, or else chunks. What follows an upgrade or a CONNECT is no body.
fn framing(method: &Method, said: Said<'_>, has_body: bool) -> Framing {
    match said.length.and_then(number) {
        _ if !has_body => Framing::None,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None if said.is_upgrade || *method == Method::CONNECT => Framing::Upgrade,
        None => Framing::Chunked,
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Whether a request without a body should say so ([RFC 9110, section
/// 8.6](https://www.rfc-editor.org/rfc/rfc9110#section-8.6)).
fn is_empty_body(method: &Method, said: Said<'_>) -> bool {
    said.length.is_some() || matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    fn written(request: &Request<()>, declared: &HostHeader, has_body: bool) -> (String, Framing) {
        let target = TargetAddress::Name("target.internal".to_owned(), 9001);
        let mut head = Vec::new();
        let host = Host { declared, target: &target };
        let Written { framing, .. } = write(&mut head, &request.clone().into(), host, has_body);
        (String::from_utf8(head).unwrap(), framing)
    }

    fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn head(method: &str, fields: &[(&str, &str)], has_body: bool) -> (String, Framing) {
        let fields = [&[("host", "a")], fields].concat();
        let (head, framing) = written(&request(method, "/", &fields), &HostHeader::Keep, has_body);
        let start = format!("{method} / HTTP/1.1\r\nhost: a\r\n");
        let rest = head.strip_prefix(&start).and_then(|rest| rest.strip_suffix("\r\n"));
        (rest.unwrap_or_else(|| panic!("{head:?}")).to_owned(), framing)
    }

    #[test]
    fn the_host_is_the_one_that_is_declared() {
        let name = HostHeader::Name("other.example".to_owned());
        let http1 = request("GET", "/x?y=%20|", &[("host", "a.example:81")]);
        let http2 = request("GET", "https://a.example:81/x?y=%20|", &[]);
        let old = request("GET", "/x?y=%20|", &[]);
        for (request, declared, host) in [
            (&http1, &HostHeader::Keep, "a.example:81"),
            (&http2, &HostHeader::Keep, "a.example:81"),
            (&old, &HostHeader::Keep, "target.internal:9001"),
            (&http1, &HostHeader::Target, "target.internal:9001"),
            (&http2, &name, "other.example"),
        ] {
            let (head, _) = written(request, declared, false);
            assert_eq!(head, format!("GET /x?y=%20| HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        }
    }

    #[test]
    fn targets_are_written_as_they_are() {
        for (method, uri, target) in [
            ("OPTIONS", "*", "*"),
            ("CONNECT", "a.example:443", "a.example:443"),
            ("GET", "http://a.example", "/"),
            ("GET", "/a//b/../c%2F?", "/a//b/../c%2F?"),
        ] {
            let (head, _) = written(&request(method, uri, &[]), &HostHeader::Target, false);
            let start = format!("{method} {target} HTTP/1.1\r\n");
            assert!(head.starts_with(&start), "{head}");
        }
    }

    #[test]
    fn a_body_is_framed_once() {
        let length = ("content-length", "5");
        let chunked = "transfer-encoding: chunked\r\n".to_owned();
        for (method, fields, has_body, written, framing) in [
            ("PUT", vec![length], true, "content-length: 5\r\n".to_owned(), Framing::Length(5)),
            ("PUT", vec![], true, chunked.clone(), Framing::Chunked),
            ("PUT", vec![("transfer-encoding", "gzip")], true, chunked, Framing::Chunked),
            ("PUT", vec![], false, "content-length: 0\r\n".to_owned(), Framing::None),
            ("PUT", vec![length], false, "content-length: 0\r\n".to_owned(), Framing::None),
            ("GET", vec![], false, String::new(), Framing::None),
        ] {
            assert_eq!(head(method, &fields, has_body), (written, framing));
        }
    }

    #[test]
    fn fields_of_the_connection_are_written_anew() {
        let dropped = [
            ("connection", "x-a, keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip;q=1"),
        ];
        assert_eq!(head("GET", &dropped, false).0, "");
        let te = [("te", "gzip, Trailers"), ("x-a", "1"), ("x-a", "2")];
        let written = "x-a: 1\r\nx-a: 2\r\nconnection: te\r\nte: trailers\r\n";
        assert_eq!(head("GET", &te, false).0, written);
        let upgrade = [("upgrade", "websocket"), ("te", "trailers")];
        let written = "connection: upgrade, te\r\nupgrade: websocket\r\nte: trailers\r\n";
        assert_eq!(head("GET", &upgrade, true), (written.to_owned(), Framing::Upgrade));
    }

    #[test]
    fn no_value_can_end_its_line() {
        for byte in [b'\r', b'\n', 0] {
            assert!(HeaderValue::from_bytes(&[b'a', byte]).is_err());
            assert!(HeaderName::from_bytes(&[b'a', byte]).is_err());
            assert!(Method::from_bytes(&[b'a', byte]).is_err());
            assert!(http::Uri::try_from([b'/', byte].as_slice()).is_err());
        }
        assert!(http::Uri::try_from("/a b").is_err());
    }
}

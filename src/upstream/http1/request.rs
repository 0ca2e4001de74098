//! Writes the head of a request.

use std::io::Write;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, Method, Request};

use crate::config::{HostHeader, TargetAddress};

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

/// Fields about a connection, which are written anew for this one.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
/// Fields that say how a message is framed or routed, and so may not be trailers ([RFC 9110, section
/// 6.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)).
const NO_TRAILERS: [HeaderName; 3] = [HOST, CONTENT_LENGTH, TRAILER];

/// Writes the head, and tells how the body after it is framed.
///
/// Nothing that a client sends can end the head or a field early: the types of methods, targets, names and values admit
/// neither line ends nor NUL.
pub fn write(head: &mut Vec<u8>, request: &Request<()>, host: Host<'_>, has_body: bool) -> Framing {
    let headers = request.headers();
    let framing = framing(request, has_body);
    line(head, request);
    host_field(head, request, host);
    for (name, value) in headers {
        if !OF_THE_CONNECTION.contains(name) {
            field(head, name.as_str(), value.as_bytes());
        }
    }
    connection(head, headers);
    match framing {
        Framing::Length(length) => {
            // Writing to memory does not fail.
            write!(head, "content-length: {length}\r\n").ok();
        }
        Framing::Chunked => field(head, TRANSFER_ENCODING.as_str(), b"chunked"),
        Framing::None if is_empty_body(request) => field(head, CONTENT_LENGTH.as_str(), b"0"),
        Framing::None | Framing::Upgrade => {}
    }
    head.extend_from_slice(b"\r\n");
    framing
}

/// Writes the last chunk of a body, and its trailers.
pub fn write_end(output: &mut Vec<u8>, trailers: &HeaderMap) {
    output.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        if !OF_THE_CONNECTION.contains(name) && !NO_TRAILERS.contains(name) {
            field(output, name.as_str(), value.as_bytes());
        }
    }
    output.extend_from_slice(b"\r\n");
}

fn line(head: &mut Vec<u8>, request: &Request<()>) {
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    let uri = request.uri();
    let target = match (request.method(), uri.path_and_query()) {
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
fn host_field(head: &mut Vec<u8>, request: &Request<()>, Host { declared, target }: Host<'_>) {
    let sent = || request.headers().get(HOST).map(HeaderValue::as_bytes);
    let authority = || Some(request.uri().authority()?.as_str().as_bytes());
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
fn connection(head: &mut Vec<u8>, headers: &HeaderMap) {
    let takes_trailers = headers.get_all(TE).iter().any(|te| {
        let mut codings = te.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    let upgrade = headers.get(UPGRADE);
    let options: &[u8] = match (upgrade, takes_trailers) {
        (Some(_), true) => b"upgrade, te",
        (Some(_), false) => b"upgrade",
        (None, true) => b"te",
        (None, false) => return,
    };
    field(head, CONNECTION.as_str(), options);
    for upgrade in headers.get_all(UPGRADE) {
        field(head, UPGRADE.as_str(), upgrade.as_bytes());
    }
    if takes_trailers {
        field(head, TE.as_str(), b"trailers");
    }
}

/// The length that the client promised, or else chunks. What follows an upgrade or a CONNECT is no body.
fn framing(request: &Request<()>, has_body: bool) -> Framing {
    let headers = request.headers();
    match headers.get(CONTENT_LENGTH).and_then(number) {
        _ if !has_body => Framing::None,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None if headers.contains_key(UPGRADE) || request.method() == Method::CONNECT => {
            Framing::Upgrade
        }
        None => Framing::Chunked,
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

/// Whether a request without a body should say so ([RFC 9110, section
/// 8.6](https://www.rfc-editor.org/rfc/rfc9110#section-8.6)).
fn is_empty_body(request: &Request<()>) -> bool {
    request.headers().contains_key(CONTENT_LENGTH)
        || [Method::POST, Method::PUT, Method::PATCH].contains(request.method())
}

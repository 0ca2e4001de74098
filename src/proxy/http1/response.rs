//! Writes heads of responses, and frames their bodies.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use pingora::protocols::http::date::get_cached_date;

use crate::exchange::{Field, ResponseHead};

/// Tells a client to send its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How the body of a response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many more bytes follow.
    Length(u64),
    Chunked,
    /// The end of the connection ends it.
    UntilClose,
}

impl Framing {
    /// What a head says of its body. Nothing follows the head that answers a HEAD request, whatever it says ([RFC 9112,
    /// section 6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).
    pub fn of(head: &ResponseHead, is_head: bool) -> Self {
        if is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Self::Length(0);
        }
        let length = head.fields.get(&CONTENT_LENGTH).and_then(|it| std::str::from_utf8(it).ok());
        match length.and_then(|length| length.parse().ok()) {
            Some(length) => Self::Length(length),
            None if head.fields.contains(&TRANSFER_ENCODING) => Self::Chunked,
            None => Self::UntilClose,
        }
    }
}

/// Writes a head, with the time and with what becomes of the connection.
pub fn write(buffer: &mut BytesMut, head: &ResponseHead, is_kept: bool) {
    write_status(buffer, head);
    write_fields(buffer, head);
    buffer.put_slice(b"Date: ");
    buffer.put_slice(get_cached_date().as_bytes());
    buffer.put_slice(match is_kept {
        true => b"\r\nConnection: keep-alive\r\n\r\n".as_slice(),
        false => b"\r\nConnection: close\r\n\r\n",
    });
}

/// Writes a head with nothing added to it.
pub fn write_as_it_is(buffer: &mut BytesMut, head: &ResponseHead) {
    write_status(buffer, head);
    head.fields.iter().for_each(|field| write_field(buffer, field));
    buffer.put_slice(b"\r\n");
}

fn write_status(buffer: &mut BytesMut, head: &ResponseHead) {
    buffer.put_slice(b"HTTP/1.1 ");
    buffer.put_slice(head.status.as_str().as_bytes());
    buffer.put_u8(b' ');
    buffer.put_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
    buffer.put_slice(b"\r\n");
}

/// Writes all fields but the time, which is ours to tell.
fn write_fields(buffer: &mut BytesMut, head: &ResponseHead) {
    for field in head.fields.iter().filter(|field| !field.is("date")) {
        write_field(buffer, field);
    }
}

fn write_field(buffer: &mut BytesMut, mut field: Field<'_>) {
    if field.line.is_none() {
        field.name = titled(field.name);
    }
    field.write(buffer);
}

/// The names of fields that are made here and in guests, as servers of HTTP/1 write them. All others are in lower case.
fn titled(name: &[u8]) -> &[u8] {
    match name {
        b"accept-ranges" => b"Accept-Ranges",
        b"age" => b"Age",
        b"cache-control" => b"Cache-Control",
        b"connection" => b"Connection",
        b"content-encoding" => b"Content-Encoding",
        b"content-length" => b"Content-Length",
        b"content-type" => b"Content-Type",
        b"server" => b"Server",
        b"set-cookie" => b"Set-Cookie",
        b"transfer-encoding" => b"Transfer-Encoding",
        name => name,
    }
}

/// The line that begins a chunk of this size.
pub fn chunk_size(size: usize) -> Bytes {
    format!("{size:X}\r\n").into()
}

/// Ends a chunked body.
pub fn write_last_chunk(buffer: &mut BytesMut, trailers: &HeaderMap) {
    buffer.put_slice(b"0\r\n");
    for (name, value) in trailers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            buffer.put_slice(part);
        }
    }
    buffer.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    fn head(status: u16, fields: &[(&'static str, &'static str)]) -> ResponseHead {
        let mut head = ResponseHead::new(StatusCode::from_u16(status).unwrap());
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            head.fields.append(HeaderName::from_static(name), value);
        }
        head
    }

    #[test]
    fn a_head_tells_our_time_and_not_the_backends() {
        let mut buffer = BytesMut::new();
        let fields = [("content-type", "a/b"), ("date", "yesterday"), ("x-b", "1"), ("x-b", "2")];
        write(&mut buffer, &head(404, &fields), true);
        let text = String::from_utf8(buffer.to_vec()).unwrap();
        let (before, date) = text.split_once("Date: ").unwrap();
        assert_eq!(before, "HTTP/1.1 404 Not Found\r\nContent-Type: a/b\r\nx-b: 1\r\nx-b: 2\r\n");
        assert!(date.ends_with(" GMT\r\nConnection: keep-alive\r\n\r\n"), "{date}");
    }

    #[test]
    fn a_status_without_a_reason_keeps_its_space() {
        let mut buffer = BytesMut::new();
        write_as_it_is(&mut buffer, &head(299, &[]));
        assert_eq!(&buffer[..], b"HTTP/1.1 299 \r\n\r\n");
    }

    #[test]
    fn framing_is_what_the_head_says() {
        let of = |status, fields: &[_]| Framing::of(&head(status, fields), false);
        assert_eq!(of(200, &[("content-length", "5")]), Framing::Length(5));
        assert_eq!(of(200, &[("transfer-encoding", "chunked")]), Framing::Chunked);
        assert_eq!(of(200, &[]), Framing::UntilClose);
        for status in [204, 304] {
            assert_eq!(of(status, &[("content-length", "5")]), Framing::Length(0));
        }
        assert_eq!(Framing::of(&head(200, &[]), true), Framing::Length(0));
    }

    #[test]
    fn a_chunked_body_ends_with_its_trailers() {
        let mut buffer = BytesMut::new();
        let mut trailers = HeaderMap::new();
        write_last_chunk(&mut buffer, &trailers);
        trailers.append("grpc-status", HeaderValue::from_static("0"));
        write_last_chunk(&mut buffer, &trailers);
        assert_eq!(&buffer[..], b"0\r\n\r\n0\r\ngrpc-status: 0\r\n\r\n");
        assert_eq!(chunk_size(255), "FF\r\n");
    }
}

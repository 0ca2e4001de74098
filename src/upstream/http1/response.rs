//! Reads the head of a response: where it ends, what it says, and how the body after it is framed ([RFC 9112, section
//! 6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};

use crate::exchange::{Fields, Line, ResponseHead, is};

/// Bytes of a head.
pub const BYTES: usize = 64 << 10;
/// Fields of a head.
pub const FIELDS: usize = 256;

/// Room for the fields that the proxy adds to a head.
const MORE: usize = 3;
/// How heads begin.
const BEGIN: &[u8] = b"HTTP/1.";

/// Looks for the end of a head while it comes in. Each byte is looked at once, however many parts there are.
#[derive(Debug, Default)]
pub struct Scan {
    /// Where the incomplete line begins.
    line: usize,
    /// Bytes in which no line end was found.
    looked: usize,
}

/// What a head says of the body after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A head that is complete.
#[derive(Debug)]
pub struct Head {
    pub head: ResponseHead,
    pub framing: Framing,
    /// Whether the target keeps the connection open.
    pub is_kept: bool,
    /// How long it does, if it says so.
    pub keep_alive: Option<Duration>,
}

/// What is wrong with a head.
pub type Wrong = &'static str;

impl Scan {
    /// The length of the head, once it is complete. `bytes` start where they did in the last call.
    ///
    /// # Errors
    ///
    /// Where the bytes cannot become a head.
    pub fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, Wrong> {
        let begin = bytes.len().min(BEGIN.len());
        if self.looked < BEGIN.len() && bytes.get(..begin) != BEGIN.get(..begin) {
            return Err("the response is not HTTP/1");
        }
        while let Some(rest) = bytes.get(self.looked..) {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.looked = bytes.len();
                break;
            };
            let end = self.looked + end;
            let line = bytes.get(self.line..end).unwrap_or_default();
            // Some readers take a lone LF for the end of a line, and others do not.
            let line = line.strip_suffix(b"\r").ok_or("a line of the head ends without CR")?;
            (self.line, self.looked) = (end + 1, end + 1);
            if self.looked > BYTES {
                break;
            }
            if line.is_empty() {
                return Ok(Some(self.looked));
            }
        }
        if bytes.len() > BYTES { Err("the head is longer than 64 KiB") } else { Ok(None) }
    }
}

impl Head {
    /// Reads a complete head. Its fields share the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// Where the head is not as RFC 9112 has it, or leaves open where its body ends.
    pub fn read(bytes: Bytes) -> Result<Self, Wrong> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, &bytes, &mut fields)
            .map_err(wrong)?;
        if parsed.is_partial() {
            return Err("the head is incomplete");
        }
        let status = response
            .code
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or("the status is not one")?;
        let version = match response.version {
            Some(1) => Version::HTTP_11,
            _ => Version::HTTP_10,
        };
        let (said, lines) = read_fields(&bytes, response.headers)?;
        let framing = said.framing(version)?;
        let is_kept = said.is_kept(version);
        let head = ResponseHead { status, fields: Fields::of(bytes, lines) };
        Ok(Self { head, framing, is_kept, keep_alive: said.keep_alive })
    }
}

/// What the fields of a head say of its body and its connection.
#[derive(Debug, Default)]
struct Said {
    /// Whether the transfer coding is `chunked`.
    coding: Option<bool>,
    /// None inside where it is no number.
    length: Option<Option<u64>>,
    is_told_twice: bool,
    closes: bool,
    keeps: bool,
    keep_alive: Option<Duration>,
}

/// The parser has made sure that names are tokens, and that values have no control characters.
fn read_fields(bytes: &[u8], fields: &[httparse::Header<'_>]) -> Result<(Said, Vec<Line>), Wrong> {
    let mut said = Said::default();
    let mut lines = Vec::with_capacity(fields.len() + MORE);
    for field in fields {
        let name = field.name.as_bytes();
        said.look(name, field.value);
        lines.push(Line::within(bytes, name, field.value).ok_or("a field is outside of its head")?);
    }
    Ok((said, lines))
}

fn wrong(error: httparse::Error) -> Wrong {
    match error {
        httparse::Error::HeaderName => "the name of a field is malformed",
        httparse::Error::HeaderValue => "the value of a field is malformed",
        httparse::Error::NewLine => "a line of the head ends without CR LF",
        httparse::Error::Status => "the status line is malformed",
        httparse::Error::Token => "the head is malformed",
        httparse::Error::TooManyHeaders => "the head has more than 256 fields",
        httparse::Error::Version => "the version is not HTTP/1.0 or HTTP/1.1",
    }
}

impl Said {
    fn look(&mut self, name: &[u8], value: &[u8]) {
        // By length first, because almost no name has the length of one of these.
        match name.len() {
            17 if is(name, "transfer-encoding") => {
                let is_chunked = value.eq_ignore_ascii_case(b"chunked");
                self.is_told_twice |= self.coding.replace(is_chunked).is_some();
            }
            14 if is(name, "content-length") => {
                let length = number(value);
                self.is_told_twice |= self.length.replace(length).is_some();
            }
            10 if is(name, "connection") => {
                for option in value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    self.closes |= option.eq_ignore_ascii_case(b"close");
                    self.keeps |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            10 if is(name, "keep-alive") && self.keep_alive.is_none() => {
                self.keep_alive = timeout(value);
            }
            _ => {}
        }
    }

    fn framing(&self, version: Version) -> Result<Framing, Wrong> {
        if self.is_told_twice {
            return Err("the body's length is told twice");
        }
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err("the head has both content-length and transfer-encoding"),
            (Some(_), None) if version == Version::HTTP_10 => {
                Err("HTTP/1.0 has no transfer-encoding")
            }
            (Some(true), None) => Ok(Framing::Chunked),
            (Some(false), None) => Err("the transfer-encoding is not chunked"),
            (None, Some(length)) => {
                length.map(Framing::Length).ok_or("content-length is not a number")
            }
            (None, None) => Ok(Framing::UntilClose),
        }
    }

    /// Whether the connection stays open after the response ([RFC 9112, section
    /// 9.3](https://www.rfc-editor.org/rfc/rfc9112#section-9.3)).
    fn is_kept(&self, version: Version) -> bool {
        !self.closes && (version == Version::HTTP_11 || self.keeps)
    }
}

/// Digits and nothing else: no sign, no list, no white space.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// The parameter `timeout` of `keep-alive`, in seconds.
fn timeout(value: &[u8]) -> Option<Duration> {
    value.split(|byte| *byte == b',').find_map(|parameter| {
        let (name, seconds) = parameter.trim_ascii().split_at_checked(b"timeout=".len())?;
        let seconds = name.eq_ignore_ascii_case(b"timeout=").then(|| number(seconds))??;
        Some(Duration::from_secs(seconds))
    })
}

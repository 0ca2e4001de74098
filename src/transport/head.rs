//! The head of an HTTP/1.1 request as it comes in: where it ends, whether it may be served, and how the body behind it
//! is framed. The parser of accepted heads checks everything else.
//!
//! If two readers disagree about where a request ends, one request becomes two (request smuggling), and libraries are
//! lenient. So framing is decided here, in front of them, and a head that is not exactly as [RFC
//! 9112](https://www.rfc-editor.org/rfc/rfc9112) has it is refused.

use http::StatusCode;

/// How an HTTP/2 connection begins
/// ([RFC 9113, section 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Limits of a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes, from the request line to the empty line.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
}

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is not a head by RFC 9112, or does not say for certain where its body ends.
    Syntax,
    /// It has more bytes or fields than are allowed.
    TooLarge,
    /// Its request line alone has more bytes than are allowed.
    TargetTooLong,
    /// Its body has a transfer coding other than chunked.
    Coding,
    /// It did not come to its end in time.
    TooSlow,
}

impl Malformed {
    /// The status that the client is sent.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Syntax => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// What the bytes so far turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The head is not complete.
    Part,
    /// A head of this many bytes, and its body's framing.
    Head(usize, Framing),
    /// The connection is one of HTTP/2.
    Preface,
}

/// Examines a head while it comes in. Each byte is looked at once, however many parts there are.
#[derive(Debug, Default)]
pub struct Scan {
    /// Where the incomplete line begins.
    line: usize,
    /// Bytes in which no line end was found.
    looked: usize,
    /// Whether the request line is complete.
    is_begun: bool,
    fields: usize,
    is_http_1_0: bool,
    length: Option<u64>,
    is_chunked: bool,
}

impl Scan {
    /// Whether a request line has begun.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Examines what has come since the last call; `bytes` start where they did then.
    ///
    /// # Errors
    ///
    /// Where the bytes cannot become a head that may be served.
    pub fn look(&mut self, bytes: &[u8], limits: HeadLimits) -> Result<Seen, Malformed> {
        if !self.is_begun && bytes.first() == Some(&b'P') {
            if bytes.starts_with(PREFACE) {
                return Ok(Seen::Preface);
            }
            if PREFACE.starts_with(bytes) {
                return Ok(Seen::Part);
            }
        }
        // What no method begins with cannot become a head. The hello of TLS is waited for in vain otherwise.
        let is_method = |byte: &u8| is_token(*byte) || b"\r\n".contains(byte);
        if !self.is_begun && !bytes.first().is_none_or(is_method) {
            return Err(Malformed::Syntax);
        }
        while let Some(rest) = bytes.get(self.looked..) {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.looked = bytes.len();
                break;
            };
            let end = self.looked + end;
            let line = bytes.get(self.line..end).unwrap_or_default();
            // Some readers take a lone LF for the end of a line, and others do not.
            let line = line.strip_suffix(b"\r").ok_or(Malformed::Syntax)?;
            (self.line, self.looked) = (end + 1, end + 1);
            if end >= limits.bytes {
                return Err(self.too_large(line));
            }
            match (self.is_begun, line.is_empty()) {
                // Empty lines before a request are skipped (RFC 9112, section 2.2).
                (false, true) => {}
                (false, false) => self.request_line(line)?,
                (true, false) => self.field(line, limits)?,
                (true, true) => return Ok(Seen::Head(self.line, self.framing()?)),
            }
        }
        match bytes.len() > limits.bytes {
            true => Err(self.too_large(bytes.get(self.line..).unwrap_or_default())),
            false => Ok(Seen::Part),
        }
    }

    /// What is too large, where the limit is within this line
    /// ([RFC 9112, section 3](https://www.rfc-editor.org/rfc/rfc9112#section-3)).
    fn too_large(&self, line: &[u8]) -> Malformed {
        match self.is_begun || line.is_empty() {
            true => Malformed::TooLarge,
            false => Malformed::TargetTooLong,
        }
    }

    /// `method SP target SP version`, and nothing else
    /// ([RFC 9112, section 3](https://www.rfc-editor.org/rfc/rfc9112#section-3)).
    fn request_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let (method, target, version) = request_line(line).ok_or(Malformed::Syntax)?;
        let is_plain = !method.is_empty() && method.iter().all(|byte| is_token(*byte));
        // A fragment is the client's own (RFC 9110, section 4.2.5), and readers differ in what they make of one.
        let is_target = |byte: &u8| is_visible(*byte) && *byte != b'#';
        if !is_plain || target.is_empty() || !target.iter().all(is_target) {
            return Err(Malformed::Syntax);
        }
        self.is_http_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Malformed::Syntax),
        };
        self.is_begun = true;
        Ok(())
    }

    /// Looks only at the fields that frame the body.
    fn field(&mut self, line: &[u8], limits: HeadLimits) -> Result<(), Malformed> {
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Malformed::TooLarge);
        }
        match line.first() {
            // A folded line (RFC 9112, section 5.2).
            Some(b' ' | b'\t') => Err(Malformed::Syntax),
            Some(b'c' | b'C') => match value_of(line, b"content-length") {
                Some(value) => self.content_length(value),
                None => Ok(()),
            },
            Some(b't' | b'T') => match value_of(line, b"transfer-encoding") {
                Some(value) => self.transfer_encoding(value),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// One number, written once ([RFC 9110, section 8.6](https://www.rfc-editor.org/rfc/rfc9110#section-8.6)).
    fn content_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let length = number(value).ok_or(Malformed::Syntax)?;
        match self.length.replace(length) {
            Some(_) => Err(Malformed::Syntax),
            None => Ok(()),
        }
    }

    /// `chunked`, once and last ([RFC 9112, section 6.1](https://www.rfc-editor.org/rfc/rfc9112#section-6.1)).
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Malformed> {
        if self.is_chunked || self.is_http_1_0 {
            return Err(Malformed::Syntax);
        }
        let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let last = codings.next_back().filter(|last| is_chunked(last));
        self.is_chunked = last.is_some();
        let mut others = codings.peekable();
        if !self.is_chunked {
            return Err(Malformed::Syntax);
        }
        let is_unknown = others.peek().is_some();
        match others.all(|coding| is_coding(coding) && !is_chunked(coding)) {
            true if is_unknown => Err(Malformed::Coding),
            true => Ok(()),
            false => Err(Malformed::Syntax),
        }
    }

    fn framing(&self) -> Result<Framing, Malformed> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Malformed::Syntax),
            (None, true) => Ok(Framing::Chunked),
            (Some(0) | None, false) => Ok(Framing::None),
            (Some(length), false) => Ok(Framing::Length(length)),
        }
    }
}

/// The three parts of a request line; `None` where the line has more or fewer.
pub fn request_line(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some((method, target, version))
}

/// The value of a field line, if the field has this name, which is in lower case.
pub fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Digits and nothing else: no sign, no list, no white space.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// Whether the text may be the name of a coding, with parameters.
fn is_coding(coding: &[u8]) -> bool {
    let name = coding.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    !name.is_empty() && name.iter().all(|byte| is_token(*byte))
}

/// A `tchar` ([RFC 9110, section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2)).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Neither white space nor a control character. Bytes above ASCII are left to the parser.
fn is_visible(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 1024, fields: 10 };

    fn look(head: &str) -> Result<Seen, Malformed> {
        Scan::default().look(head.as_bytes(), LIMITS)
    }

    fn framed(fields: &str) -> Result<Framing, Malformed> {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        look(&head).map(|seen| match seen {
            Seen::Head(length, framing) if length == head.len() => framing,
            seen => panic!("{seen:?} of {head:?}"),
        })
    }

    #[test]
    fn framing_is_what_the_head_says() {
        assert_eq!(framed(""), Ok(Framing::None));
        assert_eq!(framed("content-length: 0\r\n"), Ok(Framing::None));
        assert_eq!(framed("CONTENT-Length:\t5 \r\n"), Ok(Framing::Length(5)));
        assert_eq!(framed("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framed("content-lengthy: x\r\ntransfer-encodings: y\r\n"), Ok(Framing::None));
    }

    #[test]
    fn what_leaves_the_end_of_a_body_open_is_refused() {
        for fields in [
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            "content-length: 5\r\ncontent-length: 5\r\n",
            "content-length: 5\r\ncontent-length: 6\r\n",
            "content-length: 5, 5\r\n",
            "content-length: +5\r\n",
            "content-length: -5\r\n",
            "content-length: 5 5\r\n",
            "content-length: 0x5\r\n",
            "content-length:\r\n",
            "content-length: 99999999999999999999\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked, chunked\r\n",
            "transfer-encoding: chunked, gzip\r\n",
            "transfer-encoding: gzip\r\n",
            "transfer-encoding: identity\r\n",
            "transfer-encoding: , chunked\r\n",
            "transfer-encoding: chunked,\r\n",
            "transfer-encoding: \"chunked\"\r\n",
            "transfer-encoding: xchunked\r\n",
            "transfer-encoding: chunked;q=1\r\n",
            "transfer-encoding: \u{b}chunked\r\n",
            "x-a: 1\r\n folded\r\n",
        ] {
            assert_eq!(framed(fields), Err(Malformed::Syntax), "{fields:?}");
        }
        let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(look(old), Err(Malformed::Syntax));
    }

    #[test]
    fn a_coding_that_is_unknown_is_told_apart() {
        for fields in ["gzip, chunked", "x;a=1 , Chunked"] {
            let fields = format!("transfer-encoding: {fields}\r\n");
            assert_eq!(framed(&fields), Err(Malformed::Coding), "{fields}");
        }
    }

    #[test]
    fn request_lines_have_three_parts() {
        for line in [
            "GET /a b HTTP/1.1",
            "GET /a\0b HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET /\tHTTP/1.1",
            " GET / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET /",
            "G(T / HTTP/1.1",
            "GET / HTTP/2.0",
            "GET / HTTP/1.2",
            "GET / http/1.1",
            "GET /\x7f HTTP/1.1",
            "GET /#a HTTP/1.1",
        ] {
            let head = format!("{line}\r\nhost: a\r\n\r\n");
            assert_eq!(look(&head), Err(Malformed::Syntax), "{line:?}");
        }
        assert!(matches!(look("\r\n\r\nGET /|\"{} HTTP/1.1\r\n\r\n"), Ok(Seen::Head(..))));
    }

    #[test]
    fn a_lone_line_feed_ends_no_line() {
        for head in ["GET / HTTP/1.1\nhost: a\n\n", "GET / HTTP/1.1\r\nhost: a\n\r\n"] {
            assert_eq!(look(head), Err(Malformed::Syntax), "{head:?}");
        }
    }

    #[test]
    fn a_head_is_found_however_it_drips() {
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
        let mut scan = Scan::default();
        let whole = head.len() - 3;
        for end in 1..whole {
            assert_eq!(scan.look(&head[..end], LIMITS), Ok(Seen::Part), "{end}");
        }
        let seen = Ok(Seen::Head(whole, Framing::Length(3)));
        assert_eq!(scan.look(&head[..whole], LIMITS), seen);
        assert_eq!(Scan::default().look(head, LIMITS), seen);
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_complete() {
        let limits = HeadLimits { bytes: 64, fields: 2 };
        let long = format!("GET /{} ", "x".repeat(60));
        assert_eq!(Scan::default().look(long.as_bytes(), limits), Err(Malformed::TargetTooLong));
        let whole = format!("{long}HTTP/1.1\r\n");
        assert_eq!(Scan::default().look(whole.as_bytes(), limits), Err(Malformed::TargetTooLong));
        let many = b"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\n";
        assert_eq!(Scan::default().look(many, limits), Err(Malformed::TooLarge));
        let padded = b"\r\n".repeat(40);
        assert_eq!(Scan::default().look(&padded, limits), Err(Malformed::TooLarge));
    }

    #[test]
    fn the_preface_of_http2_is_told_from_methods_that_begin_like_it() {
        for length in 1..PREFACE.len() {
            assert_eq!(Scan::default().look(&PREFACE[..length], LIMITS), Ok(Seen::Part));
        }
        assert_eq!(Scan::default().look(PREFACE, LIMITS), Ok(Seen::Preface));
        for method in ["P", "PR", "PRI", "PUT"] {
            let head = format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
            assert!(matches!(look(&head), Ok(Seen::Head(..))), "{method}");
        }
    }
}

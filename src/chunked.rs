//! Finds the end of a chunked body, byte by byte, and the trailer fields there ([RFC 9112, section
//! 7.1](https://www.rfc-editor.org/rfc/rfc9112#section-7.1)).
//!
//! `transport` decodes the bodies of clients by it, and `upstream` those of targets. Anything that is not exactly a chunked body is refused, so that no reader can find
//! another end.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING};

/// Bytes of all chunk extensions of a body together. Extensions are ignored.
const EXTENSIONS: usize = 16 << 10;
/// Bytes of a trailer section.
const TRAILER_BYTES: usize = 16 << 10;
/// Fields of a trailer section.
const TRAILERS: usize = 64;
/// Digits of a chunk's size.
const DIGITS: u8 = 16;
/// The largest size of a chunk. Readers that add the line end to a larger one, or take it for a number with a sign, go
/// wrong.
const SIZE: u64 = i64::MAX as u64;
/// Fields that say how a message is framed or routed, and so may not be trailers ([RFC 9110, section
/// 6.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)).
const FRAMING: [HeaderName; 4] = [CONTENT_LENGTH, TRANSFER_ENCODING, HOST, TRAILER];

/// The bytes are not those of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotChunked;

/// A chunked body that is being read.
#[derive(Debug, Default)]
pub struct Chunks {
    at: At,
    /// Bytes of the present chunk that are yet to come.
    size: u64,
    digits: u8,
    extensions: usize,
    trailer: Vec<u8>,
}

/// What bytes of a chunked body begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This many bytes of sizes, extensions, line ends and trailers.
    Framing(usize),
    /// This many bytes of data.
    Data(usize),
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEndFeed,
    Trailer,
    Done,
}

impl Chunks {
    /// What the next bytes begin with. Of a body that is [done](Self::is_done), it is framing without any bytes.
    ///
    /// # Errors
    ///
    /// Where the bytes are no chunked body.
    pub fn piece(&mut self, bytes: &[u8]) -> Result<Piece, NotChunked> {
        if self.at == At::Data {
            return Ok(Piece::Data(self.data(bytes)));
        }
        let mut length = 0;
        for byte in bytes {
            if matches!(self.at, At::Data | At::Done) {
                break;
            }
            self.step(*byte)?;
            length += 1;
        }
        Ok(Piece::Framing(length))
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// The trailer fields of a body that is done, without those that trailers may not have.
    pub fn trailers(&self) -> HeaderMap {
        let mut fields = [httparse::EMPTY_HEADER; TRAILERS];
        let Ok(httparse::Status::Complete((_, fields))) =
            httparse::parse_headers(&self.trailer, &mut fields)
        else {
            return HeaderMap::new();
        };
        let field = |field: &httparse::Header<'_>| {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(field.value).ok()?;
            (!FRAMING.contains(&name)).then_some((name, value))
        };
        let mut trailers = HeaderMap::new();
        for (name, value) in fields.iter().filter_map(field) {
            trailers.append(name, value);
        }
        trailers
    }

    fn data(&mut self, bytes: &[u8]) -> usize {
        let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len());
        self.size -= here as u64;
        if self.size == 0 {
            self.at = At::DataEnd;
        }
        here
    }

    fn step(&mut self, byte: u8) -> Result<(), NotChunked> {
        match (self.at, byte) {
            (At::Size, b'\r') if self.digits > 0 => self.at = At::SizeEnd,
            (At::Size, b';' | b' ' | b'\t') if self.digits > 0 => {
                self.at = At::Extension;
                self.extend()?;
            }
            (At::Size, byte) => self.digit(byte)?,
            (At::Extension, b'\r') => self.at = At::SizeEnd,
            (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.extend()?,
            (At::SizeEnd, b'\n') if self.size == 0 => self.at = At::Trailer,
            (At::SizeEnd, b'\n') => self.at = At::Data,
            (At::DataEnd, b'\r') => self.at = At::DataEndFeed,
            (At::DataEndFeed, b'\n') => (self.at, self.digits) = (At::Size, 0),
            (At::Trailer, byte) => self.trailer(byte)?,
            _ => return Err(NotChunked),
        }
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<(), NotChunked> {
        let digit = char::from(byte).to_digit(16).ok_or(NotChunked)?;
        if self.digits == 0 {
            self.size = 0;
        }
        self.digits += 1;
        if self.digits > DIGITS || self.size > SIZE >> 4 {
            return Err(NotChunked);
        }
        self.size = (self.size << 4) | u64::from(digit);
        Ok(())
    }

    fn extend(&mut self) -> Result<(), NotChunked> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS { Err(NotChunked) } else { Ok(()) }
    }

    /// Lines up to an empty one, each of them a field.
    fn trailer(&mut self, byte: u8) -> Result<(), NotChunked> {
        if self.trailer.len() >= TRAILER_BYTES {
            return Err(NotChunked);
        }
        self.trailer.push(byte);
        if byte != b'\n' {
            return Ok(());
        }
        let section = self.trailer.strip_suffix(b"\r\n").ok_or(NotChunked)?;
        if section.is_empty() || section.ends_with(b"\r\n") {
            self.at = At::Done;
            return self.are_fields();
        }
        Ok(())
    }

    fn are_fields(&self) -> Result<(), NotChunked> {
        let mut fields = [httparse::EMPTY_HEADER; TRAILERS];
        match httparse::parse_headers(&self.trailer, &mut fields) {
            Ok(httparse::Status::Complete((length, _))) if length == self.trailer.len() => Ok(()),
            _ => Err(NotChunked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Chunks {
        /// How many of the next bytes belong to the body: all of them until it is done.
        fn look(&mut self, bytes: &[u8]) -> Result<usize, NotChunked> {
            let mut looked = 0;
            while let Some(rest) = bytes.get(looked..).filter(|rest| !rest.is_empty()) {
                looked += match self.piece(rest)? {
                    Piece::Framing(0) => break,
                    Piece::Framing(length) | Piece::Data(length) => length,
                };
            }
            Ok(looked)
        }
    }

    fn whole(body: &[u8]) -> Result<Chunks, NotChunked> {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.look(body)?, body.len());
        Ok(chunks)
    }

    #[test]
    fn a_body_ends_where_it_ends() {
        let body = b"5\r\nhello\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n";
        let next = b"GET / HTTP/1.1\r\n\r\n";
        for cut in 1..=body.len() {
            let (start, rest) = body.split_at(cut);
            let mut chunks = Chunks::default();
            assert_eq!(chunks.look(start), Ok(cut));
            let rest = [rest, next].concat();
            assert_eq!(chunks.look(&rest), Ok(body.len() - cut), "cut at {cut}");
            assert!(chunks.is_done());
        }
    }

    #[test]
    fn trailers_are_those_of_the_trailer_section() {
        let fake =
            b"12\r\n\r\n0\r\nx-fake: 1\r\n\r\n\r\n0\r\nx-a: 1\r\nX-B: 2\r\nhost: evil\r\n\r\n";
        let trailers = whole(fake).unwrap().trailers();
        assert_eq!(trailers.len(), 2);
        assert_eq!([&trailers["x-a"], &trailers["x-b"]], ["1", "2"]);
        assert!(whole(b"0\r\n\r\n").unwrap().trailers().is_empty());
    }

    #[test]
    fn what_is_no_chunked_body_is_refused() {
        for body in [
            &b"\r\n\r\n"[..],
            b"zz\r\n",
            b"0x5\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b" 5\r\n",
            b"5\nhello",
            b"5\r\rhello",
            b"5;a\nhello",
            b"5;a\0\r\n",
            b"5\r\nhelloX",
            b"5\r\nhello\n0\r\n",
            b"5\r\nhello\r\n\r\n\r\n",
            b"11111111111111111\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nx-a : 1\r\n\r\n",
            b"0\r\nx-a: 1\n\r\n",
            b"0\r\n folded: 1\r\n\r\n",
        ] {
            assert!(whole(body).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_nobody_reads_is_bounded() {
        let extension = [b"1;".as_slice(), &[b'x'; EXTENSIONS], b"\r\n"].concat();
        assert!(whole(&extension).is_err());
        let trailer = [b"0\r\nx: ".as_slice(), &[b'x'; TRAILER_BYTES], b"\r\n\r\n"].concat();
        assert!(whole(&trailer).is_err());
        let many = [b"0\r\n".as_slice(), &b"x: 1\r\n".repeat(TRAILERS + 1), b"\r\n"].concat();
        assert!(whole(&many).is_err());
    }
}

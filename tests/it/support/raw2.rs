//! A raw HTTP/2 client: the test decides every frame that it sends, and sees every frame that it gets. It acknowledges
//! nothing by itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use misbehaving::Frames;

use super::DEADLINE;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// Codes of errors (RFC 9113, section 7).
pub const NO_ERROR: u32 = 0x0;
pub const REFUSED_STREAM: u32 = 0x7;
pub const CANCEL: u32 = 0x8;
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

/// One connection.
#[derive(Debug)]
pub struct Raw2(TcpStream);

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a reset, or of a GOAWAY.
    pub fn code(&self) -> Option<u32> {
        let from = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload[from..from + 4].try_into().unwrap()))
    }

    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

impl Raw2 {
    /// A connection that has begun with the preface and these settings.
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(address);
        client.send([PREFACE.to_vec(), self::settings(settings)].concat());
        client
    }

    /// A connection on which nothing was sent yet.
    pub fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends what the other side takes; `false` once it takes nothing more.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// How long a write may wait for the other side.
    pub fn set_write_timeout(&self, timeout: Duration) {
        self.0.set_write_timeout(Some(timeout)).unwrap();
    }

    /// How long a read may wait for the other side.
    pub fn set_read_timeout(&self, timeout: Duration) {
        self.0.set_read_timeout(Some(timeout)).unwrap();
    }

    /// Another handle of the same connection, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.0.try_clone().unwrap()
    }

    /// The next frame; `None` where the connection has ended.
    pub fn frame(&mut self) -> Option<Frame> {
        self.read().map_err(assert_over).ok()
    }

    /// The next frame.
    ///
    /// # Errors
    ///
    /// Where the connection has ended, or is silent.
    pub fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let [a, b, c, kind, flags, s0, s1, s2, s3] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]), payload })
    }

    /// The next frame for which this holds; others are passed over.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_it: impl FnMut(&Frame) -> bool) -> Frame {
        let (started, mut passed) = (Instant::now(), Vec::new());
        while let Some(frame) = self.frame() {
            if is_it(&frame) {
                return frame;
            }
            passed.push((frame.kind, frame.stream, frame.code()));
            assert!(started.elapsed() < DEADLINE, "no {what}, but {passed:?}");
        }
        panic!("the connection ended without {what}: {passed:?}");
    }

    /// The code of the GOAWAY by which the connection ends.
    #[track_caller]
    pub fn goaway(&mut self) -> u32 {
        let code = self.until("GOAWAY", |frame| frame.kind == GOAWAY).code().unwrap();
        while let Some(frame) = self.frame() {
            assert_ne!(frame.kind, HEADERS, "an answer behind the GOAWAY");
        }
        code
    }

    /// Asserts that the connection is served.
    #[track_caller]
    pub fn assert_open(&mut self) {
        self.send(frame(PING, 0, 0, b"are you?"));
        self.until("PONG", |frame| frame.kind == PING && frame.payload == b"are you?");
    }
}

/// A connection may end in any way; a silent one is a failure.
#[track_caller]
fn assert_over(error: io::Error) {
    let silent = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
    assert!(!silent.contains(&error.kind()), "the other side says nothing");
}

/// A frame with whatever is said about it.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    Frames::frame(kind, flags, stream, payload.as_ref())
}

pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let pairs = settings
        .iter()
        .map(|(setting, value)| [&setting.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(SETTINGS, 0, 0, pairs.collect::<Vec<_>>().concat())
}

pub fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, code.to_be_bytes())
}

/// A whole head.
pub fn head(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, block(fields))
}

/// `GET`, whole.
pub fn get(stream: u32, host: &str, path: &str) -> Vec<u8> {
    head(END_STREAM, stream, &pseudo("GET", host, path))
}

/// `POST`, of which a body follows.
pub fn post(stream: u32, host: &str, path: &str) -> Vec<u8> {
    head(0, stream, &pseudo("POST", host, path))
}

pub fn pseudo<'a>(method: &'a str, host: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "http"), (":path", path), (":authority", host)]
}

/// A block of fields, none of them compressed, none of them kept in a table (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_bytes());
        string(&mut block, value.as_bytes());
    }
    block
}

/// A string literal (RFC 7541, section 5.2).
pub fn string(block: &mut Vec<u8>, text: &[u8]) {
    number(block, 0, 7, text.len());
    block.extend_from_slice(text);
}

/// A number behind a prefix of so many bits (RFC 7541, section 5.1).
pub fn number(block: &mut Vec<u8>, first: u8, bits: u32, number: usize) {
    let most = (1 << bits) - 1;
    if number < most {
        return block.push(first | u8::try_from(number).unwrap());
    }
    block.push(first | u8::try_from(most).unwrap());
    let mut rest = number - most;
    while rest >= 0x80 {
        block.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
        rest /= 0x80;
    }
    block.push(u8::try_from(rest).unwrap());
}

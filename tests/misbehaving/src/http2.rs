//! One connection of an upstream that speaks HTTP/2 frame by frame, so that every rule of RFC 9113 can be broken.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::arrivals::{Arrivals, Request};
use crate::http1::Wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The types of frames (RFC 9113, section 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
}

#[derive(Clone, Debug)]
enum Step {
    ReadPreface,
    ReadRequest,
    ReadBody,
    Settings(Vec<(u16, u32)>),
    Head { status: u16, fields: Vec<(String, String)>, ends: bool },
    Data { bytes: Vec<u8>, ends: bool },
    Trailers(Vec<(String, String)>),
    ResetStream(u32),
    GoAway { spared: bool, code: u32 },
    Raw(Vec<u8>),
    Pause(Duration),
    Serve(String),
    Close,
    Reset,
    Hang,
}

/// What an upstream does with one HTTP/2 connection. After the last step the connection is closed.
#[derive(Clone, Debug, Default)]
pub struct Script2 {
    steps: Vec<Step>,
    gives_no_window: bool,
}

/// Frames by hand.
#[derive(Debug)]
pub struct Frames;

impl Frames {
    /// A frame with whatever is said about it.
    pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [&head, payload].concat()
    }

    /// A block of fields, none of them compressed (RFC 7541, section 6.2.2).
    pub fn block(fields: &[(String, String)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                // A length of up to 126, which a prefix of 7 bits holds.
                block.push(u8::try_from(text.len()).ok().filter(|it| *it < 127).unwrap_or(0));
                block.extend(text.as_bytes());
            }
        }
        block
    }
}

impl Script2 {
    /// Reads the client's preface, and sends its own.
    pub fn new() -> Self {
        Self::with_settings(&[])
    }

    /// The same with these settings (RFC 9113, section 6.5.2).
    pub fn with_settings(settings: &[(u16, u32)]) -> Self {
        Self::silent().then(Step::ReadPreface).settings(settings)
    }

    /// Does not even send a preface.
    pub fn silent() -> Self {
        Self::default()
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Never lets the client send more than it may at the beginning.
    pub fn giving_no_window(mut self) -> Self {
        self.gives_no_window = true;
        self
    }

    /// Reads the head of the next request. What follows is about its stream.
    pub fn read_request(self) -> Self {
        self.then(Step::ReadRequest)
    }

    /// Reads the rest of the request.
    pub fn read_body(self) -> Self {
        self.then(Step::ReadBody)
    }

    pub fn settings(self, settings: &[(u16, u32)]) -> Self {
        self.then(Step::Settings(settings.to_vec()))
    }

    pub fn head(self, status: u16, fields: &[(&str, &str)]) -> Self {
        self.then(Step::Head { status, fields: owned(fields), ends: false })
    }

    /// A head that is all of the response, as gRPC has it for errors.
    pub fn head_only(self, status: u16, fields: &[(&str, &str)]) -> Self {
        self.then(Step::Head { status, fields: owned(fields), ends: true })
    }

    pub fn data(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Data { bytes: bytes.as_ref().to_vec(), ends: false })
    }

    pub fn last_data(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Data { bytes: bytes.as_ref().to_vec(), ends: true })
    }

    pub fn trailers(self, fields: &[(&str, &str)]) -> Self {
        self.then(Step::Trailers(owned(fields)))
    }

    pub fn reset_stream(self, code: u32) -> Self {
        self.then(Step::ResetStream(code))
    }

    /// GOAWAY that says that the current request will be answered.
    pub fn go_away(self, code: u32) -> Self {
        self.then(Step::GoAway { spared: true, code })
    }

    /// GOAWAY that says that the current request was not processed.
    pub fn go_away_before(self, code: u32) -> Self {
        self.then(Step::GoAway { spared: false, code })
    }

    pub fn raw(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Raw(bytes.as_ref().to_vec()))
    }

    pub fn pause(self, pause: Duration) -> Self {
        self.then(Step::Pause(pause))
    }

    /// Answers each further request with status 200 and this text.
    pub fn serve(self, text: &str) -> Self {
        self.then(Step::Serve(text.to_owned()))
    }

    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    pub fn hang(self) -> Self {
        self.then(Step::Hang)
    }
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A frame as it was read.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }
}

/// A connection and the stream that its script is about.
pub struct Connection2<'a> {
    wire: Box<dyn Wire>,
    socket: TcpStream,
    arrivals: &'a Arrivals,
    number: usize,
    gives_no_window: bool,
    stream: u32,
    request: usize,
    is_complete: bool,
}

impl<'a> Connection2<'a> {
    pub fn new(
        wire: Box<dyn Wire>,
        socket: TcpStream,
        arrivals: &'a Arrivals,
        number: usize,
    ) -> Self {
        let (stream, request) = (0, 0);
        let (gives_no_window, is_complete) = (false, true);
        Self { wire, socket, arrivals, number, gives_no_window, stream, request, is_complete }
    }

    /// Does what the script says, until one side has had enough.
    pub fn serve(mut self, script: &Script2) {
        self.gives_no_window = script.gives_no_window;
        for step in &script.steps {
            if let Err(error) = self.act(step) {
                if error.kind() == ErrorKind::InvalidData {
                    self.arrivals.note_broken(error.to_string());
                }
                return;
            }
        }
    }

    fn act(&mut self, step: &Step) -> io::Result<()> {
        let stream = self.stream;
        match step {
            Step::ReadPreface => self.read_preface(),
            Step::ReadRequest => self.read_request(),
            Step::ReadBody => self.read_body(),
            Step::Settings(settings) => {
                let pairs = settings.iter().flat_map(|(setting, value)| {
                    [&setting.to_be_bytes()[..], &value.to_be_bytes()].concat()
                });
                self.send(kind::SETTINGS, 0, 0, &pairs.collect::<Vec<_>>())
            }
            Step::Head { status, fields, ends } => self.send_head(*status, fields, *ends),
            Step::Data { bytes, ends } => self.send_data(bytes, *ends),
            Step::Trailers(fields) => {
                let flags = END_HEADERS | END_STREAM;
                self.send(kind::HEADERS, flags, stream, &Frames::block(fields))
            }
            Step::ResetStream(code) => self.send(kind::RST_STREAM, 0, stream, &code.to_be_bytes()),
            Step::GoAway { spared, code } => {
                let last = if *spared { stream } else { stream.saturating_sub(2) };
                let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
                self.send(kind::GOAWAY, 0, 0, &payload)
            }
            Step::Raw(bytes) => self.send_raw(bytes),
            Step::Pause(pause) => {
                thread::sleep(*pause);
                Ok(())
            }
            Step::Serve(text) => loop {
                self.read_request()?;
                self.read_body()?;
                self.send_head(200, &[], false)?;
                self.send_data(text.as_bytes(), true)?;
            },
            Step::Close => {
                self.wire.say_end();
                self.socket.shutdown(Shutdown::Write)?;
                self.socket.set_read_timeout(Some(Duration::from_secs(5)))?;
                io::copy(&mut self.wire, &mut io::sink()).ok();
                Err(ErrorKind::NotConnected.into())
            }
            Step::Reset => {
                SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?;
                Err(ErrorKind::NotConnected.into())
            }
            Step::Hang => io::copy(&mut self.wire, &mut io::sink()).map(drop),
        }
    }

    fn send_head(
        &mut self,
        status: u16,
        fields: &[(String, String)],
        ends: bool,
    ) -> io::Result<()> {
        // The name of an indexed field: `:status` is the eighth (RFC 7541, appendix A).
        let status = [&[8, 3], status.to_string().as_bytes()].concat();
        let block = [status, Frames::block(fields)].concat();
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.send(kind::HEADERS, flags, self.stream, &block)
    }

    /// In frames that everybody takes, and without regard for the client's window.
    fn send_data(&mut self, bytes: &[u8], ends: bool) -> io::Result<()> {
        let mut parts = bytes.chunks(16_384).peekable();
        if parts.peek().is_none() {
            return self.send(kind::DATA, u8::from(ends), self.stream, &[]);
        }
        while let Some(part) = parts.next() {
            let is_last = ends && parts.peek().is_none();
            self.send(kind::DATA, u8::from(is_last), self.stream, part)?;
        }
        Ok(())
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.send_raw(&Frames::frame(kind, flags, stream, payload))
    }

    fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)?;
        self.wire.flush()
    }

    fn read_preface(&mut self) -> io::Result<()> {
        let mut preface = vec![0; PREFACE.len()];
        self.wire.read_exact(&mut preface)?;
        if preface == PREFACE { Ok(()) } else { Err(broken("no preface of HTTP/2")) }
    }

    fn read_request(&mut self) -> io::Result<()> {
        loop {
            let frame = self.read_frame()?;
            if frame.kind != kind::HEADERS {
                continue;
            }
            self.stream = frame.stream;
            self.is_complete = frame.ends_stream();
            self.request = self.arrivals.begin(Request {
                connection: self.number,
                is_complete: self.is_complete,
                ..Request::default()
            });
            return Ok(());
        }
    }

    fn read_body(&mut self) -> io::Result<()> {
        while !self.is_complete {
            self.read_frame()?;
        }
        Ok(())
    }

    /// Reads a frame, and does what HTTP/2 itself demands of who reads it.
    fn read_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.wire.read_exact(&mut head)?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.wire.read_exact(&mut payload)?;
        let frame = Frame { kind, flags, stream: u32::from_be_bytes([d, e, f, g]), payload };
        match frame.kind {
            kind::SETTINGS if flags & ACK == 0 => self.send(kind::SETTINGS, ACK, 0, &[])?,
            kind::PING if flags & ACK == 0 => self.send(kind::PING, ACK, 0, &frame.payload)?,
            kind::DATA => self.note_data(&frame)?,
            kind::RST_STREAM if frame.stream == self.stream => {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            _ => {}
        }
        if frame.ends_stream() && frame.stream == self.stream {
            self.is_complete = true;
            self.arrivals.update(self.request, |request| request.is_complete = true);
        }
        Ok(frame)
    }

    fn note_data(&mut self, frame: &Frame) -> io::Result<()> {
        if frame.stream == self.stream {
            self.arrivals.add_data(self.request, &frame.payload);
        }
        if self.gives_no_window || frame.payload.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(frame.payload.len()).unwrap_or(0).to_be_bytes();
        self.send(kind::WINDOW_UPDATE, 0, 0, &length)?;
        if frame.ends_stream() {
            return Ok(());
        }
        self.send(kind::WINDOW_UPDATE, 0, frame.stream, &length)
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

//! One connection of an upstream that speaks HTTP/1.1, or what its script has instead.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::arrivals::{Arrivals, Request};
use crate::script::{Step, Visit};
use crate::upstream::Scripts;

/// The longest line that is read, and the most fields.
const LINE: u64 = 1 << 20;

/// Bytes in both directions: a socket, or TLS over one.
pub trait Wire: Read + Write + Send {
    /// Says that nothing more will be sent, where the protocol has words for that.
    fn say_end(&mut self) {}
}

impl Wire for TcpStream {}

/// Whether the connection goes on after a step.
#[derive(PartialEq)]
enum Then {
    GoOn,
    Over,
}

/// A connection and the request on it.
pub struct Connection<'a> {
    wire: BufReader<Box<dyn Wire>>,
    socket: TcpStream,
    arrivals: &'a Arrivals,
    number: usize,
    request: usize,
    body: Body,
}

/// What is still to be read of a request's body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Body {
    Length(u64),
    Chunked,
    Over,
}

impl<'a> Connection<'a> {
    /// `socket` is where the bytes of `wire` go in the end.
    pub fn new(
        wire: Box<dyn Wire>,
        socket: TcpStream,
        arrivals: &'a Arrivals,
        number: usize,
    ) -> Self {
        let wire = BufReader::with_capacity(64 << 10, wire);
        Self { wire, socket, arrivals, number, request: 0, body: Body::Over }
    }

    /// Does what the scripts say, request by request, until one side has had enough.
    pub fn serve(mut self, scripts: &Scripts<'_>) {
        for request in 0.. {
            let script = scripts(Visit { connection: self.number, request });
            if script.steps().is_empty() {
                break;
            }
            for step in script.steps() {
                match self.act(step) {
                    Ok(Then::GoOn) => {}
                    Ok(Then::Over) => return,
                    Err(error) => {
                        if error.kind() == ErrorKind::InvalidData {
                            self.arrivals.note_broken(error.to_string());
                        }
                        return;
                    }
                }
            }
        }
    }

    fn act(&mut self, step: &Step) -> io::Result<Then> {
        match step {
            Step::ReadHead => return self.read_head(),
            Step::ReadBody => while self.read_part(64 << 10)?.is_some() {},
            Step::ReadSome(bytes) => self.read_raw(*bytes)?,
            Step::ReadSlowly { at_once, pause } => {
                // What waits in our kernel looks taken. Linux would let it grow to megabytes.
                SockRef::from(&self.socket).set_recv_buffer_size(*at_once)?;
                loop {
                    thread::sleep(*pause);
                    if self.read_part(*at_once)?.is_none() {
                        break;
                    }
                }
            }
            Step::Send(bytes) => self.send(bytes)?,
            Step::Drip { bytes, pause } => {
                for byte in bytes {
                    thread::sleep(*pause);
                    self.send(&[*byte])?;
                }
            }
            Step::Flood { bytes, times } => {
                for _ in 0..*times {
                    self.send(bytes)?;
                }
            }
            Step::Pause(pause) => thread::sleep(*pause),
            Step::Echo => self.echo()?,
            Step::EchoBytes => self.echo_bytes()?,
            Step::Close => {
                self.wire.get_mut().say_end();
                return self.cut();
            }
            Step::Cut => return self.cut(),
            Step::EndWriting => self.socket.shutdown(Shutdown::Write)?,
            Step::Reset => return self.reset(),
            Step::Hang => self.wait_for_the_end()?,
        }
        Ok(Then::GoOn)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.get_mut().write_all(bytes)?;
        self.wire.get_mut().flush()
    }

    /// Lets the peer have all that was sent, whatever it still sends itself.
    fn cut(&mut self) -> io::Result<Then> {
        self.socket.shutdown(Shutdown::Write)?;
        // A socket that is closed with unread bytes is reset, and the peer may lose what was sent.
        self.socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        io::copy(&mut self.wire, &mut io::sink()).ok();
        Ok(Then::Over)
    }

    fn reset(&mut self) -> io::Result<Then> {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?;
        Ok(Then::Over)
    }

    fn wait_for_the_end(&mut self) -> io::Result<()> {
        io::copy(&mut self.wire, &mut io::sink()).map(drop)
    }

    fn read_head(&mut self) -> io::Result<Then> {
        // RFC 9112, section 2.2: empty lines before a request are to be ignored.
        let line = loop {
            match self.line()? {
                None => return Ok(Then::Over),
                Some(line) if line.is_empty() => {}
                Some(line) => break line,
            }
        };
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(_), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(broken(format!("no request line: {line:?}")));
        };
        let fields = self.fields()?;
        let request = Request {
            connection: self.number,
            method: method.to_owned(),
            target: target.to_owned(),
            fields,
            ..Request::default()
        };
        self.body = framing(&request)?;
        let is_complete = self.body == Body::Over;
        self.request = self.arrivals.begin(Request { is_complete, ..request });
        Ok(Then::GoOn)
    }

    /// A line without its end; `None` where the connection ended before it.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        self.wire.by_ref().take(LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(Some(String::from_utf8_lossy(line).into_owned())),
            None => Err(broken(format!("half a line: {:?}", String::from_utf8_lossy(&line)))),
        }
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?.ok_or_else(|| broken("half a head".to_owned()))?;
            if line.is_empty() {
                return Ok(fields);
            }
            let field = line.split_once(':');
            let (name, value) = field.ok_or_else(|| broken(format!("no field: {line:?}")))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// Reads at most `size` bytes of the body; `None` at its end.
    fn read_part(&mut self, size: usize) -> io::Result<Option<Vec<u8>>> {
        let part = match self.body {
            Body::Over => return Ok(None),
            Body::Length(left) => {
                let wanted = left.min(size as u64);
                let part = self.read_up_to(wanted)?;
                let left = left - part.len() as u64;
                self.body = if left == 0 { Body::Over } else { Body::Length(left) };
                part
            }
            Body::Chunked => match self.read_chunk()? {
                Some(chunk) => chunk,
                None => return Ok(None),
            },
        };
        self.arrivals.add_data(self.request, &part);
        if self.body == Body::Over {
            self.arrivals.update(self.request, |request| request.is_complete = true);
        }
        Ok(Some(part))
    }

    /// What is there, up to this many bytes.
    fn read_up_to(&mut self, wanted: u64) -> io::Result<Vec<u8>> {
        let there = self.wire.fill_buf()?;
        if there.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let taken = there.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let part = there[..taken].to_vec();
        self.wire.consume(taken);
        Ok(part)
    }

    /// A whole chunk; `None` after the last one, with its trailers.
    fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?.ok_or(ErrorKind::UnexpectedEof)?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16);
        let size = size.map_err(|_| broken(format!("no size of a chunk: {line:?}")))?;
        if size == 0 {
            let trailers = self.fields()?;
            self.body = Body::Over;
            self.arrivals.update(self.request, |request| {
                request.trailers.clone_from(&trailers);
                request.is_complete = true;
            });
            return Ok(None);
        }
        let mut chunk = vec![0; size];
        self.wire.read_exact(&mut chunk)?;
        match self.line()?.as_deref() {
            Some("") => Ok(Some(chunk)),
            other => Err(broken(format!("after a chunk: {other:?}"))),
        }
    }

    fn read_raw(&mut self, bytes: usize) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let part = self.read_up_to(left as u64)?;
            left -= part.len();
            self.arrivals.add_data(self.request, &part);
        }
        Ok(())
    }

    /// Answers with the request itself, part by part as it comes.
    fn echo(&mut self) -> io::Result<()> {
        let request = self.arrivals.get(self.request);
        let body = self.body;
        let mut head = String::from("HTTP/1.1 200 OK\r\n");
        head += &format!("echo-method: {}\r\necho-target: {}\r\n", request.method, request.target);
        for (name, value) in &request.fields {
            head += &format!("echo-{name}: {value}\r\n");
        }
        head += &match body {
            Body::Chunked => "transfer-encoding: chunked\r\n\r\n".to_owned(),
            Body::Length(length) => format!("content-length: {length}\r\n\r\n"),
            Body::Over => "content-length: 0\r\n\r\n".to_owned(),
        };
        self.send(head.as_bytes())?;
        while let Some(part) = self.read_part(64 << 10)? {
            if body == Body::Chunked {
                self.send(format!("{:x}\r\n", part.len()).as_bytes())?;
                self.send(&part)?;
                self.send(b"\r\n")?;
            } else {
                self.send(&part)?;
            }
        }
        if body == Body::Chunked {
            let trailers = self.arrivals.get(self.request).trailers;
            let lines = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            self.send(format!("0\r\n{}\r\n", lines.collect::<String>()).as_bytes())?;
        }
        Ok(())
    }

    fn echo_bytes(&mut self) -> io::Result<()> {
        loop {
            let part = self.wire.fill_buf()?.to_vec();
            if part.is_empty() {
                return Ok(());
            }
            self.wire.consume(part.len());
            self.send(&part)?;
        }
    }
}

/// How the body of a request ends (RFC 9112, section 6.3).
fn framing(request: &Request) -> io::Result<Body> {
    match (request.field("transfer-encoding"), request.field("content-length")) {
        (Some(_), Some(_)) => Err(broken("a length and an encoding".to_owned())),
        (Some("chunked"), None) => Ok(Body::Chunked),
        (Some(other), None) => Err(broken(format!("transfer-encoding: {other}"))),
        (None, Some(length)) => match length.parse() {
            Ok(0) => Ok(Body::Over),
            Ok(length) => Ok(Body::Length(length)),
            Err(_) => Err(broken(format!("content-length: {length}"))),
        },
        (None, None) => Ok(Body::Over),
    }
}

fn broken(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

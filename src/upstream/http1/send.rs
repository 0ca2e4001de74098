//! Sends a request: its head, then its body as it comes.

use std::io::{self, Write};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::EXPECT;
use tokio::time::Instant;

use super::connection::Connection;
use super::request::{Framing, write_end};
use crate::exchange::{Fed, Part, RequestHead};
use crate::timer::Timer;

/// Parts below this size are copied, so that they leave together with what is around them.
const GATHER: usize = 16 << 10;
/// How long a body waits for `100 Continue`, which not every server sends ([RFC 9110, section
/// 10.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1)).
const CONTINUE: Duration = Duration::from_secs(1);

/// The body is not as long as the request's head promises.
#[derive(Debug, thiserror::Error)]
#[error("the request body is not as long as its content-length")]
pub struct WrongLength;

/// One direction of a request.
#[derive(Debug)]
pub struct Send {
    body: Body,
    /// Sent first, from `written` on.
    output: Vec<u8>,
    written: usize,
    /// Sent next. Not copied, because it is large.
    data: Bytes,
    /// Sent last: the end of a chunk.
    tail: &'static [u8],
    hold: Hold,
    /// Bytes that were written, and how many of them were the head.
    sent: u64,
    head: u64,
    error: Option<io::Error>,
}

/// What is still to come.
#[derive(Debug)]
enum Body {
    Fed(Fed, Framing),
    /// Bytes of another protocol, after an upgrade.
    Bytes(Fed),
    /// Our direction is to be closed.
    Close,
    /// Everything was handed over.
    Over,
    /// The rest is not wanted, or cannot be sent.
    Stopped,
}

/// What the body waits for before it is asked for.
#[derive(Debug)]
enum Hold {
    Nothing,
    Continue(Timer, Instant),
}

impl Send {
    /// Sends a head that was written to `output`, and then the body.
    pub fn new(
        output: Vec<u8>,
        framing: Framing,
        request: &RequestHead,
        body: Option<Fed>,
    ) -> Self {
        let is_held = body.is_some() && request.fields.contains(&EXPECT);
        let hold = match is_held {
            true => Hold::Continue(Timer::default(), Instant::now() + CONTINUE),
            false => Hold::Nothing,
        };
        let head = output.len() as u64;
        let body = body.filter(|_| framing != Framing::None);
        Self {
            body: body.map_or(Body::Over, |fed| Body::Fed(fed, framing)),
            output,
            written: 0,
            data: Bytes::new(),
            tail: b"",
            hold,
            sent: 0,
            head,
            error: None,
        }
    }

    /// Sends what there is, until nothing is left or the target takes no more.
    ///
    /// # Errors
    ///
    /// Where the request cannot be completed. That it cannot be written is no error here: the target may have answered.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Poll<Result<(), WrongLength>> {
        loop {
            let filled = self.poll_fill(context)?;
            if let Err(error) = ready!(self.poll_write(context, connection)) {
                self.error = Some(error);
                self.stop();
            }
            ready!(filled);
            if self.is_over() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Asks for the body, because the target does not keep it waiting.
    pub fn go_on(&mut self) {
        self.hold = Hold::Nothing;
    }

    /// Sends bytes as they come from now on.
    pub fn upgrade(&mut self) {
        self.hold = Hold::Nothing;
        self.body = match std::mem::replace(&mut self.body, Body::Close) {
            Body::Fed(fed, _) => Body::Bytes(fed),
            body => body,
        };
    }

    /// Sends nothing more, because nobody reads it.
    pub fn stop(&mut self) {
        if self.is_complete() {
            self.body = Body::Over;
            return;
        }
        self.body = Body::Stopped;
        self.output.clear();
        self.written = 0;
        (self.data, self.tail) = (Bytes::new(), b"");
    }

    /// Whether the body waits until the target asks for it.
    pub fn is_held(&self) -> bool {
        matches!(self.hold, Hold::Continue(..))
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        match self.body {
            Body::Stopped => true,
            Body::Over => self.is_written(),
            Body::Fed(..) | Body::Bytes(_) | Body::Close => false,
        }
    }

    /// Whether the target was sent the whole request.
    pub fn is_complete(&self) -> bool {
        let is_whole = match self.body {
            Body::Over | Body::Fed(_, Framing::Length(0) | Framing::Upgrade) => true,
            Body::Fed(..) | Body::Bytes(_) | Body::Close | Body::Stopped => false,
        };
        is_whole && self.is_written()
    }

    /// Whether anything was sent.
    pub fn has_sent(&self) -> bool {
        self.sent > 0
    }

    /// Bytes that were sent after the head.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.saturating_sub(self.head)
    }

    /// Why the request could not be sent.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// The memory of what was sent, for the next request.
    pub fn into_output(self) -> Vec<u8> {
        self.output
    }

    fn is_written(&self) -> bool {
        self.output.is_empty() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Takes the next part of the body, if there is room for it.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WrongLength>> {
        if !self.data.is_empty() || self.output.len() - self.written >= GATHER {
            return Poll::Ready(Ok(()));
        }
        if let Hold::Continue(timer, until) = &mut self.hold {
            ready!(timer.poll(context, *until));
            self.hold = Hold::Nothing;
        }
        match &mut self.body {
            // All of it was sent. What may follow belongs to an upgrade.
            Body::Fed(_, Framing::Length(0) | Framing::Upgrade) => Poll::Pending,
            Body::Fed(fed, _) => {
                let part = ready!(fed.poll_part(context));
                Poll::Ready(self.add(part))
            }
            Body::Bytes(fed) => {
                match ready!(fed.poll_part(context)) {
                    Some(Part::Data(data)) => self.append(data),
                    Some(Part::Trailers(_)) => {}
                    None => self.body = Body::Close,
                }
                Poll::Ready(Ok(()))
            }
            Body::Close | Body::Over | Body::Stopped => Poll::Ready(Ok(())),
        }
    }

    fn add(&mut self, part: Option<Part>) -> Result<(), WrongLength> {
        let Body::Fed(_, framing) = &mut self.body else { return Ok(()) };
        match (framing, part) {
            (Framing::Length(left), Some(Part::Data(data))) => {
                *left = left.checked_sub(data.len() as u64).ok_or(WrongLength)?;
                self.append(data);
            }
            // It would end the body.
            (Framing::Chunked, Some(Part::Data(data))) if data.is_empty() => {}
            (Framing::Chunked, Some(Part::Data(data))) => {
                // Writing to memory does not fail.
                write!(self.output, "{:x}\r\n", data.len()).ok();
                self.append(data);
                match self.data.is_empty() {
                    true => self.output.extend_from_slice(b"\r\n"),
                    false => self.tail = b"\r\n",
                }
            }
            (Framing::Chunked, Some(Part::Trailers(trailers))) => self.end(&trailers),
            (Framing::Chunked, None) => self.end(&HeaderMap::new()),
            // Nothing but chunks can carry trailers.
            (_, Some(Part::Trailers(_)) | None) => return Err(WrongLength),
            (_, Some(Part::Data(_))) => {}
        }
        Ok(())
    }

    fn append(&mut self, data: Bytes) {
        match data.len() < GATHER {
            true => self.output.extend_from_slice(&data),
            false => self.data = data,
        }
    }

    fn end(&mut self, trailers: &HeaderMap) {
        write_end(&mut self.output, trailers);
        self.body = Body::Over;
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Poll<io::Result<()>> {
        let is_written = self.is_written();
        while !self.is_written() {
            let output = self.output.get(self.written..).unwrap_or_default();
            match ready!(connection.poll_write(context, [output, &self.data, self.tail]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.has_written(written),
            }
        }
        if !is_written {
            connection.has_written();
        }
        ready!(connection.poll_flush(context))?;
        if matches!(self.body, Body::Close) {
            ready!(connection.poll_shutdown(context))?;
            self.body = Body::Over;
        }
        Poll::Ready(Ok(()))
    }

    fn has_written(&mut self, mut written: usize) {
        self.sent += written as u64;
        let output = written.min(self.output.len() - self.written);
        self.written += output;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        written -= output;
        let data = written.min(self.data.len());
        self.data.advance(data);
        written -= data;
        self.tail = self.tail.get(written..).unwrap_or_default();
    }
}

//! Receives a response: informational heads, its head, its body.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;

use super::Asked;
use super::connection::Connection;
use super::response::{Framing, Head, Scan};
use super::send::Send;
use crate::chunked::{Chunks, Piece};
use crate::exchange::Event as AnyEvent;
use crate::upstream::exchange::Event;

/// Informational heads before a head. A target that works for long may send some.
const INFORMATIONAL: usize = 100;
/// Bytes that are read at once: where a head may come with a small body, and where a large body comes.
const SMALL: usize = 16 << 10;
const LARGE: usize = 64 << 10;

/// What was received.
#[derive(Debug)]
pub enum Received {
    Event(Event),
    End,
}

/// Why no more can be received.
#[derive(Debug)]
pub enum Broken {
    Protocol(&'static str),
    /// The target has closed its direction.
    Closed,
    Read(io::Error),
    /// The target has closed an idle connection, and says so.
    Idle,
}

/// The other direction of a request.
#[derive(Debug)]
pub struct Receive {
    asked: Asked,
    state: State,
    informational: usize,
    has_begun: bool,
    has_head: bool,
    is_upgraded: bool,
    is_kept: bool,
    keep_alive: Option<Duration>,
    /// Bytes that the next read may bring.
    room: usize,
}

#[derive(Debug)]
enum State {
    Head(Scan),
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    /// Bytes of another protocol.
    Upgraded,
    /// The response is complete, by its own framing.
    Complete,
    /// The target has closed its direction, which ended the response.
    Closed,
}

impl Receive {
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            state: State::Head(Scan::default()),
            informational: 0,
            has_begun: false,
            has_head: false,
            is_upgraded: false,
            is_kept: false,
            keep_alive: None,
            room: SMALL,
        }
    }

    /// What comes next.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
        send: &mut Send,
    ) -> Poll<Result<Received, Broken>> {
        loop {
            if let Some(received) = self.take(&mut connection.input, send)? {
                return Poll::Ready(Ok(received));
            }
            match ready!(connection.poll_fill(context, self.room)) {
                Ok(0) => return Poll::Ready(self.close(send)),
                Ok(read) => self.has_read(read),
                Err(error) => return Poll::Ready(Err(Broken::Read(error))),
            }
        }
    }

    /// Whether anything of the response has come.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the head has come.
    pub fn has_head(&self) -> bool {
        self.has_head
    }

    /// Whether the connection carries another protocol.
    pub fn is_upgraded(&self) -> bool {
        self.is_upgraded
    }

    /// Whether the target's direction has ended.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether the response is complete and leaves the connection open.
    pub fn is_kept(&self) -> bool {
        matches!(self.state, State::Complete) && self.is_kept
    }

    /// How long the target keeps the connection, if it says so.
    pub fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// A read that fills its memory is followed by a larger one.
    fn has_read(&mut self, read: usize) {
        self.has_begun = true;
        if read >= SMALL {
            self.room = LARGE;
        }
    }

    /// What the bytes that have come amount to; `None` if more must come first.
    fn take(&mut self, input: &mut BytesMut, send: &mut Send) -> Result<Option<Received>, Broken> {
        match &mut self.state {
            State::Complete | State::Closed => Ok(Some(Received::End)),
            _ if input.is_empty() => Ok(None),
            State::Head(scan) => {
                let Some(length) = scan.look(input).map_err(Broken::Protocol)? else {
                    return Ok(None);
                };
                let head = input.split_to(length).freeze();
                let head = Head::read(head).map_err(Broken::Protocol)?;
                self.head(head, send).map(|event| Some(Received::Event(event)))
            }
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= here as u64;
                // What nothing follows keeps its memory to itself, and nobody has to count who shares it.
                let data = match *left == 0 && here == input.len() {
                    true => std::mem::take(input),
                    false => input.split_to(here),
                };
                if *left == 0 {
                    self.state = State::Complete;
                }
                Ok(Some(data_event(data.freeze())))
            }
            State::Chunked(chunks) => {
                let received = take_chunk(chunks, input)?;
                if chunks.is_done() {
                    self.state = State::Complete;
                }
                Ok(received)
            }
            State::UntilClose | State::Upgraded => Ok(Some(data_event(input.split().freeze()))),
        }
    }

    fn head(&mut self, head: Head, send: &mut Send) -> Result<Event, Broken> {
        let Head { head, framing, is_kept, keep_alive } = head;
        let status = head.status;
        if status == StatusCode::SWITCHING_PROTOCOLS && !self.asked.is_upgrade {
            return Err(Broken::Protocol("101 without a request for an upgrade"));
        }
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            self.informational += 1;
            if self.informational > INFORMATIONAL {
                return Err(Broken::Protocol("more than 100 informational responses"));
            }
            if status == StatusCode::CONTINUE {
                send.go_on();
            }
            self.state = State::Head(Scan::default());
            return Ok(AnyEvent::Informational(head));
        }
        // A server that closes an idle connection may say so just when a request is on its way to it. Whether it does that,
        // or has read the request, nobody can tell: what cannot be sent again gets this answer.
        if status == StatusCode::REQUEST_TIMEOUT
            && self.asked.is_reused
            && self.asked.is_idempotent
            && !self.asked.has_body
            && !is_kept
        {
            self.has_begun = false;
            return Err(Broken::Idle);
        }
        self.has_head = true;
        self.is_kept = is_kept;
        self.keep_alive = keep_alive;
        self.state = self.body(status, framing);
        match self.state {
            State::Upgraded => {
                self.is_upgraded = true;
                send.upgrade();
            }
            // The target answers without the body, and does not want it.
            _ if self.asked.is_upgrade || self.asked.is_connect => send.stop(),
            _ if send.is_held() && status.as_u16() >= 400 => send.stop(),
            _ => send.go_on(),
        }
        Ok(AnyEvent::Head(head))
    }

    fn body(&self, status: StatusCode, framing: Framing) -> State {
        if status == StatusCode::SWITCHING_PROTOCOLS || self.asked.is_connect && status.is_success()
        {
            return State::Upgraded;
        }
        let is_bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match framing {
            _ if is_bodiless || self.asked.is_head => State::Complete,
            Framing::Length(0) => State::Complete,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunks::default()),
            Framing::UntilClose => State::UntilClose,
        }
    }

    fn close(&mut self, send: &Send) -> Result<Received, Broken> {
        // The first write after a reset tells of it, and the end that is read afterwards looks clean.
        let is_reset =
            send.error().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        match self.state {
            State::UntilClose | State::Upgraded if !is_reset => {
                self.state = State::Closed;
                Ok(Received::End)
            }
            _ => Err(Broken::Closed),
        }
    }
}

/// The next data of a chunked body, or what is at its end.
fn take_chunk(chunks: &mut Chunks, input: &mut BytesMut) -> Result<Option<Received>, Broken> {
    while !input.is_empty() {
        match chunks.piece(input).map_err(|_| Broken::Protocol("the body is not chunked"))? {
            Piece::Data(length) => return Ok(Some(data_event(input.split_to(length).freeze()))),
            Piece::Framing(length) => input.advance(length),
        }
        if chunks.is_done() {
            let trailers = chunks.trailers();
            return Ok(Some(match trailers.is_empty() {
                true => Received::End,
                false => Received::Event(AnyEvent::Trailers(trailers)),
            }));
        }
    }
    Ok(None)
}

fn data_event(data: Bytes) -> Received {
    Received::Event(AnyEvent::Data(data))
}

#[cfg(test)]
mod tests;

//! What changes about a connection: what has come, what is to be sent, and how long the client may take.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;

use super::super::head::{HeadLimits, Malformed, Seen};
use super::super::inbound::Inbound;
use super::super::outbound::{GATHER, Outbound};
use super::super::stream::Stream;
use crate::timer::Timer;

/// How long a client may take no data by default.
const PATIENCE: Duration = Duration::from_secs(30);

/// The mutable state. Its lock is never held for long: one task uses a connection at a time.
#[derive(Debug)]
pub struct State {
    pub inbound: Inbound,
    pub outbound: Outbound,
    pub patience: Duration,
    pub resets: bool,
    /// The time limit of the head that is awaited.
    pub timer: Timer,
    /// Whether a whole request has come.
    pub has_asked: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            patience: PATIENCE,
            resets: false,
            timer: Timer::default(),
            has_asked: false,
        }
    }
}

impl State {
    /// Forgets what belonged to the request before.
    pub fn begin(&mut self) {
        self.inbound.begin();
        self.outbound.begin();
        self.patience = PATIENCE;
    }

    /// Looks at what has come of a head. Returns whether anything has.
    pub fn look(&mut self, limits: HeadLimits) -> (Result<Seen, Malformed>, bool) {
        let seen = self.inbound.look(limits);
        self.has_asked |= matches!(seen, Ok(Seen::Head(..)));
        (seen, self.inbound.has_begun())
    }

    /// Reads bytes of the present request. Sends the gathered bytes first, because the client may wait for them.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_send(context, stream) {
            return Poll::Ready(Err(error));
        }
        self.inbound.poll_read(context, stream, buffer)
    }

    /// Sends the gathered bytes. Fails where the client does not take them in time.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
    ) -> Poll<io::Result<()>> {
        match self.outbound.poll_send(context, stream) {
            Poll::Pending => self.outbound.poll_stalled(context, stream, self.patience).map(Err),
            sent => sent,
        }
    }

    /// Closes our direction. A stream may have a last word to say, which the client has to take in time.
    pub fn poll_shutdown(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
    ) -> Poll<io::Result<()>> {
        match stream.poll_shutdown(context) {
            Poll::Pending => self.outbound.poll_stalled(context, stream, self.patience).map(Err),
            closed => closed,
        }
    }

    /// Gathers `length` bytes in parts. Or sends what is gathered, and has `write` send the bytes without a copy.
    pub fn poll_write<'a>(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        (parts, length): (impl Iterator<Item = &'a [u8]>, usize),
        write: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.outbound.gathered() + length > GATHER {
            ready!(self.poll_send(context, stream))?;
        }
        if length < GATHER {
            parts.for_each(|part| self.outbound.buffer().extend_from_slice(part));
            return Poll::Ready(Ok(length));
        }
        match write(context) {
            Poll::Pending => self.outbound.poll_stalled(context, stream, self.patience).map(Err),
            written => {
                self.outbound.has_progressed();
                written
            }
        }
    }
}

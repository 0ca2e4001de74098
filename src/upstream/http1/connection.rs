//! A connection on which requests follow each other.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use crate::timer::Timer;
use crate::upstream::stream::Stream;
use crate::upstream::target::Counters;

/// The memory for heads that an idle connection keeps.
const OUTPUT_KEPT: usize = 4 << 10;

/// A connection to a target. It belongs to one request at a time.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    /// What has come and was not used yet.
    pub(super) input: BytesMut,
    /// Memory for the head of the next request.
    pub(super) output: Vec<u8>,
    /// The time limit of the request that it serves.
    pub timer: Timer,
    has_served: bool,
    /// Whether TLS may still hold a part of what was written.
    is_unflushed: bool,
    counters: Arc<Counters>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.connection_closed();
    }
}

impl Connection {
    /// A new connection to a target with these counters.
    pub fn new(stream: Stream, counters: Arc<Counters>) -> Self {
        counters.connection_opened();
        Self {
            stream,
            input: BytesMut::new(),
            output: Vec::new(),
            timer: Timer::default(),
            has_served: false,
            is_unflushed: false,
            counters,
        }
    }

    /// Whether it has served a request before the present one.
    pub fn has_served(&self) -> bool {
        self.has_served
    }

    /// Makes it ready for the next request.
    pub(super) fn renew(&mut self, mut output: Vec<u8>) {
        self.has_served = true;
        // An idle connection holds no memory of the response before.
        self.input = BytesMut::new();
        output.clear();
        output.shrink_to(OUTPUT_KEPT);
        self.output = output;
    }

    /// Whether it is open and nothing has come over it; see [`Stream::is_quiet`].
    pub fn is_quiet(&mut self, is_certain: bool) -> bool {
        self.input.is_empty() && self.stream.is_quiet(is_certain)
    }

    /// Reads once, into memory for `room` bytes or what is left of it. 0 is the end.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_readable(context))?;
        let free = self.input.capacity() - self.input.len();
        // What is left of the memory is used up, unless it is so little that a stream would come in pieces.
        if free < room / 4 && !self.input.try_reclaim(room) {
            match self.input.is_empty() {
                true => self.input = BytesMut::with_capacity(room),
                false => self.input.reserve(room),
            }
        }
        self.stream.poll_read(context, &mut self.input)
    }

    /// Writes what is possible at once of these parts, which follow each other.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: [&[u8]; 3],
    ) -> Poll<io::Result<usize>> {
        match parts {
            [first, [], []] => self.stream.poll_write(context, &[IoSlice::new(first)]),
            parts => self.stream.poll_write(context, &parts.map(IoSlice::new)),
        }
    }

    pub(super) fn has_written(&mut self) {
        self.is_unflushed = true;
    }

    /// Sends what the stream has kept.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_unflushed {
            ready!(self.stream.poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes our direction.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(context)
    }
}

//! A connection for h2 to read and write, which notes what passes: what h2 refuses, and what the client does too much of.
//! h2 tells of neither.

use std::io::{self, IoSlice};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flood::{Excess, Flood};
use super::frames::{Frame, Frames, kind};
use super::refusals::Refused;
use crate::transport::{Connection, PREFACE};

/// How many frames are read while the client takes none of what they lead to: h2 keeps a reset for each of them.
const UNANSWERED: u32 = 1_024;
/// How many frames, or bytes of heads, are read before h2 gets to write what they lead to, and requests are taken from it.
/// Few bytes of a head may be many in memory.
const AT_ONCE: u32 = 64;
const HEADS_AT_ONCE: usize = 4 << 10;

/// The connection.
pub struct Observed {
    connection: Connection,
    received: Frames,
    sent: Frames,
    noted: Noted,
    /// Whether the first frame has come.
    has_settings: bool,
    /// Frames that came since the client was last sent something.
    unanswered: u32,
    /// Bytes of heads that came since h2 was given a turn.
    heads: usize,
    /// Whether there is something that the client does not take.
    is_blocked: bool,
    /// Whether h2 was given a turn.
    has_yielded: bool,
}

/// What is noted of a connection. Clones are of the same connection.
#[derive(Clone, Debug)]
pub struct Noted(Arc<Mutex<Notes>>);

#[derive(Debug)]
struct Notes {
    refused: Vec<Refused>,
    flood: Flood,
    excess: Option<Excess>,
    head: Option<u64>,
    /// Bytes that were written.
    written: u64,
}

impl Noted {
    /// Notes of a connection whose client may reset so many streams in ten seconds.
    pub fn new(resets: NonZeroU32) -> Self {
        Self(Arc::new(Mutex::new(Notes {
            refused: Vec::new(),
            flood: Flood::new(resets),
            excess: None,
            head: None,
            written: 0,
        })))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client has done too much of. Nothing is read from then on.
    pub fn excess(&self) -> Option<Excess> {
        self.notes().excess
    }

    /// The number of the head that has begun to come and is not complete.
    pub fn head(&self) -> Option<u64> {
        self.notes().head
    }

    /// How many bytes were written to the connection.
    pub fn written(&self) -> u64 {
        self.notes().written
    }

    /// The streams that h2 may have refused since the last call.
    pub fn take_refused(&self) -> Vec<Refused> {
        std::mem::take(&mut self.notes().refused)
    }

    /// Notes a write that the client's window made tiny.
    pub fn dribbled(&self) {
        let mut notes = self.notes();
        let dribbled = notes.flood.dribbled();
        notes.count(dribbled);
    }

    /// Notes a frame that is on its way to the client.
    #[cfg(test)]
    pub fn sent(&self, frame: &Frame) {
        self.notes().sent(frame);
    }
}

impl Notes {
    fn count(&mut self, counted: Result<(), Excess>) {
        self.excess = self.excess.or(counted.err());
    }

    fn sent(&mut self, frame: &Frame) {
        self.refused.extend(Refused::of(frame));
        let sent = self.flood.sent(frame);
        self.count(sent);
    }
}

impl Observed {
    /// The connection, with notes of it.
    pub fn new(connection: Connection, noted: Noted) -> Self {
        Self {
            connection,
            received: Frames::behind(PREFACE.len()),
            sent: Frames::default(),
            noted,
            has_settings: false,
            unanswered: 0,
            heads: 0,
            is_blocked: false,
            has_yielded: false,
        }
    }

    /// Whether nothing is read for now. Whoever reads is woken when it may go on.
    fn waits(&mut self, context: &Context<'_>) -> bool {
        if self.noted.excess().is_some() {
            return true;
        }
        if self.is_blocked && self.unanswered >= UNANSWERED {
            // The write that waits wakes the task.
            return true;
        }
        let is_much = self.unanswered >= AT_ONCE || self.heads >= HEADS_AT_ONCE;
        let yields = is_much && !self.has_yielded;
        self.has_yielded = yields;
        if yields {
            self.heads = 0;
            context.waker().wake_by_ref();
        }
        yields
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut notes = self.noted.notes();
        self.received.look(bytes, |frame| {
            self.unanswered = self.unanswered.saturating_add(1);
            if matches!(frame.kind, kind::HEADERS | kind::CONTINUATION) {
                self.heads = self.heads.saturating_add(frame.length);
            }
            if !std::mem::replace(&mut self.has_settings, true) && frame.kind != kind::SETTINGS {
                notes.excess = Some(Excess::NoSettings);
            }
            let received = notes.flood.received(&frame);
            notes.count(received);
        });
        notes.head = self.received.head();
    }

    fn wrote<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, mut written: usize) {
        let mut notes = self.noted.notes();
        notes.written += written as u64;
        for part in parts {
            let part = part.get(..written).unwrap_or(part);
            written -= part.len();
            self.sent.look(part, |frame| notes.sent(&frame));
        }
        self.unanswered = 0;
    }

    /// Notes whether the client takes what is written.
    fn took<T>(&mut self, written: Poll<T>) -> Poll<T> {
        self.is_blocked = written.is_pending();
        written
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waits(context) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(context, buffer))?;
        self.read(buffer.filled().get(before..).unwrap_or_default());
        if self.noted.excess().is_some() {
            // What is too much reaches nobody.
            buffer.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(context, data);
        let written = ready!(self.took(written))?;
        self.wrote(std::iter::once(data), written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(context, parts);
        let written = ready!(self.took(written))?;
        self.wrote(parts.iter().map(|part| &**part), written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    /// h2 flushes behind each frame of some size. The connection gathers them, and sends them before it reads; what h2
    /// writes last, its driver sends.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

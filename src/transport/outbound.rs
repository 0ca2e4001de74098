//! What is on its way to a client: gathered, sent, and given up where the client takes nothing.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use pingora::protocols::l4::ext::get_tcp_info;
use tokio::time::{Instant, Sleep};

use super::stream::Stream;

/// Writes of this size or more are not copied.
pub const GATHER: usize = 16 << 10;
/// How often the kernel is asked whether the client takes anything, while a write waits.
const LOOK: Duration = Duration::from_secs(1);
/// The minimum time that a write may wait where the kernel does not report progress.
const BLIND: Duration = Duration::from_secs(30);
/// How pingora ends a chunked body, in a write of its own.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Outbound {
    gathered: BytesMut,
    /// Whether the stream may still hold a part of what was written to it.
    is_unflushed: bool,
    progress: Progress,
    /// Bytes to send in place of the last chunk, which must be the next write.
    ending: Option<Bytes>,
    stall: Option<Stall>,
}

/// How often the client of a connection has taken something. A task that waits for the client to take one response sees
/// by this whether the client takes anything at all. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// A number that changes whenever the client has taken something.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A wait for the client to take something.
#[derive(Debug)]
struct Stall {
    look: Pin<Box<Sleep>>,
    /// The last time at which the client took something.
    since: Instant,
    /// How many bytes its kernel had acknowledged then; `None` where that is not known.
    acknowledged: Option<u64>,
}

impl Outbound {
    /// Forgets what belonged to the response before.
    pub fn begin(&mut self) {
        self.ending = None;
        self.stall = None;
    }

    /// Counts what the client takes.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// How many bytes wait.
    pub fn gathered(&self) -> usize {
        self.gathered.len()
    }

    /// Adds bytes to those that wait.
    ///
    /// # Errors
    ///
    /// Where trailers should replace the last chunk, and these bytes are not the last chunk.
    pub fn gather(&mut self, data: &[u8]) -> io::Result<usize> {
        match self.ending.take() {
            None => self.gathered.extend_from_slice(data),
            Some(ending) if data == LAST_CHUNK => self.gathered.extend_from_slice(&ending),
            Some(_) => return Err(io::Error::other("data after trailers")),
        }
        Ok(data.len())
    }

    /// Has trailers end the chunked body that is being written.
    pub fn end_with(&mut self, trailers: &HeaderMap) {
        let mut section = BytesMut::from("0\r\n");
        for (name, value) in trailers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                section.extend_from_slice(part);
            }
        }
        section.extend_from_slice(b"\r\n");
        self.ending = Some(section.freeze());
    }

    /// Sends what waits.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
    ) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            match ready!(stream.poll_write(context, &self.gathered))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => {
                    self.gathered.advance(sent);
                    self.has_progressed();
                }
            }
        }
        if self.is_unflushed {
            ready!(stream.poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Notes that something was written to the stream.
    pub fn has_progressed(&mut self) {
        self.is_unflushed = true;
        self.stall = None;
        self.progress.advance();
    }

    /// Ends once the client has taken nothing for as long as `patience` says. The kernel's buffers may be full of bytes
    /// that the client has yet to take, so the measure is what the client's kernel has acknowledged. Where the stream
    /// has no socket to ask, only writes show progress.
    pub fn poll_stalled(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        patience: Duration,
    ) -> Poll<io::Error> {
        let every = patience.min(LOOK);
        let stall = self.stall.get_or_insert_with(|| Stall {
            look: Box::pin(tokio::time::sleep(every)),
            since: Instant::now(),
            acknowledged: acknowledged(stream),
        });
        loop {
            ready!(stall.look.as_mut().poll(context));
            let now = acknowledged(stream);
            if now != stall.acknowledged {
                (stall.since, stall.acknowledged) = (Instant::now(), now);
                self.progress.advance();
            }
            // Writes are rare: where the kernel does not report progress, a slow client needs more time between two.
            let patience = if now.is_some() { patience } else { patience.max(BLIND) };
            if stall.since.elapsed() >= patience {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            stall.look.as_mut().reset(Instant::now() + every);
        }
    }
}

/// Bytes that the client's kernel has acknowledged. `None` where the stream has no socket, or where our kernel does not
/// report it: pingora needs the format of Linux 6.2.
fn acknowledged(stream: &dyn Stream) -> Option<u64> {
    get_tcp_info(stream.socket()?.as_raw_fd()).ok().map(|info| info.tcpi_bytes_acked)
}

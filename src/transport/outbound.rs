//! What is on its way to a client: gathered, sent, and given up where the client takes nothing.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora::protocols::l4::ext::get_tcp_info;
use tokio::time::{Instant, Sleep};

use super::stream::Stream;

/// Writes of this size or more are not copied.
pub const GATHER: usize = 16 << 10;
/// The memory that an idle connection keeps for its next response.
const KEPT: usize = 1 << 10;
/// How often the kernel is asked whether the client takes anything, while a write waits.
const LOOK: Duration = Duration::from_secs(1);
/// The minimum time that a write may wait where the kernel does not report progress.
const BLIND: Duration = Duration::from_secs(30);

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Outbound {
    gathered: BytesMut,
    /// Whether the stream may still hold a part of what was written to it.
    is_unflushed: bool,
    progress: Progress,
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

    /// Where bytes wait. More can be added.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.gathered
    }

    /// Gives back the memory of a large response, because nothing is to be sent for a while.
    pub fn rest(&mut self) {
        // What was sent counts too: the capacity is only what is left behind it.
        if self.gathered.is_empty() && self.gathered.try_reclaim(KEPT) {
            self.gathered = BytesMut::new();
        }
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

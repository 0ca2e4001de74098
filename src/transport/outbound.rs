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

use super::pace::Pace;
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
    pace: Pace,
    /// How many bytes the client's kernel had acknowledged at the last look; `None` where that is not known.
    acknowledged: Option<u64>,
    /// Whether the client was given up.
    is_late: bool,
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
    /// The last look.
    looked: Instant,
}

impl Outbound {
    /// Forgets what belonged to the response before.
    pub fn begin(&mut self) {
        self.stall = None;
        self.pace = Pace::default();
    }

    /// How fast the client must take the response.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Whether the client was given up because it took too little, or nothing.
    pub fn is_late(&self) -> bool {
        self.is_late
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
        if let Some(stall) = self.stall.take() {
            self.pace.waited(stall.looked.elapsed());
        }
        self.progress.advance();
    }

    /// Ends once the client has taken nothing for as long as `patience` says, or is slower than its pace. The kernel's
    /// buffers may be full of bytes that the client has yet to take, so the measure is what the client's kernel has
    /// acknowledged. Where the stream has no socket to ask, only writes show progress, and no pace is known.
    pub fn poll_stalled(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        patience: Duration,
    ) -> Poll<io::Error> {
        let every = patience.min(LOOK);
        if self.stall.is_none() {
            let now = Instant::now();
            self.look(stream);
            let look = Box::pin(tokio::time::sleep(every));
            self.stall = Some(Stall { look, since: now, looked: now });
        }
        while let Some(stall) = &mut self.stall {
            ready!(stall.look.as_mut().poll(context));
            let now = Instant::now();
            let waited = now - std::mem::replace(&mut stall.looked, now);
            stall.look.as_mut().reset(now + every);
            if self.look(stream) {
                self.progress.advance();
                self.stall.iter_mut().for_each(|stall| stall.since = now);
            }
            // After what has passed meanwhile, so that what is left is what is left now.
            self.pace.waited(waited);
            // Writes are rare: where the kernel does not report progress, a slow client needs more time between two.
            let is_known = self.acknowledged.is_some();
            let patience = if is_known { patience } else { patience.max(BLIND) };
            let has_patience = self.stall.as_ref().is_some_and(|it| now - it.since < patience);
            if !has_patience || (is_known && self.pace.is_over()) {
                self.is_late = true;
                break;
            }
        }
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Looks at how much the client's kernel has acknowledged. Returns whether that is more than at the last look.
    fn look(&mut self, stream: &dyn Stream) -> bool {
        let now = acknowledged(stream);
        let before = std::mem::replace(&mut self.acknowledged, now);
        if let (Some(now), Some(before)) = (now, before) {
            self.pace.passed(now.saturating_sub(before));
        }
        now != before
    }
}

/// Bytes that the client's kernel has acknowledged. `None` where the stream has no socket, or where our kernel does not
/// report it: pingora needs the format of Linux 6.2.
fn acknowledged(stream: &dyn Stream) -> Option<u64> {
    get_tcp_info(stream.socket()?.as_raw_fd()).ok().map(|info| info.tcpi_bytes_acked)
}

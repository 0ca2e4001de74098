//! What is on its way to a client: gathered, sent, and given up where nobody takes it.

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
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Writes of this size or more are not copied.
pub const GATHER: usize = 16 << 10;
/// How often the kernel is asked whether a client that keeps a write waiting takes anything.
const LOOK: Duration = Duration::from_secs(1);
/// How long a write may wait at least where the kernel does not tell.
const BLIND: Duration = Duration::from_secs(30);
/// How pingora ends a chunked body, in one write of its own.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Outbound {
    gathered: BytesMut,
    movement: Movement,
    /// What is sent in place of the last chunk, which is the next write.
    ending: Option<Bytes>,
    stall: Option<Stall>,
}

/// How often a connection has taken something: for whoever waits for a part of it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Movement(Arc<AtomicU64>);

impl Movement {
    /// Another number whenever something was taken meanwhile.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A wait for a client to take something.
#[derive(Debug)]
struct Stall {
    look: Pin<Box<Sleep>>,
    /// When something was taken last, and how many bytes the client's kernel had acknowledged then;
    /// nothing where ours does not tell.
    since: Instant,
    acknowledged: Option<u64>,
}

impl Outbound {
    /// Forgets what belonged to the response before.
    pub fn begin(&mut self) {
        self.ending = None;
        self.stall = None;
    }

    /// Counts what is taken.
    pub fn movement(&self) -> Movement {
        self.movement.clone()
    }

    /// How many bytes wait.
    pub fn gathered(&self) -> usize {
        self.gathered.len()
    }

    /// Adds bytes to those that wait.
    ///
    /// # Errors
    ///
    /// Where trailers were to come in place of the last chunk, and this is none.
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

    /// Sends what waits, as far as it goes at once. Whether all of it went.
    pub fn try_send(&mut self, stream: &TcpStream) -> io::Result<bool> {
        while !self.gathered.is_empty() {
            match stream.try_write(&self.gathered) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Sends what waits.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(context, &self.gathered))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent(sent),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn sent(&mut self, bytes: usize) {
        self.gathered.advance(bytes);
        self.has_moved();
    }

    /// The client has taken something.
    pub fn has_moved(&mut self) {
        self.stall = None;
        self.movement.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends where the client has taken nothing for as long as `patience` says. The kernel's buffers
    /// may be full of what it has yet to take, so what counts is what its own kernel has acknowledged.
    pub fn poll_stalled(
        &mut self,
        context: &mut Context<'_>,
        stream: &TcpStream,
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
                self.movement.0.fetch_add(1, Ordering::Relaxed);
            }
            // Only writes show progress to whom the kernel tells nothing, and those are rare.
            let patience = if now.is_some() { patience } else { patience.max(BLIND) };
            if stall.since.elapsed() >= patience {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            stall.look.as_mut().reset(Instant::now() + every);
        }
    }
}

/// Bytes that the client's kernel has acknowledged; nothing where ours does not tell: pingora wants the
/// form that Linux 6.2 gave it.
fn acknowledged(stream: &TcpStream) -> Option<u64> {
    get_tcp_info(stream.as_raw_fd()).ok().map(|info| info.tcpi_bytes_acked)
}

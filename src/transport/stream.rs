//! What a connection runs over: a TCP socket, or a layer on top of one, such as TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::uri::Scheme;
use socket2::SockRef;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::tls::TlsPeer;

/// A stream of bytes from and to a client.
///
/// It is used by shared reference: one task reads and writes it, and may at the same time hold a future that watches
/// its [`socket`](Self::socket). A stream that needs exclusive access, as a TLS session does, keeps its state behind a
/// lock of its own. The methods work like those of tokio's [`AsyncRead`] and `AsyncWrite`.
pub trait Stream: fmt::Debug + Send + Sync + 'static {
    /// The scheme of the requests that come over the stream.
    fn scheme(&self) -> Scheme;

    /// The TCP socket beneath. Only a socket shows how much the client's kernel has acknowledged and whether the
    /// connection is broken, and only a socket can be reset. Without one, a client that takes nothing is noticed later,
    /// and a client that has left is noticed at the next read or write.
    fn socket(&self) -> Option<&TcpStream>;

    /// What a handshake of TLS has agreed on with the client; `None` for cleartext.
    fn tls(&self) -> Option<&Arc<TlsPeer>> {
        None
    }

    /// Waits until a read may find something, without holding memory meanwhile. A stream that cannot tell is always
    /// ready.
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Reads into the free part of `buffer`, after [`Self::poll_readable`]; if the buffer stays empty, the stream has
    /// ended.
    fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>;

    /// Writes as much of `data` as is possible at once.
    fn poll_write(&self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes as much of several parts as is possible at once.
    fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Sends bytes that the stream itself has kept of earlier writes. A socket keeps none.
    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes our direction.
    fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Has the stream end with a reset instead of an orderly close. A stream without a socket ends without a signal.
    fn reset_on_close(&self) {
        if let Some(socket) = self.socket() {
            // If it fails, the connection is gone already.
            socket.set_zero_linger().ok();
        }
    }
}

impl Stream for TcpStream {
    fn scheme(&self) -> Scheme {
        Scheme::HTTP
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(context)
    }

    fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // It is known to be ready, so that is looked at again only where it turns out not to be.
        loop {
            match try_read(self, buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
            ready!(self.poll_read_ready(context))?;
        }
    }

    fn poll_write(&self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        poll_until_ready(self, context, |socket| socket.try_write(data))
    }

    fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_until_ready(self, context, |socket| socket.try_write_vectored(parts))
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self).shutdown(Shutdown::Write))
    }
}

/// Reads once. A read that does not fill its buffer has emptied the kernel's buffer, so readiness is cleared, as
/// tokio's own reads do: the next read does not ask the kernel in vain.
fn try_read(socket: &TcpStream, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
    let mut part = None;
    let read = socket.try_io(Interest::READABLE, || {
        let room = buffer.remaining();
        match socket.try_read_buf(buffer) {
            Ok(read) if 0 < read && read < room => {
                part = Some(read);
                Err(io::ErrorKind::WouldBlock.into())
            }
            read => read,
        }
    });
    part.map_or(read, Ok)
}

fn poll_until_ready(
    socket: &TcpStream,
    context: &mut Context<'_>,
    write: impl Fn(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(context))?;
        match write(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

/// Lets tokio's extension methods read a stream.
pub(super) struct Reader<'a>(pub &'a dyn Stream);

impl AsyncRead for Reader<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(context, buffer)
    }
}

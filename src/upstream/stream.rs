//! What a connection to a target runs over: a TCP socket, or TLS over one.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A stream of bytes from and to a target.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Waits until a read may find something, so that nobody holds memory for what is awaited. TLS cannot tell, and is
    /// always ready.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(context),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    /// Reads into the free part of `buffer`, which must have one, after [`Self::poll_readable`]. 0 is the end of the
    /// stream.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            // It is known to be ready, so that is looked at again only where it turns out not to be.
            Self::Tcp(socket) => loop {
                match try_read(socket, buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return Poll::Ready(read),
                }
                ready!(socket.poll_read_ready(context))?;
            },
            // The future holds nothing beside its two references, so it may be dropped while it is pending.
            Self::Tls(tls) => pin!(tls.read_buf(buffer)).poll(context),
        }
    }

    /// Writes as much of `parts` as is possible at once.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(socket) => match parts {
                [part] => Pin::new(socket).poll_write(context, part),
                parts => Pin::new(socket).poll_write_vectored(context, parts),
            },
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(context, parts),
        }
    }

    /// Sends what TLS has kept of earlier writes. A socket keeps nothing.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    /// Closes our direction. The target's stays open.
    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => Poll::Ready(SockRef::from(&*socket).shutdown(Shutdown::Write)),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }

    /// Whether the stream is open and nothing has come over it, as far as this process has been told. `is_certain` asks
    /// the kernel too, which may know more.
    pub fn is_quiet(&mut self, is_certain: bool) -> bool {
        let is_quiet = match self {
            Self::Tcp(socket) => is_blocked(socket.try_read(&mut [0])),
            // What TLS sends for itself, such as tickets, is read and is no data.
            Self::Tls(tls) => {
                let context = &mut Context::from_waker(Waker::noop());
                pin!(tls.read(&mut [0])).poll(context).is_pending()
            }
        };
        is_quiet && (!is_certain || is_blocked(self.peek()))
    }

    fn peek(&self) -> io::Result<usize> {
        let socket = match self {
            Self::Tcp(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
        };
        SockRef::from(socket).peek(&mut [MaybeUninit::uninit()])
    }
}

fn is_blocked(read: io::Result<usize>) -> bool {
    read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Reads once. A read that does not fill its buffer has emptied the kernel's, so readiness is cleared: the next read
/// does not ask the kernel in vain.
fn try_read(socket: &TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    let mut part = None;
    let read = socket.try_io(Interest::READABLE, || {
        let room = buffer.capacity() - buffer.len();
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

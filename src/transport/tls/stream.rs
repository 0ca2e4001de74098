//! A client's TCP socket with a session of TLS on top: what a [`Connection`](crate::transport::Connection) over HTTPS runs
//! on.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::uri::Scheme;
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use super::certificates::{Certificate, CertificateTable};
use super::session::Session;
use crate::transport::stream::Stream;

/// How a client names HTTP/2 in ALPN.
pub(super) const HTTP2: &[u8] = b"h2";

/// A stream over TLS, after the handshake.
#[derive(Debug)]
pub struct TlsStream {
    session: Mutex<Session>,
    socket: TcpStream,
    peer: Arc<TlsPeer>,
    /// Whether the connection ends without an orderly close.
    is_abandoned: AtomicBool,
}

/// What a handshake has agreed on.
#[derive(Debug)]
pub struct TlsPeer {
    /// Whether both sides speak HTTP/2; otherwise they speak HTTP/1.1.
    pub is_http2: bool,
    /// The certificate of the host that the client has asked for; `None` where it has named none.
    pub certificate: Option<Arc<Certificate>>,
}

impl TlsStream {
    /// The stream of a session whose handshake is over. `table` is what the session's certificate comes from.
    pub(super) fn new(session: Session, socket: TcpStream, table: &CertificateTable) -> Self {
        let tls = session.tls();
        let peer = TlsPeer {
            is_http2: tls.alpn_protocol() == Some(HTTP2),
            certificate: tls.server_name().and_then(|name| table.find(Some(name)).cloned()),
        };
        Self {
            session: Mutex::new(session),
            socket,
            peer: Arc::new(peer),
            is_abandoned: AtomicBool::new(false),
        }
    }

    /// How much memory holds bytes of the client.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.session().buffered()
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for TlsStream {
    fn scheme(&self) -> Scheme {
        Scheme::HTTPS
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(&self.socket)
    }

    fn tls(&self) -> Option<&Arc<TlsPeer>> {
        Some(&self.peer)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session().poll_readable(&self.socket, context)
    }

    fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.session().poll_read(&self.socket, context, buffer)
    }

    fn poll_write(&self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.session().poll_write(&self.socket, context, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.session().poll_write(&self.socket, context, parts)
    }

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session().poll_send(&self.socket, context)
    }

    fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.session().poll_close(&self.socket, context))?;
        Poll::Ready(SockRef::from(&self.socket).shutdown(Shutdown::Write))
    }

    fn reset_on_close(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
        // If it fails, the connection is gone already.
        self.socket.set_zero_linger().ok();
    }
}

/// A client must be able to tell an end from being cut off, whatever the reason for the end.
impl Drop for TlsStream {
    fn drop(&mut self) {
        if !*self.is_abandoned.get_mut() {
            let session = self.session.get_mut().unwrap_or_else(PoisonError::into_inner);
            session.close_now(&self.socket);
        }
    }
}

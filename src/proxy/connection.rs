//! A client's TCP connection, as pingora's sessions use it.
//!
//! Writes gather in a buffer, so that the head and the body of a small response leave together.
//! They leave when somebody flushes, when the buffer is full, and before each read: whoever reads
//! is about to wait for the client, who may be waiting for what is in the buffer.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Writes of this size or more are not copied.
const GATHER: usize = 16 << 10;
/// How pingora ends a chunked body, in one write of its own.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    gathered: BytesMut,
    digest: Arc<SocketDigest>,
    trailers: Mutex<Option<Bytes>>,
}

impl Connection {
    /// Wraps an accepted connection of `client`.
    pub fn new(stream: TcpStream, client: SocketAddr) -> Self {
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        // The cell is new, so it is empty.
        digest.peer_addr.set(Some(client.into())).ok();
        let gathered = BytesMut::with_capacity(GATHER);
        Self { stream, gathered, digest: Arc::new(digest), trailers: Mutex::default() }
    }

    /// Sends these trailers at the end of the chunked body that is being written, which pingora
    /// 0.9 cannot do.
    pub fn add_trailers(&self, trailers: &HeaderMap) {
        let mut section = BytesMut::from("0\r\n");
        for (name, value) in trailers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                section.extend_from_slice(part);
            }
        }
        section.extend_from_slice(b"\r\n");
        let mut slot = self.trailers.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(section.freeze());
    }

    /// Makes the connection end with a reset and not with an orderly close, for a response whose
    /// end is its close and that broke off.
    pub fn reset_on_close(&self) {
        // If it fails, the connection is gone already.
        self.stream.set_zero_linger().ok();
    }

    fn poll_send_gathered(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.gathered))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Makes room for `length` more bytes; whether they may be gathered.
    fn poll_room(&mut self, context: &mut Context<'_>, length: usize) -> Poll<io::Result<bool>> {
        if self.gathered.len() + length > GATHER {
            ready!(self.poll_send_gathered(context))?;
        }
        Poll::Ready(Ok(length < GATHER))
    }

    fn take_trailers(&self, write: &[u8]) -> Option<Bytes> {
        if write != LAST_CHUNK {
            return None;
        }
        self.trailers.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_send_gathered(context) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !ready!(self.poll_room(context, data.len()))? {
            return Pin::new(&mut self.stream).poll_write(context, data);
        }
        match self.take_trailers(data) {
            Some(trailers) => self.gathered.extend_from_slice(&trailers),
            None => self.gathered.extend_from_slice(data),
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if !ready!(self.poll_room(context, length))? {
            return Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        }
        for part in parts {
            self.gathered.extend_from_slice(part);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send_gathered(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_gathered(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        // The client may have closed it first.
        AsyncWriteExt::shutdown(self).await.ok();
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.stream.as_raw_fd()
    }
}

impl Ssl for Connection {}

#[async_trait]
impl Peek for Connection {
    /// Only connections that began with the HTTP/2 preface are asked, so it is there.
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let peeked = self.stream.peek(buffer).await?;
        Ok(peeked == buffer.len())
    }
}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}

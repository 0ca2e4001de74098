//! A client's TCP connection, as pingora's sessions use it.
//!
//! Writes gather in a buffer, so that the head and the body of a small response leave together.
//! They leave when somebody flushes, when the buffer is full, and before each read: whoever reads
//! is about to wait for the client, who may be waiting for what is in the buffer.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING};
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
/// How much of what was read last is kept at least, to find the trailers of a request in it.
const TAIL: usize = 4 << 10;
/// Fields that say how a message is framed or routed, and are none in a trailer
/// ([RFC 9110, section 6.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)).
const FRAMING: [HeaderName; 4] = [CONTENT_LENGTH, TRANSFER_ENCODING, HOST, TRAILER];
/// Trailer fields of a request that are looked at.
const TRAILERS: usize = 32;

/// How many connections are open.
#[derive(Clone, Debug, Default)]
pub struct OpenConnections(Arc<AtomicUsize>);

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    open: OpenConnections,
    gathered: BytesMut,
    digest: Arc<SocketDigest>,
    trailers: Mutex<Option<Bytes>>,
    /// The last bytes that were read.
    tail: Vec<u8>,
    reset: AtomicBool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Wraps an accepted connection of `client`, one more of those that are `open`.
    pub fn new(stream: TcpStream, client: SocketAddr, open: OpenConnections) -> Self {
        open.0.fetch_add(1, Ordering::Relaxed);
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        // The cell is new, so it is empty.
        digest.peer_addr.set(Some(client.into())).ok();
        let gathered = BytesMut::with_capacity(GATHER);
        Self {
            stream,
            open,
            gathered,
            digest: Arc::new(digest),
            trailers: Mutex::default(),
            tail: Vec::new(),
            reset: AtomicBool::new(false),
        }
    }

    /// Whether it is the only one that is open.
    pub fn is_alone(&self) -> bool {
        self.open.0.load(Ordering::Relaxed) == 1
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

    /// The trailers of the chunked request body that has just been read to its end, which pingora
    /// 0.9 reads and drops. They are found from the end of what was read, so those of a request
    /// that the client has sent another one behind are not found.
    pub fn request_trailers(&self) -> HeaderMap {
        trailers_at_end(&self.tail).unwrap_or_default()
    }

    /// Makes the connection end with a reset and not with an orderly close, for a response whose
    /// end is its close and that broke off.
    pub fn reset_on_close(&self) {
        self.reset.store(true, Ordering::Relaxed);
        // If it fails, the connection is gone already.
        self.stream.set_zero_linger().ok();
    }

    /// Keeps at least the last `TAIL` bytes, and cuts only at twice as many, so that small reads
    /// seldom move what is kept.
    fn remember(&mut self, read: &[u8]) {
        let read = read.get(read.len().saturating_sub(TAIL)..).unwrap_or_default();
        if self.tail.len() + read.len() > 2 * TAIL {
            let over = (self.tail.len() + read.len()).saturating_sub(TAIL);
            self.tail.drain(..over.min(self.tail.len()));
        }
        self.tail.extend_from_slice(read);
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
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.remember(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
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
        if self.reset.load(Ordering::Relaxed) {
            // An orderly close would come before the reset.
            return Poll::Ready(Ok(()));
        }
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

/// The trailer fields of a chunked body ([RFC 9112, section 7.1.2]) whose last byte is the last of
/// `read`. No trailer field looks like a last chunk, so the last one that is there is it.
///
/// [RFC 9112, section 7.1.2]: https://www.rfc-editor.org/rfc/rfc9112#section-7.1.2
fn trailers_at_end(read: &[u8]) -> Option<HeaderMap> {
    const LAST_SIZE: &[u8] = b"\r\n0\r\n";
    let start = read.windows(LAST_SIZE.len()).rposition(|window| window == LAST_SIZE)?;
    let section = read.get(start + LAST_SIZE.len()..)?;
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS];
    let parsed = httparse::parse_headers(section, &mut fields).ok()?;
    let httparse::Status::Complete((length, fields)) = parsed else { return None };
    if length != section.len() {
        return None;
    }
    let mut trailers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if !FRAMING.contains(&name) {
            trailers.append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
    }
    Some(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_found_at_the_end() {
        let trailers = trailers_at_end(b"3\r\nabc\r\n0\r\nx-a: 1\r\nX-B: 2\r\n\r\n").unwrap();
        assert_eq!(
            (&trailers["x-a"], &trailers["x-b"]),
            (&"1".parse().unwrap(), &"2".parse().unwrap())
        );
        assert!(trailers_at_end(b"3\r\nabc\r\n0\r\n\r\n").unwrap().is_empty());
    }

    #[test]
    fn a_body_that_looks_like_a_last_chunk_is_not_one() {
        let trailers =
            trailers_at_end(b"11\r\n\r\n0\r\nx-fake: 1\r\n\r\n\r\n0\r\nx-a: 1\r\n\r\n").unwrap();
        assert_eq!(trailers.len(), 1);
        assert!(trailers.contains_key("x-a"));
    }

    #[test]
    fn what_follows_the_body_or_would_frame_it_is_no_trailer() {
        assert!(trailers_at_end(b"\r\n0\r\nx-a: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n").is_none());
        let trailers = trailers_at_end(b"\r\n0\r\ncontent-length: 5\r\n\r\n").unwrap();
        assert!(trailers.is_empty());
    }
}

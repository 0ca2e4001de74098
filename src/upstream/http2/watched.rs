//! A stream that is watched: how much has come over it, and how it broke. h2 tells neither.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::upstream::tls;

/// What is known of a stream.
#[derive(Debug, Default)]
pub struct Heard {
    bytes: AtomicU64,
    broken: OnceLock<Broken>,
}

/// How a stream broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub detail: String,
    /// Whether TLS refused the connection, so that nothing that was sent was ever read.
    pub is_refused: bool,
}

#[derive(Debug)]
pub struct Watched<T> {
    stream: T,
    heard: Arc<Heard>,
}

impl Heard {
    /// Bytes that have come so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn broken(&self) -> Option<&Broken> {
        self.broken.get()
    }

    /// The first reason counts: later errors follow from it.
    pub fn set_broken(&self, detail: impl Into<String>, is_refused: bool) {
        self.broken.set(Broken { detail: detail.into(), is_refused }).ok();
    }

    fn note(&self, error: &io::Error) {
        match tls::tell(error) {
            // With TLS 1.3, our certificate is looked at after our side of the handshake is over.
            Some(why) => self.set_broken(why, self.bytes() == 0),
            None => self.set_broken(error.to_string(), false),
        }
    }

    fn check<R>(&self, done: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if let Poll::Ready(Err(error)) = &done {
            self.note(error);
        }
        done
    }
}

impl<T> Watched<T> {
    pub fn new(stream: T) -> (Self, Arc<Heard>) {
        let heard = Arc::<Heard>::default();
        (Self { stream, heard: heard.clone() }, heard)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let came = buffer.filled().len() - before;
        self.heard.bytes.fetch_add(came as u64, Ordering::Relaxed);
        self.heard.check(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.heard.check(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.heard.check(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.heard.check(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

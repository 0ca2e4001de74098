//! A client's TCP connection: heads are read by [`Connection::head`], all else by whoever has the
//! connection as a stream of bytes.
//!
//! **Reading** gives a request its own bytes and no more: its head, and its body up to the end that
//! the head declares. What a client sends behind them stays here for its next request.
//!
//! **Writing** gathers in a buffer, so that the head and the body of a small response leave together.
//! They leave when somebody flushes, when the buffer is full, and before anybody waits for the client,
//! who may be waiting for what is in the buffer. A client that takes nothing for as long as
//! [`Connection::set_patience`] says is given up; whether it takes anything, the kernel knows, also
//! while its buffers are too full for a write.
//!
//! Nothing of one request is left for the next one: all that belongs to a request is dropped where
//! the next head begins.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;

use http::HeaderMap;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Place;
use super::head::{HeadLimits, Malformed, Seen};
use super::inbound::Inbound;
use super::outbound::{GATHER, Movement, Outbound};

/// How long a client may take no data unless somebody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long, and how much of, what nobody wants is read after a response that ends its connection.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;
const LINGER_PART: usize = 16 << 10;

/// How long a client may take for the head of a request.
#[derive(Clone, Copy, Debug)]
pub struct HeadTimes {
    /// Until its first byte.
    pub idle: Duration,
    /// From its first byte to its end.
    pub whole: Duration,
}

/// What came of waiting for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its head is here, to be read from the connection.
    Request,
    /// The connection is one of HTTP/2.
    Http2,
    /// None will come: the client has left, or has been silent for too long.
    Nothing,
    /// None that may be served. Nothing more can be read from the connection.
    Refused(Malformed),
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    place: Place,
    digest: Arc<SocketDigest>,
    inbound: Mutex<Inbound>,
    outbound: Mutex<Outbound>,
    /// Milliseconds.
    patience: AtomicU64,
    resets: AtomicBool,
    /// Whether a request was awaited before.
    is_known: bool,
}

impl Connection {
    /// Wraps an accepted connection of `client`, which has this place among all connections.
    pub fn new(stream: TcpStream, client: SocketAddr, place: Place) -> Self {
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        // The cell is new, so it is empty.
        digest.peer_addr.set(Some(client.into())).ok();
        Self {
            stream,
            client,
            place,
            digest: Arc::new(digest),
            inbound: Mutex::default(),
            outbound: Mutex::default(),
            patience: AtomicU64::new(milliseconds(PATIENCE)),
            resets: AtomicBool::new(false),
            is_known: false,
        }
    }

    /// The other end.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// Counts what its client takes.
    pub fn movement(&self) -> Movement {
        lock(&self.outbound).movement()
    }

    /// Its place among all connections.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Waits for the next request, and until its head is complete. While none has begun, the wait
    /// ends when `drained` does, or when others need the place.
    pub async fn head(
        &mut self,
        limits: HeadLimits,
        times: HeadTimes,
        drained: impl Future<Output = ()>,
    ) -> Next {
        let is_new = !std::mem::replace(&mut self.is_known, true);
        let inbound = get(&mut self.inbound);
        inbound.begin();
        get(&mut self.outbound).begin();
        *self.patience.get_mut() = milliseconds(PATIENCE);
        let crowded = self.place.places().asked_to_leave(is_new);
        let mut leave = std::pin::pin!(async {
            tokio::select! {
                () = drained => {}
                () = crowded => {}
            }
        });
        let (mut deadline, mut had_begun) = (None, false);
        loop {
            match inbound.look(limits) {
                Ok(Seen::Head(..)) => return Next::Request,
                Ok(Seen::Preface) => return Next::Http2,
                Ok(Seen::Part) => {}
                Err(malformed) => return Next::Refused(malformed),
            }
            let has_begun = inbound.has_begun();
            if has_begun && !had_begun {
                (deadline, had_begun) = (None, true);
            }
            let mut fill = |context: &mut Context<'_>| inbound.poll_fill(context, &mut self.stream);
            // Where something has come already, nobody looks at a clock.
            let read = match poll_fn(|context| Poll::Ready(fill(context))).await {
                Poll::Ready(read) => Some(read),
                Poll::Pending => {
                    let allowed = if has_begun { times.whole } else { times.idle };
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + allowed);
                    tokio::select! {
                        biased;
                        read = timeout_at(deadline, poll_fn(fill)) => read.ok(),
                        () = &mut leave, if !has_begun => return Next::Nothing,
                    }
                }
            };
            match read {
                Some(Ok(1..)) => {}
                Some(Ok(0) | Err(_)) => return Next::Nothing,
                None if has_begun => return Next::Refused(Malformed::TooSlow),
                None => return Next::Nothing,
            }
        }
    }

    /// The trailers of the chunked request body that has just been read to its end.
    pub fn request_trailers(&self) -> HeaderMap {
        lock(&self.inbound).take_trailers()
    }

    /// Whether the request's body has turned out not to be framed as it should be.
    pub fn is_malformed(&self) -> bool {
        lock(&self.inbound).is_malformed()
    }

    /// Has these trailers end the chunked body that is being written, which pingora 0.9 cannot do.
    /// The next write has to be its last chunk.
    pub fn end_with_trailers(&self, trailers: &HeaderMap) {
        lock(&self.outbound).end_with(trailers);
    }

    /// How long the client of the request under way may take no data.
    pub fn set_patience(&self, patience: Duration) {
        self.patience.store(milliseconds(patience), Ordering::Relaxed);
    }

    /// Makes the connection end with a reset and not with an orderly close, for a response that must
    /// not look complete.
    pub fn reset_on_close(&self) {
        self.resets.store(true, Ordering::Relaxed);
        // If it fails, the connection is gone already.
        self.stream.set_zero_linger().ok();
    }

    /// Sends what is gathered, and waits until the connection is broken. Its client may have said
    /// that it sends nothing more: it waits for its response then.
    pub async fn broken(&self) {
        tokio::select! {
            Err(_) = self.send() => {}
            _ = self.stream.ready(Interest::ERROR) => {}
        }
    }

    /// Sends what is gathered, says that nothing more comes, and takes what the client still sends,
    /// for a little. A connection that is closed while its client sends is reset, and the client may
    /// never see the response.
    pub async fn linger(&mut self) {
        AsyncWriteExt::shutdown(self).await.ok();
        let mut left = LINGER_BYTES;
        let rest = async {
            let mut rest = Vec::with_capacity(LINGER_PART);
            while left > 0 && self.stream.readable().await.is_ok() {
                rest.clear();
                match self.stream.try_read_buf(&mut rest) {
                    Ok(0) => return,
                    Ok(read) => left = left.saturating_sub(read),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        // Whoever still sends then is not listening.
        timeout(LINGER, rest).await.ok();
    }

    async fn send(&self) -> io::Result<()> {
        while !lock(&self.outbound).try_send(&self.stream)? {
            self.stream.writable().await?;
        }
        Ok(())
    }

    /// Whether a client that does not take what is written has had its time.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let patience = Duration::from_millis(*self.patience.get_mut());
        get(&mut self.outbound).poll_stalled(context, &self.stream, patience)
    }

    fn poll_send_gathered(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match get(&mut self.outbound).poll_send(context, &mut self.stream) {
            Poll::Pending => self.poll_stalled(context).map(Err),
            sent => sent,
        }
    }

    /// Makes room for `length` more bytes; whether they may be gathered.
    fn poll_room(&mut self, context: &mut Context<'_>, length: usize) -> Poll<io::Result<bool>> {
        if get(&mut self.outbound).gathered() + length > GATHER {
            ready!(self.poll_send_gathered(context))?;
        }
        Poll::Ready(Ok(length < GATHER))
    }

    fn watched(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.poll_stalled(context).map(Err),
            written => {
                get(&mut self.outbound).has_moved();
                written
            }
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn get<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let Self { stream, inbound, .. } = &mut *self;
        get(inbound).poll_read(context, stream, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.poll_room(context, data.len()))? {
            return Poll::Ready(get(&mut self.outbound).gather(data));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.watched(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if ready!(self.poll_room(context, length))? {
            let outbound = get(&mut self.outbound);
            for part in parts {
                outbound.gather(part)?;
            }
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send_gathered(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if *self.resets.get_mut() {
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

impl Peek for Connection {}

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

//! A client's connection: [`Connection::head`] reads heads; everything else is read and written by whatever uses the
//! connection as a stream of bytes. A connection does not know what it runs over: that is its [`Stream`]'s business.
//!
//! **Reading** gives a request its own bytes and no more: its head, and its body up to the end that the head declares.
//! Bytes behind that end stay here for the client's next request.
//!
//! **Writing** gathers bytes in a buffer, so that the head and the body of a small response leave together. They leave
//! on a flush, when the buffer is full, and before any wait for the client, because the client may be waiting for bytes
//! in the buffer. A client that takes nothing for as long as [`Connection::set_patience`] says is given up.
//!
//! **Ending** a request leaves nothing for the next one: what belongs to it is dropped where the next head begins.

mod state;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::uri::Scheme;
use tokio::io::{Interest, ReadBuf};
use tokio::time::{Instant, timeout};

use super::head::{HeadLimits, Malformed, Seen};
use super::limit::Permit;
use super::outbound::Progress;
use super::pace::Pace;
use super::peer::Peer;
use super::stream::Stream;
use super::tls::TlsPeer;
use state::State;

/// How long, and how much, is read and dropped after a response that ends its connection.
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

/// The result of waiting for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The head of a request is here, to be read from the connection.
    Request,
    /// The connection is one of HTTP/2.
    Http2,
    /// No request will come: the client has left, or has been silent for too long.
    Nothing,
    /// A head that may not be served. Nothing more can be read from the connection.
    Refused(Malformed),
    /// The head of a request has begun, and others need the place of its connection.
    Crowded,
}

/// A client's connection. Clones are the same connection, which closes with the last of them.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner<dyn Stream>>);

/// Only the constructor is generic over the stream: all streams share the code from there on, and each system call is
/// one call through the stream's vtable.
#[derive(Debug)]
struct Inner<S: ?Sized> {
    peer: Peer,
    permit: Permit,
    state: Mutex<State>,
    stream: S,
}

/// The end of a wait for more of a head.
enum Filled {
    Read(io::Result<usize>),
    Late,
    /// Others need its place.
    Crowded,
    Leave,
}

impl Connection {
    /// The connection of `peer` that runs over `stream`. It counts as open as long as it holds `permit`.
    pub fn new(stream: impl Stream, peer: impl Into<Peer>, permit: Permit) -> Self {
        let state = State::default();
        Self(Arc::new(Inner { peer: peer.into(), permit, state: Mutex::new(state), stream }))
    }

    /// The other end.
    pub fn peer(&self) -> Peer {
        self.0.peer
    }

    /// The scheme of its requests. The proxy in front may speak TLS for us.
    pub fn scheme(&self) -> Scheme {
        if self.0.peer.has_tls { Scheme::HTTPS } else { self.0.stream.scheme() }
    }

    /// What a handshake of TLS has agreed on with the client; `None` for cleartext.
    pub fn tls(&self) -> Option<&Arc<TlsPeer>> {
        self.0.stream.tls()
    }

    /// Counts what the client of this connection takes.
    pub fn progress(&self) -> Progress {
        self.state().outbound.progress()
    }

    /// The permit by which the connection is open.
    pub fn permit(&self) -> &Permit {
        &self.0.permit
    }

    /// Ends when the connection, while no head has begun on it, has to close: when `drained` does, or when others need
    /// its permit. A connection that had no request yet `is_new`.
    pub async fn leaves(self, is_new: bool, drained: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = drained => {}
            () = self.0.permit.asked_to_close(is_new) => {}
        }
    }

    /// Waits for the next request, and until its head is complete. While no head has begun, the wait ends when `leaves`
    /// does; afterwards, when the connection has to give way to others. That future lasts from one request to the next, so
    /// that it waits in the same place all the time.
    pub async fn head(
        &self,
        limits: HeadLimits,
        times: HeadTimes,
        mut leaves: Pin<&mut impl Future<Output = ()>>,
    ) -> Next {
        let (mut deadline, mut had_begun, mut is_first) = (None, false, true);
        // Most heads come at once, and nobody has to be asked.
        let mut gives_way: Option<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = None;
        loop {
            let (seen, has_begun) = {
                let mut state = self.state();
                if std::mem::take(&mut is_first) {
                    state.begin();
                }
                state.look(limits)
            };
            match seen {
                Ok(Seen::Head(..)) => return Next::Request,
                Ok(Seen::Preface) => return Next::Http2,
                Ok(Seen::Part) => {}
                Err(malformed) => return Next::Refused(malformed),
            }
            if has_begun && !had_begun {
                (deadline, had_begun) = (None, true);
            }
            let allowed = if has_begun { times.whole } else { times.idle };
            let filled = poll_fn(|context| {
                let mut state = self.state();
                if let Poll::Ready(read) = state.inbound.poll_fill(context, &self.0.stream) {
                    return Poll::Ready(Filled::Read(read));
                }
                state.outbound.rest();
                // The clock is read only where nothing has come yet.
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + allowed);
                if state.timer.poll(context, deadline).is_ready() {
                    return Poll::Ready(Filled::Late);
                }
                let has_asked = state.has_asked;
                drop(state);
                match has_begun {
                    true => gives_way
                        .get_or_insert_with(|| Box::pin(self.0.permit.asked_to_give_way(has_asked)))
                        .as_mut()
                        .poll(context)
                        .map(|()| Filled::Crowded),
                    false => leaves.as_mut().poll(context).map(|()| Filled::Leave),
                }
            });
            match filled.await {
                Filled::Read(Ok(1..)) => {}
                Filled::Late if has_begun => return Next::Refused(Malformed::TooSlow),
                Filled::Crowded => return Next::Crowded,
                _ => return Next::Nothing,
            }
        }
    }

    /// The head that [`Self::head`] has found. It can be taken in place of being read.
    pub fn take_head(&self) -> BytesMut {
        self.state().inbound.take_head()
    }

    /// The trailers of the chunked request body that was just read to its end.
    pub fn request_trailers(&self) -> HeaderMap {
        self.state().inbound.take_trailers()
    }

    /// Whether the request's body has turned out to be framed wrongly.
    pub fn is_malformed(&self) -> bool {
        self.state().inbound.is_malformed()
    }

    /// Gives whoever reads everything from now on: the connection has switched to another protocol, for good.
    pub fn switch(&self) {
        self.state().inbound.switch();
    }

    /// Whether more of the present request may come.
    pub fn has_body(&self) -> bool {
        self.state().inbound.has_body()
    }

    /// The next data of the present request's body. `None` is the end of the body; of a protocol that was switched to, the
    /// end of the client's direction. Sends the gathered bytes first, because the client may wait for them. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Where the client is gone, or the body is framed wrongly.
    pub async fn read_body(&self) -> io::Result<Option<Bytes>> {
        poll_fn(|context| {
            let (mut state, stream) = (self.state(), self.stream());
            if let Poll::Ready(Err(error)) = state.poll_send(context, stream) {
                return Poll::Ready(Err(error));
            }
            state.inbound.poll_data(context, stream)
        })
        .await
    }

    /// Writes to the gathered bytes.
    pub fn gather(&self, write: impl FnOnce(&mut BytesMut)) {
        write(self.state().outbound.buffer());
    }

    /// Whether gathered bytes wait to be sent.
    pub fn has_gathered(&self) -> bool {
        self.state().outbound.gathered() > 0
    }

    /// Sends the gathered bytes.
    ///
    /// # Errors
    ///
    /// Where the client is gone, or does not take the bytes in time.
    pub fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state().poll_send(context, self.stream())
    }

    /// Gives back the memory of what was sent, because nothing is to be sent for a while.
    pub fn rest(&self) {
        self.state().outbound.rest();
    }

    /// How long the client of the present request may take no data.
    pub fn set_patience(&self, patience: Duration) {
        self.state().patience = patience;
    }

    /// How fast the client must take the present response.
    pub fn set_pace(&self, pace: Pace) {
        self.state().outbound.set_pace(pace);
    }

    /// Whether the client was given up because it took too little, or nothing.
    pub fn is_late(&self) -> bool {
        self.state().outbound.is_late()
    }

    /// Makes the connection end with a reset, for a response that must not look complete, if there is a socket.
    pub fn reset_on_close(&self) {
        self.state().resets = true;
        self.0.stream.reset_on_close();
    }

    /// Sends the gathered bytes, and waits until the connection is broken. A client may have closed its own direction
    /// and still wait for its response.
    pub async fn broken(&self) {
        let stream = &self.0.stream;
        let send = poll_fn(|context| self.state().outbound.poll_send(context, stream));
        let reset = async {
            let Some(socket) = stream.socket() else { return std::future::pending().await };
            // Cheap, and long enough for most requests: while nothing at all comes, nothing is broken.
            poll_fn(|context| socket.poll_read_ready(context)).await.ok();
            socket.ready(Interest::ERROR).await.ok();
        };
        tokio::select! {
            biased;
            Err(_) = send => {}
            () = reset => {}
        }
    }

    /// Sends the gathered bytes, closes our direction, and drops what the client still sends, for a short time. A
    /// connection that is closed while its client sends is reset, and the client may never see the response.
    pub async fn linger(&self) {
        self.end_writing().await.ok();
        let rest = async {
            let (mut rest, mut left) = (vec![0; LINGER_PART], LINGER_BYTES);
            while left > 0 {
                let mut buffer = ReadBuf::new(&mut rest);
                let read = poll_fn(|context| {
                    ready!(self.0.stream.poll_readable(context))?;
                    self.0.stream.poll_read(context, &mut buffer)
                })
                .await;
                if read.is_err() || buffer.filled().is_empty() {
                    return;
                }
                left = left.saturating_sub(buffer.filled().len());
            }
        };
        // A client that still sends then does not read the response.
        timeout(LINGER, rest).await.ok();
    }

    /// Sends the gathered bytes, and closes our direction. The client's stays open.
    ///
    /// # Errors
    ///
    /// Where the client is gone, or does not take the bytes in time.
    pub async fn end_writing(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_close(context)).await
    }

    pub(super) fn stream(&self) -> &dyn Stream {
        &self.0.stream
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the gathered bytes, and closes our direction.
    pub(super) fn poll_close(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.resets {
            // An orderly close must not come before the reset.
            return Poll::Ready(Ok(()));
        }
        ready!(state.poll_send(context, self.stream()))?;
        state.poll_shutdown(context, self.stream())
    }
}

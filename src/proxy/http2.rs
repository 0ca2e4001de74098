//! Connections of HTTP/2: many requests at once, each in a task of its own.
//!
//! This file drives h2 itself. Pingora's session of HTTP/2 drops the trailers of requests, sends no informational
//! responses, and closes an idle connection without a word.

mod flood;
mod frames;
mod head_time;
mod observed;
mod others;
mod refusals;
mod stream;
mod streams;
mod switch;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Version};
use tokio::time::timeout;

use super::failure::Failure;
use super::session::{Codec, Session};
use super::{Flow, Gateway, Http2Limits, HttpLimits, Origin};
use crate::transport::{Connection, HeadLimits};
use flood::Excess;
use head_time::HeadTime;
use observed::{Noted, Observed};
use others::Others;
use refusals::Refusals;
pub use stream::Http2;
use streams::Streams;

/// Bytes of a request's body that its client may send before anything takes them.
const WINDOW: u32 = 65_535;
/// Bytes of one response that wait while the client takes nothing.
const UNSENT: usize = 64 << 10;
/// How many times in a row an idle connection is kept because its client has not yet taken the last responses.
const KEPT: u32 = 30;
/// How long sending the last GOAWAY may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Requests = h2::server::Connection<Observed, Bytes>;
type Accepted = (Request<RecvStream>, SendResponse<Bytes>);

/// Serves a connection that has begun with the preface.
pub async fn serve(gateway: Gateway, connection: Connection) {
    let origin = Origin::of(&connection, Version::HTTP_2);
    let limits = gateway.http2_limits();
    let noted = Noted::new(limits.resets);
    let observed = Observed::new(connection.clone(), noted.clone());
    let handshake = builder(&limits).handshake(observed);
    let requests = match timeout(limits.http.times.whole, handshake).await {
        Ok(Ok(requests)) => requests,
        Ok(Err(error)) => {
            gateway.record_broken(&error, &origin);
            return connection.linger().await;
        }
        Err(_) => return gateway.record_unread(&Failure::RequestTimeout, &origin, None),
    };
    let streams = Arc::<Streams>::default();
    let mut serving = Serving {
        gateway,
        refusals: Refusals::new(noted.clone()),
        streams: streams.clone(),
        origin,
        noted,
        requests,
    };
    let parted = streams.together(pin!(serving.run(&connection))).await;
    // Its requests see the end now.
    drop(serving);
    if parted == Parted::Refused {
        // The client may still be sending, and a reset could overtake what it is told.
        connection.linger().await;
    }
}

/// How h2 serves connections with these limits.
fn builder(limits: &Http2Limits) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    // Up to twice the limit, we refuse a stream; beyond, h2 does.
    let longest = u32::try_from(limits.http.head.bytes).unwrap_or(u32::MAX).saturating_mul(2);
    let streams = limits.streams.get();
    builder.max_header_list_size(longest).max_concurrent_streams(streams);
    builder.enable_connect_protocol();
    // A request whose body nothing reads must not use up the window of the others.
    builder.initial_connection_window_size(streams.saturating_mul(WINDOW));
    builder.max_send_buffer_size(UNSENT);
    // `Flood` counts resets, in ten seconds: h2 would count those of the whole life of the connection, or those that come
    // in one packet.
    builder.max_local_error_reset_streams(None);
    let resets = usize::try_from(limits.resets.get()).unwrap_or(usize::MAX);
    builder.max_pending_accept_reset_streams(resets);
    builder
}

/// A connection that is served.
struct Serving {
    gateway: Gateway,
    origin: Origin,
    requests: Requests,
    refusals: Refusals,
    noted: Noted,
    streams: Arc<Streams>,
}

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parted {
    /// In good order, or because the client has left.
    Done,
    /// The client broke the rules, or did too much.
    Refused,
}

/// What a connection has for us.
enum Next {
    /// Requests, which are served now.
    Requests,
    /// Its client must not go on.
    Refused(Failure, Reason),
    Ended(Parted),
}

impl Serving {
    async fn run(&mut self, connection: &Connection) -> Parted {
        let mut goaway = self.gateway.drain.goaway();
        let mut head_time = HeadTime::new(self.noted.clone());
        let (streams, drain) = (self.streams.clone(), self.gateway.drain.clone());
        let (mut is_ending, mut kept) = (false, 0);
        loop {
            let HttpLimits { head, times } = self.gateway.limits();
            tokio::select! {
                biased;
                _ = goaway.changed(), if !is_ending => {
                    self.requests.graceful_shutdown();
                    is_ending = true;
                }
                next = poll_fn(|context| self.poll_next(context, connection, head)) => match next {
                    Next::Requests => kept = 0,
                    Next::Refused(failure, reason) => return self.refuse(&failure, reason).await,
                    Next::Ended(parted) => return parted,
                },
                // Looked at behind what reads: heads begin and end there.
                () = head_time.over(times.whole) => {
                    return self.refuse(&Failure::RequestTimeout, Reason::ENHANCE_YOUR_CALM).await;
                }
                () = streams.idle(times.idle, connection.permit()) => {
                    if self.noted.head().is_some() {
                        return self.give_way().await;
                    }
                    if !self.is_sending(connection) || kept >= KEPT {
                        break;
                    }
                    kept += 1;
                }
                () = streams.ended(&drain), if is_ending => {
                    // Their last bytes may still be on the way.
                    if !self.is_sending(connection) {
                        break;
                    }
                }
            }
        }
        self.close(Reason::NO_ERROR).await;
        Parted::Done
    }

    /// What the connection has next. Serves the requests that have come together, and records those that h2 refuses.
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        connection: &Connection,
        limits: HeadLimits,
    ) -> Poll<Next> {
        let mut served = Poll::Pending;
        loop {
            let accepted = self.requests.poll_accept(context);
            if let Some(excess) = self.noted.excess() {
                return Poll::Ready(Next::Refused(excess.into(), excess.reason()));
            }
            if let Poll::Ready(Some(Ok(accepted))) = accepted {
                self.spawn(accepted, connection, limits);
                served = Poll::Ready(Next::Requests);
                continue;
            }
            for (failure, status) in self.refusals.take() {
                self.gateway.record_unread(&failure, &self.origin, status);
            }
            return match accepted {
                // h2 has no more to write for now.
                Poll::Pending => match connection.poll_send(context) {
                    Poll::Ready(Err(_)) => Poll::Ready(Next::Ended(Parted::Refused)),
                    Poll::Ready(Ok(())) if self.streams.are_over() => {
                        connection.rest();
                        served
                    }
                    Poll::Ready(Ok(())) | Poll::Pending => served,
                },
                Poll::Ready(Some(Err(error))) => {
                    self.gateway.record_broken(&error, &self.origin);
                    Poll::Ready(Next::Ended(Parted::Refused))
                }
                Poll::Ready(_) => Poll::Ready(Next::Ended(Parted::Done)),
            };
        }
    }

    fn spawn(&mut self, accepted: Accepted, connection: &Connection, limits: HeadLimits) {
        let (request, respond) = accepted;
        self.refusals.accepted(respond.stream_id().into());
        let (progress, noted) = (connection.progress(), self.noted.clone());
        let others = Others::new(progress, noted, self.gateway.live.limits().client_rate);
        let open = self.streams.enter();
        let stream = Http2::new(request, respond, connection, others, open, limits);
        let session = Session::new(Codec::Http2(Box::new(stream)), self.origin.scheme.clone());
        // Boxed, because tokio moves what it spawns several times, before and after it runs.
        tokio::spawn(Box::pin(serve_request(self.gateway.clone(), session)));
    }

    /// Whether the client has yet to take a part of a response.
    fn is_sending(&self, connection: &Connection) -> bool {
        self.requests.has_streams() || connection.has_gathered()
    }

    /// Ends a connection whose client does what it must not.
    async fn refuse(&mut self, failure: &Failure, reason: Reason) -> Parted {
        self.gateway.record_unread(failure, &self.origin, None);
        self.close(reason).await;
        Parted::Refused
    }

    /// Ends a connection that others need, and on which the head of a request is coming.
    async fn give_way(&mut self) -> Parted {
        self.gateway.displaced(&self.origin, None);
        self.close(Reason::NO_ERROR).await;
        Parted::Done
    }

    async fn close(&mut self, reason: Reason) {
        self.requests.abrupt_shutdown(reason);
        // A client that takes nothing is not waited for.
        let closed = poll_fn(|context| self.requests.poll_closed(context));
        timeout(LAST_WORDS, closed).await.ok();
    }
}

impl From<Excess> for Failure {
    fn from(excess: Excess) -> Self {
        match excess {
            Excess::Resets => Self::TooManyResets,
            Excess::Idle => Self::Flood,
            Excess::NoSettings => Self::BadRequest,
        }
    }
}

impl Gateway {
    /// Records a connection that is not valid HTTP/2, or that h2 ends because its client asks for too much. A connection
    /// that breaks off is not recorded.
    fn record_broken(&self, error: &h2::Error, origin: &Origin) {
        let failure = match error.reason() {
            Some(Reason::NO_ERROR) | None => return,
            Some(Reason::ENHANCE_YOUR_CALM) => Failure::Flood,
            Some(_) => Failure::BadRequest,
        };
        if error.is_library() {
            self.record_unread(&failure, origin, None);
        }
    }
}

async fn serve_request(gateway: Gateway, mut session: Session) {
    let flow = gateway.exchange(&mut session).await;
    let Codec::Http2(mut stream) = session.into_codec() else { return };
    match flow {
        Flow::Broken => stream.break_off(),
        Flow::Done => stream.linger().await,
    }
}

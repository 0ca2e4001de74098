//! Connections of HTTP/2: many requests at once, each in a task of its own.
//!
//! This file drives h2 itself. Pingora's session of HTTP/2 drops the trailers of requests, sends no informational
//! responses, and closes an idle connection without a word.

mod refusals;
mod stream;
mod switch;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Version};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::session::{Codec, Session};
use super::{Flow, Gateway, HttpLimits, Origin};
use crate::transport::{Connection, Drain, Permit};
use refusals::{Observed, Refusals};
pub use stream::Http2;

/// Streams that one connection may have open at once.
const STREAMS: u32 = 128;
/// Bytes of a request's body that its client may send before anything takes them.
const WINDOW: u32 = 65_535;
/// How many times in a row an idle connection is kept because its client has not yet taken the last responses.
const KEPT: u32 = 30;
/// How long sending the last GOAWAY may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a draining connection gets after its last request to send what is left.
const SENT: Duration = Duration::from_millis(200);

/// Serves a connection that has begun with the preface.
pub async fn serve(gateway: Gateway, connection: Connection) {
    let origin = Origin::of(&connection, Version::HTTP_2);
    let HttpLimits { head, times } = gateway.limits();
    let mut builder = h2::server::Builder::new();
    // Up to twice the limit, we refuse a stream; beyond, h2 does.
    let longest = u32::try_from(head.bytes).unwrap_or(u32::MAX).saturating_mul(2);
    builder.max_header_list_size(longest).max_concurrent_streams(STREAMS);
    builder.enable_connect_protocol();
    // A request whose body nothing reads must not use up the window of the others.
    builder.initial_connection_window_size(STREAMS * WINDOW);
    let (observed, mut refusals) = Refusals::of(connection.clone());
    let mut requests = match timeout(times.whole, builder.handshake(observed)).await {
        Ok(Ok(requests)) => requests,
        Ok(Err(error)) => return gateway.record_broken(&error, &origin),
        Err(_) => return gateway.record_unread(&Failure::RequestTimeout, &origin, None),
    };
    let (streams, mut goaway) = (Arc::new(Streams::default()), gateway.drain.goaway());
    let (mut is_ending, mut kept) = (false, 0);
    loop {
        tokio::select! {
            biased;
            _ = goaway.changed(), if !is_ending => {
                requests.graceful_shutdown();
                is_ending = true;
            }
            accepted = accept(&mut requests, &mut refusals, &gateway, &origin) => {
                let Some((request, respond)) = accepted else { return };
                kept = 0;
                let stream = Http2::new(request, respond, &connection);
                let session = Session::new(Codec::Http2(Box::new(stream)), origin.scheme.clone());
                tokio::spawn(serve_request(gateway.clone(), session, streams.enter()));
            }
            () = streams.idle(gateway.limits().times.idle, connection.permit()) => {
                if !requests.has_streams() || kept >= KEPT {
                    break;
                }
                kept += 1;
            }
            () = streams.ended(&gateway.drain), if is_ending => {
                // Their last bytes may still be on the way.
                if !requests.has_streams() {
                    break;
                }
            }
        }
    }
    requests.abrupt_shutdown(Reason::NO_ERROR);
    // A client that takes nothing is not waited for.
    timeout(LAST_WORDS, poll_fn(|context| requests.poll_closed(context))).await.ok();
}

/// The next request; `None` where the connection has ended. Records the requests that h2 refuses.
async fn accept(
    requests: &mut h2::server::Connection<Observed, Bytes>,
    refusals: &mut Refusals,
    gateway: &Gateway,
    origin: &Origin,
) -> Option<(Request<RecvStream>, SendResponse<Bytes>)> {
    let accepted = poll_fn(|context| {
        let accepted = requests.poll_accept(context);
        if !matches!(accepted, Poll::Ready(Some(Ok(_)))) {
            for (failure, status) in refusals.take() {
                gateway.record_unread(&failure, origin, status);
            }
        }
        accepted
    });
    match accepted.await? {
        Ok((request, respond)) => {
            refusals.accepted(respond.stream_id().into());
            Some((request, respond))
        }
        Err(error) => {
            gateway.record_broken(&error, origin);
            None
        }
    }
}

impl Gateway {
    /// Records a connection that is not valid HTTP/2. A connection that breaks off is not recorded.
    fn record_broken(&self, error: &h2::Error, origin: &Origin) {
        if error.is_library() && error.reason() != Some(Reason::NO_ERROR) {
            self.record_unread(&Failure::BadRequest, origin, None);
        }
    }
}

async fn serve_request(gateway: Gateway, mut session: Session, _open: Open) {
    let flow = gateway.exchange(&mut session).await;
    let Codec::Http2(mut stream) = session.into_codec() else { return };
    match flow {
        Flow::Broken => stream.break_off(),
        Flow::Done => stream.linger().await,
    }
}

/// The requests of one connection.
#[derive(Debug, Default)]
struct Streams {
    open: AtomicUsize,
    none: Notify,
}

/// A request of the connection, until dropped.
struct Open(Arc<Streams>);

impl Streams {
    fn enter(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(self.clone())
    }

    /// Waits until no request is left. Several tasks may wait.
    async fn over(&self) {
        loop {
            // Registered before the check, so that no end between the two is missed.
            let ended = self.none.notified();
            if self.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Waits for the start of the drain, and then until no request is left.
    async fn ended(&self, drain: &Drain) {
        drain.started().await;
        self.over().await;
        sleep(SENT).await;
    }

    /// Waits until the connection was idle for this long, or until others need its permit.
    async fn idle(&self, time: Duration, permit: &Permit) {
        self.over().await;
        tokio::select! {
            () = sleep(time) => {}
            () = permit.asked_to_close(true) => {}
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

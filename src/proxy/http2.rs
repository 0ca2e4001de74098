//! Connections of HTTP/2: many requests at once, each in a task of its own.
//!
//! This is done with h2 itself. Pingora's session of HTTP/2 drops the trailers of requests, sends no
//! informational responses, and closes an idle connection without a word.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::session::{Gone, Input, Session};
use super::{Flow, Gateway, HttpLimits};
use crate::transport::{Connection, Drain, Permit, Progress};

/// Streams of one connection that may be open at once.
const STREAMS: u32 = 128;
/// Bytes of a request's body that its client may send before they are taken.
const WINDOW: u32 = 65_535;
/// How often an idle connection is kept because its client has not taken the last responses yet.
const KEPT: u32 = 30;
/// How long a client may take to hear that its connection ends.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a connection whose last request has ended is given to send what is left.
const SENT: Duration = Duration::from_millis(200);
/// How long, and how much of, a body that nobody wants is read after its response: some clients take a
/// reset for a failure, whatever the response was.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;
/// How often in a row a client may take nothing of one response while it takes others on its
/// connection.
const TURNS: u32 = 10;
/// How long a client may take no data unless its version's limits say otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a connection that has begun with the preface.
pub async fn serve(gateway: Gateway, connection: Connection) {
    let origin = Origin::of(&connection);
    let HttpLimits { head, times } = gateway.limits();
    let mut builder = h2::server::Builder::new();
    // Beyond twice the limit h2 answers by itself; up to there, we do.
    let longest = u32::try_from(head.bytes).unwrap_or(u32::MAX).saturating_mul(2);
    builder.max_header_list_size(longest).max_concurrent_streams(STREAMS);
    // A request whose body nobody reads must not take the room of all others.
    builder.initial_connection_window_size(STREAMS * WINDOW);
    let handshake = builder.handshake::<_, Bytes>(connection.clone());
    let Ok(Ok(mut requests)) = timeout(times.whole, handshake).await else { return };
    let (streams, mut goaway) = (Arc::new(Streams::default()), gateway.drain.goaway());
    let (mut is_ending, mut kept) = (false, 0);
    loop {
        tokio::select! {
            biased;
            _ = goaway.changed(), if !is_ending => {
                requests.graceful_shutdown();
                is_ending = true;
            }
            accepted = requests.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                kept = 0;
                let stream = Http2::new(request, respond, origin.clone());
                tokio::spawn(serve_request(gateway.clone(), stream, streams.enter()));
            }
            () = streams.idle(gateway.limits().times.idle, connection.permit()) => {
                if !requests.has_streams() || kept >= KEPT {
                    break;
                }
                kept += 1;
            }
            () = streams.ended(&gateway.drain), if is_ending => {
                // What they have sent last may still be on its way.
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

async fn serve_request(gateway: Gateway, stream: Http2, _open: Open) {
    let mut session = Session::Http2(Box::new(stream));
    let flow = gateway.exchange(&mut session).await;
    let Session::Http2(mut stream) = session else { return };
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

/// One of them, until it is dropped.
struct Open(Arc<Streams>);

impl Streams {
    fn enter(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(self.clone())
    }

    /// Waits until there are none. Several may wait.
    async fn over(&self) {
        loop {
            // Before the look, so that no end between the two is missed.
            let ended = self.none.notified();
            if self.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Waits, from the start of the drain on, until there are none.
    async fn ended(&self, drain: &Drain) {
        drain.started().await;
        self.over().await;
        sleep(SENT).await;
    }

    /// Waits until there were none for so long, or until others need the permit of the connection.
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

/// Where the requests of a connection come from.
#[derive(Clone)]
struct Origin {
    client: SocketAddr,
    scheme: Scheme,
    /// Of all that the client takes.
    progress: Progress,
}

impl Origin {
    fn of(connection: &Connection) -> Self {
        Self {
            client: connection.client(),
            scheme: connection.scheme(),
            progress: connection.progress(),
        }
    }
}

/// One request of a connection.
pub struct Http2 {
    request: RequestHeader,
    origin: Origin,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    response: Option<SendStream<Bytes>>,
    patience: Duration,
    is_over: bool,
}

impl Http2 {
    fn new(request: Request<RecvStream>, respond: SendResponse<Bytes>, origin: Origin) -> Self {
        let (mut head, body) = request.into_parts();
        join_cookies(&mut head.headers);
        Self {
            request: head.into(),
            origin,
            body,
            respond,
            response: None,
            patience: PATIENCE,
            is_over: false,
        }
    }

    pub fn request(&self) -> &RequestHeader {
        &self.request
    }

    pub fn client(&self) -> SocketAddr {
        self.origin.client
    }

    pub fn scheme(&self) -> Scheme {
        self.origin.scheme.clone()
    }

    pub fn is_body_empty(&self) -> bool {
        self.body.is_end_stream()
    }

    pub async fn read(&mut self) -> Input {
        match self.body.data().await {
            Some(Ok(data)) => {
                // It fails only where the stream is over, which the next read tells.
                self.body.flow_control().release_capacity(data.len()).ok();
                Input::Data(data)
            }
            Some(Err(_)) => Input::Gone,
            None => match self.body.trailers().await {
                Ok(trailers) => Input::End(trailers.unwrap_or_default()),
                Err(_) => Input::Gone,
            },
        }
    }

    pub async fn gone(&mut self) {
        let Self { respond, response, .. } = self;
        let reset = poll_fn(|context| match response {
            Some(response) => response.poll_reset(context).map(drop),
            None => respond.poll_reset(context).map(drop),
        });
        reset.await;
    }

    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub fn write_continue(&mut self) -> Result<(), Gone> {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::CONTINUE;
        self.respond.send_informational(head).map_err(|_| Gone)
    }

    pub fn write_head(&mut self, mut head: ResponseHeader) -> Result<(), Gone> {
        let date = pingora::protocols::http::date::get_cached_date();
        head.insert_header(header::DATE, date).map_err(|_| Gone)?;
        let head = Response::from_parts(head.as_owned_parts(), ());
        self.response = Some(self.respond.send_response(head, false).map_err(|_| Gone)?);
        Ok(())
    }

    /// Waits where the client gives no room, as long as its patience lasts each time. A client that
    /// reads several responses takes them in turns.
    pub async fn write(&mut self, mut data: Bytes) -> Result<(), Gone> {
        let Self { response, patience, origin: Origin { progress, .. }, .. } = self;
        let response = response.as_mut().ok_or(Gone)?;
        let mut turns = 0;
        while !data.is_empty() {
            let before = progress.count();
            response.reserve_capacity(data.len());
            match timeout(*patience, poll_fn(|context| response.poll_capacity(context))).await {
                Ok(Some(Ok(room))) => {
                    let part = data.split_to(room.min(data.len()));
                    response.send_data(part, false).map_err(|_| Gone)?;
                    turns = 0;
                }
                Err(_) if progress.count() != before && turns < TURNS => turns += 1,
                Ok(Some(Err(_)) | None) | Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    /// Reads on for a little after a response that did not want the rest of the request.
    async fn linger(&mut self) {
        if self.body.is_end_stream() {
            return;
        }
        let rest = async {
            let mut left = LINGER_BYTES;
            while let Some(Ok(data)) = self.body.data().await {
                self.body.flow_control().release_capacity(data.len()).ok();
                left = left.saturating_sub(data.len());
                if left == 0 {
                    return;
                }
            }
        };
        // Whoever still sends then is not listening.
        timeout(LINGER, rest).await.ok();
    }

    pub fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        let response = self.response.as_mut().ok_or(Gone)?;
        let finished = match trailers {
            Some(trailers) => response.send_trailers(trailers),
            None => response.send_data(Bytes::new(), true),
        };
        self.is_over = true;
        finished.map_err(|_| Gone)
    }

    /// A response that broke off must not look like one that ended.
    fn break_off(&mut self) {
        if !self.is_over {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}

/// Makes one field of the pieces in which cookies may come
/// ([RFC 9113, section 8.2.3](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3)).
fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    if pieces.next().is_none() || pieces.next().is_none() {
        return;
    }
    let pieces: Vec<_> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Of pieces that were values each, the whole is one.
    if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_cookies_become_one_field() {
        let mut headers = HeaderMap::new();
        headers.insert("x-a", "1".parse().unwrap());
        join_cookies(&mut headers);
        assert_eq!(headers.len(), 1);
        for piece in ["a=1", "b=2; c=3", "d=4"] {
            headers.append(header::COOKIE, piece.parse().unwrap());
        }
        join_cookies(&mut headers);
        let cookies: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
    }
}

//! One request of an HTTP/2 connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use pingora::http::RequestHeader;
use tokio::time::{Instant, timeout};

use super::flood::TINY;
use super::others::Others;
use super::streams::Open;
use super::switch;
use crate::exchange::{ResponseHead, trim};
use crate::proxy::headers;
use crate::proxy::session::{Gone, Input};
use crate::timer::Timer;
use crate::transport::tls::TlsPeer;
use crate::transport::{Connection, HeadLimits, Pace, Peer, TooSlow};

/// How long, and how much of, an unwanted body is read after its response: some clients take a reset for a failure,
/// whatever the response was.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;
/// How often in a row a client may take nothing of one response while it takes others on its connection.
const TURNS: u32 = 10;
/// How long a client may take no data, unless its version's limits say otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request, and the stream that it came on.
pub struct Http2 {
    request: RequestHeader,
    /// Whether its head was larger than allowed. Then nothing of it is left but the method.
    is_head_too_large: bool,
    /// Whether the client asks for another protocol, so that any success means that it has it.
    is_tunnel: bool,
    peer: Peer,
    tls: Option<Arc<TlsPeer>>,
    others: Others,
    open: Open,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    response: Option<SendStream<Bytes>>,
    patience: Duration,
    /// The end of the patience, while the client gives no room.
    timer: Timer,
    /// How often in a row the client took other responses instead.
    turns: u32,
    is_over: bool,
    /// Whether the client was given up because it took nothing.
    is_late: bool,
    /// How fast the client takes the response.
    pace: Pace,
}

impl Http2 {
    pub fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        connection: &Connection,
        others: Others,
        open: Open,
        limits: HeadLimits,
    ) -> Self {
        let (mut head, body) = request.into_parts();
        let is_head_too_large = headers::is_too_large(&head, limits);
        if is_head_too_large {
            // A client that takes no answer must not keep it in memory: a few bytes on the wire may be many fields here.
            (head.headers, head.uri) = (HeaderMap::new(), Uri::default());
        }
        join_cookies(&mut head.headers);
        let is_tunnel = switch::take(&mut head);
        Self {
            is_tunnel,
            is_head_too_large,
            request: head.into(),
            peer: connection.peer(),
            tls: connection.tls().cloned(),
            others,
            open,
            body,
            respond,
            response: None,
            patience: PATIENCE,
            timer: Timer::default(),
            turns: 0,
            is_over: false,
            is_late: false,
            pace: Pace::default(),
        }
    }

    pub fn request(&self) -> &RequestHeader {
        &self.request
    }

    pub fn is_head_too_large(&self) -> bool {
        self.is_head_too_large
    }

    pub fn peer(&self) -> Peer {
        self.peer
    }

    pub fn tls(&self) -> Option<&TlsPeer> {
        self.tls.as_deref()
    }

    pub fn is_body_empty(&self) -> bool {
        self.is_tunnel || self.body.is_end_stream()
    }

    pub fn is_tunnel(&self) -> bool {
        self.is_tunnel
    }

    pub async fn read(&mut self) -> Input {
        match self.body.data().await {
            Some(Ok(data)) => {
                // Sending fails only where the stream is over, which the next read reports.
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

    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    pub fn write_continue(&mut self) -> Result<(), Gone> {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::CONTINUE;
        self.open.sends();
        self.respond.send_informational(head).map_err(|_| Gone)
    }

    pub fn write_informational(&mut self, head: ResponseHead) -> Result<(), Gone> {
        self.open.sends();
        self.respond.send_informational(written(head)).map_err(|_| Gone)
    }

    pub fn switch(&mut self, head: ResponseHead) -> Result<(), Gone> {
        self.write_head(switch::answer(head), false)
    }

    pub fn write_head(&mut self, mut head: ResponseHead, is_last: bool) -> Result<(), Gone> {
        let date = pingora::protocols::http::date::get_cached_date();
        head.fields.insert(header::DATE, date);
        let head = written(head);
        self.open.sends();
        self.response = Some(self.respond.send_response(head, is_last).map_err(|_| Gone)?);
        self.is_over = is_last;
        Ok(())
    }

    /// Sends a part of the body, and the end with it where it `is_last`. Waits where the client gives no room, each time
    /// for as long as its patience lasts. A client that reads several responses takes them in turns.
    pub async fn write(&mut self, mut data: Bytes, is_last: bool) -> Result<(), Gone> {
        self.turns = 0;
        while !data.is_empty() {
            let room = self.room(data.len()).await?.min(data.len());
            if room == 0 {
                continue;
            }
            if room < TINY && room < data.len() {
                self.others.noted().dribbled();
            }
            self.pace.passed(room as u64);
            let part = data.split_to(room);
            self.send(part, is_last && data.is_empty())?;
            self.turns = 0;
        }
        Ok(())
    }

    /// How many of the bytes the client has room for. 0 where it takes other responses instead.
    async fn room(&mut self, wanted: usize) -> Result<usize, Gone> {
        let Self { response, patience, timer, others, pace, .. } = self;
        let response = response.as_mut().ok_or(Gone)?;
        response.reserve_capacity(wanted);
        // Most clients give room at once: then neither the clock nor the other responses are looked at.
        let mut since = None;
        let room = poll_fn(|context| {
            if let Poll::Ready(room) = response.poll_capacity(context) {
                return Poll::Ready(Some(room));
            }
            let (_, end) =
                *since.get_or_insert_with(|| (others.look(), Instant::now() + *patience));
            timer.poll(context, end).map(|()| None)
        });
        let room = pace.keep(room).await;
        let takes_others = |time| since.is_some_and(|(before, _)| others.are_taken(before, time));
        match room {
            Ok(Some(room)) => room.and_then(Result::ok).ok_or(Gone),
            Ok(None) if self.turns < TURNS && takes_others(*patience) => {
                self.turns += 1;
                Ok(0)
            }
            // It keeps its rate with another response.
            Err(TooSlow) if takes_others(pace.time()) => {
                pace.passed(u64::MAX);
                Ok(0)
            }
            Ok(None) | Err(TooSlow) => {
                self.is_late = true;
                Err(Gone)
            }
        }
    }

    fn send(&mut self, data: Bytes, is_last: bool) -> Result<(), Gone> {
        let response = self.response.as_mut().ok_or(Gone)?;
        self.open.sends();
        self.is_over = is_last;
        response.send_data(data, is_last).map_err(|_| Gone)
    }

    /// Whether the client was given up because it took nothing of the response.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// Reads on for a short time after a response that did not want the rest of the request.
    pub async fn linger(&mut self) {
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
        // A client that still sends then does not read the response.
        timeout(LINGER, rest).await.ok();
    }

    pub fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        if self.is_over {
            return Ok(());
        }
        let Some(mut trailers) = trailers else { return self.send(Bytes::new(), true) };
        let response = self.response.as_mut().ok_or(Gone)?;
        self.open.sends();
        self.is_over = true;
        trim(&mut trailers);
        response.send_trailers(trailers).map_err(|_| Gone)
    }

    /// A response that broke off must not look like one that ended.
    pub fn break_off(&mut self) {
        if !self.is_over {
            self.open.sends();
            self.respond.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}

/// A head as the library has it, and as HTTP/2 allows it.
fn written(head: ResponseHead) -> Response<()> {
    let mut response = head.into_response();
    trim(response.headers_mut());
    response
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
    // Valid pieces make a valid value.
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

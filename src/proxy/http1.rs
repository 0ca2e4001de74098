//! Connections of HTTP/1.1 and 1.0: one request after the other. Heads come from the connection whole and checked, and
//! bodies as data; `request` reads the former, `response` writes responses.

mod request;
mod response;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Buf;
use http::{HeaderMap, Method, Version};
use pingora::http::RequestHeader;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::failure::{self, Failure};
use super::session::{Codec, Gone, Input, Session};
use super::{Flow, Gateway, HttpLimits, Origin, http2};
use crate::exchange::ResponseHead;
use crate::transport::tls::TlsPeer;
use crate::transport::{Connection, Malformed, Next, Pace, Peer};
use response::Framing;

/// How long the rest of an unwanted body is read, so that the connection can serve another request.
const DRAIN: Duration = Duration::from_secs(3);

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Syntax => Self::BadRequest,
            Malformed::TooLarge => Self::RequestHead,
            Malformed::TargetTooLong => Self::RequestTarget,
            Malformed::Coding => Self::TransferCoding,
            Malformed::TooSlow => Self::RequestTimeout,
        }
    }
}

/// How long a connection that has to give way may take to be told so.
const LAST_WORD: Duration = Duration::from_millis(100);

/// How long a draining process waits for the first request behind a handshake.
const ABOUT_TO_ASK: Duration = Duration::from_secs(2);

/// Serves a connection, whichever version of HTTP its client speaks.
pub async fn serve(gateway: &Gateway, connection: Connection) {
    let leaves = |is_new: bool| {
        let mut drained = gateway.drain.watch();
        let is_expected = is_new && connection.tls().is_some();
        let drained = async move {
            // The sender lives in the gateway, so waiting cannot fail.
            drained.wait_for(|started| *started).await.ok();
            // A client that has just shaken hands is about to ask, and would take our leaving for a failure.
            if is_expected {
                tokio::time::sleep(ABOUT_TO_ASK).await;
            }
        };
        connection.clone().leaves(is_new, drained)
    };
    let (mut leave, mut is_new) = (pin!(leaves(true)), true);
    // Over TLS, a handshake has agreed on the version of HTTP; in cleartext, the client begins as it likes.
    let agreed = connection.tls().map(|tls| tls.is_http2);
    loop {
        let HttpLimits { head, times } = gateway.limits();
        match connection.head(head, times, leave.as_mut()).await {
            Next::Request if agreed == Some(true) => {
                return Box::pin(refuse(gateway, &connection, Failure::BadRequest)).await;
            }
            Next::Request if is_new => {
                leave.set(leaves(false));
                is_new = false;
            }
            Next::Request => {}
            Next::Http2 if agreed == Some(false) => {
                return Box::pin(refuse(gateway, &connection, Failure::BadRequest)).await;
            }
            Next::Http2 => return Box::pin(http2::serve(gateway.clone(), connection)).await,
            Next::Nothing => return,
            Next::Crowded => return Box::pin(give_way(gateway, &connection)).await,
            Next::Refused(malformed) => {
                return Box::pin(refuse(gateway, &connection, malformed.into())).await;
            }
        }
        // Boxed, so that a connection between two requests holds no room for one.
        if !Box::pin(serve_request(gateway, &connection)).await {
            return;
        }
    }
}

/// Serves the request whose head has come. Returns whether the connection may carry another one.
async fn serve_request(gateway: &Gateway, connection: &Connection) -> bool {
    let Some(request) = request::parse(connection.take_head()) else {
        refuse(gateway, connection, Failure::BadRequest).await;
        return false;
    };
    let session = Box::new(Http1::new(request, connection.clone(), gateway.draining.clone()));
    let mut session = Session::new(Codec::Http1(session), connection.scheme());
    let flow = gateway.exchange(&mut session).await;
    match session.into_codec() {
        Codec::Http1(session) => session.end(flow).await,
        Codec::Http2(_) | Codec::Local(_) => false,
    }
}

/// Answers a client that speaks in cleartext where TLS is spoken.
pub async fn refuse_cleartext(gateway: &Gateway, connection: Connection) {
    refuse(gateway, &connection, Failure::Cleartext).await;
}

/// Answers a head that cannot be served, and closes its connection.
async fn refuse(gateway: &Gateway, connection: &Connection, failure: Failure) {
    let is_answered = answer(&mut connection.clone(), &failure).await.is_some();
    let status = is_answered.then(|| failure.status());
    gateway.record_unread(&failure, &Origin::of(connection, Version::HTTP_11), status);
    if is_answered {
        connection.linger().await;
    }
}

/// Answers a head that is still coming, and closes its connection at once: somebody waits for its place.
async fn give_way(gateway: &Gateway, connection: &Connection) {
    let (failure, mut writer) = (Failure::Crowded, connection.clone());
    let answered = timeout(LAST_WORD, answer(&mut writer, &failure)).await;
    let status = answered.ok().flatten().map(|()| failure.status());
    gateway.displaced(&Origin::of(connection, Version::HTTP_11), status);
}

async fn answer(connection: &mut Connection, failure: &Failure) -> Option<()> {
    let (head, body) = failure::unread(failure);
    connection.gather(|buffer| response::write(buffer, &head, false));
    connection.write_all(&body).await.ok()?;
    connection.flush().await.ok()
}

/// One request of a connection.
pub struct Http1 {
    request: RequestHeader,
    connection: Connection,
    /// Whether the drain is announced: then each response closes its connection.
    draining: Arc<AtomicBool>,
    /// How the body of the response is framed; `None` before its head.
    framing: Option<Framing>,
    /// Whether the connection may carry another request.
    is_kept: bool,
    /// Whether the connection carries another protocol.
    is_switched: bool,
}

impl Http1 {
    fn new(request: RequestHeader, connection: Connection, draining: Arc<AtomicBool>) -> Self {
        let is_kept = request::keeps(&request);
        Self { request, connection, draining, framing: None, is_kept, is_switched: false }
    }

    pub fn request(&self) -> &RequestHeader {
        &self.request
    }

    pub fn peer(&self) -> Peer {
        self.connection.peer()
    }

    pub fn tls(&self) -> Option<&TlsPeer> {
        self.connection.tls().map(|tls| &**tls)
    }

    pub fn is_alone(&self) -> bool {
        self.connection.permit().is_alone()
    }

    pub fn is_body_empty(&self) -> bool {
        !self.connection.has_body()
    }

    pub async fn read(&mut self) -> Input {
        match self.connection.read_body().await {
            Ok(Some(data)) => Input::Data(data),
            Ok(None) => Input::End(self.connection.request_trailers()),
            Err(_) if self.connection.is_malformed() => Input::Malformed,
            Err(_) => Input::Gone,
        }
    }

    /// A client that only closed its own direction waits for its response.
    pub async fn gone(&self) {
        self.connection.broken().await;
    }

    pub fn set_patience(&self, patience: Duration) {
        self.connection.set_patience(patience);
    }

    pub fn set_pace(&self, pace: Pace) {
        self.connection.set_pace(pace);
    }

    /// Whether the client was given up because it took too little of the response.
    pub fn is_late(&self) -> bool {
        self.connection.is_late()
    }

    pub async fn write_continue(&mut self) -> Result<(), Gone> {
        self.connection.gather(|buffer| buffer.extend_from_slice(response::CONTINUE));
        self.flush().await
    }

    pub async fn write_informational(&mut self, head: ResponseHead) -> Result<(), Gone> {
        self.connection.gather(|buffer| response::write_as_it_is(buffer, &head));
        self.flush().await
    }

    /// The connection ends with the protocol that is switched to.
    pub async fn switch(&mut self, head: ResponseHead) -> Result<(), Gone> {
        self.connection.switch();
        (self.is_switched, self.is_kept) = (true, false);
        self.framing = Some(Framing::UntilClose);
        self.write_informational(head).await
    }

    pub async fn write_head(&mut self, head: ResponseHead) -> Result<(), Gone> {
        let framing = Framing::of(&head, self.request.method == Method::HEAD);
        if framing == Framing::UntilClose || self.draining.load(Ordering::Relaxed) {
            self.is_kept = false;
        }
        self.connection.gather(|buffer| response::write(buffer, &head, self.is_kept));
        self.framing = Some(framing);
        match framing {
            // The body is about to come, and leaves together with its head.
            Framing::Length(1..) => Ok(()),
            // A body of unknown length may be a long time in coming.
            _ => self.flush().await,
        }
    }

    pub async fn write(&mut self, data: &[u8]) -> Result<(), Gone> {
        let written = match &mut self.framing {
            Some(Framing::Length(left)) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                *left -= here as u64;
                self.connection.write_all(data.get(..here).unwrap_or_default()).await
            }
            Some(Framing::Chunked) => {
                let size = response::chunk_size(data.len());
                let mut chunk = size.chain(data).chain(&b"\r\n"[..]);
                self.connection.write_all_buf(&mut chunk).await
            }
            Some(Framing::UntilClose) => self.connection.write_all(data).await,
            None => return Ok(()),
        };
        written.map_err(|_| Gone)?;
        match self.framing {
            Some(Framing::Length(1..)) => Ok(()),
            _ => self.flush().await,
        }
    }

    /// After a switch, this closes our direction alone: the client's goes on.
    pub async fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        if self.is_switched {
            return self.connection.end_writing().await.map_err(|_| Gone);
        }
        match self.framing {
            // The client waits for more, and must not take this for the whole.
            Some(Framing::Length(1..)) => return Err(Gone),
            // All of it has left together with its last byte.
            Some(Framing::Length(0)) => return Ok(()),
            Some(Framing::Chunked) => {
                let trailers = trailers.unwrap_or_default();
                self.connection.gather(|buffer| response::write_last_chunk(buffer, &trailers));
            }
            _ => {}
        }
        self.flush().await
    }

    pub fn close_after(&mut self) {
        self.is_kept = false;
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        self.connection.flush().await.map_err(|_| Gone)
    }

    /// Ends the request. Returns whether the connection may carry another one.
    async fn end(self: Box<Self>, flow: Flow) -> bool {
        if matches!(flow, Flow::Broken) {
            // A client that does not count bytes must not take this for an orderly end. And the kernel must not keep what
            // a client does not take.
            if self.framing == Some(Framing::UntilClose) || self.connection.is_late() {
                self.connection.reset_on_close();
            }
            // The client may have closed it first.
            self.connection.end_writing().await.ok();
            return false;
        }
        if self.is_kept && self.drain().await {
            return true;
        }
        self.connection.linger().await;
        false
    }

    /// Reads what is left of the request's body. `false` where it does not come to its end in time.
    async fn drain(&self) -> bool {
        if !self.connection.has_body() {
            return true;
        }
        let rest = async { while let Ok(Some(_)) = self.connection.read_body().await {} };
        timeout(DRAIN, rest).await.is_ok()
            && !self.connection.has_body()
            && !self.connection.is_malformed()
    }
}

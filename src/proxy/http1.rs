//! Connections of HTTP/1.1 and 1.0: one request after the other. Heads come from the connection whole and checked;
//! pingora's session parses them, and frames the responses.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{ErrorType, Result};
use pingora::protocols::Stream;
use pingora::protocols::http::v1::server::HttpSession;

use super::failure::{self, Failure};
use super::session::{Codec, Gone, Input, Session};
use super::{Flow, Gateway, HttpLimits, Origin, http2};
use crate::transport::tls::TlsPeer;
use crate::transport::{Connection, Malformed, Next};

/// Tells pingora to keep connections open. The connection itself knows for how long.
const KEEP: Option<u64> = Some(0);
/// How long the rest of an unwanted body is read, so that the connection can serve another request.
const DRAIN: Duration = Duration::from_secs(3);
/// Pingora's errors for a malformed chunked body.
const MALFORMED: [ErrorType; 2] =
    [ErrorType::Custom("InvalidChunk"), ErrorType::Custom("InvalidTrailerEnd")];

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Syntax => Self::BadRequest,
            Malformed::TooLarge => Self::RequestHead,
            Malformed::Coding => Self::TransferCoding,
            Malformed::TooSlow => Self::RequestTimeout,
        }
    }
}

/// Serves a connection, whichever version of HTTP its client speaks.
pub async fn serve(gateway: &Gateway, connection: Connection) {
    let leaves = |is_new| {
        let mut drained = gateway.drain.watch();
        // The sender lives in the gateway, so waiting cannot fail.
        let drained = async move { drop(drained.wait_for(|started| *started).await) };
        connection.clone().leaves(is_new, drained)
    };
    let (mut leave, mut is_new) = (pin!(leaves(true)), true);
    // Pingora's sessions own what they read: this clone of the connection passes from each request's session to the
    // next.
    let mut stream: Stream = Box::new(connection.clone());
    // Over TLS, a handshake has agreed on the version of HTTP; in cleartext, the client begins as it likes.
    let agreed = connection.tls().map(|tls| tls.is_http2);
    loop {
        let HttpLimits { head, times } = gateway.limits();
        match connection.head(head, times, leave.as_mut()).await {
            Next::Request if agreed == Some(true) => {
                return refuse(gateway, &connection, stream, Failure::BadRequest).await;
            }
            Next::Request if is_new => {
                leave.set(leaves(false));
                is_new = false;
            }
            Next::Request => {}
            Next::Http2 if agreed == Some(false) => {
                return refuse(gateway, &connection, stream, Failure::BadRequest).await;
            }
            Next::Http2 => return http2::serve(gateway.clone(), connection).await,
            Next::Nothing => return,
            Next::Refused(malformed) => {
                return refuse(gateway, &connection, stream, malformed.into()).await;
            }
        }
        match serve_request(gateway, &connection, stream).await {
            Some(next) => stream = next,
            None => return,
        }
    }
}

/// Serves the request whose head has come. Returns the stream if it may carry another request.
async fn serve_request(
    gateway: &Gateway,
    connection: &Connection,
    stream: Stream,
) -> Option<Stream> {
    // Made where it stays: it is large, and each place that it passed through would be a copy.
    let mut session = Box::new(Http1::new(stream, connection.clone(), gateway.draining.clone()));
    if !session.read_head().await {
        let stream = session.session.into_inner();
        refuse(gateway, connection, stream, Failure::BadRequest).await;
        return None;
    }
    let mut session = Session::new(Codec::Http1(session), connection.scheme());
    let flow = gateway.exchange(&mut session).await;
    let Codec::Http1(session) = session.into_codec() else { return None };
    session.end(flow).await
}

/// Answers a client that speaks in cleartext where TLS is spoken.
pub async fn refuse_cleartext(gateway: &Gateway, connection: Connection) {
    let stream = Box::new(connection.clone());
    refuse(gateway, &connection, stream, Failure::Cleartext).await;
}

/// Answers a head that cannot be served, and closes its connection.
async fn refuse(gateway: &Gateway, connection: &Connection, stream: Stream, failure: Failure) {
    let mut session = HttpSession::new(stream);
    let answer = async {
        let (head, body) = failure::unread(&failure)?;
        session.write_response_header(Box::new(head)).await?;
        session.write_body(&body).await?;
        session.finish_body().await
    };
    let is_answered = answer.await.is_ok();
    let status = is_answered.then(|| failure.status());
    gateway.record_unread(&failure, &Origin::of(connection, Version::HTTP_11), status);
    if is_answered {
        connection.linger().await;
    }
}

/// One request of a connection.
pub struct Http1 {
    session: HttpSession,
    connection: Connection,
    /// Whether the drain is announced: then each response closes its connection.
    draining: Arc<AtomicBool>,
    /// Whether the response is chunked, so that trailers can follow.
    is_chunked: bool,
    /// Whether the connection carries another protocol.
    is_switched: bool,
}

impl Http1 {
    fn new(stream: Stream, connection: Connection, draining: Arc<AtomicBool>) -> Self {
        Self {
            session: HttpSession::new(stream),
            connection,
            draining,
            is_chunked: false,
            is_switched: false,
        }
    }

    /// Has the head that has come parsed. `false` where it cannot be served.
    async fn read_head(&mut self) -> bool {
        let session = &mut self.session;
        // Read from the stream, the head would be copied, and waited for with a time limit.
        session.set_pipelined_prefix(self.connection.take_head());
        if !matches!(session.read_request().await, Ok(Some(_))) {
            return false;
        }
        session.set_total_drain_timeout(Some(DRAIN));
        // The connection and the version's limits say how long a client may take, not pingora.
        session.set_read_timeout(None);
        // The rest of an unwanted body is drained instead, for a limited time.
        session.set_close_on_response_before_downstream_finish(false);
        if session.get_keepalive_timeout().is_some() {
            session.set_server_keepalive(KEEP);
        }
        true
    }

    pub fn request(&self) -> &RequestHeader {
        self.session.req_header()
    }

    pub fn client(&self) -> SocketAddr {
        self.connection.client()
    }

    pub fn tls(&self) -> Option<&TlsPeer> {
        self.connection.tls().map(|tls| &**tls)
    }

    pub fn is_alone(&self) -> bool {
        self.connection.permit().is_alone()
    }

    pub fn is_body_empty(&mut self) -> bool {
        self.session.is_body_empty()
    }

    pub async fn read(&mut self) -> Input {
        match self.session.read_body_bytes().await {
            Ok(Some(data)) => Input::Data(data),
            Ok(None) => Input::End(self.connection.request_trailers()),
            Err(error) if MALFORMED.contains(error.etype()) => Input::Malformed,
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

    pub async fn write_continue(&mut self) -> Result<(), Gone> {
        self.session.write_continue_response().await.map_err(|_| Gone)
    }

    pub async fn write_informational(&mut self, head: ResponseHeader) -> Result<(), Gone> {
        self.session.write_response_header(Box::new(head)).await.map_err(|_| Gone)
    }

    /// The connection ends with the protocol that is switched to.
    pub async fn switch(&mut self, head: ResponseHeader) -> Result<(), Gone> {
        self.connection.switch();
        self.is_switched = true;
        self.session.write_response_header(Box::new(head)).await.map_err(|_| Gone)
    }

    pub async fn write_head(&mut self, head: ResponseHeader) -> Result<(), Gone> {
        self.is_chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
        if self.draining.load(Ordering::Relaxed) {
            self.close_after();
        }
        self.session.write_response_header(Box::new(head)).await.map_err(|_| Gone)
    }

    pub async fn write(&mut self, data: &[u8]) -> Result<(), Gone> {
        self.session.write_body(data).await.map(drop).map_err(|_| Gone)
    }

    /// After a switch, this closes our direction alone. Pingora would take the end of the one for that of both.
    pub async fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        if self.is_switched {
            return self.connection.end_writing().await.map_err(|_| Gone);
        }
        if let Some(trailers) = trailers.filter(|it| self.is_chunked && !it.is_empty()) {
            self.connection.end_with_trailers(&trailers);
        }
        self.session.finish_body().await.map(drop).map_err(|_| Gone)
    }

    pub fn close_after(&mut self) {
        self.session.set_server_keepalive(None);
    }

    /// The stream for the next request, if the connection may have one.
    async fn end(mut self, flow: Flow) -> Option<Stream> {
        if matches!(flow, Flow::Broken) {
            // A client that does not count bytes must not take this for an orderly end.
            if self.ends_with_connection() {
                self.connection.reset_on_close();
            }
            self.session.shutdown().await;
            return None;
        }
        if self.session.will_keepalive() && self.session.drain_request_body().await.is_ok() {
            let (stream, _) = self.session.reuse().await.ok()??.into_parts();
            return Some(stream);
        }
        self.connection.linger().await;
        None
    }

    /// Whether only the end of the connection ends the response.
    fn ends_with_connection(&self) -> bool {
        let response = self.session.response_written();
        let has_length = |head: &ResponseHeader| head.headers.contains_key(header::CONTENT_LENGTH);
        !self.is_chunked && response.is_some_and(|head| !has_length(head))
    }
}

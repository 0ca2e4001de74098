//! The handshake with a client, and what becomes of clients that do not come to its end.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::{Error, ProtocolVersion, ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::certificates::Certificates;
use super::session::Session;
use super::stream::TlsStream;
use super::terms::TlsTerms;
use super::told::tell;
use crate::transport::connection::Connection;
use crate::transport::limit::{ConnectionLimit, Permit};
use crate::transport::peer::Peer;

/// How many clients may be in a handshake at once. At the limit, others wait to be accepted, and clients that have been
/// in theirs for more than a second make room.
const AT_ONCE: usize = 1_024;

/// Shakes hands with clients. Clones are the same, and count together.
#[derive(Clone, Debug)]
pub struct Handshakes {
    terms: TlsTerms,
    limit: ConnectionLimit,
}

/// What a handshake may take and offer.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeLimits {
    /// From the connection to the end of the handshake.
    pub time: Duration,
    /// Whether TLS 1.2 is spoken, or 1.3 only.
    pub is_1_2_allowed: bool,
}

/// A client that did not come to the end of a handshake.
#[derive(Debug)]
pub enum Rejected {
    /// It sends HTTP in cleartext, and may be answered so.
    Cleartext(Connection),
    /// We have nothing in common with it, or it took too long. If it speaks TLS, it was sent an alert.
    Failed { client: SocketAddr, reason: String },
    /// Others needed its place.
    Crowded { client: SocketAddr },
}

/// Why a handshake failed.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The client has left, or has never said anything.
    Gone,
    Cleartext(TcpStream),
    Tls(Error),
}

impl Handshakes {
    /// Handshakes on these terms.
    pub fn new(terms: TlsTerms) -> Self {
        Self { terms, limit: ConnectionLimit::new(AT_ONCE) }
    }

    /// Waits until one more handshake may begin. Cancel-safe.
    pub async fn enter(&self) -> Permit {
        self.limit.acquire().await
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    ///
    /// The client, where something is to be done or told about it. A client that leaves is not worth a word.
    pub async fn shake(
        self,
        stream: TcpStream,
        (peer, permit): (Peer, Permit),
        place: Permit,
        limits: HandshakeLimits,
    ) -> Result<Connection, Option<Rejected>> {
        let config = self.terms.config(limits.is_1_2_allowed);
        let failed = |reason| Some(Rejected::Failed { client: peer.address, reason });
        let crowded = Rejected::Crowded { client: peer.address };
        let shaken = shake(stream, config, self.terms.certificates());
        let shaken = tokio::select! {
            shaken = timeout(limits.time, shaken) => shaken,
            () = place.asked_to_close(true) => return Err(failed(TOO_MANY.to_owned())),
            () = permit.asked_to_close(true) => return Err(Some(crowded)),
            () = permit.asked_to_give_way(false) => return Err(Some(crowded)),
        };
        match shaken {
            Ok(Ok(stream)) => Ok(Connection::new(stream, peer, permit)),
            Ok(Err(HandshakeError::Tls(error))) => Err(failed(tell(&error))),
            Ok(Err(HandshakeError::Gone)) => Err(None),
            Ok(Err(HandshakeError::Cleartext(stream))) => {
                Err(Some(Rejected::Cleartext(Connection::new(stream, peer, permit))))
            }
            Err(_) => Err(failed(TOO_SLOW.to_owned())),
        }
    }
}

const TOO_SLOW: &str = "the client did not come to its end in time";
const TOO_MANY: &str = "the client took more than a second, and too many others waited";

/// Shakes hands with a client. It takes as long as the client likes, so the caller bounds it.
pub(super) async fn shake(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    certificates: &Certificates,
) -> Result<TlsStream, HandshakeError> {
    let mut session = Session::new(ServerConnection::new(config).map_err(HandshakeError::Tls)?);
    let mut is_first = true;
    let shaken = poll_fn(|context| poll(&mut session, &socket, &mut is_first, context));
    match shaken.await {
        Ok(()) => Ok(TlsStream::new(session, socket, &certificates.table())),
        Err(Fault::Cleartext) => Err(HandshakeError::Cleartext(socket)),
        Err(Fault::Io(error)) => {
            let error = error.into_inner().and_then(|error| error.downcast::<Error>().ok());
            Err(error.map_or(HandshakeError::Gone, |error| HandshakeError::Tls(*error)))
        }
    }
}

enum Fault {
    Io(io::Error),
    Cleartext,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn poll(
    session: &mut Session,
    socket: &TcpStream,
    is_first: &mut bool,
    context: &mut Context<'_>,
) -> Poll<Result<(), Fault>> {
    if *is_first {
        ready!(session.poll_fill(socket, context))?;
        // A record of TLS begins with the number of its type, and a request with the name of its method.
        if session.first_byte().is_some_and(|byte| byte.is_ascii_uppercase()) {
            return Poll::Ready(Err(Fault::Cleartext));
        }
        *is_first = false;
    }
    while session.tls().is_handshaking() {
        if session.tls().wants_write() {
            ready!(session.poll_send(socket, context))?;
        }
        if session.has_ended() {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
        }
        if session.tls().is_handshaking() {
            ready!(session.poll_feed(socket, context))?;
        }
    }
    // With TLS 1.2, the client waits for our last word. With TLS 1.3, only tickets are left: they wait for the first
    // response, or for the first wait for the client.
    match session.tls().protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => Poll::Ready(Ok(())),
        _ => session.poll_send(socket, context).map_err(Fault::Io),
    }
}

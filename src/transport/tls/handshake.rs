//! The handshake with a client, and what becomes of clients that do not come to its end.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{AlertDescription, Error, PeerIncompatible, ServerConfig, ServerConnection};
use tokio::net::TcpStream;

use super::certificates::Certificates;
use super::session::Session;
use super::stream::TlsStream;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client has left, or has never said anything.
    #[error("the client has left")]
    Gone,
    /// The client sends HTTP in cleartext, and may be answered so.
    #[error("the client sent HTTP in cleartext")]
    Cleartext(TcpStream),
    #[error("{}", tell(.0))]
    Tls(Error),
}

/// Shakes hands with a client. It takes as long as the client likes, so the caller bounds it.
///
/// # Errors
///
/// Where the client does not speak TLS, or we have nothing in common with it. If it speaks TLS, it was sent an alert.
pub async fn shake(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    certificates: &Certificates,
) -> Result<TlsStream, HandshakeError> {
    let mut session = Session::new(ServerConnection::new(config).map_err(HandshakeError::Tls)?);
    let mut is_first = true;
    let shaken = poll_fn(|context| poll(&mut session, &socket, &mut is_first, context));
    match shaken.await {
        Ok(()) => Ok(TlsStream::new(session, socket, &certificates.table())),
        Err(Fault::Io(error)) => Err(match tls_error(error) {
            Some(error) => HandshakeError::Tls(error),
            None => HandshakeError::Gone,
        }),
        Err(Fault::Cleartext) => Err(HandshakeError::Cleartext(socket)),
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
    // Tickets wait for the first response, or for the first wait for the client.
    Poll::Ready(Ok(()))
}

fn tls_error(error: io::Error) -> Option<Error> {
    error.into_inner()?.downcast::<Error>().ok().map(|error| *error)
}

/// The reason in the words of whoever has to do something about it.
fn tell(error: &Error) -> String {
    use AlertDescription as A;
    match error {
        Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
        | Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled)
        | Error::PeerIncompatible(PeerIncompatible::Tls13RequiredForQuic)
        | Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired) => {
            "the client offers no version of TLS that is allowed".to_owned()
        }
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
            "the client offers no cipher suite that is safe and fits our certificate".to_owned()
        }
        Error::NoApplicationProtocol => "the client speaks neither HTTP/2 nor HTTP/1.1".to_owned(),
        Error::InvalidMessage(_) => "the client does not speak TLS".to_owned(),
        Error::AlertReceived(
            alert @ (A::UnknownCA
            | A::BadCertificate
            | A::CertificateUnknown
            | A::CertificateExpired
            | A::UnsupportedCertificate
            | A::CertificateRevoked),
        ) => format!("the client does not trust our certificate ({alert:?})"),
        Error::AlertReceived(alert) => format!("the client gave up ({alert:?})"),
        other => other.to_string(),
    }
}

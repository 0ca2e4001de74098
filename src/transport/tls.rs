//! TLS of clients: which certificate a client gets, the handshake, and a [`TlsStream`] on which connections run like on
//! a socket.
//!
//! Rooms, in reading order: `certificates` (who we are, by the name that a client asks for), `tickets` (what resumes a
//! session), `terms` (what a handshake offers), `handshake` (`told`:
//! why one failed), `stream` with `session` (a session of rustls and its
//! socket).

/// Why TLS cannot be spoken at all.
pub use rustls::Error as TlsError;

mod certificates;
mod handshake;
mod session;
mod stream;
mod terms;
mod tickets;
mod told;

pub use certificates::{Certificate, CertificateTable, Certificates};
pub use handshake::{HandshakeLimits, Handshakes, Rejected};
pub use stream::{TlsPeer, TlsStream};
pub use terms::TlsTerms;
pub use tickets::{TICKET_KEY, TicketKeys, TicketKeysError, Tickets};

#[cfg(test)]
mod tests;

/// A certificate for names that signs itself.
#[cfg(test)]
pub(super) fn test_identity(names: &[&str]) -> std::sync::Arc<rustls::sign::CertifiedKey> {
    tests::identity(names, &rcgen::PKCS_ECDSA_P256_SHA256)
}

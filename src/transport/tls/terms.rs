//! What we offer in handshakes: versions of TLS, protocols, certificates and tickets.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use super::certificates::Certificates;
use super::stream::HTTP2;
use super::tickets::Tickets;

/// HTTP/1, in the names that clients have for it.
const HTTP1: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// The terms of handshakes. Made once; clones are the same.
#[derive(Clone, Debug)]
pub struct TlsTerms {
    certificates: Certificates,
    tickets: Tickets,
    /// TLS 1.2 and 1.3.
    both: Arc<ServerConfig>,
    only_1_3: Arc<ServerConfig>,
}

impl TlsTerms {
    /// Terms with these certificates, and with tickets of our own.
    ///
    /// # Errors
    ///
    /// Where the system has no random numbers.
    pub fn new(certificates: Certificates) -> Result<Self, rustls::Error> {
        let tickets = Tickets::new()?;
        let both = config(&certificates, &tickets, &[&version::TLS13, &version::TLS12])?;
        let only_1_3 = config(&certificates, &tickets, &[&version::TLS13])?;
        Ok(Self { certificates, tickets, both, only_1_3 })
    }

    /// The certificates that clients get.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The tickets that clients get.
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    pub(super) fn config(&self, is_1_2_allowed: bool) -> Arc<ServerConfig> {
        if is_1_2_allowed { self.both.clone() } else { self.only_1_3.clone() }
    }
}

/// Rustls has only suites with forward secrecy and authenticated encryption, no compression, and no renegotiation. It
/// takes no early data unless it is told to: a request in it could be replayed.
fn config(
    certificates: &Certificates,
    tickets: &Tickets,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates.clone()));
    config.alpn_protocols =
        [&[HTTP2], &HTTP1[..]].concat().into_iter().map(<[u8]>::to_vec).collect();
    config.ticketer = Arc::new(tickets.clone());
    Ok(Arc::new(config))
}

//! Who is at the other end of a connection. Made where the connection is accepted, and kept for its requests.

use std::net::SocketAddr;

/// The sender of a connection's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the socket, or whom a trusted proxy names there. An IPv4 address is never written as IPv6.
    pub address: SocketAddr,
    /// Whether the requests come from `address` itself. A proxy may relay for somebody whom it does not name; then the
    /// address is that of the proxy.
    pub is_known: bool,
    /// Whether the proxy says that its client speaks TLS with it.
    pub has_tls: bool,
}

impl From<SocketAddr> for Peer {
    /// The other end of a socket.
    fn from(address: SocketAddr) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { address, is_known: true, has_tls: false }
    }
}

//! Connections that begin with a PROXY header, in which a trusted proxy says whose requests follow. The accept loop reads
//! it from the socket, before anything else is read from there: TLS and HTTP begin behind it.
//!
//! Our own reader, and no library's: it must take the header and not a byte more from the socket, however the header is
//! cut into packets, and the libraries parse texts that somebody else has read.

mod header;

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::peer::Peer;
use header::{Header, Seen, Sender, look};

/// Bytes that are looked at in one go.
const PART: usize = 512;

/// Why a connection has no peer whose requests could be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("the address is none of `trusted-proxies`")]
    Untrusted,
    #[error("the connection does not begin with a PROXY header")]
    Malformed,
    #[error("the PROXY header did not come to its end in time")]
    TooSlow,
    #[error("others needed its place before the PROXY header came to its end")]
    Crowded,
}

/// The end of a connection, before its header was complete.
pub enum Unread {
    Malformed,
    /// Others need the place of the connection.
    Crowded,
    /// The other end has left.
    Gone,
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads the header of a connection that comes from `proxy`, and nothing behind it.
///
/// Bytes are looked at in the kernel's buffer, and those that belong to the header are taken: a wait for more of it finds
/// the buffer empty.
///
/// # Errors
///
/// Where the connection begins with something else, or ends.
pub async fn read(socket: &mut TcpStream, proxy: Peer) -> Result<Peer, Unread> {
    let mut header = Vec::new();
    let mut part = [0; PART];
    loop {
        let here = socket.peek(&mut part).await?;
        if here == 0 {
            return Err(Unread::Gone);
        }
        let known = header.len();
        header.extend_from_slice(part.get(..here).unwrap_or_default());
        let seen = look(&header).map_err(|_| Unread::Malformed)?;
        let ours = match seen {
            Seen::Part => here,
            Seen::Whole(length, _) => length - known,
        };
        // They have come, so nothing is waited for.
        socket.read_exact(part.get_mut(..ours).unwrap_or_default()).await?;
        if let Seen::Whole(_, header) = seen {
            return Ok(peer(header, proxy));
        }
    }
}

fn peer(Header { sender, has_tls }: Header, proxy: Peer) -> Peer {
    match sender {
        Sender::Proxy => proxy,
        Sender::Unknown => Peer { is_known: false, has_tls, ..proxy },
        Sender::Client(address) => Peer { has_tls, ..Peer::from(address) },
    }
}

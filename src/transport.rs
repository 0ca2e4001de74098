//! Clients' connections: bound, accepted, read up to the ends of requests, drained at the end. A
//! [`Handler`] knows what to do with a connection.
//!
//! A [`Connection`] does not know what it runs over. A [`Stream`] tells the scheme of its requests and
//! gives access to the TCP socket beneath, so TLS, or a tunnel, is another stream and not another way
//! through the proxy.
//!
//! Pingora's own listening service is not used, for four reasons: it ends the process when an
//! address is taken, it does not tell which port it was given, its SIGTERM always waits the whole
//! grace period, and its test for HTTP/2 waits for 24 bytes, which a short HTTP/1.0 request never
//! has. Rooms, in reading order: `bind`, `accept`, `limit` (how many connections may be open),
//! `peer` and `proxy_protocol` (who is at the other end), `stream`, `tls` (a stream on top of another), `connection` with
//! `inbound` (`head`, `target`), `outbound` and `pace` (how fast clients are), `io` (a connection for libraries),
//! `drain`, and `urls` (how clients name the listeners).

mod accept;
mod bind;
mod connection;
mod drain;
mod head;
mod inbound;
mod io;
mod limit;
mod outbound;
mod pace;
mod peer;
mod proxy_protocol;
mod stream;
mod target;
pub mod tls;
mod urls;

pub use accept::{Acceptor, Handler};
pub use bind::{ListenError, adopt, listen};
pub use connection::{Connection, HeadTimes, Next};
pub use drain::{Drain, OpenConnection, Parting};
pub use head::{HeadLimits, Malformed, PREFACE};
pub use limit::{ConnectionLimit, Permit};
pub use outbound::Progress;
pub use pace::{Pace, TooSlow};
pub use peer::Peer;
pub use proxy_protocol::PeerError;
pub use stream::Stream;
pub use urls::Urls;

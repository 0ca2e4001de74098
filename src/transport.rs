//! Clients' connections: bound, accepted, read up to the ends of requests, drained at the end. What
//! is done with a connection is for a [`Front`] to know.
//!
//! Pingora's own listening service is not used, for four reasons: it ends the process when an
//! address is taken, it does not tell which port it was given, its SIGTERM always waits the whole
//! grace period, and its test for HTTP/2 waits for 24 bytes, which a short HTTP/1.0 request never
//! has. Rooms, in reading order: `bind`, `accept`, `places` (how many there may be), `connection`
//! with `inbound` (`head`, `target`, `chunked`) and `outbound`, and `drain`.

mod accept;
mod bind;
mod chunked;
mod connection;
mod drain;
mod head;
mod inbound;
mod outbound;
mod places;
mod target;

pub use accept::{Acceptor, Front};
pub use bind::{ListenError, listen};
pub use connection::{Connection, HeadTimes, Next};
pub use drain::{Drain, Guard};
pub use head::{HeadLimits, Malformed};
pub use outbound::Movement;
pub use places::{Place, Places};

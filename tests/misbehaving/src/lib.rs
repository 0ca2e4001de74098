//! Upstreams that misbehave on purpose: real sockets on port 0 of 127.0.0.1, each with a [`Script`] for each of its
//! connections and requests. They count what arrives, so that a test can assert that a `POST` arrived once.
//!
//! ```
//! use misbehaving::{Script, Upstream};
//!
//! // Closes in the middle of a body that was announced to be longer.
//! let short = Upstream::http1(Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").close());
//! let targets = format!("upstream = [\"{}\"]", short.address());
//! assert_eq!(short.arrived().requests(), 0);
//! ```
//!
//! Everything ends with the [`Upstream`]: its port is free and its connections are closed once it is dropped. An
//! upstream whose peer breaks the rules records that, and goes on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod arrivals;
mod echo2;
mod http1;
mod http2;
mod script;
mod tls;
mod upstream;

pub use arrivals::{Arrivals, Request};
pub use http2::{Frames, Script2};
pub use script::{Script, Step, Visit};
pub use tls::{Authority, Identity, Tls};
pub use upstream::{Upstream, refusing, silent};

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

mod arrivals;
mod http1;
mod script;
mod upstream;

pub use arrivals::{Arrivals, Request};
pub use script::{Script, Step, Visit};
pub use upstream::{Upstream, refusing, silent};

//! Which service a request belongs to, and how a share of traffic becomes a choice.
//!
//! A leaf: it knows `http` and nothing of pingora, wasmtime or the configuration. The registry
//! builds a [`RouteTable`] once a publish; the gateway asks it once a request, without allocating.

mod host;
mod split;

pub use host::{RouteTable, RouteTableBuilder};
pub use split::Weighted;

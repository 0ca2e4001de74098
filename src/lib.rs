//! Watershed splits live traffic between versions of a service. A version is a sandboxed WebAssembly component. Files
//! say which requests each version gets, and are followed while traffic flows.
//!
//! Two lines run through the crate. A request: `transport` → `proxy` → a service by `routing` → a version by its entry
//! in `versions` → a sandbox of `runtime`. A configuration: `source` → `reload` → `versions`. They meet in one pointer,
//! [`versions::Live`]. `ARCHITECTURE.md` has the reasons.

// The modules in reading order; the blank lines keep rustfmt from sorting them.

pub mod code;
pub mod plural;
pub mod secret;
pub mod transient;

pub mod config;

pub mod edit;

pub mod source;

pub mod certificates;

pub mod api;

pub mod descriptors;

pub mod systemd;

pub mod restart;

pub mod routing;

pub mod policy;

pub mod telemetry;

pub mod log;

pub mod chunked;

pub mod exchange;
pub mod timer;

pub mod runtime;

pub mod upstream;

pub mod outbound;

pub mod versions;

pub mod history;

pub mod transport;

pub mod reload;

pub mod rollout;

pub mod plan;

pub mod delivery;

pub mod proxy;

pub mod admin;

pub mod server;

pub mod cli;

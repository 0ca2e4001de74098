//! Which service a request belongs to, and which of its versions.
//!
//! A leaf: it knows `http` and nothing of pingora, wasmtime or the configuration. The registry
//! builds a [`RouteTable`] and a [`Policy`] for each service once a publish; the gateway asks them
//! once a request, without allocating. Rooms, in reading order: `host` (a request to its service),
//! `request` (what it says), `matcher` (whether it is as a rule says), `overrides` (which version it
//! wants), `affinity` (whose it is), `pins` (what that user had before), `split`, `smooth` and
//! `buckets` (shares to a version: at random, in turns, by hash), `shares` (all three), `policy` (the
//! order of all these).

mod affinity;
mod buckets;
mod host;
mod matcher;
mod overrides;
mod pins;
mod policy;
mod request;
mod shares;
mod smooth;
mod split;

pub use affinity::{Affinity, Id, KeySource, WATERSHED_STICKY, hash_of_name, is_lane, lane};
pub use buckets::{Owner, bucket};
pub use host::{Found, Part, RouteTable, RouteTableBuilder};
pub use matcher::{Matcher, Mismatch, Network, Pattern};
pub use overrides::{Lock, Overrides, WATERSHED_KEY, WATERSHED_VERSION, Wanted, sent_key};
pub use pins::Pins;
pub use policy::{
    Base, Candidate, Choice, Destination, Policy, Reason, Refused, Resolved, Rule, Sticky, To,
    Witness,
};
pub use request::{Asked, Text};
pub use shares::{Shares, Ways};
pub use split::Weighted;

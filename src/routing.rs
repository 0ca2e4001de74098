//! Which service a request belongs to, and which of its versions.
//!
//! A leaf: it knows `http` and nothing of pingora, wasmtime or the configuration. A publish builds one
//! [`RouteTable`], and a [`Policy`] for each service that changed; the gateway asks them once a
//! request, without allocating.
//!
//! Files, in reading order: `forwarded` finds out who sent a request, `host` its service. `request` reads what the request
//! says. `overrides` finds the version that a request asks for, `matcher` compares it with a rule, `affinity` hashes its sticky key, and `pins`
//! remembers the version of a key. `split`, `smooth` and `buckets` choose a version by shares: at
//! random, in turns, and by hash; `splitter` has all three for one split. `policy` asks all of these
//! in order. Before them, `rate` says whether the request may pass at all.

mod affinity;
mod buckets;
mod forwarded;
mod host;
mod matcher;
mod overrides;
mod pins;
mod policy;
mod rate;
mod request;
mod shards;
mod smooth;
mod split;
mod splitter;

pub use affinity::{Affinity, Id, KeySource, WATERSHED_STICKY, hash_of_name, is_lane, lane};
pub use buckets::{Owner, bucket};
pub use forwarded::{Forwarded, X_FORWARDED_FOR, X_FORWARDED_PROTO, is_trusted};
pub use host::{Found, HostPattern, Part, RouteTable, RouteTableBuilder, host, port};
pub use matcher::{Matcher, Mismatch, Network, Pattern};
pub use overrides::{Lock, Overrides, WATERSHED_KEY, WATERSHED_VERSION, Wanted, sent_key};
pub use pins::{KnownPin, Pins};
pub use policy::{
    Base, Choice, Destination, KnownVersion, Policy, Reason, Refused, Resolved, Rule, Sticky, To,
    Witness,
};
pub use rate::{Allowance, RateLimiter};
pub use request::{Asked, Text};
pub use shards::Shards;
pub use split::Weighted;
pub use splitter::{Splitter, Ways, Yields};

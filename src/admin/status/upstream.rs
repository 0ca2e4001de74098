//! The upstream of a version: how each of its targets does.

use std::time::SystemTime;

use super::{milliseconds, milliseconds_since_1970, rounded};
use crate::api::{TargetConnections, TargetDocument, UnresolvedDocument, UpstreamDocument, moment};
use crate::config::TargetAddress;
use crate::upstream::{Health, TargetState, Upstream};

pub fn document(upstream: &Upstream) -> UpstreamDocument {
    let now = SystemTime::now();
    let targets: Vec<_> = upstream.states().into_iter().map(|state| target(state, now)).collect();
    let healthy = targets.iter().filter(|target| target.is_healthy()).count();
    let unresolved = upstream.unresolved().into_iter();
    let unresolved = unresolved
        .map(|(target, reason)| UnresolvedDocument { name: target.to_string(), reason })
        .collect();
    UpstreamDocument { healthy, targets, unresolved }
}

fn target(state: TargetState, now: SystemTime) -> TargetDocument {
    // A clock that was set back makes no age negative.
    let age = now.duration_since(state.since).unwrap_or_default();
    let name = match &state.declared {
        TargetAddress::Name(..) => Some(state.declared.to_string()),
        TargetAddress::Address(_) => None,
    };
    TargetDocument {
        address: state.address.to_string(),
        name,
        weight: state.weight,
        health: state.health.as_str().to_owned(),
        since: moment::text(milliseconds_since_1970(state.since)),
        age_seconds: rounded(age.as_secs_f64(), 1000.0),
        reason: state.why.filter(|_| state.health != Health::Healthy),
        requests: state.requests,
        errors: state.errors,
        latency_ms: state.latency.map(milliseconds),
        connections: TargetConnections { open: count(state.open), idle: count(state.idle) },
        in_flight: count(state.in_flight),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

//! What operators are told of a target.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::balance::Member;
use super::health::Verdict;
use crate::config::TargetAddress;

/// A target as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetState {
    /// As it is declared.
    pub declared: TargetAddress,
    /// Where connections go.
    pub address: SocketAddr,
    pub weight: u32,
    pub health: Health,
    /// Since when its health is what it is. Without checks and ejections: since it is known.
    pub since: SystemTime,
    /// Why it gets no requests.
    pub why: Option<String>,
    /// Since the target is known, each attempt for itself.
    pub requests: u64,
    /// Failures of the target, and its statuses from 500 on.
    pub errors: u64,
    /// How often it was ejected.
    pub ejections: u64,
    pub in_flight: usize,
    /// The moving average of the times until heads; none before the first.
    pub latency: Option<Duration>,
    /// Connections that are open, idle ones included.
    pub open: usize,
    pub idle: usize,
}

/// Whether a target gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does. Without checks, a target is healthy until requests fail.
    Healthy,
    /// Its first check has not ended. It is asked where no other target is left.
    Unchecked,
    /// Its checks fail. It gets none.
    Unhealthy,
    /// Requests failed. It is asked where no other target is left.
    Ejected,
}

impl Health {
    /// The word for it in the API, in commands and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unchecked => "unchecked",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
        }
    }
}

impl TargetState {
    pub(super) fn of(member: &Member, now: Instant) -> Self {
        let Member { target, weight, .. } = member;
        let (health, since, why) = health(member, now);
        let counters = target.counters();
        let (open, idle) = target.connections();
        Self {
            declared: target.declared().clone(),
            address: target.address(),
            weight: *weight,
            health,
            since,
            why,
            requests: counters.requests(),
            errors: counters.errors(),
            ejections: member.ejection.as_ref().map_or(0, |ejection| ejection.last().count),
            in_flight: counters.in_flight(),
            latency: counters.latency(),
            open,
            idle,
        }
    }
}

/// Where all targets of an upstream stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub(super) targets: Vec<(SocketAddr, Health)>,
    /// For each declared target, whether its name cannot be looked up now.
    pub(super) unresolved: Vec<bool>,
}

/// Only whether a target gets requests.
pub(super) fn word(member: &Member, now: Instant) -> Health {
    match member.verdict() {
        Verdict::Unhealthy => Health::Unhealthy,
        Verdict::Unchecked => Health::Unchecked,
        Verdict::Healthy if member.ejection.as_ref().is_some_and(|it| it.is_ejected(now)) => {
            Health::Ejected
        }
        Verdict::Healthy => Health::Healthy,
    }
}

fn health(member: &Member, now: Instant) -> (Health, SystemTime, Option<String>) {
    let checked = member.checks.as_ref().map(|checks| checks.last().clone());
    let known = member.target.since();
    let since = checked.as_ref().map_or(known, |checked| checked.since);
    match member.verdict() {
        Verdict::Unhealthy => (Health::Unhealthy, since, checked.and_then(|checked| checked.why)),
        Verdict::Unchecked => (Health::Unchecked, since, None),
        Verdict::Healthy => match member.ejection.as_ref().filter(|it| it.is_ejected(now)) {
            Some(ejection) => {
                let last = ejection.last();
                (Health::Ejected, last.since, Some(last.why.clone()))
            }
            None => (Health::Healthy, since.max(member.back(now).unwrap_or(since)), None),
        },
    }
}

//! One address that serves requests: its connections, its counters, and what is known of its health.
//!
//! Versions that name the same address with the same [`Settings`] share a target, and so do the versions before and
//! after a reload: see `targets`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::eject::Ejection;
use super::health::Checks;
use super::http2::Http2;
use super::pool::Pool;
use super::shared::Shared;
use super::tls::Tls;
use crate::config::{EjectSpec, HealthSpec, HostHeader, Protocol, TargetAddress, UpstreamSpec};

/// A target. Dropped, with its connections, once no version names it.
#[derive(Debug)]
pub struct Target {
    declared: TargetAddress,
    address: SocketAddr,
    settings: Settings,
    counters: Arc<Counters>,
    pool: Pool,
    http2: Http2,
    /// When it was first named.
    since: SystemTime,
    checks: Shared<(HealthSpec, HostHeader), Checks>,
    ejections: Shared<(NonZeroU32, Duration), Ejection>,
}

/// How connections to a target are made and kept. Targets with different settings share nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    pub protocol: Protocol,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
    /// What the files of TLS made: a connection must not outlive a certificate authority that is not trusted any more.
    pub(super) tls: Option<Arc<Tls>>,
}

impl Settings {
    /// The settings of an upstream, with what the files of its TLS made.
    pub(super) fn new(spec: &UpstreamSpec, tls: Option<Arc<Tls>>) -> Self {
        let UpstreamSpec { protocol, connect_timeout, idle_timeout, .. } = spec;
        Self {
            protocol: protocol.clone(),
            connect_timeout: *connect_timeout,
            idle_timeout: *idle_timeout,
            tls,
        }
    }
}

impl Target {
    pub fn new(declared: TargetAddress, address: SocketAddr, settings: Settings) -> Self {
        let counters = Arc::<Counters>::default();
        let pool = Pool::new(counters.clone());
        let http2 = Http2::new(settings.idle_timeout);
        let (checks, ejections) = Default::default();
        let since = SystemTime::now();
        Self { declared, address, settings, counters, pool, http2, since, checks, ejections }
    }

    /// When some version first named it.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// What is known of it by these checks.
    pub(super) fn checks(&self, spec: &HealthSpec, host: &HostHeader) -> Arc<Checks> {
        self.checks.get((spec.clone(), host.clone()), || Checks::new(spec))
    }

    /// Its ejections by these settings. How many targets may be ejected is no part of them.
    pub(super) fn ejection(&self, spec: &EjectSpec) -> Arc<Ejection> {
        self.ejections.get((spec.failures, spec.duration), || Ejection::new(spec))
    }

    /// As it is declared: the host that it is asked for, and whom its certificate must name, come from there.
    pub fn declared(&self) -> &TargetAddress {
        &self.declared
    }

    /// Where connections go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Its connections that wait for the next request.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Connections that are open, idle ones included, and those that are idle.
    pub fn connections(&self) -> (usize, usize) {
        let (open, idle) = self.counters.connections();
        let (open2, idle2) = self.http2.count();
        (open + open2, idle + idle2)
    }

    /// Its connections of HTTP/2.
    pub(super) fn http2(&self) -> &Http2 {
        &self.http2
    }
}

/// What is counted of a target since it is known.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    errors: AtomicU64,
    in_flight: AtomicUsize,
    /// The moving average of the times until heads, in nanoseconds; 0: none yet.
    latency: AtomicU64,
    open: AtomicUsize,
    idle: AtomicUsize,
}

impl Counters {
    /// The part of a new latency in the average: after 16 requests, two thirds of it are theirs.
    const SMOOTHING: u64 = 16;

    /// Requests that were given to the target, each attempt for itself.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Failures of the target, and its statuses from 500 on.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Requests that are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The moving average of the times until heads.
    pub fn latency(&self) -> Option<Duration> {
        match self.latency.load(Ordering::Relaxed) {
            0 => None,
            latency => Some(Duration::from_nanos(latency)),
        }
    }

    /// Connections that are open, idle ones included, and those that are idle.
    pub fn connections(&self) -> (usize, usize) {
        (self.open.load(Ordering::Relaxed), self.idle.load(Ordering::Relaxed))
    }

    pub fn connection_opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub fn connection_closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn connection_kept(&self) {
        self.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// A kept connection was taken, or is about to be closed.
    pub fn connection_unkept(&self) {
        self.idle.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Two heads at once may lose one of two samples, which an average bears.
    pub(super) fn count_latency(&self, sample: Duration) {
        let sample = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX).max(1);
        let average = match self.latency.load(Ordering::Relaxed) {
            0 => sample,
            old => old - old / Self::SMOOTHING + sample / Self::SMOOTHING,
        };
        self.latency.store(average.max(1), Ordering::Relaxed);
    }
}

//! The metrics of one version, resolved once and then only counted on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::histogram::Histogram;
use super::window::{Counts, Recent, Window};
use super::{RequestLabels, Telemetry, VersionLabels};

/// How a request that a version took ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The version's own response went out whole.
    Answered(StatusClass),
    /// It failed with this code, before or after its head was sent.
    Failed(&'static str),
}

impl Outcome {
    fn is_error(self) -> bool {
        matches!(self, Self::Failed(_) | Self::Answered(StatusClass::ServerError))
    }

    fn label(self) -> &'static str {
        match self {
            Self::Answered(class) => class.label(),
            Self::Failed(code) => code,
        }
    }
}

/// The hundreds of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    Informational,
    Success,
    Redirection,
    ClientError,
    ServerError,
}

impl From<http::StatusCode> for StatusClass {
    fn from(status: http::StatusCode) -> Self {
        match status.as_u16() / 100 {
            0 | 1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

impl StatusClass {
    fn label(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

/// The metrics of one version. Those of versions that followed one another under one name are the
/// same, so that they go on; the errors and the window are this one's own.
#[derive(Debug)]
pub struct VersionMeter {
    telemetry: Telemetry,
    labels: VersionLabels,
    duration: Histogram,
    in_flight: Gauge,
    errors: AtomicU64,
    window: Window,
    /// The counter that nearly every request of a version ends in.
    successes: OnceLock<(&'static str, Counter)>,
}

impl VersionMeter {
    pub(super) fn new(
        telemetry: &Telemetry,
        environment: Arc<str>,
        service: Arc<str>,
        version: Arc<str>,
    ) -> Self {
        let labels = VersionLabels { environment, service, version };
        let duration = telemetry.duration.get_or_create_owned(&labels);
        let counts = Counts { buckets: duration.buckets(), errors: 0 };
        Self {
            duration,
            in_flight: telemetry.in_flight.get_or_create_owned(&labels),
            errors: AtomicU64::new(0),
            window: Window::new(Instant::now(), counts),
            telemetry: telemetry.clone(),
            labels,
            successes: OnceLock::new(),
        }
    }

    /// Counts a request as in flight until what this returns is dropped.
    pub fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts a request that has ended.
    pub fn record(&self, decision: &'static str, outcome: Outcome, took: Duration) {
        self.duration.observe(took);
        if outcome == Outcome::Answered(StatusClass::Success) {
            let counter = || (decision, self.counter(decision, StatusClass::Success.label()));
            let (counted, successes) = self.successes.get_or_init(counter);
            if *counted == decision {
                successes.inc();
                return;
            }
        }
        if outcome.is_error() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.counter(decision, outcome.label()).inc();
    }

    /// Notes what was counted by now. [`recent`](Self::recent) tells of the last minute only if this
    /// is called every few seconds.
    pub fn sample(&self, now: Instant) {
        self.window.sample(now, self.counts());
    }

    /// What it did in the last minute, or since it was made.
    pub fn recent(&self, now: Instant) -> Recent {
        self.window.recent(now, &self.counts())
    }

    /// Requests that versions of this name serve now.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.get()).unwrap_or(0)
    }

    /// Errors first: each is among the requests that are counted after it.
    fn counts(&self) -> Counts {
        let errors = self.errors.load(Ordering::Relaxed);
        Counts { buckets: self.duration.buckets(), errors }
    }

    fn counter(&self, decision: &'static str, outcome: &'static str) -> Counter {
        let VersionLabels { environment, service, version } = self.labels.clone();
        let labels = RequestLabels { environment, service, version, decision, outcome };
        self.telemetry.requests.get_or_create_owned(&labels)
    }
}

/// One request in flight.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

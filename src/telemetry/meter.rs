//! The metrics of one version, resolved once and then only counted on.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::{RequestLabels, Telemetry, VersionLabels};

/// How a request that a version took ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The version's own response went out whole.
    Answered(StatusClass),
    /// It failed with this code, before or after its head was sent.
    Failed(&'static str),
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

/// The metrics of one version.
#[derive(Debug)]
pub struct VersionMeter {
    telemetry: Telemetry,
    labels: VersionLabels,
    duration: Histogram,
    in_flight: Gauge,
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
        Self {
            duration: telemetry.duration.get_or_create_owned(&labels),
            in_flight: telemetry.in_flight.get_or_create_owned(&labels),
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
        self.duration.observe(took.as_secs_f64());
        if outcome == Outcome::Answered(StatusClass::Success) {
            let counter = || (decision, self.counter(decision, StatusClass::Success.label()));
            let (counted, successes) = self.successes.get_or_init(counter);
            if *counted == decision {
                successes.inc();
                return;
            }
        }
        let label = match outcome {
            Outcome::Answered(class) => class.label(),
            Outcome::Failed(code) => code,
        };
        self.counter(decision, label).inc();
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

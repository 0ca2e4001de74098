//! What is counted and logged of the calls that one version's guests make.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::failures::FailureLog;
use super::{OutboundLabels, Telemetry, VersionLabels};

/// The calls of one version's guests. Versions that follow one another under one name share the counters.
#[derive(Debug)]
pub struct OutboundMeter {
    telemetry: Telemetry,
    labels: VersionLabels,
    failures: FailureLog,
    answered: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// The calls that were counted since the version was made ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Answered, with whatever status.
    pub answered: u64,
    /// Not made: what was asked for is not listed, or not allowed now.
    pub refused: u64,
    /// Made, and not answered.
    pub failed: u64,
}

/// The outcome of a call that was answered, with whatever status.
const ANSWERED: &str = "answered";

impl OutboundMeter {
    pub(super) fn new(telemetry: &Telemetry, labels: VersionLabels) -> Self {
        let (answered, refused, failed) = Default::default();
        let (telemetry, failures) = (telemetry.clone(), FailureLog::default());
        Self { telemetry, labels, failures, answered, refused, failed }
    }

    /// Counts a call that was answered.
    pub fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.count(ANSWERED);
    }

    /// What was counted so far.
    pub fn counts(&self) -> CallCounts {
        CallCounts {
            answered: self.answered.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Counts a call that was not, and logs at most one a second with this outcome: a refusal as a warning, what the
    /// network is to blame for as information.
    pub fn failed(&self, outcome: &'static str, is_refusal: bool, what: &dyn fmt::Display) {
        let counter = if is_refusal { &self.refused } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.count(outcome);
        let Some(more) = self.failures.admit((outcome, false), Instant::now()) else { return };
        let VersionLabels { environment, service, version } = &self.labels;
        match is_refusal {
            true => tracing::warn!(%environment, %service, %version, outcome, "{what}{more}"),
            false => tracing::info!(%environment, %service, %version, outcome, "{what}{more}"),
        }
    }

    fn count(&self, outcome: &'static str) {
        let VersionLabels { environment, service, version } = self.labels.clone();
        let labels = OutboundLabels { environment, service, version, outcome };
        self.telemetry.outbound.get_or_create_owned(&labels).inc();
    }
}

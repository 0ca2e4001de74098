//! What is counted and logged of the calls that one version's guests make.

use std::fmt;
use std::time::Instant;

use super::failures::FailureLog;
use super::{OutboundLabels, Telemetry, VersionLabels};

/// The calls of one version's guests. Versions that follow one another under one name share the counters.
#[derive(Debug)]
pub struct OutboundMeter {
    telemetry: Telemetry,
    labels: VersionLabels,
    failures: FailureLog,
}

/// The outcome of a call that was answered, with whatever status.
const ANSWERED: &str = "answered";

impl OutboundMeter {
    pub(super) fn new(telemetry: &Telemetry, labels: VersionLabels) -> Self {
        Self { telemetry: telemetry.clone(), labels, failures: FailureLog::default() }
    }

    /// Counts a call that was answered.
    pub fn answered(&self) {
        self.count(ANSWERED);
    }

    /// Counts a call that was not, and logs at most one a second with this outcome: a refusal as a warning, what the
    /// network is to blame for as information.
    pub fn failed(&self, outcome: &'static str, is_refusal: bool, what: &dyn fmt::Display) {
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

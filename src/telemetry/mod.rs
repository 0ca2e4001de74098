//! What is counted, and the one place where a request's outcome becomes numbers.
//!
//! A leaf. Label values come from closed sets: the configuration's names, decisions, status classes
//! and failure codes. The handles of a version ([`VersionMeter`]) are looked up once a publish, so
//! that a request touches atomics only.

mod meter;

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use meter::{InFlight, Outcome, StatusClass, VersionMeter};

/// Upper bounds of the duration histogram, in seconds: from a fresh sandbox's tenth of a
/// millisecond to the default wall time.
const DURATION_BOUNDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    environment: Arc<str>,
    service: Arc<str>,
    version: Arc<str>,
    decision: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    environment: Arc<str>,
    service: Arc<str>,
    version: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

/// Every metric of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    duration: Family<VersionLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<VersionLabels, Gauge>,
    generation: Gauge,
    reloads: Family<ReloadLabels, Counter>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let requests = Family::default();
        let duration = Family::new_with_constructor(histogram as fn() -> Histogram);
        let in_flight = Family::default();
        let generation = Gauge::default();
        let reloads = Family::default();
        let mut registry = Registry::with_prefix("watershed");
        registry.register(
            "requests",
            "Requests ended, by decision and by status class or failure code",
            requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to the end of its response",
            Unit::Seconds,
            duration.clone(),
        );
        registry.register("in_flight", "Requests being served", in_flight.clone());
        registry.register("generation", "Number of the configuration served", generation.clone());
        registry.register("reloads", "Configuration loads, by what came of them", reloads.clone());
        let registry = Arc::new(registry);
        Self { registry, requests, duration, in_flight, generation, reloads }
    }
}

fn histogram() -> Histogram {
    Histogram::new(DURATION_BOUNDS)
}

impl Telemetry {
    /// The handles of one version, which it keeps as long as it is served.
    pub fn version(&self, environment: &str, service: &str, version: &str) -> VersionMeter {
        VersionMeter::new(self, environment.into(), service.into(), version.into())
    }

    /// Counts a request that no version took. `service` is empty where no service has the host.
    pub fn refused(&self, environment: &str, service: &str, code: &'static str) {
        let labels = RequestLabels {
            environment: environment.into(),
            service: service.into(),
            version: "".into(),
            decision: "",
            outcome: code,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// A configuration is served from now on.
    pub fn published(&self, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    /// A configuration was loaded, with this outcome.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&ReloadLabels { outcome }).inc();
    }

    /// All metrics in the OpenMetrics text format, which Prometheus reads.
    ///
    /// # Errors
    ///
    /// Where a metric cannot be written as text; none of ours.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

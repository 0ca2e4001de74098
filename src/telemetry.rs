//! What is counted, and the one place where the end of a request becomes numbers and a line of the log:
//! [`Telemetry::record`].
//!
//! This room is a leaf. Label values come from closed sets: the configuration's names, decisions, status classes and
//! failure codes. The handles of a version ([`VersionMeter`]) are looked up once for each publish, so that a request
//! touches only atomics. What a version did in the last minute, and how often it was drawn, comes from samples of these
//! counters, which the server takes every few seconds.

mod certificates;
mod chance;
mod codes;
mod exposition;
mod failures;
mod health;
mod histogram;
mod label;
mod meter;
mod outbound;
mod process;
mod recent;
mod record;
mod refusals;
mod samples;
mod series;
mod shares;
mod states;
mod tally;
mod targets;
mod usage;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use certificates::CertificateSample;
pub use chance::Comparison;
pub use exposition::Format;
pub use failures::FailureLog;
pub use health::{Ailment, Health};
pub use meter::{InFlight, VersionMeter};
pub use outbound::{CallCounts, OutboundMeter};
pub use process::Sockets;
pub use recent::Recent;
pub use record::{Ending, Fault, RequestRecord};
pub use refusals::Refusals;
pub use series::{Resolution, Series, VersionSeries};
pub use shares::VersionShares;
pub use states::{ServiceStates, States};
pub use tally::{Decisions, Tally, Window, Windows};
pub use targets::TargetState;
pub use usage::Usage;

use histogram::Histogram;
use label::Label;

/// What the names of all metrics begin with.
const PREFIX: &str = "watershed";

/// A quantile of each version's durations in the last minute, in seconds.
type Quantile = Family<VersionLabels, Gauge<f64, AtomicU64>>;

/// The metrics of the last minute's quantiles, without prefix and unit.
const QUANTILES: [(&str, &str); 2] = [
    (
        "request_duration_p50",
        "What half of the requests of the last minute stayed below, within 5 %",
    ),
    ("request_duration_p99", "What 99 of 100 requests of the last minute stayed below, within 5 %"),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    environment: Label,
    service: Label,
    version: Label,
    decision: Label,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RescueLabels {
    environment: Label,
    service: Label,
    version: Label,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    environment: Label,
    service: Label,
    version: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutboundLabels {
    environment: Label,
    service: Label,
    version: Label,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: Label,
}

/// Every metric of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    outbound: Family<OutboundLabels, Counter>,
    rescued: Family<RescueLabels, Counter>,
    duration: Family<VersionLabels, Histogram>,
    series: Arc<Series>,
    /// Of the last minute: the buckets of `duration` that `/metrics` shows are too coarse for quantiles.
    quantiles: [(f64, Quantile); 2],
    in_flight: Family<VersionLabels, Gauge>,
    generation: Gauge,
    generations: Gauge,
    reloads: Family<ReloadLabels, Counter>,
    rejected: Gauge,
    unread: Gauge,
    history_errors: Counter,
    log_dropped: Counter,
    panics: Family<TaskLabels, Counter>,
    health: Health,
    history_restored: Counter,
    /// Seconds since `good_at`, as of the last scrape.
    good_age: Gauge<f64, AtomicU64>,
    good_at: Arc<Mutex<Instant>>,
    began: SystemTime,
}

/// What is true at the moment of a scrape, beside what was counted.
#[derive(Debug, Default)]
pub struct Scrape<'a> {
    /// How many generations are in memory.
    pub generations: usize,
    /// The versions whose shares are shown.
    pub shares: &'a [VersionShares],
    pub states: States,
    pub sockets: Sockets,
    /// The certificates of HTTPS.
    pub certificates: &'a [CertificateSample],
}

impl Default for Telemetry {
    fn default() -> Self {
        let requests = Family::default();
        let outbound = Family::<OutboundLabels, Counter>::default();
        let rescued = Family::<RescueLabels, Counter>::default();
        let duration = Family::default();
        let quantiles = [0.5, 0.99].map(|share| (share, Family::default()));
        let in_flight = Family::default();
        let generation = Gauge::default();
        let generations = Gauge::default();
        let reloads = Family::default();
        let rejected = Gauge::default();
        let unread = Gauge::default();
        let history_errors = Counter::default();
        let log_dropped = Counter::default();
        let panics = Family::default();
        let history_restored = Counter::default();
        let good_age = Gauge::default();
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "requests",
            "Requests ended, by decision and by status class or failure code",
            requests.clone(),
        );
        registry.register(
            "outbound_requests",
            "Calls that guests made, by what came of them",
            outbound.clone(),
        );
        registry.register(
            "rescued_requests",
            "Requests that this version failed and another one answered, by failure code",
            rescued.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to the end of its response",
            Unit::Seconds,
            duration.clone(),
        );
        for ((_, family), (name, help)) in quantiles.iter().zip(QUANTILES) {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
        registry.register("in_flight", "Requests being served", in_flight.clone());
        registry.register(
            "config_generation",
            "Number of the configuration served",
            generation.clone(),
        );
        registry.register(
            "config_generations",
            "Configurations in memory: the one served, and those of requests that began before it",
            generations.clone(),
        );
        registry.register("reloads", "Configuration loads, by what came of them", reloads.clone());
        registry.register(
            "config_rejected_files",
            "Configuration files that are wrong and not served as they are",
            rejected.clone(),
        );
        registry.register(
            "config_unread_files",
            "Files and versions that could not be read for now, and are tried again",
            unread.clone(),
        );
        registry.register(
            "history_errors",
            "Records of the history that could not be written",
            history_errors.clone(),
        );
        registry.register(
            "log_dropped",
            "Lines of the log that were dropped: not read in time, or not writable",
            log_dropped.clone(),
        );
        registry.register(
            "task_panics",
            "Panics, by the thread that panicked; each has a line in the log",
            panics.clone(),
        );
        registry.register(
            "history_restored",
            "Times that the history's file was gone or truncated, and was made anew",
            history_restored.clone(),
        );
        registry.register_with_unit(
            "config_good_age",
            "Time since a load found nothing wrong",
            Unit::Seconds,
            good_age.clone(),
        );
        let (registry, good_at) = (Arc::new(registry), Arc::new(Mutex::new(Instant::now())));
        Self {
            registry,
            requests,
            outbound,
            rescued,
            duration,
            series: Arc::new(Series::new(Instant::now(), SystemTime::now())),
            quantiles,
            in_flight,
            generation,
            generations,
            reloads,
            rejected,
            unread,
            history_errors,
            log_dropped,
            panics,
            health: Health::default(),
            history_restored,
            good_age,
            good_at,
            began: SystemTime::now(),
        }
    }
}

impl Telemetry {
    /// The handles of one version, which keeps them as long as it is served.
    pub fn version(&self, environment: &str, service: &str, version: &str) -> VersionMeter {
        let (environment, service) = (environment.into(), service.into());
        let labels = VersionLabels { environment, service, version: version.into() };
        VersionMeter::new(self, labels)
    }

    /// What is counted of the calls of one version's guests.
    pub fn outbound(&self, environment: &str, service: &str, version: &str) -> OutboundMeter {
        let (environment, service) = (environment.into(), service.into());
        let labels = VersionLabels { environment, service, version: version.into() };
        OutboundMeter::new(self, labels)
    }

    /// Counts and logs a request that has ended; `meter` is that of the version that took it.
    pub fn record(&self, record: &RequestRecord<'_>, meter: Option<&VersionMeter>) {
        match meter {
            Some(meter) => meter.count(record),
            None => self.count_unserved(record),
        }
        record.log(meter);
    }

    /// Counts a request that no version took.
    fn count_unserved(&self, record: &RequestRecord<'_>) {
        let labels = RequestLabels {
            environment: record.environment.into(),
            service: record.service.into(),
            version: record.version.into(),
            decision: record.decision.into(),
            outcome: record.label(),
        };
        self.requests.get_or_create_owned(&labels).inc();
    }

    /// Notes that a configuration is served from now on.
    pub fn published(&self, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    /// Notes that a configuration was loaded, with this outcome. After a good outcome nothing is wrong with the files.
    pub fn reloaded(&self, outcome: &'static str, is_good: bool) {
        self.reloads.get_or_create(&ReloadLabels { outcome }).inc();
        if is_good {
            *self.good_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// Sets how many configuration files are wrong now.
    pub fn rejected(&self, files: usize) {
        self.rejected.set(i64::try_from(files).unwrap_or(i64::MAX));
    }

    /// Sets how many files and versions cannot be read for now.
    pub fn unread(&self, files: usize) {
        self.unread.set(i64::try_from(files).unwrap_or(i64::MAX));
    }

    /// Counts records of the history that could not be written.
    pub fn unrecorded(&self, records: usize) {
        self.history_errors.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
    }

    /// Counts lines of the log that were dropped.
    pub fn unlogged(&self, lines: u64) {
        self.log_dropped.inc_by(lines);
    }

    /// Counts a panic on the thread of this name.
    pub fn panicked(&self, task: &str) {
        self.panics.get_or_create_owned(&TaskLabels { task: task.into() }).inc();
    }

    /// The last hour of each version.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The health of the process's own tasks.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Counts that the history's file was gone and was written anew.
    pub fn history_restored(&self) {
        self.history_restored.inc();
    }

    /// All metrics as text. No sample, and so no series, is of a version that had no request: ten thousand services
    /// without traffic add none.
    ///
    /// # Errors
    ///
    /// Where a metric cannot be written as text. All of ours can.
    pub fn render(&self, scrape: Scrape<'_>, format: Format) -> Result<String, std::fmt::Error> {
        let Scrape { generations, shares, states, sockets, certificates } = scrape;
        self.generations.set(i64::try_from(generations).unwrap_or(i64::MAX));
        let good_at = *self.good_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.good_age.set(good_at.elapsed().as_secs_f64());
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        shares::write(&mut text, shares)?;
        states.write(&mut text)?;
        certificates::write(&mut text, certificates)?;
        process::write(&mut text, self.began, sockets)?;
        encode_eof(&mut text)?;
        Ok(format.of(text))
    }
}

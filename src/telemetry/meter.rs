//! The metrics of one version: looked up once, and then only counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::failures::{FailureLog, Key, Suppressed};
use super::histogram::Histogram;
use super::recent::{Counts, Recent};
use super::record::{RequestRecord, SUCCESS};
use super::samples::{MINUTE, Samples};
use super::series::Track;
use super::usage::Usage;
use super::{RequestLabels, RescueLabels, Telemetry, VersionLabels};

/// The metrics of one version. Versions that follow one another under one name share counters, so that the counters go
/// on; errors and samples belong to this version alone.
#[derive(Debug)]
pub struct VersionMeter {
    telemetry: Telemetry,
    labels: VersionLabels,
    /// Made with the first request of a version of this name, and so is the next.
    track: OnceLock<Arc<Track>>,
    /// What its guests use, where guests serve it.
    usage: Option<Usage>,
    in_flight: OnceLock<Gauge>,
    /// Requests of this version alone that have ended: `track` also counts those of versions of the same name that
    /// were replaced.
    ended: AtomicU64,
    errors: AtomicU64,
    samples: Samples<Counts>,
    successes: Successes,
    failures: FailureLog,
}

/// How many decisions have a counter of successes kept by the version.
const KEPT: usize = 8;

/// The counters that nearly every request of a version ends in: one for each decision, in the order in which the
/// decisions first occurred. A service's rules add decisions; those that find no room here are looked up for each
/// request.
#[derive(Debug, Default)]
struct Successes([OnceLock<(Arc<str>, Counter)>; KEPT]);

impl Successes {
    /// The counter of a decision, created if there is room. Takes no lock for a counter that exists.
    fn of(&self, decision: &str, make: impl Fn() -> Counter) -> Option<&Counter> {
        let slots = self.0.iter().map(|slot| slot.get_or_init(|| (decision.into(), make())));
        let mut slots = slots.filter(|(word, _)| **word == *decision);
        slots.next().map(|(_, counter)| counter)
    }
}

impl VersionMeter {
    pub(super) fn new(telemetry: &Telemetry, labels: VersionLabels) -> Self {
        let duration = known(&telemetry.duration, &labels);
        let buckets = duration.as_ref().map(Histogram::buckets).unwrap_or_default();
        let counts = Counts { buckets, ended: 0, errors: 0 };
        Self {
            track: OnceLock::new(),
            usage: None,
            in_flight: OnceLock::new(),
            ended: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            samples: Samples::new(Instant::now(), counts, MINUTE),
            telemetry: telemetry.clone(),
            labels,
            successes: Successes::default(),
            failures: FailureLog::default(),
        }
    }

    /// The same, which also counts what guests use.
    #[must_use]
    pub fn using(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Where requests of this name are counted. Made with the first one.
    fn track(&self) -> &Track {
        self.track.get_or_init(|| {
            let duration = self.telemetry.duration.get_or_create_owned(&self.labels);
            let track = self.telemetry.series.track(&self.labels, &duration);
            self.usage.iter().for_each(|usage| track.using(usage));
            track
        })
    }

    /// Counts a request as in flight until what this returns is dropped.
    pub fn enter(&self) -> InFlight {
        let make = || self.telemetry.in_flight.get_or_create_owned(&self.labels);
        let in_flight = self.in_flight.get_or_init(make);
        in_flight.inc();
        InFlight(in_flight.clone())
    }

    /// Counts a request that has ended.
    pub(super) fn count(&self, record: &RequestRecord<'_>) {
        let track = self.track();
        track.duration.observe(record.duration);
        self.ended.fetch_add(1, Ordering::Relaxed);
        if record.is_error() {
            self.errors.fetch_add(1, Ordering::Relaxed);
            track.failed(record.label());
        }
        let label = record.label();
        let make = || self.counter(record.decision, label);
        let kept = match label {
            SUCCESS => self.successes.of(record.decision, make),
            _ => None,
        };
        match kept {
            Some(successes) => successes.inc(),
            None => make().inc(),
        };
    }

    /// Counts a request that this version failed, and that another version answers: as an error of this one, but among
    /// the requests of the other one, so that each is counted once there.
    pub fn rescued(&self, code: &'static str) {
        self.track().rescued(code);
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(1, Ordering::Relaxed);
        let VersionLabels { environment, service, version } = self.labels.clone();
        let labels = RescueLabels { environment, service, version, outcome: code };
        self.telemetry.rescued.get_or_create_owned(&labels).inc();
    }

    /// Whether a failure with this code, before or after a head was sent, is written to the log, and how many of its
    /// kind were not written. At most one a second is written.
    pub fn admits_warning(&self, code: &'static str, committed: bool) -> Option<Suppressed> {
        self.failures.admit((code, committed), Instant::now())
    }

    /// Samples the counters, tells the metrics of the last minute, and logs how many failures were not logged.
    /// [`recent`](Self::recent) covers the last minute only if this is called every few seconds.
    pub fn sample(&self, now: Instant) {
        let counts = self.counts();
        self.samples.take(now, counts.clone());
        let recent = Recent::of(&self.samples, MINUTE, now, || counts);
        for (share, family) in &self.telemetry.quantiles {
            match recent.quantile(*share) {
                Some(took) => {
                    family.get_or_create_owned(&self.labels).set(took.as_secs_f64());
                }
                // A version without requests has none, and adds no series.
                None => {
                    family.remove(&self.labels);
                }
            }
        }
        self.tell(&self.failures.overdue(now));
    }

    fn tell(&self, failures: &[(Key, u64)]) {
        let VersionLabels { environment, service, version } = &self.labels;
        for ((code, committed), more) in failures {
            tracing::warn!(%environment, %service, %version, code, committed, "{more} more of the same");
        }
    }

    /// What the version did in a window of at most a minute, or since it was made. A window begins at the sample that
    /// was taken last before it or, within it, first: so have a sample taken where one must begin.
    pub fn recent(&self, window: Duration, now: Instant) -> Recent {
        Recent::of(&self.samples, window, now, || self.counts())
    }

    /// Requests that versions of this name are serving now.
    pub fn in_flight(&self) -> u64 {
        let in_flight = known(&self.telemetry.in_flight, &self.labels);
        in_flight.map_or(0, |in_flight| u64::try_from(in_flight.get()).unwrap_or(0))
    }

    /// Errors are read first: each error is also among the requests, which are read after it.
    fn counts(&self) -> Counts {
        let errors = self.errors.load(Ordering::Relaxed);
        let ended = self.ended.load(Ordering::Relaxed);
        let duration = match self.track.get() {
            Some(track) => Some(track.duration.clone()),
            None => known(&self.telemetry.duration, &self.labels),
        };
        let buckets = duration.as_ref().map(Histogram::buckets).unwrap_or_default();
        Counts { buckets, ended, errors }
    }

    fn counter(&self, decision: &str, outcome: &'static str) -> Counter {
        let VersionLabels { environment, service, version } = self.labels.clone();
        let decision = decision.into();
        let labels = RequestLabels { environment, service, version, decision, outcome };
        self.telemetry.requests.get_or_create_owned(&labels)
    }
}

/// The metric of these labels, if there is one.
fn known<M: Clone>(family: &Family<VersionLabels, M>, labels: &VersionLabels) -> Option<M> {
    family.get(labels).map(|metric| metric.clone())
}

impl Drop for VersionMeter {
    fn drop(&mut self) {
        self.tell(&self.failures.rest());
        // The next version of this name tells its own within seconds.
        for (_, family) in &self.telemetry.quantiles {
            family.remove(&self.labels);
        }
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

#[cfg(test)]
mod tests {
    use super::super::record::Fault;
    use super::super::record::tests::{answered, failed};
    use super::super::{Format, Scrape};
    use super::*;

    fn counted(telemetry: &Telemetry, decision: &str, outcome: &str) -> Option<u64> {
        let text = telemetry.render(Scrape::default(), Format::Text).unwrap();
        let labels = format!(r#"version="v1",decision="{decision}",outcome="{outcome}"}} "#);
        let line = text.lines().find(|line| line.contains(&labels))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// More decisions than the version keeps counters for, each with a different label.
    #[test]
    fn decisions_are_counted_apart() {
        let telemetry = Telemetry::default();
        let meter = telemetry.version("default", "greeter", "v1");
        let rules: Vec<_> = (0..2 * KEPT).map(|rule| format!("rule:{rule}")).collect();
        for round in 1..=3 {
            for rule in &rules {
                telemetry.record(&answered(rule, 200), Some(&meter));
                assert_eq!(counted(&telemetry, rule, "2xx"), Some(round), "{rule}");
            }
        }
        telemetry.record(&failed("rule:1", "trap", Fault::Server), Some(&meter));
        assert_eq!(counted(&telemetry, "rule:1", "trap"), Some(1));
        assert_eq!(counted(&telemetry, "rule:1", "2xx"), Some(3));
        assert_eq!(meter.counts().errors, 1);
    }

    /// Requests of the version before end when the next one of its name serves already.
    #[test]
    fn a_replaced_version_is_no_part_of_the_next() {
        let telemetry = Telemetry::default();
        let [before, after] = [(); 2].map(|()| telemetry.version("default", "greeter", "v1"));
        (0..9).for_each(|_| telemetry.record(&answered("random", 200), Some(&before)));
        telemetry.record(&failed("random", "trap", Fault::Server), Some(&after));
        let recent = after.recent(MINUTE, Instant::now());
        assert_eq!((recent.ended(), recent.error_ratio()), (1, Some(1.0)));
    }

    /// The first counter is the one that most requests use.
    #[test]
    fn a_row_is_filled_in_the_order_of_what_it_meets() {
        let telemetry = Telemetry::default();
        let meter = telemetry.version("default", "greeter", "v1");
        for decision in ["random", "rule:beta", "random"] {
            telemetry.record(&answered(decision, 200), Some(&meter));
        }
        let words = meter.successes.0.iter().filter_map(OnceLock::get).map(|(word, _)| &**word);
        assert_eq!(words.collect::<Vec<_>>(), ["random", "rule:beta"]);
    }
}

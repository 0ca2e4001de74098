//! How long requests took, in buckets. prometheus-client's own histogram takes a lock for each request; here a request
//! adds to two atomics. `/metrics` shows the same format.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds, inclusive, of all buckets except the last: from a tenth of a millisecond, as a fresh sandbox takes, to
/// the default wall time.
const BOUNDS: [Duration; 14] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// How many requests took as long as each bucket says, not counting those in lower buckets. The last bucket has the
/// requests above every bound.
pub type Buckets = [u64; BOUNDS.len() + 1];

/// Durations of requests. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// In nanoseconds: enough for five centuries of requests.
    sum: AtomicU64,
}

impl Histogram {
    /// Counts a request of this duration.
    pub fn observe(&self, took: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        if let Some(count) = self.0.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn buckets(&self) -> Buckets {
        self.0.buckets.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let sum = Duration::from_nanos(self.0.sum.load(Ordering::Relaxed)).as_secs_f64();
        let counts = self.buckets();
        // The encoder accumulates the buckets, and takes the largest number for infinity.
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// The duration below which this share of the requests stayed, from 0 to 1; `None` without requests. Within a bucket,
/// requests are taken to be spread evenly, as Prometheus' `histogram_quantile` does. For the last bucket, the answer is
/// its lower bound.
pub fn quantile(buckets: &Buckets, share: f64) -> Option<Duration> {
    let all: u64 = buckets.iter().sum();
    let mut rank = share * all as f64;
    let mut lower = Duration::ZERO;
    for (count, upper) in buckets.iter().map(|count| *count as f64).zip(BOUNDS) {
        if count > 0.0 && rank <= count {
            return Some(lower + (upper - lower).mul_f64((rank / count).clamp(0.0, 1.0)));
        }
        rank -= count;
        lower = upper;
    }
    (all > 0).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::Histogram as Theirs;
    use prometheus_client::registry::{Metric, Registry, Unit};

    fn text(metric: impl Metric) -> String {
        let mut registry = Registry::default();
        registry.register_with_unit("took", "How long", Unit::Seconds, metric);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    fn counted(durations: &[Duration]) -> Buckets {
        let histogram = Histogram::default();
        durations.iter().for_each(|took| histogram.observe(*took));
        histogram.buckets()
    }

    /// On every bound, next to it, and far beyond.
    #[test]
    fn it_reads_as_the_librarys_does() {
        let ours = Histogram::default();
        let theirs = Theirs::new([
            0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0,
            30.0,
        ]);
        // Sums of these are the same in floating point as in nanoseconds.
        let beside = Duration::from_nanos(1 << 9);
        let mut sum = Duration::ZERO;
        for took in BOUNDS.iter().flat_map(|bound| [*bound - beside, *bound, *bound + beside]) {
            ours.observe(took);
            theirs.observe(took.as_secs_f64());
            sum += took;
        }
        let without_sum = |text: String| {
            let lines = text.lines().filter(|line| !line.starts_with("took_seconds_sum"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let shown = text(ours.clone());
        assert!(shown.contains(&format!("took_seconds_sum {}\n", sum.as_secs_f64())), "{shown}");
        assert_eq!(without_sum(shown), without_sum(text(theirs)));
    }

    #[test]
    fn clones_count_together() {
        let histogram = Histogram::default();
        histogram.clone().observe(Duration::from_millis(1));
        assert_eq!(histogram.buckets().iter().sum::<u64>(), 1);
    }

    #[test]
    fn quantiles_are_spread_evenly_within_a_bucket() {
        assert_eq!(quantile(&counted(&[]), 0.5), None);
        // One bucket from 5 ms to 10 ms.
        let even = counted(&[Duration::from_millis(7); 100]);
        assert_eq!(quantile(&even, 0.5), Some(Duration::from_micros(7_500)));
        assert_eq!(quantile(&even, 0.99), Some(Duration::from_micros(9_950)));
        assert_eq!(quantile(&even, 1.0), Some(Duration::from_millis(10)));
        // 98 of 100 within a tenth of a millisecond, the others from half a second to one.
        let fast = [Duration::from_micros(50); 98];
        let slow = [Duration::from_millis(700); 2];
        let uneven = counted(&[fast.as_slice(), &slow].concat());
        assert_eq!(quantile(&uneven, 0.99), Some(Duration::from_millis(750)));
        assert!(quantile(&uneven, 0.5).unwrap() < Duration::from_micros(100));
    }

    #[test]
    fn beyond_the_last_bound_the_bound_is_all_that_is_known() {
        let slow = counted(&[Duration::from_secs(90)]);
        assert_eq!(quantile(&slow, 0.5), Some(Duration::from_secs(30)));
    }
}

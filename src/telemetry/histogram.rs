//! How long requests took. Counts are kept in buckets that are at most 5 % wide, so that a quantile
//! is within 5 % of the truth; `/metrics` shows them added up to the few bounds that Prometheus can
//! sum over versions. Our own, since prometheus-client's takes a lock for each request: here a
//! request adds to two atomics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds in `/metrics`, inclusive: from a fresh sandbox's tenth of a millisecond to the
/// default wall time. Each is also the bound of a bucket.
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

/// Nanoseconds up to which everything is in the first bucket.
const FLOOR: u64 = 10_000;

/// Powers of ten that have buckets, from [`FLOOR`] on: up to 1,000 s. What takes longer is in the
/// last bucket.
const DECADES: usize = 8;

/// Buckets of a decade: 20 from 1 to 2, 30 from 2 to 5, and 25 from 5 to 10, each as wide as the
/// others of its part.
const STEPS: usize = 75;

/// The bucket of what takes longer than every other one's bound.
const LAST: usize = 1 + DECADES * STEPS;

/// Durations of requests. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    first: AtomicU64,
    /// Each is made when a request falls into it: most versions need two or three.
    decades: [OnceLock<Box<[AtomicU64; STEPS]>>; DECADES],
    last: AtomicU64,
    /// Nanoseconds: enough for five centuries of requests.
    sum: AtomicU64,
}

/// How many requests took as long as each bucket says: those buckets that have any, by number, in
/// ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets(Vec<(usize, u64)>);

impl Histogram {
    /// Counts a request that took so long.
    pub fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.0.bucket(bucket(nanoseconds)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        // Never 0, so that every request shows in the sum.
        self.0.sum.fetch_add(nanoseconds.max(1), Ordering::Relaxed);
    }

    /// All durations together, in nanoseconds. It grows with every request.
    pub fn sum(&self) -> u64 {
        self.0.sum.load(Ordering::Relaxed)
    }

    /// What was counted by now.
    pub fn buckets(&self) -> Buckets {
        let Counted { first, decades, last, sum: _ } = &*self.0;
        let made = decades.iter().enumerate().filter_map(|(decade, steps)| {
            let steps = steps.get()?.iter().enumerate();
            Some(steps.map(move |(step, count)| (1 + decade * STEPS + step, count)))
        });
        let all = std::iter::once((0, first)).chain(made.flatten()).chain([(LAST, last)]);
        let counts = all.map(|(bucket, count)| (bucket, count.load(Ordering::Relaxed)));
        Buckets(counts.filter(|(_, count)| *count > 0).collect())
    }
}

impl Counted {
    fn bucket(&self, bucket: usize) -> Option<&AtomicU64> {
        let Some(within) = bucket.checked_sub(1) else { return Some(&self.first) };
        let Some(decade) = self.decades.get(within / STEPS) else { return Some(&self.last) };
        let steps = decade.get_or_init(|| Box::new([const { AtomicU64::new(0) }; STEPS]));
        steps.get(within % STEPS)
    }
}

/// The bucket of a duration in nanoseconds.
fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds <= FLOOR {
        return 0;
    }
    // Upper bounds are inclusive.
    let below = nanoseconds - 1;
    let decade = (below / FLOOR).ilog10();
    // From 20 to 199.
    let twentieths = below / (FLOOR / 20 * 10_u64.pow(decade));
    let step = match twentieths {
        ..40 => twentieths - 20,
        40..100 => 20 + (twentieths - 40) / 2,
        _ => 50 + (twentieths - 100) / 4,
    };
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let decade = usize::try_from(decade).unwrap_or(usize::MAX);
    decade.saturating_mul(STEPS).saturating_add(1 + step).min(LAST)
}

/// The upper bound of a bucket; of the last one, the lower, since no more is known of it.
fn bound(bucket: usize) -> Duration {
    let Some(within) = bucket.min(LAST - 1).checked_sub(1) else {
        return Duration::from_nanos(FLOOR);
    };
    let step = within % STEPS + 1;
    let twentieths = match step {
        ..=20 => 20 + step,
        21..=50 => 40 + (step - 20) * 2,
        _ => 100 + (step - 50) * 4,
    };
    let unit = (0..within / STEPS).fold(FLOOR / 20, |unit, _| unit * 10);
    Duration::from_nanos(unit) * u32::try_from(twentieths).unwrap_or(u32::MAX)
}

impl Buckets {
    /// How many requests there were.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Adds what another histogram counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            match self.0.binary_search_by_key(bucket, |(known, _)| *known) {
                Ok(place) => {
                    if let Some((_, sum)) = self.0.get_mut(place) {
                        *sum += count;
                    }
                }
                Err(place) => self.0.insert(place, (*bucket, *count)),
            }
        }
    }

    /// What was counted after an earlier look.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut before = earlier.0.iter().copied().peekable();
        let mut left = |bucket: usize, count: u64| {
            while before.next_if(|(known, _)| *known < bucket).is_some() {}
            let known = before.next_if(|(known, _)| *known == bucket);
            count.saturating_sub(known.map_or(0, |(_, count)| count))
        };
        let counts = self.0.iter().map(|(bucket, count)| (*bucket, left(*bucket, *count)));
        Self(counts.filter(|(_, count)| *count > 0).collect())
    }

    /// The duration below which this share of the requests stayed, from 0 to 1; none without
    /// requests. At most 5 % off up to 1,000 s: requests of a bucket are taken to be spread evenly
    /// in it.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let mut rank = share * self.total() as f64;
        let mut quantile = None;
        for (bucket, count) in &self.0 {
            let (lower, upper, count) = (lower(*bucket), bound(*bucket), *count as f64);
            let part = (rank / count).clamp(0.0, 1.0);
            quantile = Some(lower + upper.saturating_sub(lower).mul_f64(part));
            if rank <= count {
                break;
            }
            rank -= count;
        }
        quantile
    }

    /// Requests between each of [`BOUNDS`] and the one before it, and beyond the last.
    fn coarse(&self) -> [u64; BOUNDS.len() + 1] {
        let mut counts = [0; BOUNDS.len() + 1];
        for (bucket, count) in &self.0 {
            let upper = if *bucket == LAST { Duration::MAX } else { bound(*bucket) };
            if let Some(sum) = counts.get_mut(BOUNDS.partition_point(|bound| *bound < upper)) {
                *sum += count;
            }
        }
        counts
    }
}

fn lower(bucket: usize) -> Duration {
    bucket.checked_sub(1).map_or(Duration::ZERO, bound)
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let sum = Duration::from_nanos(self.0.sum.load(Ordering::Relaxed)).as_secs_f64();
        let counts = self.buckets().coarse();
        // The encoder adds them up, and knows infinity as the largest number.
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
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

    /// On every bound, beside it, and far beyond.
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
        assert_eq!(histogram.buckets().total(), 1);
    }

    /// Whatever took how long, also at the edges of buckets, parts and decades.
    #[test]
    fn a_quantile_is_within_five_percent() {
        let edges = (0..7).flat_map(|power| [1, 2, 5].map(|first| first * 10_u64.pow(power)));
        let edges =
            edges.flat_map(|micros| [micros * 10_000 - 1, micros * 10_000, micros * 10_000 + 1]);
        let odd = std::iter::successors(Some(10_007), |it| Some(it + it / 210)).take(4_000);
        for nanoseconds in edges.chain(odd).filter(|it| (10_001..=1_000_000_000_000).contains(it)) {
            let took = Duration::from_nanos(nanoseconds);
            let buckets = counted(&[took; 4]);
            for share in [0.01, 0.5, 0.99, 1.0] {
                let shown = buckets.quantile(share).unwrap().as_secs_f64();
                let off = (shown / took.as_secs_f64() - 1.0).abs();
                assert!(off <= 0.0501, "{took:?} is shown as {shown} s at {share}");
            }
        }
    }

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for number in 0..LAST {
            let upper = u64::try_from(bound(number).as_nanos()).unwrap();
            assert_eq!((bucket(upper), bucket(upper + 1)), (number, number + 1));
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, LAST));
        assert!(
            BOUNDS.iter().all(|it| bound(bucket(u64::try_from(it.as_nanos()).unwrap())) == *it)
        );
    }

    #[test]
    fn quantiles_are_spread_evenly_within_a_bucket() {
        assert_eq!(counted(&[]).quantile(0.5), None);
        // One bucket from 6.8 ms to 7 ms.
        let even = counted(&[Duration::from_millis(7); 100]);
        assert_eq!(even.quantile(0.5), Some(Duration::from_micros(6_900)));
        assert_eq!(even.quantile(1.0), Some(Duration::from_millis(7)));
        // 98 of 100 within a tenth of a millisecond, the others at seven tenths of a second.
        let fast = [Duration::from_micros(50); 98];
        let slow = [Duration::from_millis(700); 2];
        let uneven = counted(&[fast.as_slice(), &slow].concat());
        assert_eq!(uneven.quantile(0.99), Some(Duration::from_millis(690)));
        assert!(uneven.quantile(0.5).unwrap() < Duration::from_micros(50));
    }

    #[test]
    fn beyond_the_last_bound_the_bound_is_all_that_is_known() {
        let slow = counted(&[Duration::from_secs(9_000)]);
        assert_eq!(slow.quantile(0.5), Some(Duration::from_secs(1_000)));
    }

    #[test]
    fn a_difference_is_what_was_counted_in_between() {
        let histogram = Histogram::default();
        let millis = |count| Duration::from_millis(count);
        [1, 1, 30].into_iter().for_each(|took| histogram.observe(millis(took)));
        let before = histogram.buckets();
        [1, 4, 9_000].into_iter().for_each(|took| histogram.observe(millis(took)));
        let between = histogram.buckets().since(&before);
        assert_eq!(between, counted(&[millis(1), millis(4), millis(9_000)]));
        assert_eq!((between.total(), before.since(&before)), (3, Buckets::default()));
    }
}

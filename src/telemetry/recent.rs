//! What a version did in the last minute: the difference between its counters then and now.

use std::time::{Duration, Instant};

use super::histogram::Buckets;
use super::samples::{MINUTE, Samples};

/// The shortest time over which a rate is computed, so that one request to a new version does not look like thousands a
/// second.
const SHORTEST: Duration = Duration::from_secs(1);

/// The counts since the counters began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub buckets: Buckets,
    pub errors: u64,
}

/// What a version did lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    pub requests: u64,
    pub requests_per_second: f64,
    /// From 0 to 1: requests that failed, or got a status of 500 or more.
    pub error_rate: f64,
    /// The duration below which half of the requests stayed; `None` without requests.
    pub p50: Option<Duration>,
    /// The same for 99 of 100 requests.
    pub p99: Option<Duration>,
}

impl Recent {
    /// What was done in the last minute, or since the first sample.
    pub fn of(samples: &Samples<Counts>, now: Instant, counts: impl FnOnce() -> Counts) -> Self {
        let held = samples.hold();
        match held.at_start(MINUTE, now) {
            Some(start) => counts().since(&start.counts, start.span(MINUTE, now).max(SHORTEST)),
            None => Self::default(),
        }
    }
}

impl Counts {
    fn since(&self, earlier: &Self, span: Duration) -> Recent {
        let buckets = self.buckets.since(&earlier.buckets);
        let requests = buckets.total();
        let errors = self.errors.saturating_sub(earlier.errors);
        Recent {
            requests,
            requests_per_second: requests as f64 / span.as_secs_f64(),
            error_rate: match requests {
                0 => 0.0,
                // The counters are read one after the other, while requests end.
                requests => (errors as f64 / requests as f64).min(1.0),
            },
            p50: buckets.quantile(0.5),
            p99: buckets.quantile(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::histogram::Histogram;

    const SWEEP: u64 = 5;

    /// Requests of 7 ms, and how many of them were errors.
    fn counts(requests: u64, errors: u64) -> Counts {
        let histogram = Histogram::default();
        (0..requests).for_each(|_| histogram.observe(Duration::from_millis(7)));
        Counts { errors, buckets: histogram.buckets() }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn window(now: Instant, counts: Counts) -> Samples<Counts> {
        Samples::new(now, counts, MINUTE)
    }

    fn recent(window: &Samples<Counts>, now: Instant, counts: Counts) -> Recent {
        Recent::of(window, now, || counts)
    }

    #[track_caller]
    fn assert_rate(recent: &Recent, rate: f64) {
        assert!((recent.requests_per_second - rate).abs() < 1e-9, "{recent:?}, and not {rate}");
    }

    #[test]
    fn a_steady_rate_is_told_as_it_is() {
        let start = Instant::now();
        let window = window(start, Counts::default());
        for second in (0..600).step_by(5) {
            window.take(start + seconds(second), counts(10 * second, second));
        }
        // Between two sweeps of the server.
        let recent = recent(&window, start + seconds(598), counts(5_980, 598));
        assert_rate(&recent, 10.0);
        assert!((recent.error_rate - 0.1).abs() < 1e-9, "{recent:?}");
        assert!((550..=600).contains(&recent.requests), "{recent:?}");
        assert_eq!(recent.p50, Some(Duration::from_micros(6_900)));
        assert_eq!(recent.p99, Some(Duration::from_micros(6_998)));
    }

    #[test]
    fn nothing_done_is_nothing_told() {
        let start = Instant::now();
        let window = window(start, counts(7, 3));
        let recent = recent(&window, start + seconds(30), counts(7, 3));
        assert_eq!(recent, Recent::default(), "what was before it does not count");
    }

    #[test]
    fn a_new_version_is_told_since_it_began() {
        let start = Instant::now();
        let window = window(start, counts(100, 0));
        assert_rate(&recent(&window, start, counts(110, 0)), 10.0);
        assert_rate(&recent(&window, start + seconds(2), counts(110, 0)), 5.0);
        assert_rate(&recent(&window, start + seconds(40), counts(110, 0)), 0.25);
    }

    #[test]
    fn a_burst_after_a_long_rest_is_spread_over_the_minute() {
        let start = Instant::now();
        let window = window(start, Counts::default());
        for second in (0..=600).step_by(5) {
            window.take(start + seconds(second), Counts::default());
        }
        assert_rate(&recent(&window, start + seconds(602), counts(60, 0)), 1.0);
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let start = Instant::now();
        let window = window(start, Counts::default());
        window.take(start + seconds(5), counts(1_000, 1_000));
        for second in (10..=70).step_by(5) {
            window.take(start + seconds(second), counts(1_000, 1_000));
        }
        let recent = recent(&window, start + seconds(70), counts(1_000, 1_000));
        assert_eq!(recent, Recent::default());
    }

    /// After the machine has slept, there is no newer sample to compare with.
    #[test]
    fn a_late_look_is_told_over_the_time_that_it_is_of() {
        let start = Instant::now();
        let window = window(start, Counts::default());
        window.take(start + seconds(SWEEP), Counts::default());
        let recent = recent(&window, start + seconds(SWEEP + 120), counts(240, 0));
        assert_rate(&recent, 2.0);
    }
}

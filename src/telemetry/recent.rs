//! What a version did lately: the difference between its counters then and now.

use std::time::{Duration, Instant};

use super::histogram::Buckets;
use super::samples::{MINUTE, Samples};

/// The counts since the counters began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub buckets: Buckets,
    pub ended: u64,
    pub errors: u64,
}

/// The requests that ended lately: how many, with what, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent(Counts);

impl Recent {
    /// What has ended in a window of at most a minute, or since the first sample.
    pub fn of(
        samples: &Samples<Counts>,
        window: Duration,
        now: Instant,
        counts: impl FnOnce() -> Counts,
    ) -> Self {
        let held = samples.hold();
        match held.at_start(window.min(MINUTE), now) {
            Some(start) => Self(counts().since(&start.counts)),
            None => Self::default(),
        }
    }

    /// Adds what another version did.
    pub fn add(&mut self, other: &Self) {
        self.0.buckets.add(&other.0.buckets);
        self.0.ended += other.0.ended;
        self.0.errors += other.0.errors;
    }

    /// Requests that ended.
    pub fn ended(&self) -> u64 {
        self.0.ended
    }

    /// From 0 to 1: of the requests that ended, those that failed or got a status of 500 or more; `None` without
    /// requests.
    pub fn error_ratio(&self) -> Option<f64> {
        let ended = self.ended();
        // The counters are read one after the other, while requests end.
        (ended > 0).then(|| (self.0.errors as f64 / ended as f64).min(1.0))
    }

    /// The duration below which this share of the requests stayed, from 0 to 1; `None` without requests.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        self.0.buckets.quantile(share)
    }
}

impl Counts {
    fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.since(&earlier.buckets);
        let ended = self.ended.saturating_sub(earlier.ended);
        Self { buckets, ended, errors: self.errors.saturating_sub(earlier.errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::histogram::Histogram;

    /// Requests of 7 ms, and how many of them were errors.
    fn counts(requests: u64, errors: u64) -> Counts {
        let histogram = Histogram::default();
        (0..requests).for_each(|_| histogram.observe(Duration::from_millis(7)));
        Counts { errors, ended: requests, buckets: histogram.buckets() }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn window(now: Instant, counts: Counts) -> Samples<Counts> {
        Samples::new(now, counts, MINUTE)
    }

    fn recent(window: &Samples<Counts>, now: Instant, counts: Counts) -> Recent {
        Recent::of(window, MINUTE, now, || counts)
    }

    #[test]
    fn the_last_minute_is_told_as_it_is() {
        let start = Instant::now();
        let window = window(start, Counts::default());
        for second in (0..600).step_by(5) {
            window.take(start + seconds(second), counts(10 * second, second));
        }
        // Between two sweeps of the server.
        let recent = recent(&window, start + seconds(598), counts(5_980, 598));
        assert_eq!((recent.ended(), recent.error_ratio()), (580, Some(0.1)));
        assert_eq!(recent.quantile(0.5), Some(Duration::from_micros(6_900)));
        assert_eq!(recent.quantile(0.99), Some(Duration::from_micros(6_998)));
    }

    #[test]
    fn nothing_done_is_nothing_told() {
        let start = Instant::now();
        let window = window(start, counts(7, 3));
        let recent = recent(&window, start + seconds(30), counts(7, 3));
        assert_eq!(recent, Recent::default(), "what was before it does not count");
        assert_eq!((recent.error_ratio(), recent.quantile(0.5)), (None, None));
    }

    /// A publish changes the traffic: what ended before it says nothing about it.
    #[test]
    fn a_window_may_begin_with_a_publish() {
        let start = Instant::now();
        let window = window(start, Counts::default());
        for second in (5..=120).step_by(5) {
            window.take(start + seconds(second), counts(second, second));
        }
        let published = start + seconds(122);
        window.take(published, counts(122, 122));
        window.take(start + seconds(125), counts(125, 122));
        let now = start + seconds(126);
        let since = Recent::of(&window, now - published, now, || counts(126, 122));
        assert_eq!((since.ended(), since.error_ratio()), (4, Some(0.0)));
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

    /// The figures of a service are those of all its requests, and no mean of its versions' figures.
    #[test]
    fn versions_are_added_up() {
        let mut all = Recent(counts(98, 0));
        let slow = Histogram::default();
        (0..2).for_each(|_| slow.observe(Duration::from_millis(700)));
        all.add(&Recent(Counts { buckets: slow.buckets(), ended: 2, errors: 2 }));
        assert_eq!((all.ended(), all.error_ratio()), (100, Some(0.02)));
        assert_eq!(all.quantile(0.5).map(|it| it.as_millis()), Some(6));
        assert_eq!(all.quantile(0.99), Some(Duration::from_millis(690)));
    }
}

//! How many requests of a service were refused before a version was chosen, because too many came.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::samples::{MINUTE, Samples};

/// Counts the refused requests of one service.
#[derive(Debug)]
pub struct Refusals {
    count: AtomicU64,
    samples: Samples<u64>,
}

impl Refusals {
    /// A count that begins now.
    pub fn new(now: Instant) -> Self {
        Self { count: AtomicU64::new(0), samples: Samples::new(now, 0, MINUTE) }
    }

    /// Counts one.
    pub fn count(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a sample. The last minute is one only if this is called every few seconds.
    pub fn sample(&self, now: Instant) {
        self.samples.take(now, self.total());
    }

    /// All since the count began.
    pub fn total(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Those of the last minute.
    pub fn in_minute(&self, now: Instant) -> u64 {
        let held = self.samples.hold();
        let before = held.at_start(MINUTE, now).map_or(0, |sample| sample.counts);
        self.total().saturating_sub(before)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_minute_is_told_from_the_time_before() {
        let start = Instant::now();
        let refusals = Refusals::new(start);
        for second in (0..120).step_by(5) {
            refusals.count();
            refusals.sample(start + Duration::from_secs(second));
        }
        let now = start + Duration::from_secs(120);
        refusals.count();
        assert_eq!((refusals.total(), refusals.in_minute(now)), (25, 12));
        assert_eq!(refusals.in_minute(now + Duration::from_secs(600)), 1);
    }
}

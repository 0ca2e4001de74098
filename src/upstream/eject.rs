//! Passive health: a target that fails requests in a row gets none for a while.
//!
//! What is counted belongs to the target, for everybody with the same settings; whether so many targets may be
//! ejected is for each upstream to say: see [`TargetSet::may_eject`](super::balance::TargetSet::may_eject).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::moment::Moment;
use crate::config::EjectSpec;

/// After this time without a failure, the next one is the first in a row: responses that never end are no news, and
/// would let failures of different days add up.
const STREAK: Duration = Duration::from_secs(60);

/// After this time without an ejection, the next one is short again.
const FORGIVEN: Duration = Duration::from_secs(600);

/// The failures of one target, and its ejections for them.
#[derive(Debug)]
pub(super) struct Ejection {
    failures: u32,
    duration: Duration,
    in_a_row: AtomicU32,
    last_failure: Moment,
    /// The beginning and the end of the last ejection.
    began: Moment,
    until: Moment,
    last: Mutex<Last>,
}

/// The last ejection.
#[derive(Clone, Debug)]
pub(super) struct Last {
    /// How many there were, not forgiven by then.
    times: u32,
    /// How many there were.
    pub count: u64,
    pub since: SystemTime,
    pub why: String,
}

impl Ejection {
    pub fn new(spec: &EjectSpec) -> Self {
        Self {
            failures: spec.failures.get(),
            duration: spec.duration,
            in_a_row: AtomicU32::new(0),
            last_failure: Moment::none(),
            began: Moment::none(),
            until: Moment::none(),
            last: Mutex::new(Last {
                times: 0,
                count: 0,
                since: SystemTime::now(),
                why: String::new(),
            }),
        }
    }

    /// The end of the last ejection, which may be over.
    pub fn until(&self) -> Option<Instant> {
        self.until.get()
    }

    pub fn is_ejected(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| until > now)
    }

    pub fn count_success(&self) {
        // Only read as long as all is well, so that workers share the line.
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure. Whether there were too many in a row.
    pub fn count_failure(&self, now: Instant) -> bool {
        let last = self.last_failure.get();
        self.last_failure.set(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) > STREAK) {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        let before = self.in_a_row.fetch_add(1, Ordering::Relaxed);
        before.saturating_add(1) >= self.failures
    }

    /// Ejects the target, longer than the last time. Returns for how long.
    pub fn eject(&self, now: Instant, why: &str) -> Duration {
        let mut last = self.last();
        let is_forgiven = self.until().is_none_or(|until| now > until + FORGIVEN);
        last.times = if is_forgiven { 0 } else { last.times.saturating_add(1) };
        last.count += 1;
        (last.since, last.why) = (SystemTime::now(), why.to_owned());
        let doubled = 2_u32.saturating_pow(last.times);
        let length = self.duration.saturating_mul(doubled).min(EjectSpec::LONGEST);
        self.began.set(now);
        self.until.set(now + length);
        self.in_a_row.store(0, Ordering::Relaxed);
        length
    }

    /// Since when the target is ejected, if it is.
    pub fn began(&self, now: Instant) -> Option<Instant> {
        self.began.get().filter(|_| self.is_ejected(now))
    }

    /// Ends an ejection early.
    pub fn end(&self, now: Instant) {
        self.until.set(now);
    }

    pub fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ejection() -> Ejection {
        Ejection::new(&EjectSpec::default())
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_in_a_row_count() {
        let ejection = ejection();
        let now = Instant::now();
        for _ in 0..3 {
            let counted: Vec<_> = (0..4).map(|_| ejection.count_failure(now)).collect();
            assert_eq!(counted, [false; 4]);
            ejection.count_success();
        }
        let counted: Vec<_> = (0..6).map(|_| ejection.count_failure(now)).collect();
        assert_eq!(counted, [false, false, false, false, true, true]);
    }

    /// As on a target whose responses never end.
    #[tokio::test(start_paused = true)]
    async fn failures_far_apart_are_not_in_a_row() {
        let ejection = ejection();
        let now = Instant::now();
        for minute in 0..20 {
            assert!(!ejection.count_failure(now + STREAK * 2 * minute));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_ejection_is_twice_as_long_up_to_five_minutes_and_is_forgiven() {
        let ejection = ejection();
        let mut now = Instant::now();
        let mut lengths = Vec::new();
        for _ in 0..7 {
            let length = ejection.eject(now, "no answer");
            assert!(ejection.is_ejected(now + length - Duration::from_millis(1)));
            now += length;
            assert!(!ejection.is_ejected(now));
            lengths.push(length.as_secs());
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 300, 300]);
        now += FORGIVEN + Duration::from_millis(1);
        assert_eq!(ejection.eject(now, "no answer").as_secs(), 10);
        assert_eq!(ejection.last().why, "no answer");
    }
}

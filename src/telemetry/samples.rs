//! Values of counters at times in the past, so that the growth since then can be computed. The server's sweeper takes
//! samples every few seconds. Counters that do not change keep one sample, however long that lasts: there may be tens
//! of thousands of idle versions.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(60 * 60);

/// Samples of counters that only grow: all samples of the last minute and, for the time before, one a minute, as far
/// back as needed.
#[derive(Debug)]
pub struct Samples<C> {
    longest: Duration,
    /// The oldest first; never empty.
    samples: Mutex<Vec<Sample<C>>>,
}

/// A value of the counters, with the first and the last time at which they had it.
#[derive(Debug)]
pub struct Sample<C> {
    from: Instant,
    until: Instant,
    pub counts: C,
}

/// The samples, locked so that no sample is added meanwhile.
pub struct Held<'a, C>(MutexGuard<'a, Vec<Sample<C>>>);

impl<C: PartialEq> Samples<C> {
    /// Samples that begin now, for windows of up to `longest`.
    pub fn new(now: Instant, counts: C, longest: Duration) -> Self {
        let first = Sample { from: now, until: now, counts };
        Self { longest, samples: Mutex::new(vec![first]) }
    }

    /// Takes a sample, and forgets those that no window needs any more. Windows have their stated length only if this
    /// is called every few seconds.
    pub fn take(&self, now: Instant, counts: C) {
        let Held(mut samples) = self.hold();
        match samples.last_mut() {
            Some(last) if last.counts == counts => last.until = now,
            _ => samples.push(Sample { from: now, until: now, counts }),
        }
        thin(&mut samples, now, self.longest);
    }

    /// The same samples of other counters, made from these.
    pub fn map(&self, change: impl Fn(&C) -> C) -> Self {
        let Held(samples) = self.hold();
        let one = |Sample { from, until, counts }: &Sample<C>| Sample {
            from: *from,
            until: *until,
            counts: change(counts),
        };
        Self { longest: self.longest, samples: Mutex::new(samples.iter().map(one).collect()) }
    }

    /// Locks the samples: counters that are read after this are newer than all of them.
    pub fn hold(&self) -> Held<'_, C> {
        Held(self.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<C> Held<'_, C> {
    /// The sample at the beginning of a window that ends now: the oldest one within the window, or else the last one
    /// before it.
    pub fn at_start(&self, window: Duration, now: Instant) -> Option<&Sample<C>> {
        let Self(samples) = self;
        samples.iter().find(|sample| sample.age(now) <= window).or(samples.last())
    }

    /// How many samples are kept, and how many there is room for.
    #[cfg(test)]
    pub fn size(&self) -> (usize, usize) {
        (self.0.len(), self.0.capacity())
    }
}

impl<C> Sample<C> {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.until)
    }

    /// For how much of a window the counters have been watched: all of it, unless watching began within the window.
    /// More than the window if the last sample is older.
    pub fn span(&self, window: Duration, now: Instant) -> Duration {
        now.saturating_duration_since(self.from).min(window.max(self.age(now)))
    }
}

/// Keeps all samples of the last minute, and before that one a minute.
fn thin<C>(samples: &mut Vec<Sample<C>>, now: Instant, longest: Duration) {
    let mut last: Option<Instant> = None;
    samples.retain(|sample| {
        let age = sample.age(now);
        let is_apart = || last.is_none_or(|last| sample.until.duration_since(last) >= MINUTE);
        let is_needed = age <= MINUTE || (age <= longest && is_apart());
        if is_needed {
            last = Some(sample.until);
        }
        is_needed
    });
    if samples.len() == 1 {
        samples.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// How many samples two hours of a busy counter take, and how many an idle one.
    #[test]
    fn samples_are_few_and_those_of_an_idle_counter_one() {
        for (longest, most) in [(MINUTE, 14), (HOUR, 74)] {
            let start = Instant::now();
            let samples = Samples::new(start, 0, longest);
            assert_eq!(samples.hold().size(), (1, 1));
            for second in (5..7_200).step_by(5) {
                samples.take(start + seconds(second), second);
                assert!(samples.hold().size().0 <= most, "{:?}", samples.hold().size());
            }
            assert!(samples.hold().size().0 >= most - 2, "{:?}", samples.hold().size());
            for second in (7_200..12_000).step_by(5) {
                samples.take(start + seconds(second), 0);
            }
            assert_eq!(samples.hold().size(), (1, 1));
        }
    }

    #[test]
    fn a_window_begins_within_its_length_or_at_the_last_look() {
        let start = Instant::now();
        let samples = Samples::new(start, 0, MINUTE);
        for second in [5, 10, 15] {
            samples.take(start + seconds(second), second);
        }
        let at_start = |now| {
            let now = start + seconds(now);
            let held = samples.hold();
            let sample = held.at_start(MINUTE, now).unwrap();
            (sample.counts, sample.span(MINUTE, now))
        };
        assert_eq!(at_start(20), (0, seconds(20)), "watched for less than a minute");
        assert_eq!(at_start(62), (5, seconds(57)));
        assert_eq!(at_start(75), (15, seconds(60)));
        assert_eq!(at_start(200), (15, seconds(185)), "nobody has looked for longer");
    }
}

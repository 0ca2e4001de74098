//! How often each version of a split was drawn: in the last minute, in the last hour, and since the split was
//! published. The gateway counts the draws. A busy service keeps some seventy samples, which are 6 kB for two versions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::chance::Comparison;
use super::samples::{HOUR, MINUTE, Samples};

/// How often each version was drawn, by its index in the split.
pub type Draws = Box<[u64]>;

/// Draws of one split's versions: decisions at random.
#[derive(Debug)]
pub struct Tally {
    drawn: Box<[AtomicU64]>,
    samples: Samples<Draws>,
}

/// A value for the last minute, for the last hour, and for all the time since the split was published. No window begins
/// before that publish. The first may be too short by the time between two samples, the second by up to a minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows<T> {
    pub minute: T,
    pub hour: T,
    pub since_publish: T,
}

impl Tally {
    /// A tally for this many versions, which begins now.
    pub fn new(now: Instant, versions: usize) -> Self {
        let drawn: Box<[_]> = (0..versions).map(|_| AtomicU64::new(0)).collect();
        let samples = Samples::new(now, read(&drawn), HOUR);
        Self { drawn, samples }
    }

    /// Counts a draw of the version with this index. An index without a counter is ignored.
    pub fn drew(&self, index: usize) {
        if let Some(count) = self.drawn.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a sample. Windows have their stated length only if this is called every few seconds.
    pub fn sample(&self, now: Instant) {
        self.samples.take(now, read(&self.drawn));
    }

    /// The draws in each window.
    pub fn observed(&self, now: Instant) -> Windows<Draws> {
        let held = self.samples.hold();
        let drawn = read(&self.drawn);
        let within = |window| match held.at_start(window, now) {
            Some(start) => since(&drawn, &start.counts),
            None => drawn.clone(),
        };
        Windows { minute: within(MINUTE), hour: within(HOUR), since_publish: drawn.clone() }
    }
}

impl Windows<Draws> {
    /// The draws of one version in each window, compared with its share from 0 to 1.
    pub fn compare(&self, index: usize, share: f64) -> Windows<Comparison> {
        self.map(|draws| {
            let drawn = draws.get(index).copied().unwrap_or(0);
            Comparison::new(drawn, draws.iter().sum(), share)
        })
    }
}

impl<T> Windows<T> {
    /// The same windows with another value in each.
    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> Windows<U> {
        let Self { minute, hour, since_publish } = self;
        Windows { minute: change(minute), hour: change(hour), since_publish: change(since_publish) }
    }
}

fn read(drawn: &[AtomicU64]) -> Draws {
    drawn.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

fn since(drawn: &[u64], earlier: &[u64]) -> Draws {
    drawn.iter().zip(earlier).map(|(count, before)| count.saturating_sub(*before)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Draws of both versions in each window.
    fn observed(tally: &Tally, now: Instant) -> [[u64; 2]; 3] {
        let Windows { minute, hour, since_publish } = tally.observed(now);
        [minute, hour, since_publish].map(|draws| [draws[0], draws[1]])
    }

    /// Samples every five seconds from one second to another, after this many draws of each version.
    fn run(tally: &Tally, start: Instant, within: std::ops::Range<u64>, each: [u64; 2]) {
        for second in within.step_by(5) {
            for (index, draws) in each.into_iter().enumerate() {
                (0..draws).for_each(|_| tally.drew(index));
            }
            tally.sample(start + seconds(second));
        }
    }

    #[test]
    fn windows_tell_of_their_time() {
        let start = Instant::now();
        let tally = Tally::new(start, 2);
        run(&tally, start, 5..7_205, [9, 1]);
        let [minute, hour, publish] = observed(&tally, start + seconds(7_200));
        assert_eq!(minute, [9 * 12, 12]);
        assert!((59 * 12..=60 * 12).contains(&hour[1]) && hour[0] == 9 * hour[1], "{hour:?}");
        assert_eq!(publish, [9 * 1_440, 1_440]);
        // No sample is taken meanwhile, and the draws count nevertheless.
        tally.drew(1);
        assert_eq!(observed(&tally, start + seconds(7_202))[2], [9 * 1_440, 1_441]);
        assert_eq!(observed(&tally, start + seconds(7_202))[0], [9 * 11, 12]);
    }

    #[test]
    fn no_window_begins_before_the_tally() {
        let start = Instant::now();
        let tally = Tally::new(start, 2);
        tally.drew(0);
        assert_eq!(observed(&tally, start), [[1, 0]; 3]);
        run(&tally, start, 5..65, [1, 1]);
        assert_eq!(observed(&tally, start + seconds(60)), [[13, 12]; 3]);
        run(&tally, start, 65..605, [1, 0]);
        let [minute, hour, publish] = observed(&tally, start + seconds(600));
        assert_eq!((minute, hour, publish), ([12, 0], [121, 12], [121, 12]));
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let start = Instant::now();
        let tally = Tally::new(start, 2);
        run(&tally, start, 5..305, [2, 1]);
        run(&tally, start, 305..1_205, [0, 0]);
        assert_eq!(observed(&tally, start + seconds(1_200)), [[0, 0], [120, 60], [120, 60]]);
        run(&tally, start, 1_205..4_205, [0, 0]);
        assert_eq!(observed(&tally, start + seconds(4_200)), [[0, 0], [0, 0], [120, 60]]);
    }

    /// After the machine has slept, there is no newer sample to compare with.
    #[test]
    fn a_late_look_is_told_of_what_came_since() {
        let start = Instant::now();
        let tally = Tally::new(start, 2);
        run(&tally, start, 5..65, [1, 1]);
        tally.drew(1);
        assert_eq!(observed(&tally, start + seconds(7_200)), [[0, 1], [0, 1], [12, 13]]);
    }

    #[test]
    fn an_index_of_no_version_counts_nothing() {
        let tally = Tally::new(Instant::now(), 2);
        tally.drew(2);
        assert_eq!(observed(&tally, Instant::now()), [[0, 0]; 3]);
    }

    #[test]
    fn versions_are_compared_by_their_share() {
        let now = Instant::now();
        let tally = Tally::new(now, 2);
        (0..60).for_each(|_| tally.drew(0));
        (0..40).for_each(|_| tally.drew(1));
        let compared = tally.observed(now).compare(1, 0.5);
        assert_eq!(compared.minute, Comparison::new(40, 100, 0.5));
        assert_eq!((&compared.hour, &compared.since_publish), (&compared.minute, &compared.minute));
        let fair = tally.observed(now).compare(1, 0.4);
        assert_eq!(fair.minute.p_value, 1.0);
    }
}

//! How often a request was decided for each version of a service: in the last minute, in the last hour, and since a
//! publish last changed the service's traffic. The gateway counts each decision by one atomic addition. A busy service
//! keeps some seventy samples, which are 9 kB for two versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::chance::Comparison;
use super::samples::{HOUR, MINUTE, Samples};

/// How many requests were decided for one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// By the service's own shares, at random or in turns.
    pub drawn: u64,
    /// By an override, a rule, a sticky key, or because the version is the latest.
    pub led: u64,
}

/// The decisions for each version, by its index.
type Counted = Box<[Decisions]>;

#[derive(Debug, Default)]
struct Counter {
    drawn: AtomicU64,
    led: AtomicU64,
}

/// Counts the decisions of one service, by the index of the version in what is served.
#[derive(Debug)]
pub struct Tally {
    began: Instant,
    counters: Box<[Arc<Counter>]>,
    samples: Samples<Counted>,
}

/// What was decided in a window of time that ends now.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// How long the window is: for all versions of the service the same.
    pub length: Duration,
    decisions: Box<[Decisions]>,
}

/// A value for the last minute, for the last hour, and for all the time since a publish last changed the service's
/// traffic. No window begins before that publish. The first may be too short by the time between two samples, the
/// second by up to a minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows<T> {
    pub minute: T,
    pub hour: T,
    pub since_publish: T,
}

impl Decisions {
    /// All of them.
    pub fn total(self) -> u64 {
        self.drawn + self.led
    }

    fn since(self, earlier: Self) -> Self {
        let Self { drawn, led } = self;
        let (drawn, led) = (drawn.saturating_sub(earlier.drawn), led.saturating_sub(earlier.led));
        Self { drawn, led }
    }
}

impl Counter {
    fn read(&self) -> Decisions {
        let Self { drawn, led } = self;
        Decisions { drawn: drawn.load(Ordering::Relaxed), led: led.load(Ordering::Relaxed) }
    }
}

impl Tally {
    /// A tally for this many versions, which begins now.
    pub fn new(now: Instant, versions: usize) -> Self {
        let counters: Box<[Arc<Counter>]> = (0..versions).map(|_| Arc::default()).collect();
        let samples = Samples::new(now, read(&counters), HOUR);
        Self { began: now, counters, samples }
    }

    /// The same tally for versions in another order: for each, its index in this tally, or `None` for a new one. The
    /// counters are shared, so that no decision is lost that still counts here.
    #[must_use]
    pub fn reordered(&self, places: &[Option<usize>]) -> Self {
        let counter = |place: &Option<usize>| place.and_then(|place| self.counters.get(place));
        let counters = places.iter().map(|place| counter(place).cloned().unwrap_or_default());
        let decided = |decisions: &Counted| -> Counted {
            let one = |place: &Option<usize>| place.and_then(|place| decisions.get(place).copied());
            places.iter().map(|place| one(place).unwrap_or_default()).collect()
        };
        let samples = self.samples.map(decided);
        Self { began: self.began, counters: counters.collect(), samples }
    }

    /// Counts a decision for the version with this index. An index without a counter is ignored.
    pub fn decided(&self, index: usize, is_drawn: bool) {
        if let Some(Counter { drawn, led }) = self.counters.get(index).map(Arc::as_ref) {
            let count = if is_drawn { drawn } else { led };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a sample. Windows have their stated length only if this is called every few seconds.
    pub fn sample(&self, now: Instant) {
        self.samples.take(now, read(&self.counters));
    }

    /// How long ago the tally began.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// The decisions in each window.
    pub fn observed(&self, now: Instant) -> Windows<Window> {
        let held = self.samples.hold();
        let decided = read(&self.counters);
        let whole = || Window { length: self.age(now), decisions: decided.clone() };
        let within = |window| match held.at_start(window, now) {
            Some(start) => Window {
                length: start.span(window, now),
                decisions: since(&decided, &start.counts),
            },
            None => whole(),
        };
        Windows { minute: within(MINUTE), hour: within(HOUR), since_publish: whole() }
    }
}

impl Window {
    /// The decisions for one version.
    pub fn of(&self, index: usize) -> Decisions {
        self.decisions.get(index).copied().unwrap_or_default()
    }

    /// The decisions for all versions.
    pub fn total(&self) -> u64 {
        self.decisions.iter().map(|it| it.total()).sum()
    }

    /// The draws of one version, compared with its share from 0 to 1.
    pub fn compare(&self, index: usize, share: f64) -> Comparison {
        let of = self.decisions.iter().map(|it| it.drawn).sum();
        Comparison::new(self.of(index).drawn, of, share)
    }
}

impl<T> Windows<T> {
    /// The same windows with another value in each.
    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> Windows<U> {
        let Self { minute, hour, since_publish } = self;
        Windows { minute: change(minute), hour: change(hour), since_publish: change(since_publish) }
    }
}

fn read(counters: &[Arc<Counter>]) -> Box<[Decisions]> {
    counters.iter().map(|counter| counter.read()).collect()
}

fn since(decided: &[Decisions], earlier: &[Decisions]) -> Box<[Decisions]> {
    decided.iter().zip(earlier).map(|(now, before)| now.since(*before)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Draws of both versions in each window.
    fn observed(tally: &Tally, now: Instant) -> [[u64; 2]; 3] {
        let Windows { minute, hour, since_publish } = tally.observed(now);
        [minute, hour, since_publish].map(|window| [0, 1].map(|index| window.of(index).drawn))
    }

    /// Samples every five seconds from one second to another, after this many draws of each version.
    fn run(tally: &Tally, start: Instant, within: std::ops::Range<u64>, each: [u64; 2]) {
        for second in within.step_by(5) {
            for (index, draws) in each.into_iter().enumerate() {
                (0..draws).for_each(|_| tally.decided(index, true));
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
        tally.decided(1, true);
        assert_eq!(observed(&tally, start + seconds(7_202))[2], [9 * 1_440, 1_441]);
        assert_eq!(observed(&tally, start + seconds(7_202))[0], [9 * 11, 12]);
    }

    #[test]
    fn no_window_begins_before_the_tally() {
        let start = Instant::now();
        let tally = Tally::new(start, 2);
        tally.decided(0, true);
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
        tally.decided(1, true);
        assert_eq!(observed(&tally, start + seconds(7_200)), [[0, 1], [0, 1], [12, 13]]);
    }

    #[test]
    fn an_index_of_no_version_counts_nothing() {
        let tally = Tally::new(Instant::now(), 2);
        tally.decided(2, true);
        assert_eq!(observed(&tally, Instant::now()), [[0, 0]; 3]);
    }

    #[test]
    fn versions_are_compared_by_their_share() {
        let now = Instant::now();
        let tally = Tally::new(now, 2);
        (0..60).for_each(|_| tally.decided(0, true));
        (0..40).for_each(|_| tally.decided(1, true));
        let compared = tally.observed(now).map(|it| it.compare(1, 0.5));
        assert_eq!(compared.minute, Comparison::new(40, 100, 0.5));
        assert_eq!((&compared.hour, &compared.since_publish), (&compared.minute, &compared.minute));
        let fair = tally.observed(now).map(|it| it.compare(1, 0.4));
        assert_eq!(fair.minute.p_value, 1.0);
    }

    /// Whatever decided counts for what the version had; only draws are compared with its share.
    #[test]
    fn what_is_led_to_a_version_is_no_draw() {
        let now = Instant::now();
        let tally = Tally::new(now, 2);
        [0, 0, 1].into_iter().for_each(|index| tally.decided(index, true));
        tally.decided(1, false);
        let minute = tally.observed(now).minute;
        assert_eq!(minute.of(1), Decisions { drawn: 1, led: 1 });
        assert_eq!((minute.of(1).total(), minute.total()), (2, 4));
        assert_eq!(minute.compare(1, 0.5), Comparison::new(1, 3, 0.5));
    }

    /// All versions of a service are measured over the same time.
    #[test]
    fn a_window_says_how_long_it_is() {
        let start = Instant::now();
        let tally = Tally::new(start, 2);
        let lengths = |now| {
            let Windows { minute, hour, since_publish } = tally.observed(start + seconds(now));
            [minute, hour, since_publish].map(|window| window.length.as_secs())
        };
        assert_eq!(lengths(4), [4, 4, 4]);
        run(&tally, start, 5..605, [1, 1]);
        assert_eq!(lengths(602), [57, 602, 602]);
        assert_eq!(lengths(605), [60, 605, 605]);
    }

    /// A version is added or deleted without any change of the traffic.
    #[test]
    fn counts_follow_their_versions() {
        let start = Instant::now();
        let old = Tally::new(start, 2);
        run(&old, start, 5..65, [2, 1]);
        run(&old, start, 65..125, [0, 1]);
        let now = start + seconds(125);
        let new = old.reordered(&[None, Some(1), Some(0)]);
        // A request that still has the snapshot before.
        old.decided(0, true);
        let Windows { minute, since_publish, .. } = new.observed(now);
        let drawn = |window: &Window| [0, 1, 2].map(|index| window.of(index).drawn);
        assert_eq!(drawn(&since_publish), [0, 24, 25]);
        assert_eq!(drawn(&minute), [0, 11, 1]);
        assert_eq!(new.age(now), seconds(125));
    }
}

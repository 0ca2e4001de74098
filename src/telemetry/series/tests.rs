//! Steps of a version's last hour, by a clock that the test moves.

use std::time::Duration;

use super::super::Telemetry;
use super::super::record::Fault;
use super::super::record::tests::{answered, failed};
use super::*;

const START: Duration = Duration::from_secs(1_795_666_590);

/// A service whose clock the test moves.
struct Run {
    telemetry: Telemetry,
    start: Instant,
}

impl Run {
    fn new() -> Self {
        let start = Instant::now();
        let series = Arc::new(Series::new(start, SystemTime::UNIX_EPOCH + START));
        Self { telemetry: Telemetry { series, ..Telemetry::default() }, start }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn sample(&self, seconds: u64) {
        let wall = SystemTime::UNIX_EPOCH + START + Duration::from_secs(seconds);
        self.telemetry.series.sample(self.at(seconds), wall);
    }

    fn series(&self, resolution: Resolution) -> VersionSeries {
        let window = self.telemetry.series.window(("default", "greeter"), resolution, None);
        window.versions.into_iter().next().unwrap_or_default()
    }

    fn meter(&self) -> super::super::VersionMeter {
        self.telemetry.version("default", "greeter", "v1")
    }
}

fn sum(series: &[u64]) -> u64 {
    series.iter().sum()
}

#[test]
fn each_second_has_what_ended_in_it() {
    let run = Run::new();
    let meter = run.meter();
    for second in 1..=25 {
        (0..second).for_each(|_| run.telemetry.record(&answered("random", 200), Some(&meter)));
        if second % 5 == 0 {
            run.telemetry.record(&failed("random", "trap", Fault::Server), Some(&meter));
            run.telemetry.record(&answered("random", 503), Some(&meter));
        }
        run.telemetry.record(&failed("random", "client-gone", Fault::Client), Some(&meter));
        run.sample(second);
    }
    let seconds = run.series(Resolution::Second);
    assert_eq!(seconds.requests.len(), 25);
    let expected: Vec<u64> = (1..=25).map(|it| it + 1 + if it % 5 == 0 { 2 } else { 0 }).collect();
    assert_eq!(seconds.requests, expected);
    assert_eq!((sum(&seconds.failed), sum(&seconds.codes["trap"])), (10, 5));
    assert_eq!(sum(&seconds.codes["5xx"]), 5);
    assert_eq!(seconds.codes.len(), 2, "what the client did is no failure");
    let tens = run.series(Resolution::TenSeconds);
    let of = |part: std::ops::Range<usize>| sum(&seconds.requests[part]);
    assert_eq!(tens.requests, [of(0..10), of(10..20)]);
    assert_eq!(tens.codes["trap"], [2, 2]);
    assert!(tens.quantiles[1].iter().all(Option::is_some), "{tens:?}");
}

/// Counters that begin anew made huge spikes where they are read from outside (prometheus/prometheus#7074), and negative
/// rates (SigNoz/signoz#2151).
#[test]
fn versions_that_follow_one_another_lose_and_repeat_nothing() {
    let run = Run::new();
    let first = run.meter();
    run.telemetry.record(&answered("random", 200), Some(&first));
    run.sample(1);
    let second = run.meter();
    run.telemetry.record(&answered("random", 200), Some(&second));
    // One that began before the publish ends after it, and another after the next look.
    run.telemetry.record(&answered("random", 200), Some(&first));
    run.sample(2);
    run.telemetry.record(&answered("random", 200), Some(&first));
    drop(first);
    run.sample(3);
    drop(second);
    // Gone, and there again.
    run.sample(4);
    let third = run.meter();
    run.telemetry.record(&answered("random", 200), Some(&third));
    third.rescued("trap");
    run.sample(5);
    let series = run.series(Resolution::Second);
    assert_eq!(series.requests, [1, 2, 1, 0, 2]);
    assert_eq!(series.failed, [0, 0, 0, 0, 1]);
}

/// A machine that is starved, or was stopped for a while.
#[test]
fn what_a_late_sample_finds_is_spread_over_what_it_missed() {
    let run = Run::new();
    let meter = run.meter();
    (0..7).for_each(|_| run.telemetry.record(&answered("random", 500), Some(&meter)));
    run.sample(3);
    let series = run.series(Resolution::Second);
    assert_eq!((series.requests.as_slice(), sum(&series.failed)), ([2, 2, 3].as_slice(), 7));
    (0..100).for_each(|_| run.telemetry.record(&answered("random", 200), Some(&meter)));
    run.sample(43);
    let (seconds, tens) = (run.series(Resolution::Second), run.series(Resolution::TenSeconds));
    assert_eq!((seconds.requests.len(), sum(&seconds.requests)), (43, 107));
    assert_eq!(sum(&tens.requests), sum(&seconds.requests[..40]));
    assert!(tens.quantiles[0].iter().all(Option::is_some), "{tens:?}");
    // For longer than anything is kept.
    run.telemetry.record(&answered("random", 200), Some(&meter));
    run.sample(20_000);
    assert!(sum(&run.series(Resolution::TenSeconds).requests) <= 1);
}

/// Somebody sets the machine's clock back by an hour: steps go on, with other labels.
#[test]
fn the_wall_clock_only_gives_labels() {
    let run = Run::new();
    let meter = run.meter();
    let mut from = Vec::new();
    for (second, wall) in [(1, 1), (2, 2), (3, 3_603), (4, 3_604)] {
        run.telemetry.record(&answered("random", 200), Some(&meter));
        let wall = SystemTime::UNIX_EPOCH + START + Duration::from_secs(wall);
        run.telemetry.series.sample(run.at(second), wall);
        let window = run.telemetry.series.window(("default", "greeter"), Resolution::Second, None);
        from.push(window.from() / 1_000 - START.as_secs());
    }
    assert_eq!(from, [0, 0, 3_600, 3_600]);
    assert_eq!(run.series(Resolution::Second).requests, [1; 4]);
}

#[test]
fn only_steps_that_end_later_are_given_to_who_knows_the_others() {
    let run = Run::new();
    run.sample(30);
    let steps = |resolution, since: u64| {
        let since = Some((START.as_secs() * 1_000).saturating_add_signed(since.cast_signed()));
        let window = run.telemetry.series.window(("default", "greeter"), resolution, since);
        (window.from() / 1_000 - START.as_secs(), window.ends().count())
    };
    assert_eq!(steps(Resolution::Second, 0), (0, 30));
    assert_eq!(steps(Resolution::Second, 12_000), (12, 18), "up to where the last answer went");
    assert_eq!(steps(Resolution::Second, 12_700), (12, 18), "when the last answer was given");
    assert_eq!(steps(Resolution::TenSeconds, 12_700), (10, 2));
    assert_eq!(steps(Resolution::Second, 99_000), (30, 0), "a time to come");
}

#[test]
fn an_hour_is_kept_within_its_bound_and_then_forgotten() {
    let run = Run::new();
    let meter = run.meter();
    for second in 1..=4_000 {
        run.telemetry.record(&answered("random", 200), Some(&meter));
        run.sample(second);
    }
    let (seconds, tens) = (run.series(Resolution::Second), run.series(Resolution::TenSeconds));
    assert_eq!((seconds.requests.len(), sum(&seconds.requests)), (600, 600));
    assert_eq!((tens.requests.len(), sum(&tens.requests)), (360, 3_600));
    let bytes: usize = run.telemetry.series.tracks().all.iter().map(|track| track.bytes()).sum();
    assert!(bytes <= 64 << 10, "{bytes} bytes");
    run.sample(8_000);
    let bytes: usize = run.telemetry.series.tracks().all.iter().map(|track| track.bytes()).sum();
    assert!(bytes <= 2 << 10, "{bytes} bytes of an idle version");
    drop(meter);
    run.sample(8_010);
    assert!(run.telemetry.series.tracks().by_name.is_empty(), "of one that is gone");
}

#[test]
fn versions_without_requests_have_no_track() {
    let run = Run::new();
    let meters: Vec<_> =
        (0..10_000).map(|it| run.telemetry.version("default", &format!("s{it}"), "v1")).collect();
    assert!(run.telemetry.series.tracks().all.is_empty());
    for meter in &meters {
        run.telemetry.record(&answered("random", 200), Some(meter));
    }
    run.sample(1);
    assert_eq!(run.telemetry.series.tracks().all.len(), meters.len());
}

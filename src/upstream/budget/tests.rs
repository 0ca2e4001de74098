//! Retries against their share: in a burst, over the window, by many threads, and as a property.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const TWENTY: Percent = Percent::TWENTY;

fn after(budget: &Budget, seconds: f64) -> Instant {
    budget.epoch + Duration::from_secs_f64(seconds)
}

#[tokio::test(start_paused = true)]
async fn three_retries_a_second_are_always_within_it() {
    let budget = Budget::new(TWENTY);
    // In a burst or one by one.
    let taken = |now| (0..40).filter(|_| budget.take(now)).count();
    assert_eq!(taken(after(&budget, 0.0)), 30);
    assert_eq!(taken(after(&budget, 9.0)), 0);
    for second in 10..30 {
        let now = after(&budget, f64::from(second));
        assert_eq!((0..3).filter(|_| budget.take(now)).count(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_share_is_of_the_last_ten_seconds() {
    let budget = Budget::new(TWENTY);
    let start = after(&budget, 0.0);
    (0..1_000).for_each(|_| budget.count_request(start));
    let taken = |now| (0..1_000).filter(|_| budget.take(now)).count();
    assert_eq!(taken(after(&budget, 9.9)), 199, "attempts stay under 1.2 times the requests");
    assert_eq!(taken(after(&budget, 10.1)), 0, "the requests are forgotten, the retries are not");
    assert_eq!(taken(after(&budget, 1_000.0)), 30);
}

/// Where all targets fail under load, by eight threads at once.
#[test]
fn a_storm_stays_under_the_share() {
    let budget = Budget::new(TWENTY);
    let now = after(&budget, 0.5);
    let retries: usize = std::thread::scope(|scope| {
        let storm = || {
            (0..10_000)
                .filter(|_| {
                    budget.count_request(now);
                    budget.take(now)
                })
                .count()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(storm)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(retries < 16_000, "{retries}");
    assert!(retries > 15_000, "{retries}: nobody is refused for what others gave back");
}

proptest! {
    /// Whenever requests come, and however many of them want to be sent again: in any ten seconds that end with a
    /// retry, retries are less than the share, or at most thirty.
    #[test]
    fn retries_stay_within_the_share(
        events in prop::collection::vec((0..2_000_u64, 0..4_usize), 1..300), percent in 0..=100_u8,
    ) {
        let budget = Budget::new(Percent::from_f64(f64::from(percent)).unwrap());
        let (mut millis, mut requests, mut retries) = (0, Vec::new(), Vec::new());
        for (pause, wanted) in events {
            millis += pause;
            let now = budget.epoch + Duration::from_millis(millis);
            budget.count_request(now);
            requests.push(millis / 1_000);
            for _ in 0..wanted {
                let second = millis / 1_000;
                let recent = |all: &[u64]| all.iter().filter(|it| **it + 10 > second).count() as u64;
                let is_within = recent(&retries) < 30
                    || (recent(&retries) + 1) * 100 < recent(&requests) * u64::from(percent);
                prop_assert_eq!(budget.take(now), is_within);
                if is_within {
                    retries.push(second);
                }
            }
        }
    }
}

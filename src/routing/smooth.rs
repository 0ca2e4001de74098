//! Shares in turns: where few requests come, each version gets its share of them all the same, and
//! not only of very many.
//!
//! One counter for the process, and not one for each worker: a service that needs this has no
//! traffic that would wear it out, and a hundred requests are a hundred whichever workers serve
//! them. Where it begins is random, so that replicas do not send the same request to the same
//! version.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;

/// Indexes that take turns.
#[derive(Debug)]
pub struct Smooth {
    /// From the smallest share to the largest. Each takes its turns of what those before it leave.
    levels: Box<[Level]>,
    count: AtomicU64,
}

/// An index that takes `share` of each `of` turns, as evenly as whole turns can be.
#[derive(Clone, Copy, Debug)]
struct Level {
    index: usize,
    share: u64,
    of: u64,
    /// Less than `of`.
    phase: u64,
}

impl Level {
    /// How many of the first turns are its own.
    fn taken(&self, turns: u64) -> u64 {
        (turns * self.share + self.phase) / self.of
    }
}

impl Smooth {
    /// Turns for shares in any unit; an index without a share has none.
    pub fn new(shares: impl IntoIterator<Item = (usize, u16)>) -> Self {
        Self::with_phases(shares, |of| rand::rng().random_range(0..of))
    }

    fn with_phases(
        shares: impl IntoIterator<Item = (usize, u16)>,
        mut phase: impl FnMut(u64) -> u64,
    ) -> Self {
        let mut shares: Vec<_> = shares.into_iter().filter(|(_, share)| *share > 0).collect();
        shares.sort_by_key(|(_, share)| *share);
        let mut of: u64 = shares.iter().map(|(_, share)| u64::from(*share)).sum();
        let level = |(index, share): (usize, u16)| {
            let level = Level { index, share: share.into(), of, phase: phase(of) };
            of -= level.share;
            level
        };
        Self { levels: shares.into_iter().map(level).collect(), count: AtomicU64::new(0) }
    }

    /// Whose turn it is.
    pub fn next(&self) -> Option<usize> {
        let mut turn = self.count.fetch_add(1, Ordering::Relaxed);
        for level in &self.levels {
            let before = level.taken(turn);
            if level.taken(turn + 1) > before {
                return Some(level.index);
            }
            turn -= before;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns(smooth: &Smooth, count: usize) -> Vec<usize> {
        (0..count).map(|_| smooth.next().unwrap()).collect()
    }

    fn count(turns: &[usize], index: usize) -> usize {
        turns.iter().filter(|turn| **turn == index).count()
    }

    /// Wherever it begins, and whichever hundred of them.
    #[test]
    fn of_a_hundred_requests_one_is_one_percent() {
        for phase in (0..10_000).step_by(37) {
            let smooth = Smooth::with_phases([(0, 9_900), (1, 100)], |of| phase.min(of - 1));
            let turns = turns(&smooth, 1_000);
            for hundred in turns.windows(100) {
                assert_eq!(count(hundred, 1), 1);
            }
        }
    }

    #[test]
    fn shares_are_exact_after_all_turns() {
        let shares = [(0, 3_333), (1, 3_333), (2, 3_333), (3, 1)];
        let turns = turns(&Smooth::new(shares), 10_000);
        for (index, share) in shares {
            assert_eq!(count(&turns, index), usize::from(share));
        }
    }

    #[test]
    fn nobody_has_a_turn_without_a_share() {
        assert_eq!(Smooth::new([(0, 0)]).next(), None);
        assert_eq!(turns(&Smooth::new([(0, 0), (1, 5)]), 3), [1, 1, 1]);
    }

    #[test]
    fn two_of_them_are_not_in_step() {
        let starts: Vec<_> = (0..64)
            .map(|_| {
                let turns = turns(&Smooth::new([(0, 9_900), (1, 100)]), 100);
                turns.iter().position(|turn| *turn == 1)
            })
            .collect();
        assert!(starts.iter().any(|start| *start != starts[0]), "{starts:?}");
    }

    proptest! {
        /// The smallest share is within one of what it should be, in any run of requests.
        #[test]
        fn two_shares_are_never_off_by_one(share in 1..10_000_u16, start in 0..500_usize, length in 1..500_usize) {
            let smooth = Smooth::new([(0, 10_000 - share), (1, share)]);
            let turns = turns(&smooth, start + length);
            let index = usize::from(share <= 5_000);
            let share = share.min(10_000 - share);
            let expected = f64::from(share) * length as f64 / 10_000.0;
            let seen = count(&turns[start..], index) as f64;
            prop_assert!((seen - expected).abs() < 1.0, "{} of {} for {}", seen, length, share);
        }
    }
}

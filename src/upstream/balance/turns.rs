//! Round-robin by weight: targets take turns, each as evenly as whole turns can be.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand::RngExt;

/// Turns are worked out beforehand up to this number; the period of more would take too much memory.
const WORKED_OUT: u64 = 4_096;

/// Indexes that take turns. Over a whole period, each has exactly its weight. One counter is all that requests share.
/// It begins at random, so that replicas and versions are not in step.
#[derive(Debug)]
pub(super) struct Turns {
    order: Order,
    count: AtomicUsize,
}

#[derive(Debug)]
enum Order {
    /// The smooth weighted order of nginx, for one period.
    Smooth(Box<[u16]>),
    /// A period of `of` turns, taken in steps of about the golden ratio: a permutation that leaves no index waiting for
    /// much longer than its weight says, and needs no memory.
    Strided { ends: Box<[u64]>, step: u64, of: u64 },
}

impl Turns {
    /// Turns for weights, which are not 0.
    pub fn new(weights: &[u32]) -> Self {
        let divisor = weights.iter().fold(0, |one, other| gcd(one, u64::from(*other))).max(1);
        let weights: Vec<u64> = weights.iter().map(|it| u64::from(*it) / divisor).collect();
        let of = weights.iter().sum();
        let order = if of <= WORKED_OUT { smooth(&weights, of) } else { strided(&weights, of) };
        let start = rand::rng().random_range(0..WORKED_OUT);
        Self { order, count: AtomicUsize::new(usize::try_from(start).unwrap_or(0)) }
    }

    /// Whose turn it is.
    pub fn next(&self) -> usize {
        let turn = self.count.fetch_add(1, Ordering::Relaxed);
        match &self.order {
            Order::Smooth(order) => {
                order.get(turn % order.len().max(1)).map_or(0, |index| usize::from(*index))
            }
            Order::Strided { ends, step, of } => {
                let place = (turn as u64 % of) * step % of;
                ends.partition_point(|end| *end <= place)
            }
        }
    }
}

/// In each turn, every index gains its weight, the one with most takes the turn, and pays the sum of weights for it.
fn smooth(weights: &[u64], of: u64) -> Order {
    let mut gained = vec![0_i64; weights.len()];
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let turn = |_| {
        gained.iter_mut().zip(weights).for_each(|(gained, weight)| *gained += signed(*weight));
        // The first of equals, as nginx has it.
        let most = gained.iter_mut().enumerate().rev().max_by_key(|(_, gained)| **gained)?;
        *most.1 -= signed(of);
        u16::try_from(most.0).ok()
    };
    Order::Smooth((0..of).filter_map(turn).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a number that is a whole one"
)]
fn strided(weights: &[u64], of: u64) -> Order {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    /// How many steps are looked at. One in two has no divisor in common with the period.
    const NEAR: u64 = 256;
    let ends = weights.iter().scan(0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    let near = (of as f64 * GOLDEN) as u64;
    let steps = (near..of.min(near + NEAR)).filter(|step| gcd(*step, of) == 1);
    let step = steps.min_by_key(|step| burst(*step, of)).unwrap_or(1);
    Order::Strided { ends: ends.collect(), step, of }
}

/// How much steps of this length bunch turns: the largest partial quotient of the continued fraction of `step / of`, and
/// the sum of all. A large one means that many steps come nearly to where they began: even a step next to the golden
/// ratio may be such a one, since both are whole numbers.
fn burst(step: u64, of: u64) -> (u64, u64) {
    let (mut step, mut of) = (step, of);
    let mut burst = (0, 0);
    while step > 0 {
        let quotient = of / step;
        burst = (quotient.max(burst.0), quotient + burst.1);
        (step, of) = (of % step, step);
    }
    burst
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns(weights: &[u32], count: usize) -> Vec<usize> {
        let turns = Turns { count: AtomicUsize::new(0), ..Turns::new(weights) };
        (0..count).map(|_| turns.next()).collect()
    }

    fn count(turns: &[usize], index: usize) -> usize {
        turns.iter().filter(|turn| **turn == index).count()
    }

    #[test]
    fn turns_are_those_of_nginx() {
        assert_eq!(turns(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&[20, 10], 6), [0, 1, 0, 0, 1, 0]);
        assert_eq!(turns(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(turns(&[7], 3), [0, 0, 0]);
    }

    #[test]
    fn the_largest_weights_need_no_memory_and_are_exact() {
        let weights = [1_000, 999, 998, 997, 996];
        assert!(matches!(Turns::new(&weights).order, Order::Strided { .. }));
        let of = 4_990;
        let turns = turns(&weights, 2 * of);
        for (index, weight) in weights.into_iter().enumerate() {
            assert_eq!(count(&turns[of / 3..][..of], index), weight as usize);
        }
    }

    /// The steps nearest to the golden ratio have quotients of 90, 76 and 134, and gave a target up to 28 turns too many.
    #[test]
    fn a_step_that_bunches_turns_is_not_taken() {
        for of in [4_984_u32, 6_819, 7_404] {
            let weights = [of / 2 - 7, of / 3, of - (of / 2 - 7) - of / 3];
            let turns = turns(&weights, 2 * of as usize);
            for (index, weight) in weights.iter().enumerate() {
                let (mut gained, mut least, mut most) = (0.0_f64, 0.0_f64, 0.0_f64);
                for turn in &turns {
                    gained +=
                        f64::from(u8::from(*turn == index)) - f64::from(*weight) / f64::from(of);
                    (least, most) = (least.min(gained), most.max(gained));
                }
                assert!(most - least < 5.0, "{of}, {weight}: {}", most - least);
            }
        }
    }

    #[test]
    fn where_they_begin_is_random() {
        let starts: Vec<_> = (0..64).map(|_| Turns::new(&[1; 50]).next()).collect();
        // Once in 50⁶³ runs they are all the same.
        assert!(starts.iter().any(|start| *start != starts[0]));
    }

    proptest! {
        /// Wherever a period begins.
        #[test]
        fn shares_of_a_period_are_exact(
            weights in prop::collection::vec(1..1_000_u32, 1..12), start in 0..10_000_usize,
        ) {
            let divisor = weights.iter().fold(0, |one, other| gcd(one, u64::from(*other)));
            let reduced: Vec<usize> =
                weights.iter().map(|it| usize::try_from(u64::from(*it) / divisor).unwrap()).collect();
            let of: usize = reduced.iter().sum();
            let turns = turns(&weights, start + of);
            for (index, weight) in reduced.into_iter().enumerate() {
                prop_assert_eq!(count(&turns[start..], index), weight);
            }
        }

        /// No target waits much longer than its weight says, or gets its turns in a burst.
        #[test]
        fn turns_are_smooth(
            weights in prop::collection::vec(1..1_000_u32, 2..8),
            start in 0..5_000_usize, length in 1..2_000_usize,
        ) {
            let of: u32 = weights.iter().sum();
            let turns = turns(&weights, start + length);
            for (index, weight) in weights.iter().enumerate() {
                let expected = f64::from(*weight) / f64::from(of) * length as f64;
                let seen = count(&turns[start..], index) as f64;
                prop_assert!((seen - expected).abs() <= 5.0, "{} instead of {}", seen, expected);
            }
        }
    }
}

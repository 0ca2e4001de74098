//! Whether the draws of a version fit its share: the exact binomial test.
//!
//! The probabilities are summed term by term. statrs has this sum as a function, by a continued fraction of at most 140
//! steps; near the middle of 10⁸ draws and more, 140 steps are not enough, and the result is below 0.

use statrs::distribution::{Binomial, Discrete};

/// The p-value below which a difference counts as beyond chance. False alarms: at most one in a million
/// checks. It is small because a status checks many versions every few seconds.
pub const SIGNIFICANT: f64 = 1e-6;

/// How often a version was drawn, compared with its share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    pub drawn: u64,
    /// Draws of all versions.
    pub of: u64,
    /// From 0 to 1: how likely a difference of this size or more is if the share is kept.
    pub p_value: f64,
}

impl Comparison {
    /// Compares draws with a share from 0 to 1.
    pub fn new(drawn: u64, of: u64, share: f64) -> Self {
        Self { drawn, of, p_value: p_value(drawn, of, share) }
    }

    /// The observed share, from 0 to 1; `None` without draws.
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.drawn as f64 / self.of as f64)
    }

    /// Whether the difference is beyond chance, by [`SIGNIFICANT`].
    pub fn is_beyond_chance(&self) -> bool {
        self.p_value < SIGNIFICANT
    }
}

/// The two-sided p-value of the exact binomial test, `min(1, 2·min(P(X ≤ drawn), P(X ≥ drawn)))`,
/// where X is how many of `of` draws hit a `share` from 0 to 1. Without draws it is 1.
pub fn p_value(drawn: u64, of: u64, share: f64) -> f64 {
    if share <= 0.0 {
        return if drawn == 0 { 1.0 } else { 0.0 };
    }
    if share >= 1.0 {
        return if drawn >= of { 1.0 } else { 0.0 };
    }
    // Counted by the draws of the others, the upper tail is a lower one.
    let (drawn, share) = match drawn as f64 > of as f64 * share {
        true => (of.saturating_sub(drawn), 1.0 - share),
        false => (drawn, share),
    };
    let Ok(binomial) = Binomial::new(share, of) else { return 1.0 };
    let exactly = binomial.ln_pmf(drawn).exp();
    let outward = exactly * tail(drawn as f64, of as f64, share);
    let inward = 1.0 - outward + exactly;
    (2.0 * outward.min(inward)).min(1.0)
}

/// The probability of `drawn` or fewer draws, divided by the probability of exactly `drawn`, for `drawn` of at most the
/// mean. Below the mean the terms shrink, so the sum ends after some eight standard deviations: 10⁵ terms for 10⁹
/// draws.
fn tail(drawn: f64, of: f64, share: f64) -> f64 {
    let odds = (1.0 - share) / share;
    let (mut count, mut term, mut sum) = (drawn, 1.0, 1.0);
    while count > 0.0 && term > sum * f64::EPSILON {
        term *= count / (of - count + 1.0) * odds;
        sum += term;
        count -= 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    #[track_caller]
    fn assert_near(found: f64, expected: f64, relative: f64) {
        assert!((found / expected - 1.0).abs() < relative, "{found:e}, and not {expected:e}");
    }

    /// Computed exactly with Python's `math.comb` and `fractions`.
    #[test]
    fn it_is_the_exact_test() {
        for (drawn, of, hundredths, expected) in EXACT {
            assert_near(p_value(drawn, of, f64::from(hundredths) / 10_000.0), expected, 1e-9);
        }
    }

    const EXACT: [(u64, u64, u16, f64); 13] = [
        (0, 1, 5000, 1.0),
        (3, 10, 5000, 0.34375),
        (5, 10, 5000, 1.0),
        (0, 10, 1, 1.0),
        (1, 10, 1, 0.001999100239958005),
        (10, 10, 9999, 1.0),
        (12, 100, 1000, 0.5939337994224924),
        (25, 100, 1000, 2.614563486250074e-05),
        (534, 4310, 1000, 4.555738620169316e-07),
        (1900, 4000, 5000, 0.0016492663751356998),
        (2, 3000, 100, 7.889763693050892e-11),
        (95, 1000, 777, 0.05232237270683676),
        (999, 1000, 9900, 0.0009584889071578468),
    ];

    #[test]
    fn a_share_and_what_it_leaves_are_symmetric() {
        for (drawn, of, share) in [(3, 10, 0.25), (70, 1_000, 0.1), (999, 1_000, 0.99)] {
            let other = p_value(of - drawn, of, 1.0 - share);
            assert_near(p_value(drawn, of, share), other, 1e-9);
        }
        assert_near(p_value(40, 100, 0.5), p_value(60, 100, 0.5), 1e-12);
    }

    #[test]
    fn nothing_and_everything_are_exact() {
        for share in [0.0, 0.3, 1.0] {
            assert_eq!(p_value(0, 0, share), 1.0);
        }
        assert_eq!((p_value(0, 1_000, 0.0), p_value(1, 1_000, 0.0)), (1.0, 0.0));
        assert_eq!((p_value(1_000, 1_000, 1.0), p_value(999, 1_000, 1.0)), (1.0, 0.0));
    }

    #[test]
    fn what_fits_exactly_is_certain() {
        for of in [2, 100, 10_000, 1_000_000, 100_000_000, 1_000_000_000] {
            assert_eq!(p_value(of / 2, of, 0.5), 1.0, "of {of}");
        }
    }

    /// Compared with the normal distribution, which fits by then: five standard deviations are 5.733e-7.
    #[test]
    fn a_billion_draws_end_fast() {
        let started = Instant::now();
        let (of, deviation) = (1_000_000_000, 15_811);
        assert_near(p_value(of / 2 - 5 * deviation, of, 0.5), 5.733e-7, 1e-3);
        assert_near(p_value(of / 2 + 5 * deviation, of, 0.5), 5.733e-7, 1e-3);
        assert!(p_value(of / 2 + 1, of, 0.5) > 0.9);
        assert_eq!(p_value(of, of, 0.5), 0.0);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }

    /// Under a share that is kept, a p-value below x occurs with a probability of at most x. That one of these 20,000
    /// is below 10⁻⁶ has a probability of 2 %; with this seed, none is.
    #[test]
    fn a_fair_split_is_not_told_of() {
        let mut random = StdRng::seed_from_u64(6);
        let mut below = [0; 3];
        for round in 0..20_000 {
            let share = [0.5, 0.1, 0.01, 0.9][round % 4];
            let of = random.random_range(1..2_000);
            let drawn = (0..of).filter(|_| random.random_bool(share)).count() as u64;
            let compared = Comparison::new(drawn, of, share);
            assert!(!compared.is_beyond_chance(), "{compared:?}");
            for (count, bound) in below.iter_mut().zip([0.1, 0.01, 0.001]) {
                *count += u32::from(compared.p_value < bound);
            }
        }
        // Four standard deviations above what each bound lets through.
        assert!(below[0] <= 2_170 && below[1] <= 257 && below[2] <= 38, "{below:?}");
        assert!(below[0] > 1_000, "it tells of nothing: {below:?}");
    }

    #[test]
    fn an_unfair_split_is_told_of() {
        assert!(Comparison::new(534, 4_310, 0.1).p_value < 1e-6);
        assert!(Comparison::new(534, 4_310, 0.1).is_beyond_chance());
        assert!(!Comparison::new(450, 4_310, 0.1).is_beyond_chance());
        assert_eq!(Comparison::new(1, 4, 0.1).share(), Some(0.25));
        assert_eq!(Comparison::new(0, 0, 0.1).share(), None);
    }
}

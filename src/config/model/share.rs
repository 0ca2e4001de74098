//! Shares of traffic: a percentage with two decimals, and a split of exactly 100 %. Both count whole hundredths, so
//! that later code never rounds.

use std::fmt;

use thiserror::Error;

/// A percentage from 0 to 100 with at most two decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(u16);

/// Why a number is not a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PercentError {
    #[error("it is not a number")]
    NotANumber,
    #[error("it is negative")]
    Negative,
    #[error("it is more than 100")]
    MoreThanAll,
    #[error("it has more than two decimals")]
    TooFine,
}

impl Percent {
    pub const ZERO: Self = Self(0);
    pub const TWENTY: Self = Self(2_000);
    pub const FIFTY: Self = Self(5_000);
    pub const ALL: Self = Self(10_000);

    /// # Errors
    ///
    /// When the number is not from 0 to 100 with at most two decimals.
    pub fn from_f64(value: f64) -> Result<Self, PercentError> {
        if value.is_nan() {
            return Err(PercentError::NotANumber);
        }
        if value < 0.0 {
            return Err(PercentError::Negative);
        }
        if value > 100.0 {
            return Err(PercentError::MoreThanAll);
        }
        let hundredths = (value * 100.0).round();
        // Division rounds correctly, and so does reading a decimal literal: both give the same
        // float exactly when the literal had no more than two decimals.
        if hundredths / 100.0 != value {
            return Err(PercentError::TooFine);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 0 to 10,000 by now"
        )]
        let hundredths = hundredths as u16;
        Ok(Self(hundredths))
    }

    /// # Errors
    ///
    /// When the number is more than 10,000.
    pub fn from_hundredths(hundredths: u16) -> Result<Self, PercentError> {
        if hundredths > Self::ALL.0 {
            return Err(PercentError::MoreThanAll);
        }
        Ok(Self(hundredths))
    }

    /// From 0 to 10,000.
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_hundredths(u64::from(self.0)))
    }
}

/// Divides `whole` in proportion to some shares. The hundredths that rounding leaves over go to the shares that lose
/// most by it, in order. All-zero shares give nothing.
pub fn spread(shares: &[Percent], whole: Percent) -> Vec<Percent> {
    let sum: u64 = shares.iter().map(|share| u64::from(share.hundredths())).sum();
    let whole = u64::from(whole.hundredths());
    let exact = |share: &Percent| u64::from(share.hundredths()) * whole;
    let part = |share: &Percent| exact(share).checked_div(sum).unwrap_or(0);
    let lost = |share: &Percent| exact(share).checked_rem(sum).unwrap_or(0);
    let mut parts: Vec<u64> = shares.iter().map(part).collect();
    let missing = if sum == 0 { 0 } else { whole - parts.iter().sum::<u64>() };
    let mut places: Vec<(usize, u64)> = shares.iter().map(lost).enumerate().collect();
    places.sort_by_key(|(_, lost)| std::cmp::Reverse(*lost));
    for (_, (place, _)) in (0..missing).zip(places) {
        parts.iter_mut().skip(place).take(1).for_each(|part| *part += 1);
    }
    // No part is more than the whole.
    let percent = |part| Percent(u16::try_from(part).unwrap_or(Percent::ALL.0));
    parts.into_iter().map(percent).collect()
}

/// How far a sum of shares, in hundredths of a percent, is from 100 %, in words.
pub fn gap(hundredths: u64) -> String {
    let difference = show_hundredths(hundredths.abs_diff(10_000));
    if hundredths < 10_000 {
        format!("{difference} % is missing")
    } else {
        format!("{difference} % is too much")
    }
}

/// A sum of shares, in hundredths of a percent, as a percentage.
pub fn show_hundredths(hundredths: u64) -> String {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match (rest, rest % 10) {
        (0, _) => whole.to_string(),
        (_, 0) => format!("{whole}.{}", rest / 10),
        _ => format!("{whole}.{rest:02}"),
    }
}

/// The share of a service's requests that each of its versions gets: exactly 100 % together, or nothing at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// In the order of the versions, each at most once.
    shares: Vec<(usize, Percent)>,
}

/// Why shares are not a split.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SplitError {
    #[error("it names no version")]
    Empty,
    #[error("it names version number {0} twice")]
    Twice(usize),
    #[error(
        "the shares add up to {}, not 100 (or all 0 to take the service offline)",
        show_hundredths(*.hundredths)
    )]
    Sum { hundredths: u64 },
}

impl Split {
    /// Builds a split from indexes into the service's versions and their shares, in any order.
    ///
    /// # Errors
    /// When there is no share, a version comes twice, or the sum is neither 100 nor 0.
    pub fn new(mut shares: Vec<(usize, Percent)>) -> Result<Self, SplitError> {
        shares.sort_unstable_by_key(|(version, _)| *version);
        let pairs = shares.iter().zip(shares.iter().skip(1));
        if let Some((twice, _)) = pairs.map(|(a, b)| (a.0, b.0)).find(|(a, b)| a == b) {
            return Err(SplitError::Twice(twice));
        }
        let share = |(_, percent): &(usize, Percent)| u64::from(percent.hundredths());
        match shares.iter().map(share).sum() {
            _ if shares.is_empty() => Err(SplitError::Empty),
            0 | 10_000 => Ok(Self { shares }),
            hundredths => Err(SplitError::Sum { hundredths }),
        }
    }

    /// Indexes into the service's versions and their shares, in the order of the versions. A version that is missing
    /// here gets nothing.
    pub fn shares(&self) -> &[(usize, Percent)] {
        &self.shares
    }

    /// Whether every version gets nothing.
    pub fn is_offline(&self) -> bool {
        self.shares.iter().all(|(_, share)| *share == Percent::ZERO)
    }

    pub fn share_of(&self, version: usize) -> Percent {
        let found = self.shares.iter().find(|(index, _)| *index == version);
        found.map_or(Percent::ZERO, |(_, share)| *share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn percent(value: f64) -> Percent {
        Percent::from_f64(value).unwrap()
    }

    #[test]
    fn every_percentage_survives_text_and_floats() {
        for hundredths in 0..=10_000_u16 {
            let percent = Percent::from_hundredths(hundredths).unwrap();
            let written: f64 = percent.to_string().parse().unwrap();
            assert_eq!(Percent::from_f64(written), Ok(percent));
        }
    }

    #[test]
    fn a_third_decimal_is_refused_everywhere() {
        for thousandths in (0..=100_000_u32).filter(|n| n % 10 != 0) {
            let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            let result = Percent::from_f64(text.parse().unwrap());
            assert_eq!(result, Err(PercentError::TooFine), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_percentage_is_refused() {
        assert_eq!(Percent::from_f64(f64::NAN), Err(PercentError::NotANumber));
        assert_eq!(Percent::from_f64(-0.01), Err(PercentError::Negative));
        assert_eq!(Percent::from_f64(100.01), Err(PercentError::MoreThanAll));
        let infinite = Percent::from_f64(f64::INFINITY);
        assert_eq!(infinite, Err(PercentError::MoreThanAll));
        let infinite = Percent::from_f64(f64::NEG_INFINITY);
        assert_eq!(infinite, Err(PercentError::Negative));
        let over = Percent::from_hundredths(10_001);
        assert_eq!(over, Err(PercentError::MoreThanAll));
    }

    #[test]
    fn a_gap_is_what_is_missing_or_too_much() {
        let said = [0, 9_990, 10_001, 25_000].map(gap);
        let expected = ["100 % is missing", "0.1 % is missing", "0.01 % is too much"];
        assert_eq!(said[..3], expected);
        assert_eq!(said[3], "150 % is too much");
    }

    #[test]
    fn a_percentage_is_shown_without_useless_zeros() {
        let shown = [90.0, 12.5, 0.01, 100.0, 0.0, 3.05].map(|value| percent(value).to_string());
        assert_eq!(shown, ["90", "12.5", "0.01", "100", "0", "3.05"]);
    }

    #[test]
    fn a_split_is_in_the_order_of_the_versions() {
        let split = Split::new(vec![(2, percent(12.5)), (0, percent(87.5))]).unwrap();
        assert_eq!(split.shares(), [(0, percent(87.5)), (2, percent(12.5))]);
        assert_eq!(split.share_of(1), Percent::ZERO);
        assert_eq!(split.share_of(2), percent(12.5));
        assert!(!split.is_offline());
    }

    #[test]
    fn all_zero_is_offline_and_none_is_no_split() {
        let split = Split::new(vec![(0, Percent::ZERO), (1, Percent::ZERO)]).unwrap();
        assert!(split.is_offline());
        assert_eq!(Split::new(vec![]), Err(SplitError::Empty));
        let twice = vec![(1, percent(50.0)), (1, percent(50.0))];
        assert_eq!(Split::new(twice), Err(SplitError::Twice(1)));
    }

    proptest! {
        #[test]
        fn what_is_spread_adds_up(shares in prop::collection::vec(0..=10_000_u16, 0..6), whole in 0..=10_000_u16) {
            let shares: Vec<_> =
                shares.into_iter().map(|share| Percent::from_hundredths(share).unwrap()).collect();
            let sum: f64 = shares.iter().map(|share| f64::from(share.hundredths())).sum();
            let parts = spread(&shares, Percent::from_hundredths(whole).unwrap());
            let all: u64 = parts.iter().map(|part| u64::from(part.hundredths())).sum();
            prop_assert_eq!(all, if sum > 0.0 { u64::from(whole) } else { 0 });
            for (share, part) in shares.iter().zip(parts) {
                let exact = f64::from(share.hundredths()) * f64::from(whole) / sum.max(1.0);
                prop_assert!((f64::from(part.hundredths()) - exact).abs() < 1.0);
            }
        }

        #[test]
        fn only_exactly_100_or_0_is_a_split(shares in prop::collection::vec(0..=10_000_u16, 1..5)) {
            let sum: u64 = shares.iter().map(|share| u64::from(*share)).sum();
            let percents = shares.into_iter().map(|share| Percent::from_hundredths(share).unwrap());
            let split = Split::new(percents.enumerate().collect());
            prop_assert_eq!(split.is_ok(), sum == 0 || sum == 10_000);
        }

        #[test]
        fn a_cut_of_100_is_a_split(cuts in prop::collection::vec(0..=10_000_u16, 0..6)) {
            let mut ends = cuts;
            ends.extend([0, 10_000]);
            ends.sort_unstable();
            let parts = ends.windows(2).map(|pair| pair[1] - pair[0]);
            let shares = parts.map(|part| Percent::from_hundredths(part).unwrap());
            prop_assert!(Split::new(shares.enumerate().collect()).is_ok());
        }
    }
}

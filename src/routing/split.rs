//! Shares of traffic to one choice: built once a publish, pure and free of allocation a request.

use rand::RngExt;

/// The number of equal parts that shares are counted in: hundredths of a percent.
pub(super) const PARTS: u16 = 10_000;

/// Indexes with weights in hundredths of a percent, ready to be drawn from.
///
/// ```
/// use watershed::routing::Weighted;
///
/// let split = Weighted::new([(0, 9_000), (1, 1_000)]);
/// assert_eq!(split.at(8_999), Some(0));
/// assert_eq!(split.at(9_000), Some(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// The first draw that is past the share of each index, ascending.
    ends: Box<[(u16, usize)]>,
}

impl Weighted {
    /// Shares in hundredths of a percent; an index with no weight is never drawn.
    pub fn new(shares: impl IntoIterator<Item = (usize, u16)>) -> Self {
        let mut end = 0u16;
        let ends = shares
            .into_iter()
            .filter(|(_, weight)| *weight > 0)
            .map(|(index, weight)| {
                end = end.saturating_add(weight).min(PARTS);
                (end, index)
            })
            .collect();
        Self { ends }
    }

    /// One index at random, in proportion to its weight; `None` where nothing has weight.
    pub fn draw(&self) -> Option<usize> {
        match &*self.ends {
            [] => None,
            [(_, only)] => Some(*only),
            _ => self.at(rand::rng().random_range(0..PARTS)),
        }
    }

    /// The index that owns one of the ten thousand parts.
    pub fn at(&self, part: u16) -> Option<usize> {
        self.ends.iter().find(|(end, _)| part < *end).map(|(_, index)| *index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(split: &Weighted, indexes: usize) -> Vec<u32> {
        let mut counts = vec![0; indexes];
        for part in 0..PARTS {
            counts[split.at(part).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn every_index_owns_exactly_its_share() {
        let split = Weighted::new([(0, 3_333), (1, 3_333), (2, 3_334)]);
        assert_eq!(counts(&split, 3), [3_333, 3_333, 3_334]);
        let split = Weighted::new([(3, 1), (0, 0), (1, 9_999)]);
        assert_eq!(counts(&split, 4), [0, 9_999, 0, 1]);
    }

    #[test]
    fn no_weight_draws_nothing() {
        assert_eq!(Weighted::new([]).draw(), None);
        assert_eq!(Weighted::new([(0, 0), (1, 0)]).draw(), None);
    }

    /// 100,000 draws at 10 %: the standard deviation is 95, so six of them are passed once in 10⁹.
    #[test]
    fn draws_follow_the_weights() {
        let split = Weighted::new([(0, 9_000), (1, 1_000)]);
        let ones = (0..100_000).filter(|_| split.draw() == Some(1)).count();
        assert!(ones.abs_diff(10_000) < 6 * 95, "{ones} of 100,000 draws at 10 %");
    }
}

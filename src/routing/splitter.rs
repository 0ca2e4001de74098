//! One split, ready to choose the version of a request: at random, in turns, or by the hash of a key.

use rand::RngExt;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::buckets::{Buckets, Owner};
use super::smooth::Smooth;
use super::split::Weighted;

/// Splits requests between versions by their shares. Versions are indexes.
#[derive(Debug)]
pub struct Splitter {
    /// The names of the versions, from which buckets are computed.
    names: Box<[String]>,
    ways: Ways,
    shares: Box<[(usize, u16)]>,
    weighted: Weighted,
    /// Where the service picks in turns.
    smooth: Option<Smooth>,
    /// Where the service has a sticky key.
    buckets: Option<Buckets>,
}

/// Which versions give their shares to the others for now; none do, where it is none. Where all do, none does.
pub type Yields<'a> = Option<&'a dyn Fn(usize) -> bool>;

/// The ways in which a splitter chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// In turns instead of at random.
    pub is_smooth: bool,
    /// Also by the hash of a sticky key.
    pub is_sticky: bool,
}

impl Splitter {
    /// A splitter of at least one version. Shares are hundredths of a percent and add up to 10,000.
    pub fn new(owners: &[Owner<'_>], ways: Ways) -> Self {
        let shares: Box<[_]> = owners.iter().map(|owner| (owner.index, owner.share)).collect();
        Self {
            weighted: Weighted::new(shares.iter().copied()),
            smooth: ways.is_smooth.then(|| Smooth::new(shares.iter().copied())),
            buckets: ways.is_sticky.then(|| Buckets::new(owners)),
            names: owners.iter().map(|owner| owner.name.to_owned()).collect(),
            ways,
            shares,
        }
    }

    /// Whether a new splitter of these would be equal to this one. Then this one is kept: its turns go
    /// on where they are, and buckets need not be computed.
    pub fn is_of(&self, owners: &[Owner<'_>], ways: Ways) -> bool {
        let own = self.names.iter().zip(&self.shares);
        self.ways == ways
            && self.names.len() == owners.len()
            && own.zip(owners).all(|((name, share), owner)| {
                name == owner.name && *share == (owner.index, owner.share)
            })
    }

    /// Draws a version: at random, or the next in turn. What yields leaves its draws to the others, in proportion.
    pub fn draw(&self, yields: Yields<'_>) -> Option<usize> {
        let drawn = self.next()?;
        match yields {
            Some(yields) if yields(drawn) => Some(self.draw_among_others(yields).unwrap_or(drawn)),
            _ => Some(drawn),
        }
    }

    fn next(&self) -> Option<usize> {
        match &self.smooth {
            Some(smooth) => smooth.next(),
            None => self.weighted.draw(),
        }
    }

    fn draw_among_others(&self, yields: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut sum = 0_u32;
        let mut drawn = None;
        // Each takes the place of those before it with the odds of its share, so one pass is enough.
        for (index, share, _) in self.others(yields) {
            sum += u32::from(share);
            if rand::rng().random_range(0..sum) < u32::from(share) {
                drawn = Some(index);
            }
        }
        drawn
    }

    /// The version of a sticky key with this hash; none where the splitter does not choose by hash. The keys of a version
    /// that yields go to the others in proportion, and no other key moves.
    pub fn of_hash(&self, hash: u64, yields: Yields<'_>) -> Option<usize> {
        let owner = self.buckets.as_ref()?.owner(hash)?;
        match yields {
            Some(yields) if yields(owner) => {
                let others = self
                    .others(yields)
                    .map(|(index, share, name)| (wait(name, hash, share), index));
                let first = others.min_by(|(one, _), (other, _)| one.total_cmp(other));
                Some(first.map_or(owner, |(_, index)| index))
            }
            _ => Some(owner),
        }
    }

    /// The versions with a share that do not yield it.
    fn others<'a>(
        &'a self,
        yields: &'a dyn Fn(usize) -> bool,
    ) -> impl Iterator<Item = (usize, u16, &'a str)> {
        let all = self.shares.iter().zip(&self.names);
        let all = all.map(|((index, share), name)| (*index, *share, name.as_str()));
        all.filter(|(index, share, _)| *share > 0 && !yields(*index))
    }

    /// Whether a version with a share yields it.
    pub fn has(&self, yields: &dyn Fn(usize) -> bool) -> bool {
        self.shares.iter().any(|(index, share)| *share > 0 && yields(*index))
    }

    /// The shares as they are while some yield theirs: parts of the sum of the second numbers. As they are declared,
    /// where all yield.
    pub fn shares_without(&self, yields: Yields<'_>) -> Vec<(usize, u16)> {
        let left = |yields| self.others(yields).map(|(index, share, _)| (index, share)).collect();
        match yields.map(left) {
            None => self.shares.to_vec(),
            Some(left) if Vec::is_empty(&left) => self.shares.to_vec(),
            Some(left) => left,
        }
    }

    /// The versions and their shares in hundredths of a percent, in the order in which they were given.
    pub fn shares(&self) -> &[(usize, u16)] {
        &self.shares
    }
}

/// An exponential variable of a name and a hash, with the share as its rate: the least of several belongs to each in
/// proportion to its share, and stays the least while others come and go. By a library's logarithm, which is the same on
/// every machine.
fn wait(name: &str, hash: u64, share: u16) -> f64 {
    let bits = xxh3_64_with_seed(name.as_bytes(), hash) >> 12;
    let uniform = (bits as f64 + 0.5) / (1_u64 << 52) as f64;
    -libm::log(uniform) / f64::from(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 4] = ["v1", "v2", "v3", "v4"];

    fn splitter(shares: &[u16], is_smooth: bool) -> Splitter {
        let owners = shares.iter().zip(NAMES).enumerate();
        let owners: Vec<_> =
            owners.map(|(index, (share, name))| Owner { name, share: *share, index }).collect();
        Splitter::new(&owners, Ways { is_smooth, is_sticky: true })
    }

    fn hashes(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|key| xxh3_64_with_seed(b"user", key))
    }

    #[track_caller]
    fn assert_in_proportion(counts: [u32; 4], shares: [u16; 4]) {
        let (all, sum) = (counts.iter().sum::<u32>(), shares.iter().sum::<u16>());
        for (count, share) in counts.into_iter().zip(shares) {
            let part = f64::from(share) / f64::from(sum);
            let expected = f64::from(all) * part;
            // Six standard deviations: wrong once in 10⁹ runs.
            let bound = 6.0 * (expected * (1.0 - part)).sqrt();
            assert!((f64::from(count) - expected).abs() <= bound, "{counts:?} for {shares:?}");
        }
    }

    #[test]
    fn what_yields_leaves_its_share_to_the_others_in_proportion() {
        for is_smooth in [false, true] {
            let splitter = splitter(&[5_000, 3_000, 2_000, 0], is_smooth);
            let mut counts = [0; 4];
            for _ in 0..20_000 {
                counts[splitter.draw(Some(&|index| index == 0)).unwrap()] += 1;
            }
            assert_in_proportion(counts, [0, 3_000, 2_000, 0]);
            let mut counts = [0; 4];
            for hash in hashes(20_000).filter(|hash| splitter.of_hash(*hash, None) == Some(0)) {
                counts[splitter.of_hash(hash, Some(&|index| index == 0)).unwrap()] += 1;
            }
            assert_in_proportion(counts, [0, 3_000, 2_000, 0]);
        }
    }

    #[test]
    fn where_all_yield_shares_are_as_declared() {
        let splitter = splitter(&[5_000, 5_000], false);
        let yields: Yields<'_> = Some(&|_| true);
        assert_eq!(splitter.shares_without(yields), [(0, 5_000), (1, 5_000)]);
        for hash in hashes(100) {
            assert_eq!(splitter.of_hash(hash, yields), splitter.of_hash(hash, None));
            assert!(splitter.draw(yields).is_some());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Also where others yield already.
        #[test]
        fn only_keys_of_what_yields_move(first in 0..4_usize, second in 0..4_usize) {
            let splitter = splitter(&[4_000, 3_000, 2_000, 1_000], false);
            prop_assume!(first != second);
            for hash in hashes(300) {
                let all = splitter.of_hash(hash, None).unwrap();
                let one = splitter.of_hash(hash, Some(&|index| index == first)).unwrap();
                let two = splitter.of_hash(hash, Some(&|index| index == first || index == second)).unwrap();
                prop_assert!(one == all || all == first);
                prop_assert!(two == one || one == second);
            }
        }
    }
}

//! Which version owns which of ten thousand buckets, when requests stick to versions by a hash:
//! exact shares, and few buckets move when shares change. A publish calls it; the result depends on
//! the names and shares of the versions alone, so every replica and every restart agrees.
//!
//! Each version has a random number for each bucket, made from its name: the logarithm of an
//! exponential variable, as in weighted rendezvous hashing (J. Mosheiff and others call the same
//! "exponential clocks"). Of all ways to give every version exactly its share, the one with the
//! least sum of numbers is taken. A version that grows while no other does only ever gains buckets.
//!
//! Of two versions, no bucket moves that need not. Of three, at most twice as many as must: each
//! hundredth of a percent that one loses to another makes at most one detour, over the third. Of
//! more, it is bounded as for the clocks, by `2 d / (1 + d)` of all where `d` is the least that has
//! to move (R. Moulton and Y. Jiang, "Maximally Consistent Sampling and the Jaccard Index of
//! Probability Distributions", 2018), but only as far as ten thousand buckets are many: when ten
//! versions exchange less than 1 % of the traffic, it may be two and a half times as many, and of a
//! hundredth of a percent five buckets instead of one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::split::PARTS;

/// Units in which costs are counted, one for each unit of the logarithm.
const SCALE: f64 = (1_u64 << 40) as f64;

/// The owner of each bucket, as an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets(Box<[u16]>);

/// A version of a split.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// What makes it the same one from split to split.
    pub name: &'a str,
    /// In hundredths of a percent. All together are 10,000.
    pub share: u16,
    /// What [`Buckets::owner`] returns for its buckets.
    pub index: usize,
}

impl Buckets {
    /// Gives each owner as many buckets as its share.
    pub fn new(owners: &[Owner<'_>]) -> Self {
        let mut owners: Vec<Owner<'_>> = owners.iter().copied().filter(|it| it.share > 0).collect();
        // Nothing may depend on the order in which versions are declared.
        owners.sort_unstable_by_key(|owner| owner.name);
        let mut assignment = Assignment::new(&owners);
        while assignment.improve() {}
        let index = |place: &usize| owners.get(*place).map_or(0, |owner| owner.index);
        let index = |place| u16::try_from(index(place)).unwrap_or(u16::MAX);
        Self(assignment.places.iter().map(index).collect())
    }

    /// The owner of the bucket of a hash.
    pub fn owner(&self, hash: u64) -> Option<usize> {
        self.0.get(usize::from(bucket(hash))).map(|index| usize::from(*index))
    }
}

/// The bucket of a hash.
pub fn bucket(hash: u64) -> u16 {
    u16::try_from(hash % u64::from(PARTS)).unwrap_or(0)
}

/// A way to give buckets to owners, the cheapest of all with the same counts.
struct Assignment {
    owners: usize,
    /// Of each bucket, for each owner.
    costs: Vec<i64>,
    /// The place of each bucket's owner.
    places: Vec<usize>,
    /// How many buckets each owner has beyond its share.
    surplus: Vec<i64>,
    /// For each owner and each other: what more the other would cost, and the bucket. Those that
    /// changed hands since are still in it.
    offers: Vec<BinaryHeap<Reverse<(i64, usize)>>>,
}

impl Assignment {
    /// Each bucket goes to whoever is cheapest for it, where owners pay less the larger their share
    /// is. Shares are met nearly.
    fn new(owners: &[Owner<'_>]) -> Self {
        let count = owners.len();
        let discounts: Vec<i64> =
            owners.iter().map(|owner| scaled(libm::log(f64::from(owner.share)))).collect();
        let costs: Vec<i64> = (0..u64::from(PARTS))
            .flat_map(|bucket| owners.iter().map(move |owner| cost(owner.name, bucket)))
            .collect();
        let mut assignment = Self {
            owners: count,
            costs: Vec::new(),
            places: Vec::with_capacity(usize::from(PARTS)),
            surplus: owners.iter().map(|owner| -i64::from(owner.share)).collect(),
            offers: (0..count * count).map(|_| BinaryHeap::new()).collect(),
        };
        for costs in costs.chunks_exact(count.max(1)) {
            let paid = costs.iter().zip(&discounts).map(|(cost, discount)| cost - discount);
            let cheapest = paid.enumerate().min_by_key(|(_, paid)| *paid);
            assignment.places.push(cheapest.map_or(0, |(place, _)| place));
        }
        assignment.costs = costs;
        for bucket in 0..assignment.places.len() {
            assignment.offer(bucket);
        }
        assignment
    }

    /// Makes the bucket of an owner known to the others, and counts it as his.
    fn offer(&mut self, bucket: usize) {
        let Some(&from) = self.places.get(bucket) else { return };
        let all = bucket * self.owners..(bucket + 1) * self.owners;
        let costs = self.costs.get(all).unwrap_or_default();
        let own = costs.get(from).copied().unwrap_or_default();
        let row = self.offers.iter_mut().skip(from * self.owners);
        for (place, (cost, offers)) in costs.iter().zip(row).enumerate() {
            if place != from {
                offers.push(Reverse((cost - own, bucket)));
            }
        }
        if let Some(surplus) = self.surplus.get_mut(from) {
            *surplus += 1;
        }
    }

    /// Moves a bucket from one who has too many to one who has too few, by way of others where that
    /// is cheaper. Whether there was anything to do.
    fn improve(&mut self) -> bool {
        let Some(path) = self.cheapest_path() else { return false };
        let steps: Vec<(usize, usize)> =
            path.iter().zip(path.iter().skip(1)).map(|(from, to)| (*from, *to)).collect();
        let buckets: Vec<_> = steps
            .iter()
            .filter_map(|(from, to)| Some((self.best(*from, *to)?.1, *from, *to)))
            .collect();
        for (bucket, from, to) in buckets {
            if let Some(surplus) = self.surplus.get_mut(from) {
                *surplus -= 1;
            }
            if let Some(place) = self.places.get_mut(bucket) {
                *place = to;
            }
            self.offer(bucket);
        }
        true
    }

    /// The way over which moving one bucket a step costs least, from any owner with too many to any
    /// with too few (Bellman and Ford: costs may be negative, but not around in a circle).
    fn cheapest_path(&mut self) -> Option<Vec<usize>> {
        const FAR: i64 = i64::MAX / 4;
        let mut costs: Vec<i64> =
            self.surplus.iter().map(|surplus| if *surplus > 0 { 0 } else { FAR }).collect();
        let mut before: Vec<Option<usize>> = vec![None; self.owners];
        for _ in 0..self.owners {
            let mut changed = false;
            for from in 0..self.owners {
                let here = costs.get(from).copied().filter(|cost| *cost < FAR);
                for to in (0..self.owners).filter(|to| *to != from) {
                    let Some((step, _)) = here.and(self.best(from, to)) else { continue };
                    let cost = here.unwrap_or(FAR) + step;
                    if let Some(known) = costs.get_mut(to).filter(|known| cost < **known) {
                        *known = cost;
                        changed = true;
                        if let Some(before) = before.get_mut(to) {
                            *before = Some(from);
                        }
                    }
                }
            }
            if !changed {
                break;
            }
        }
        let wanting = self.surplus.iter().zip(&costs).enumerate();
        let wanting = wanting.filter(|(_, (surplus, cost))| **surplus < 0 && **cost < FAR);
        let (last, _) = wanting.min_by_key(|(place, (_, cost))| (**cost, *place))?;
        let mut path = vec![last];
        while let Some(Some(from)) = path.last().and_then(|place| before.get(*place)) {
            path.push(*from);
            if path.len() > self.owners {
                return None;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The bucket of one owner that is cheapest to give to another, and what more it costs there.
    fn best(&mut self, from: usize, to: usize) -> Option<(i64, usize)> {
        let offers = self.offers.get_mut(from * self.owners + to)?;
        loop {
            let Reverse((cost, bucket)) = *offers.peek()?;
            if self.places.get(bucket) == Some(&from) {
                return Some((cost, bucket));
            }
            offers.pop();
        }
    }
}

/// The logarithm of an exponential variable. By a library and not by the processor's or the
/// system's: all replicas must have the same.
fn cost(name: &str, bucket: u64) -> i64 {
    let bits = xxh3_64_with_seed(name.as_bytes(), bucket) >> 12;
    let uniform = (bits as f64 + 0.5) / (1_u64 << 52) as f64;
    scaled(libm::log(-libm::log(uniform)))
}

#[expect(clippy::cast_possible_truncation, reason = "logarithms of what has 52 bits are small")]
fn scaled(logarithm: f64) -> i64 {
    (logarithm * SCALE) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 10] = ["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10"];

    fn buckets(shares: &[u16]) -> Buckets {
        let owners = shares.iter().zip(NAMES).enumerate();
        let owners: Vec<_> =
            owners.map(|(index, (share, name))| Owner { name, share: *share, index }).collect();
        Buckets::new(&owners)
    }

    fn moved(before: &Buckets, after: &Buckets) -> usize {
        before.0.iter().zip(&after.0).filter(|(before, after)| before != after).count()
    }

    fn least(before: &[u16], after: &[u16]) -> usize {
        let won = before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before));
        won.map(usize::from).sum()
    }

    fn shares(owners: usize) -> impl Strategy<Value = Vec<u16>> {
        prop::collection::vec(0..=PARTS, owners - 1).prop_map(|mut cuts| {
            cuts.extend([0, PARTS]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| pair[1] - pair[0]).collect()
        })
    }

    fn part_of(share: u16, thousandths: u64) -> u16 {
        u16::try_from(u64::from(share) * thousandths / 1_000).unwrap()
    }

    fn two_splits() -> impl Strategy<Value = (Vec<u16>, Vec<u16>)> {
        (2..=10_usize).prop_flat_map(|owners| (shares(owners), shares(owners)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_owner_has_exactly_its_share((shares, _) in two_splits()) {
            let buckets = buckets(&shares);
            for (index, share) in shares.iter().enumerate() {
                let own = buckets.0.iter().filter(|owner| usize::from(**owner) == index).count();
                prop_assert_eq!(own, usize::from(*share));
            }
        }

        /// However little changes.
        #[test]
        fn of_three_at_most_twice_the_least_moves(
            before in shares(3), from in 0..3_usize, by in 1..3_usize, part in 0..=1_000_u64,
        ) {
            let mut after = before.clone();
            let moves = part_of(before[from], part * part * part / 1_000_000);
            after[from] -= moves;
            after[(from + by) % 3] += moves;
            let moved = moved(&buckets(&before), &buckets(&after));
            prop_assert!(moved <= 2 * usize::from(moves), "{} for {}", moved, moves);
        }

        #[test]
        fn of_more_too_where_enough_changes((before, after) in two_splits()) {
            let least = least(&before, &after);
            prop_assume!(least >= 500);
            let moved = moved(&buckets(&before), &buckets(&after));
            prop_assert!(least <= moved && moved <= 2 * least, "{} for {}", moved, least);
        }

        #[test]
        fn of_two_only_the_growing_one_gains(before in 0..=PARTS, after in 0..=PARTS) {
            let (less, more) = (before.min(after), before.max(after));
            let [before, after] = [less, more].map(|share| buckets(&[PARTS - share, share]));
            let others = before.0.iter().zip(&after.0).filter(|(before, after)| before != after);
            for (before, after) in others {
                prop_assert_eq!((*before, *after), (0, 1));
            }
            prop_assert_eq!(moved(&before, &after), usize::from(more - less));
        }

        /// Whatever the others lose, and to whom they lose it.
        #[test]
        fn whoever_alone_grows_loses_nothing(
            before in shares(5), taken in prop::collection::vec(0..=1_000_u64, 4),
        ) {
            let mut after = before.clone();
            for (share, taken) in after.iter_mut().zip(taken) {
                *share -= part_of(*share, taken);
            }
            after[4] = PARTS - after[..4].iter().sum::<u16>();
            let [before, after] = [before, after].map(|shares| buckets(&shares));
            let lost = before.0.iter().zip(&after.0).filter(|(before, after)| **before == 4 && **after != 4);
            prop_assert_eq!(lost.count(), 0);
        }
    }

    #[test]
    fn the_order_of_declaration_does_not_matter() {
        let owner = |name, share, index| Owner { name, share, index };
        let one = Buckets::new(&[owner("a", 2_500, 0), owner("b", 7_500, 1)]);
        let other = Buckets::new(&[owner("b", 7_500, 0), owner("a", 2_500, 1)]);
        assert_eq!(moved(&one, &other), 10_000, "the indexes are the other way round");
    }

    /// A change here moves users of every replica that is upgraded.
    #[test]
    fn buckets_are_the_same_for_ever() {
        let buckets = buckets(&[7_000, 2_000, 1_000]);
        let bytes: Vec<u8> = buckets.0.iter().flat_map(|owner| owner.to_le_bytes()).collect();
        assert_eq!(xxh3_64_with_seed(&bytes, 0), 17_842_774_889_655_665_150);
    }
}

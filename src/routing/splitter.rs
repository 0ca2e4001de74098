//! One split, ready to give requests to versions in every way that its service may want: at random,
//! in turns, or by the hash of a key.

use super::buckets::{Buckets, Owner};
use super::smooth::Smooth;
use super::split::Weighted;

/// A split whose requests go to indexes.
#[derive(Debug)]
pub struct Splitter {
    /// Of the owners, and in which ways they are to be had.
    names: Box<[String]>,
    ways: Ways,
    shares: Box<[(usize, u16)]>,
    weighted: Weighted,
    /// Where the service picks in turns.
    smooth: Option<Smooth>,
    /// Where the service has a sticky key.
    buckets: Option<Buckets>,
}

/// In which ways a split is to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// In turns instead of at random.
    pub is_smooth: bool,
    /// By hash too.
    pub is_sticky: bool,
}

impl Splitter {
    /// A split of shares in hundredths of a percent, all together 10,000, and of at least one.
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

    /// Whether it is what would be made of these again: then turns go on where they are, and buckets
    /// need not be computed.
    pub fn is_of(&self, owners: &[Owner<'_>], ways: Ways) -> bool {
        let own = self.names.iter().zip(&self.shares);
        self.ways == ways
            && self.names.len() == owners.len()
            && own.zip(owners).all(|((name, share), owner)| {
                name == owner.name && *share == (owner.index, owner.share)
            })
    }

    /// The index of a request that nothing else decides.
    pub fn draw(&self) -> Option<usize> {
        match &self.smooth {
            Some(smooth) => smooth.next(),
            None => self.weighted.draw(),
        }
    }

    /// The index of a request whose key has this hash; none where the split is not to be had so.
    pub fn of_hash(&self, hash: u64) -> Option<usize> {
        self.buckets.as_ref()?.owner(hash)
    }

    /// Indexes and shares in hundredths of a percent, as they were given.
    pub fn shares(&self) -> &[(usize, u16)] {
        &self.shares
    }
}

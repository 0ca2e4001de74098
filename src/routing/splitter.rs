//! One split, ready to choose the version of a request: at random, in turns, or by the hash of a key.

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

    /// Draws a version: at random, or the next in turn.
    pub fn draw(&self) -> Option<usize> {
        match &self.smooth {
            Some(smooth) => smooth.next(),
            None => self.weighted.draw(),
        }
    }

    /// The version of a sticky key with this hash; none where the splitter does not choose by hash.
    pub fn of_hash(&self, hash: u64) -> Option<usize> {
        self.buckets.as_ref()?.owner(hash)
    }

    /// The versions and their shares in hundredths of a percent, in the order in which they were given.
    pub fn shares(&self) -> &[(usize, u16)] {
        &self.shares
    }
}

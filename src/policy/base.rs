//! Who gets a request that no override, rule or sticky key decides.

use crate::config::{Percent, Split, spread};

/// Who gets a request that no override, rule or sticky key decides. Versions are indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Versions by their shares.
    Split(Split),
    /// One version gets every request.
    Latest(usize),
    /// No version gets requests, as the service declares it.
    Offline,
    /// No version gets requests, because none can serve.
    Nothing,
}

impl Base {
    /// The versions with a share, in the order of declaration.
    pub fn shares(&self) -> Vec<(usize, Percent)> {
        match self {
            Self::Split(split) => takers(split).collect(),
            Self::Latest(index) => vec![(*index, Percent::ALL)],
            Self::Offline | Self::Nothing => Vec::new(),
        }
    }

    /// Whether some version gets requests.
    pub fn takes_traffic(&self) -> bool {
        matches!(self, Self::Split(_) | Self::Latest(_))
    }

    /// The same without some versions. Their shares go to the others in proportion; `Nothing` where
    /// no other version has a share.
    pub fn without(&self, is_closed: impl Fn(usize) -> bool) -> Self {
        match self {
            Self::Split(split) => rest(split, is_closed).map_or(Self::Nothing, Self::Split),
            Self::Latest(index) if is_closed(*index) => Self::Nothing,
            Self::Latest(_) | Self::Offline | Self::Nothing => self.clone(),
        }
    }
}

/// A split without some of its versions: the others get their shares, in proportion to their own.
/// `None` where no other version has a share.
pub(super) fn rest(split: &Split, is_closed: impl Fn(usize) -> bool) -> Option<Split> {
    if !takers(split).any(|(index, _)| is_closed(index)) {
        return Some(split.clone());
    }
    let (left, shares): (Vec<_>, Vec<_>) =
        takers(split).filter(|(index, _)| !is_closed(*index)).unzip();
    let shares = spread(&shares, Percent::ALL);
    // What is left may be empty, which is no split.
    Split::new(left.into_iter().zip(shares).collect()).ok().filter(|split| !split.is_offline())
}

/// The versions with a share.
pub(super) fn takers(split: &Split) -> impl Iterator<Item = (usize, Percent)> {
    split.shares().iter().copied().filter(|(_, share)| *share > Percent::ZERO)
}

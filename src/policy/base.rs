//! What decides where nothing else does.

use crate::config::{Percent, Split, spread};

/// Who gets what where neither an override nor a rule nor stickiness decides. Versions are indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// By shares.
    Split(Split),
    /// All to the latest.
    Latest(usize),
    /// Nobody gets anything, and that is meant.
    Offline,
    /// No version can be had.
    Nothing,
}

impl Base {
    /// Those with a share, in their order.
    pub fn shares(&self) -> Vec<(usize, Percent)> {
        match self {
            Self::Split(split) => takers(split).collect(),
            Self::Latest(index) => vec![(*index, Percent::ALL)],
            Self::Offline | Self::Nothing => Vec::new(),
        }
    }

    /// Whether somebody gets an answer by it.
    pub fn takes_traffic(&self) -> bool {
        matches!(self, Self::Split(_) | Self::Latest(_))
    }

    /// The same without some versions, whose shares go to the others; nothing where no other is.
    pub fn without(&self, is_closed: impl Fn(usize) -> bool) -> Self {
        match self {
            Self::Split(split) => rest(split, is_closed).map_or(Self::Nothing, Self::Split),
            Self::Latest(index) if is_closed(*index) => Self::Nothing,
            Self::Latest(_) | Self::Offline | Self::Nothing => self.clone(),
        }
    }
}

/// A split without some of its versions: the others take their shares, in proportion to their own.
/// None where nobody is left.
pub(super) fn rest(split: &Split, is_closed: impl Fn(usize) -> bool) -> Option<Split> {
    if !takers(split).any(|(index, _)| is_closed(index)) {
        return Some(split.clone());
    }
    let (left, shares): (Vec<_>, Vec<_>) =
        takers(split).filter(|(index, _)| !is_closed(*index)).unzip();
    let shares = spread(&shares, Percent::ALL);
    // A split of nothing is none.
    Split::new(left.into_iter().zip(shares).collect()).ok().filter(|split| !split.is_offline())
}

/// Those with a share.
pub(super) fn takers(split: &Split) -> impl Iterator<Item = (usize, Percent)> {
    split.shares().iter().copied().filter(|(_, share)| *share > Percent::ZERO)
}

//! One declared version: how far it is, and whether it is still what would be made of its declaration.

use std::collections::HashMap;
use std::path::Path;

use super::Again;
use crate::config::VersionSpec;
use crate::source::Look;
use crate::versions::Status;

/// What the files that a version is made from look like from outside.
pub(super) type Sights = Vec<Look>;

/// A declared version.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) spec: VersionSpec,
    pub(super) sights: Sights,
    /// `creating` also while it is tried again and again, if there is one before it that serves.
    pub(super) status: Status,
    /// Grows with every try, so that the end of one that was replaced is not mistaken.
    pub(super) number: u64,
    pub(super) progress: Progress,
    /// Whether one of its name was normal when it came: that serves until this one is known.
    pub(super) replaces: bool,
}

/// How far a candidate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is being made.
    First,
    /// An error of a moment was in the way, this one, and it is being made again.
    Again(String),
    /// An error of a moment was in the way. It is to be made again.
    Waits(String),
    Done,
}

impl Candidate {
    /// Whether it is what would be made of a declaration again. A file that cannot be looked at for
    /// a moment is what it was.
    pub(super) fn is_still(&self, spec: &VersionSpec, sights: &Sights, again: Again) -> bool {
        let differs = |(before, now): (&Look, &Look)| now.differs_from(*before);
        let is_same = self.spec == *spec && !self.sights.iter().zip(sights).any(differs);
        let is_tried_again = self.status.error().is_some_and(|error| match again {
            Again::Transient => false,
            Again::Passing => error.code.may_pass() && !error.is_transient,
            Again::All => true,
        });
        is_same && !is_tried_again
    }
}

/// Files that were looked at. Many versions may name one.
#[derive(Default)]
pub(super) struct Looks<'a> {
    seen: HashMap<&'a Path, Look>,
}

impl<'a> Looks<'a> {
    pub(super) fn at(&mut self, spec: &'a VersionSpec) -> Sights {
        let look = |path| *self.seen.entry(path).or_insert_with(|| Look::at(path));
        spec.files().map(look).collect()
    }

    /// How many of them could not be looked at.
    pub(super) fn obscured(&self) -> usize {
        self.seen.values().filter(|look| **look == Look::Obscured).count()
    }
}

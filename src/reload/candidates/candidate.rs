//! One declared version: its status, and whether it still matches its declaration and files.

use std::collections::HashMap;
use std::path::Path;

use super::Again;
use crate::config::VersionSpec;
use crate::source::{Look, has_other_names};
use crate::versions::Status;

/// How the files of a version look from outside, in the order of [`VersionSpec::files`].
pub(super) type Sights = Vec<Look>;

/// A declared version.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) spec: VersionSpec,
    pub(super) sights: Sights,
    /// Stays `creating` through retries while a version of the same name serves in its place.
    pub(super) status: Status,
    /// Grows with every try, so that the result of an earlier try is not taken for this one's.
    pub(super) number: u64,
    pub(super) progress: Progress,
    /// Whether a version of the same name was normal before: that one serves until this one is
    /// ready.
    pub(super) replaces: bool,
}

/// The progress of a candidate's preparation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The first try is running.
    First,
    /// The last try failed with this transient error, and the next is running.
    Again(String),
    /// The last try failed with this transient error, and the next has not begun.
    Waits(String),
    Done,
}

impl Candidate {
    /// Whether preparing `spec` now would give the same result. A file that cannot be looked at
    /// because of a transient error counts as unchanged.
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

/// Looks at each file once, though many versions may name it.
#[derive(Default)]
pub(super) struct Looks<'a> {
    seen: HashMap<&'a Path, Look>,
    linked: HashMap<&'a Path, bool>,
}

impl<'a> Looks<'a> {
    pub(super) fn at(&mut self, spec: &'a VersionSpec) -> Sights {
        let look = |path| *self.seen.entry(path).or_insert_with(|| Look::at(path));
        spec.files().map(look).collect()
    }

    /// Whether a file may change through another name than this path.
    pub(super) fn has_other_names(&mut self, path: &'a Path) -> bool {
        *self.linked.entry(path).or_insert_with(|| has_other_names(path))
    }

    /// How many of these files could not be looked at.
    pub(super) fn obscured(&self) -> usize {
        self.seen.values().filter(|look| **look == Look::Obscured).count()
    }
}

//! The sticky key of a request while its version is decided.

use super::super::affinity::{Affinity, Id};
use super::super::request::Asked;
use super::super::splitter::Yields;

/// The key of a request, looked for once and only if something asks for it.
pub(super) struct Key<'a, M> {
    pub asked: Asked<'a>,
    make: M,
    /// Versions that are passed over.
    pub yields: Yields<'a>,
    pub found: Option<(Option<u64>, Option<Id>)>,
}

impl<'a, M: Fn() -> Option<Id>> Key<'a, M> {
    /// A key that nothing has asked for yet.
    pub fn new(asked: Asked<'a>, make: M, yields: Yields<'a>) -> Self {
        Self { asked, make, yields, found: None }
    }

    /// Whether a version is passed over.
    pub fn is_passed_over(&self, index: usize) -> bool {
        self.yields.is_some_and(|yields| yields(index))
    }

    /// Its hash, and the key itself where it was made for it.
    pub fn hash(&mut self, affinity: &Affinity) -> (Option<u64>, Option<Id>) {
        if let Some(found) = self.found {
            return found;
        }
        let sent = affinity.hash(self.asked);
        let made = if sent.is_none() && affinity.is_generated() { (self.make)() } else { None };
        let hash = sent.or_else(|| made.as_ref().map(|id| affinity.hash_of(id.text())));
        *self.found.insert((hash, made))
    }
}

//! Which files claim a name, so that an edited file is not compared with all others. Only files
//! that claim the same name, and those connected with them by further names, take part in a
//! decision.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use super::Key;
use super::file::File;
use crate::config::{Claimed, Draft};

/// Files by the names that they claim, in their present state or in the state served last.
#[derive(Debug, Default)]
pub struct Claimants {
    hasher: RandomState,
    /// Keyed by the hashes of names. When two names have the same hash, a few more files are looked
    /// at.
    keys: HashMap<u64, Vec<Key>>,
}

impl Claimants {
    /// The hashes of the names that a file claims, each once.
    pub fn names(&self, key: &Key, file: Option<&File>) -> Vec<u64> {
        let drafts = file.into_iter().flat_map(File::drafts);
        let mut names: Vec<_> = drafts.flat_map(|draft| self.names_of(key, draft)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn names_of<'a>(&'a self, key: &'a Key, draft: &'a Draft) -> impl Iterator<Item = u64> + 'a {
        draft.claims.iter().map(|claim| {
            let name: Claimed<'_> = claim.name_in(&key.environment);
            self.hasher.hash_one(name)
        })
    }

    /// Replaces the names that a file claimed `before` by those that it claims `now`.
    pub fn update(&mut self, key: &Key, before: &[u64], now: &[u64]) {
        for name in before.iter().filter(|name| now.binary_search(name).is_err()) {
            if let Some(keys) = self.keys.get_mut(name) {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    self.keys.remove(name);
                }
            }
        }
        for name in now.iter().filter(|name| before.binary_search(name).is_err()) {
            self.keys.entry(*name).or_insert_with(|| Vec::with_capacity(1)).push(key.clone());
        }
    }

    /// Whether other files claim a name that this file claims.
    pub fn has_rivals(&self, key: &Key, file: Option<&File>) -> bool {
        let drafts = file.into_iter().flat_map(File::drafts);
        let mut names = drafts.flat_map(|draft| self.names_of(key, draft));
        names.any(|name| self.keys.get(&name).is_some_and(|keys| keys.len() > 1))
    }

    /// The files that claim one of these names, the files that claim another name of theirs, and so
    /// on. `file` gives the state of a file.
    pub fn around<'a>(
        &self,
        names: impl IntoIterator<Item = u64>,
        file: impl Fn(&Key) -> Option<&'a File>,
    ) -> HashSet<Key> {
        let mut waiting: Vec<u64> = names.into_iter().collect();
        let mut seen: HashSet<u64> = waiting.iter().copied().collect();
        let mut found = HashSet::new();
        while let Some(name) = waiting.pop() {
            for key in self.keys.get(&name).into_iter().flatten() {
                if found.insert(key.clone()) {
                    let others = self.names(key, file(key));
                    waiting.extend(others.into_iter().filter(|name| seen.insert(*name)));
                }
            }
        }
        found
    }
}

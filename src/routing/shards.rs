//! A map from names whose copies share what they have in common: a copy of a hundred thousand names
//! that differs in one costs as much as a copy of some hundred.

use std::collections::HashMap;
use std::sync::Arc;

/// Names in one part, about: what a change copies of it.
const PART: usize = 64;
/// Parts of the largest map: what a change copies beside that.
const PARTS_MAX: usize = 4096;

/// A part of the names.
type Names<V> = HashMap<Arc<str>, V>;

/// Names and their values, in parts by their hashes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shards<V>(Vec<Arc<Names<V>>>);

impl<V> Shards<V> {
    /// An empty map that is to have about so many names.
    pub fn for_names(expected: usize) -> Self {
        let parts = (expected / PART).next_power_of_two().min(PARTS_MAX);
        Self((0..parts).map(|_| Arc::default()).collect())
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.0.get(self.place(name))?.get(name)
    }

    /// The part that a name is in, if it is in any.
    fn place(&self, name: &str) -> usize {
        match self.0.len() {
            0 | 1 => 0,
            // A power of two.
            parts => hash(name) & (parts - 1),
        }
    }
}

impl<V: Clone> Shards<V> {
    /// Gives a name a value.
    pub fn insert(&mut self, name: Arc<str>, value: V) {
        let place = self.place(&name);
        if let Some(part) = self.0.get_mut(place) {
            Arc::make_mut(part).insert(name, value);
        }
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) {
        let place = self.place(name);
        if let Some(part) = self.0.get_mut(place).filter(|part| part.contains_key(name)) {
            Arc::make_mut(part).remove(name);
        }
    }
}

/// FNV-1a: it only spreads our own names over the parts, each of which is a map with a better one.
fn hash(name: &str) -> usize {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_differ_in_what_was_changed_and_share_the_rest() {
        let mut one = Shards::for_names(10_000);
        for number in 0..10_000 {
            one.insert(format!("service-{number}.test").into(), number);
        }
        assert!(one.0.len() > 100 && one.0.iter().all(|part| (1..1_000).contains(&part.len())));
        let mut other = one.clone();
        other.insert("service-7.test".into(), 0);
        other.remove("service-8.test");
        other.remove("nobody.test");
        let at = |map: &Shards<i32>, name| map.get(name).copied();
        assert_eq!((at(&one, "service-7.test"), at(&one, "service-8.test")), (Some(7), Some(8)));
        assert_eq!((at(&other, "service-7.test"), at(&other, "service-8.test")), (Some(0), None));
        let shared = one.0.iter().zip(&other.0).filter(|(one, other)| Arc::ptr_eq(one, other));
        assert!(shared.count() >= one.0.len() - 2);
    }
}

//! Things that exist once for each key, as long as somebody has them.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is known by its key. Keeps nothing alive.
pub(super) struct Shared<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K: Eq + Hash, V> Shared<K, V> {
    /// What others have by this key, or else what `make` makes.
    pub fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        known.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make());
        known.insert(key, Arc::downgrade(&value));
        value
    }

    /// How many somebody has.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter(|value| value.strong_count() > 0).count()
    }
}

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, V> fmt::Debug for Shared<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

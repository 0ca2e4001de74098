//! How many requests failed with which code, without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Codes that are told apart. There are fewer: one more would count as the last of these.
const CODES: usize = 48;

/// Counts by code, in the order in which the codes first occurred. Takes its memory, 1.5 kB, with the first failure.
#[derive(Debug, Default)]
pub(super) struct Codes(OnceLock<Box<[OnceLock<Counted>; CODES]>>);

#[derive(Debug)]
struct Counted {
    code: &'static str,
    count: AtomicU64,
}

impl Codes {
    pub fn count(&self, code: &'static str) {
        let slots = self.0.get_or_init(|| Box::new([const { OnceLock::new() }; CODES]));
        let make = || Counted { code, count: AtomicU64::new(0) };
        let mut all = slots.iter().map(|slot| slot.get_or_init(make));
        let found = all.find(|counted| counted.code == code);
        let last = || slots.last().and_then(OnceLock::get);
        if let Some(counted) = found.or_else(last) {
            counted.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every code that occurred, and how often, always in the same order.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let slots = self.0.get().into_iter().flat_map(|slots| slots.iter());
        let counted = slots.map_while(OnceLock::get);
        counted.map(|it| (it.code, it.count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_counted_by_itself() {
        let codes = Codes::default();
        assert_eq!(codes.counts().count(), 0);
        for code in ["trap", "5xx", "trap"] {
            codes.count(code);
        }
        assert_eq!(codes.counts().collect::<Vec<_>>(), [("trap", 2), ("5xx", 1)]);
    }
}

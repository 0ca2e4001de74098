//! Who stays with which version: what `mode = "pin"` remembers. It lives in the process, as long as
//! its service does; a key that is not in it is decided by its hash, which every replica does alike.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Parts that are locked each by itself.
const SHARDS: usize = 64;

/// How many keys of a service are remembered at once, in each part: a million in all, which takes
/// about 70 MB. A further one takes the place of one that would be forgotten soon.
const SHARD_MAX: usize = (1 << 20) / SHARDS;

/// How many are looked at to find that one.
const LOOKED_AT: usize = 8;

/// How long a key is remembered that was made for a client, until the client comes back with it:
/// those who never do, as probes, would be remembered for as long as users.
const PROBATION: Duration = Duration::from_secs(600);

/// Keys and their versions, both as hashes.
#[derive(Clone, Debug)]
pub struct Pins {
    shards: Arc<[Mutex<HashMap<u64, Pin>>]>,
    ttl: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Pin {
    version: u64,
    since: Instant,
    /// Whether nobody has come back with the key.
    is_new: bool,
}

/// What another process may go on remembering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPin {
    pub key: u64,
    pub version: u64,
    /// How long ago the key was first seen.
    pub age: Duration,
    /// Whether nobody has come back with the key.
    pub is_new: bool,
}

impl Pins {
    /// Remembers each key for so long, from when it was first seen.
    pub fn new(ttl: Duration) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), ttl }
    }

    /// The same keys, remembered for another time.
    pub fn with_ttl(&self, ttl: Duration) -> Self {
        Self { shards: self.shards.clone(), ttl }
    }

    /// The version of a key.
    pub fn get(&self, key: u64, now: Instant) -> Option<u64> {
        let pin = *self.shard(key)?.get(&key)?;
        (now < self.end(&pin)).then_some(pin.version)
    }

    /// Remembers a key's version, unless it has one that may be kept. `is_made` says that the key
    /// was made just now. Allocates where it grows.
    pub fn set(
        &self,
        key: u64,
        version: u64,
        now: Instant,
        is_made: bool,
        may_keep: impl FnOnce(u64) -> bool,
    ) {
        let Some(mut pins) = self.shard(key) else { return };
        match pins.get_mut(&key) {
            Some(pin) if now < self.end(pin) && may_keep(pin.version) => pin.is_new &= is_made,
            Some(pin) => *pin = Pin { version, since: now, is_new: is_made },
            None => {
                if pins.len() >= SHARD_MAX {
                    let some = pins.iter().take(LOOKED_AT);
                    let soonest = some.min_by_key(|(_, pin)| self.end(pin)).map(|(key, _)| *key);
                    soonest.map(|key| pins.remove(&key));
                }
                pins.insert(key, Pin { version, since: now, is_new: is_made });
            }
        }
    }

    /// What is remembered now, a part at a time: each is locked only while it is copied.
    pub fn known(&self, now: Instant) -> impl Iterator<Item = KnownPin> {
        self.shards.iter().flat_map(move |shard| {
            let pins = lock(shard);
            let lasting = pins.iter().filter(|(_, pin)| now < self.end(pin));
            let known = lasting.map(|(key, pin)| KnownPin {
                key: *key,
                version: pin.version,
                age: now.saturating_duration_since(pin.since),
                is_new: pin.is_new,
            });
            known.collect::<Vec<_>>()
        })
    }

    /// Remembers what another process has remembered, as far as there is room for it.
    pub fn learn(&self, pin: KnownPin, now: Instant) {
        let KnownPin { key, version, age, is_new } = pin;
        // A clock that began later than that cannot say when it was.
        let since = now.checked_sub(age).unwrap_or(now);
        let Some(mut pins) = self.shard(key) else { return };
        if pins.len() < SHARD_MAX {
            pins.entry(key).or_insert(Pin { version, since, is_new });
        }
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Instant) {
        for shard in &*self.shards {
            let mut pins = lock(shard);
            pins.retain(|_, pin| now < self.end(pin));
            if pins.capacity() > 4 * pins.len().max(64) {
                pins.shrink_to_fit();
            }
        }
    }

    fn end(&self, pin: &Pin) -> Instant {
        let ttl = if pin.is_new { self.ttl.min(PROBATION) } else { self.ttl };
        // What is too far away for the clock never ends.
        pin.since.checked_add(ttl).unwrap_or(pin.since)
    }

    /// Not by the bits that choose a key's bucket.
    fn shard(&self, key: u64) -> Option<MutexGuard<'_, HashMap<u64, Pin>>> {
        let place = usize::try_from(key >> 58).ok()?;
        self.shards.get(place % SHARDS).map(lock)
    }
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn count(pins: &Pins) -> usize {
        pins.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn set(pins: &Pins, key: u64, version: u64, now: Instant) {
        pins.set(key, version, now, false, |_| true);
    }

    #[test]
    fn a_key_is_remembered_until_its_time_is_over() {
        let (pins, start) = (Pins::new(HOUR), Instant::now());
        assert_eq!(pins.get(7, start), None);
        set(&pins, 7, 1, start);
        assert_eq!(pins.get(7, start + HOUR - Duration::from_millis(1)), Some(1));
        assert_eq!(pins.get(7, start + HOUR), None);
        assert_eq!(pins.with_ttl(2 * HOUR).get(7, start + HOUR), Some(1));
        pins.sweep(start + HOUR);
        assert_eq!(count(&pins), 0);
    }

    #[test]
    fn another_process_goes_on_remembering_for_as_long_as_was_left() {
        let (pins, start) = (Pins::new(HOUR), Instant::now() + HOUR);
        set(&pins, 7, 1, start);
        pins.set(u64::MAX, 2, start + HOUR / 2, true, |_| true);
        set(&pins, 8, 1, start - HOUR);
        let now = start + HOUR / 2 + Duration::from_secs(1);
        let other = Pins::new(HOUR);
        set(&other, 9, 3, now);
        pins.known(now).for_each(|pin| other.learn(pin, now));
        assert_eq!((other.get(7, now), other.get(8, now)), (Some(1), None));
        assert_eq!(other.get(7, start + HOUR), None);
        assert_eq!(other.get(u64::MAX, now), Some(2));
        assert_eq!(other.get(u64::MAX, now + PROBATION), None);
        let again = KnownPin { key: 9, version: 4, age: Duration::ZERO, is_new: false };
        other.learn(again, now);
        assert_eq!(other.get(9, now), Some(3), "what it has seen itself counts");
    }

    #[test]
    fn the_first_version_is_kept_as_long_as_it_may() {
        let (pins, start) = (Pins::new(HOUR), Instant::now());
        set(&pins, 7, 1, start);
        set(&pins, 7, 2, start + HOUR / 2);
        assert_eq!(pins.get(7, start + HOUR / 2), Some(1));
        assert_eq!(pins.get(7, start + HOUR), None, "it counts from the first time");
        pins.set(7, 2, start, false, |_| false);
        assert_eq!(pins.get(7, start), Some(2));
    }

    #[test]
    fn a_made_key_is_on_probation_until_it_comes_back() {
        let (pins, start) = (Pins::new(HOUR), Instant::now());
        for key in [1, 2] {
            pins.set(key, 1, start, true, |_| true);
        }
        set(&pins, 2, 1, start + PROBATION / 2);
        assert_eq!([1, 2].map(|key| pins.get(key, start + PROBATION)), [None, Some(1)]);
    }

    #[test]
    fn a_new_key_takes_the_place_of_another_where_there_is_no_room() {
        let (pins, start) = (Pins::new(HOUR), Instant::now());
        // All in one part.
        let last = SHARD_MAX as u64;
        for key in 0..=last {
            set(&pins, key, 1, start);
        }
        assert_eq!(count(&pins), SHARD_MAX);
        assert_eq!(pins.get(last, start), Some(1));
        pins.sweep(start + 2 * HOUR);
        assert_eq!(count(&pins), 0);
    }
}

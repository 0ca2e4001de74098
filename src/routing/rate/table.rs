//! What each key of a limit owes: a hash of the key, and the time from which on it owes nothing.
//!
//! The table has sets of eight places; a key's hash says which set is its own. It grows while a set has no free place, up
//! to [`KEYS`] keys, and shrinks when they owe nothing any more. A table that is full gives a new key the place of the
//! one in its set that owes least: so whoever is over the limit keeps owing, unless seven other keys of the same set,
//! which nobody can choose, owe as much.

use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Parts that are locked each by itself.
const SHARDS: usize = 16;
/// Places of a set: two cache lines.
const PLACES: usize = 8;
/// Sets of a shard at most.
const SETS: usize = 1 << 13;
/// How many keys of one service are known at once: 16 MiB.
#[cfg(test)]
pub const KEYS: usize = SHARDS * SETS * PLACES;

/// The keys of one limit that owe something. Times are nanoseconds since the table was made, by a clock that never jumps.
#[derive(Debug)]
pub struct Table {
    hashes: RandomState,
    epoch: Instant,
    shards: [Mutex<Shard>; SHARDS],
}

/// Sets; their number is zero or a power of two.
#[derive(Debug, Default)]
struct Shard(Vec<Set>);

#[derive(Clone, Debug, Default)]
#[repr(align(128))]
struct Set([Place; PLACES]);

/// A key, and from when on it owes nothing. Then the place is free.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: u64,
    due: u64,
}

impl Table {
    /// An empty table, whose time begins now.
    pub fn new(epoch: Instant) -> Self {
        Self { hashes: RandomState::new(), epoch, shards: Default::default() }
    }

    /// The hash of keys, which differs from table to table.
    pub fn hashes(&self) -> &RandomState {
        &self.hashes
    }

    /// A time as the table counts it: 584 years fit.
    pub fn moment(&self, now: Instant) -> u64 {
        let nanos = now.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Has a key owe `interval` more, and says from when on it owes nothing.
    ///
    /// # Errors
    ///
    /// Where it would owe more than `depth` then. It owes what it did.
    pub fn take(&self, key: u64, now: u64, depth: u64, interval: u64) -> Result<u64, u64> {
        let Some(mut shard) = self.shard(key) else { return Ok(now) };
        let due = shard.due(key, now);
        let next = due.saturating_add(interval);
        if next.saturating_sub(now) > depth {
            return Err(due);
        }
        shard.put(Place { key, due: next }, now);
        Ok(next)
    }

    /// From when on a key owes nothing: now, or later.
    pub fn due(&self, key: u64, now: u64) -> u64 {
        self.shard(key).map_or(now, |shard| shard.due(key, now))
    }

    /// Has no key owe more than `depth`.
    pub fn bound(&self, now: u64, depth: u64) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let places = shard.0.iter_mut().flat_map(|set| &mut set.0);
            places.for_each(|place| place.due = place.due.min(now.saturating_add(depth)));
        }
    }

    /// Forgets keys that owe nothing.
    pub fn sweep(&self, now: u64) {
        for shard in &self.shards {
            lock(shard).sweep(now);
        }
    }

    /// Not by the bits that choose a key's set.
    fn shard(&self, key: u64) -> Option<MutexGuard<'_, Shard>> {
        let place = usize::try_from(key >> 60).ok()?;
        self.shards.get(place % SHARDS).map(lock)
    }

    #[cfg(test)]
    pub fn places(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).0.len() * PLACES).sum()
    }
}

impl Shard {
    fn set(&self, key: u64) -> Option<&Set> {
        self.0.get(usize::try_from(key).ok()? & self.0.len().checked_sub(1)?)
    }

    fn set_mut(&mut self, key: u64) -> Option<&mut Set> {
        let last = self.0.len().checked_sub(1)?;
        self.0.get_mut(usize::try_from(key).ok()? & last)
    }

    fn due(&self, key: u64, now: u64) -> u64 {
        let place = self.set(key).and_then(|set| set.0.iter().find(|place| place.key == key));
        place.map_or(now, |place| place.due.max(now))
    }

    /// Writes down what a key owes, wherever there is a place for it.
    fn put(&mut self, owed: Place, now: u64) {
        loop {
            let may_grow = self.0.len() < SETS;
            let Some(set) = self.set_mut(owed.key) else {
                self.0.resize_with(1, Set::default);
                continue;
            };
            let places = &mut set.0;
            let own = places.iter().position(|place| place.key == owed.key);
            let free = || places.iter().position(|place| place.due <= now);
            if own.or_else(free).is_none() && may_grow {
                self.grow(now);
                continue;
            }
            let least = || (0..PLACES).min_by_key(|index| places.get(*index).map(|it| it.due));
            let index = own.or_else(free).or_else(least);
            if let Some(place) = index.and_then(|index| places.get_mut(index)) {
                *place = owed;
            }
            return;
        }
    }

    /// Doubles the sets. The keys of each go to two, so all of them have a place.
    fn grow(&mut self, now: u64) {
        self.resize(self.0.len() * 2, now);
    }

    fn resize(&mut self, sets: usize, now: u64) {
        let old = std::mem::take(&mut self.0);
        self.0.resize_with(sets, Set::default);
        let owed = old.iter().flat_map(|set| &set.0).filter(|place| place.due > now);
        owed.for_each(|place| self.put(*place, now));
    }

    fn sweep(&mut self, now: u64) {
        let owed = self.0.iter().flat_map(|set| &set.0).filter(|place| place.due > now).count();
        // Half full at most: fuller sets would have to grow again at once.
        let enough = (owed * 2).div_ceil(PLACES).next_power_of_two();
        match owed {
            0 => self.0 = Vec::new(),
            _ if enough * 4 <= self.0.len() => self.resize(enough, now),
            _ => {}
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

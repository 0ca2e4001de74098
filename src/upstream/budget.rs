//! How many retries an upstream may get: a share of its requests. Where everything fails, retries would otherwise
//! multiply the load of whatever is down already.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::config::Percent;

/// How many seconds of requests and retries are compared.
const WINDOW: u64 = 10;

/// Retries that are always within the budget of a window, three for each of its seconds. Where few requests come, a share
/// of them is none; and until a dead target is ejected, every request that it gets needs one.
const ALWAYS: u64 = 3 * WINDOW;

/// Slots for the window, and a few more so that nobody writes to a slot that another still adds up.
const SLOTS: usize = 16;

/// Retries of an upstream, and what they may be.
#[derive(Debug)]
pub(super) struct Budget {
    epoch: Instant,
    share: Percent,
    requests: Window,
    retries: Window,
}

impl Budget {
    pub fn new(share: Percent) -> Self {
        let (requests, retries) = Default::default();
        Self { epoch: Instant::now(), share, requests, retries }
    }

    /// Counts a request, which is no retry.
    pub fn count_request(&self, now: Instant) {
        self.requests.add(self.second(now));
    }

    /// Takes one retry, if it is within the budget.
    pub fn take(&self, now: Instant) -> bool {
        let second = self.second(now);
        // Taken first and given back, so that no two takers see the same last one.
        self.retries.add(second);
        let (retries, share) = (self.retries.sum(second), u64::from(self.share.hundredths()));
        let is_within = retries <= ALWAYS || retries * 10_000 < self.requests.sum(second) * share;
        if !is_within {
            self.retries.take_back(second);
        }
        is_within
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_secs() + WINDOW
    }
}

/// Events by the second in which they were.
#[derive(Debug, Default)]
struct Window([Slot; SLOTS]);

/// The second in the upper half, and the events in it in the lower half.
#[derive(Debug, Default)]
struct Slot(AtomicU64);

impl Slot {
    const COUNT: u64 = (1 << 32) - 1;

    fn count(&self, second: u64) -> u64 {
        let slot = self.0.load(Ordering::Relaxed);
        if slot >> 32 == second { slot & Self::COUNT } else { 0 }
    }

    fn add(&self, second: u64) {
        let next = |slot: u64| match (slot >> 32).cmp(&second) {
            std::cmp::Ordering::Less => Some((second << 32) + 1),
            std::cmp::Ordering::Equal if slot & Self::COUNT == Self::COUNT => None,
            std::cmp::Ordering::Equal => Some(slot + 1),
            // A thread that slept for so long counts for nothing.
            std::cmp::Ordering::Greater => None,
        };
        // Where there is nothing to add to, the event is not counted.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok();
    }
}

impl Window {
    fn slot(&self, second: u64) -> Option<&Slot> {
        self.0.get(usize::try_from(second % SLOTS as u64).unwrap_or(0))
    }

    fn add(&self, second: u64) {
        if let Some(slot) = self.slot(second) {
            slot.add(second);
        }
    }

    fn take_back(&self, second: u64) {
        let Some(slot) = self.slot(second) else { return };
        let less = |slot: u64| (slot >> 32 == second && slot & Slot::COUNT > 0).then(|| slot - 1);
        // Nothing to take back, where the slot belongs to another second by now.
        slot.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
    }

    /// The events of the last seconds, this one included.
    fn sum(&self, second: u64) -> u64 {
        let seconds = second.saturating_sub(WINDOW - 1)..=second;
        seconds.filter_map(|second| Some(self.slot(second)?.count(second))).sum()
    }
}

#[cfg(test)]
mod tests;

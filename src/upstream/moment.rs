//! A time that every request reads and few write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A time, or none, without a lock.
#[derive(Debug)]
pub(super) struct Moment {
    epoch: Instant,
    /// Nanoseconds after the epoch; 0: none.
    after: AtomicU64,
}

impl Moment {
    /// None yet.
    pub fn none() -> Self {
        Self { epoch: Instant::now(), after: AtomicU64::new(0) }
    }

    pub fn get(&self) -> Option<Instant> {
        match self.after.load(Ordering::Relaxed) {
            0 => None,
            after => Some(self.epoch + Duration::from_nanos(after)),
        }
    }

    /// A time before the epoch becomes the epoch.
    pub fn set(&self, at: Instant) {
        let after = at.saturating_duration_since(self.epoch).as_nanos();
        self.after.store(u64::try_from(after).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }
}

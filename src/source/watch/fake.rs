//! Changes reported by tests, because real changes take real time.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

/// The changes that a test reports.
#[derive(Debug, Default)]
pub struct Fake {
    changed: Notify,
    /// How many loads are disturbed from now on.
    disturbing: AtomicU32,
    /// How many loads there were.
    loads: AtomicU32,
}

impl Fake {
    /// Reports a change.
    pub fn change(&self) {
        self.changed.notify_one();
    }

    /// Disturbs this many loads, and reports a change after each.
    pub fn disturb(&self, loads: u32) {
        self.disturbing.store(loads, Ordering::Relaxed);
    }

    /// How many loads there were.
    pub fn loads(&self) -> u32 {
        self.loads.load(Ordering::Relaxed)
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn is_disturbed(&self) -> bool {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let less = |left: u32| left.checked_sub(1);
        let disturbed = self.disturbing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if disturbed.is_ok() {
            self.change();
        }
        disturbed.is_ok()
    }
}

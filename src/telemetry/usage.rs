//! What a version uses of the machine: counted by who runs it, and read once a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one version, which its guests count in.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Nanoseconds of processors. Only grows.
    pub cpu: Arc<AtomicU64>,
    /// Bytes now.
    pub memory: Arc<AtomicU64>,
}

/// The counters of the versions of one name, which may be several for a while.
#[derive(Debug, Default)]
pub(super) struct Usages(Vec<(Usage, u64)>);

impl Usages {
    /// Adds a version. What it used before does not count.
    pub fn add(&mut self, usage: &Usage) {
        self.0.push((usage.clone(), usage.cpu.load(Ordering::Relaxed)));
    }

    /// The nanoseconds used since the last look, and the bytes used now; `None` where nothing tells.
    pub fn look(&mut self) -> (u64, Option<u64>) {
        let (mut used, mut bytes) = (0, (!self.0.is_empty()).then_some(0));
        for (usage, seen) in &mut self.0 {
            let cpu = usage.cpu.load(Ordering::Relaxed);
            used += cpu.saturating_sub(*seen);
            *seen = cpu;
            bytes = bytes.map(|bytes| bytes + usage.memory.load(Ordering::Relaxed));
        }
        // Nobody counts any more, and everything was read.
        self.0.retain(|(usage, _)| Arc::strong_count(&usage.cpu) > 1);
        (used, bytes)
    }
}

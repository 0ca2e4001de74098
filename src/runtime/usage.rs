//! What the guests of one version use of the machine, for whoever counts it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Counted by the guests of one version together. A clone counts the same.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Nanoseconds of processors. Told at the end of each request, and once in 50 ms of a long one.
    pub cpu: Arc<AtomicU64>,
    /// Bytes that all memories and tables of all sandboxes have now, idle ones included.
    pub memory: Arc<AtomicU64>,
}

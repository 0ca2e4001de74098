//! What is served, and how it came to be: versions with their statuses, gathered into snapshots.
//!
//! [`Programs`] turns a declared version into a [`VersionEntry`]; [`Snapshot`] says which of them
//! take traffic; [`Live`] holds the one snapshot that requests see. `reload` drives all three, the
//! gateway reads.

mod lifecycle;
mod programs;
mod secrets;
mod serving;
mod snapshot;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use lifecycle::{Status, StatusCode, StatusError};
pub use programs::{Fingerprint, Programs};
pub use serving::{Admission, Decided, Decision, Serving, VersionEntry};
pub use snapshot::{Candidates, ServiceEntry, ServiceKey, Snapshot, VersionView, declared};

/// The snapshot that requests see. One pointer: no request sees half of two generations.
#[derive(Debug, Default)]
pub struct Live(ArcSwap<Snapshot>);

impl Live {
    /// The current snapshot, pinned for as long as the caller keeps it.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Every request that starts from now on sees `snapshot`.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.0.store(snapshot);
    }
}

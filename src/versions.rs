//! What is served, and how it came to be: versions with their statuses, gathered into snapshots.
//!
//! [`Programs`] turns a declared version into a [`ReadyVersion`]; [`Snapshot`] says which of them
//! take traffic; [`Live`] holds the one snapshot that requests see; [`history`] remembers what each
//! publish changed; [`policy`] makes what decides, and [`explain`] tells how it does. `reload` drives all of them, the gateway reads.

mod backend;
mod decider;
mod guest;
mod prepare;
mod secrets;
mod snapshot;
mod status;
mod version;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use crate::config::{ConnectionLimits, SecretSource};
use crate::routing::Lock;

pub use backend::{Backend, GuestBackend, Reserved};
pub use decider::{Decided, Decider, Decision};
pub use guest::{check_digest, digest_at};
pub use prepare::Preparer;
pub use snapshot::{
    EnvironmentView, ServiceEntry, ServiceKey, Snapshot, Statuses, VersionView, declared,
};
pub use status::{Status, StatusCode, StatusError};
pub use version::{Admission, ReadyVersion};

/// Who may override, by a secret as it is now.
pub fn secret_lock(source: &SecretSource) -> Lock {
    match secrets::lock(source) {
        secrets::Found::Lock(lock) => lock,
        secrets::Found::Missing(_) | secrets::Found::Obscured(_) => Lock::Closed,
    }
}

/// The digest of the secret that a variable gets now, as this process reads it.
///
/// # Errors
///
/// Why it cannot be read: names the place, and never its content.
pub fn secret_digest(key: &str, source: &SecretSource) -> Result<String, String> {
    secrets::digest_of(key, source)
}

/// The snapshot that requests see. One pointer: no request sees half of two generations.
#[derive(Debug, Default)]
pub struct Live {
    current: ArcSwap<Snapshot>,
    /// Every generation that somebody may still see.
    seen: Mutex<Vec<Weak<Snapshot>>>,
}

impl Live {
    /// The current snapshot, pinned for as long as the caller keeps it.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// What clients may take before a request of theirs is served.
    pub fn limits(&self) -> ConnectionLimits {
        self.current.load().limits
    }

    /// Every request that starts from now on sees `snapshot`.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|generation| generation.strong_count() > 0);
        seen.push(Arc::downgrade(&snapshot));
        self.current.store(snapshot);
    }

    /// How many generations are in memory: the current one, and those of requests that began
    /// before it.
    pub fn generations(&self) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|generation| generation.strong_count() > 0).count()
    }
}

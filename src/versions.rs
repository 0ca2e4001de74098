//! Versions made ready, and what is served of them.
//!
//! A [`Preparer`] turns a declared version into a [`ReadyVersion`]. The version's [`Backend`] serves its
//! requests; it is the only thing here that knows what a version is made of (`guest` makes one kind
//! ready, `secrets` reads what its environment names). A [`Status`] says how far a version is. A
//! [`Snapshot`] gathers all services, each with a [`Decider`] that chooses the version of a request.
//! [`Live`] holds the one snapshot that requests see.
//!
//! `reload` prepares versions and publishes snapshots, the gateway reads them. To read the code, follow
//! the order above.

mod backend;
mod changes;
mod decider;
mod guest;
mod prepare;
mod secrets;
mod snapshot;
mod status;
mod version;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use crate::config::{ConnectionLimits, SecretSource, ServerSettings};
use crate::routing::Lock;

pub use backend::{Backend, GuestBackend, Reserved};
pub use changes::{Change, Changes};
pub use decider::{Decided, Decider, Decision};
pub use guest::{
    Substitute, SubstituteSource, check_digest, digest_at, outgoing_import, read_component,
};
pub use prepare::Preparer;
pub use snapshot::{
    EnvironmentView, ServiceEntry, ServiceKey, Snapshot, Statuses, TrafficSince, Update,
    VersionView, declared,
};
pub use status::{Status, StatusCode, StatusError};
pub use version::{Admission, ReadyVersion};

/// Who may override, by the secret as it can be read now. Nobody, where it cannot be read.
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

/// The snapshot that requests see. It is one pointer, so that no request sees parts of two
/// generations.
#[derive(Debug, Default)]
pub struct Live {
    current: ArcSwap<Snapshot>,
    /// Every snapshot that a request may still hold.
    seen: Mutex<Vec<Weak<Snapshot>>>,
    changes: Changes,
}

impl Live {
    /// The current snapshot, pinned for as long as the caller keeps it.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// What a client may use before one of its requests is served.
    pub fn limits(&self) -> ConnectionLimits {
        self.current.load().server.limits
    }

    /// How requests are served.
    pub fn settings(&self) -> Arc<ServerSettings> {
        self.current.load().server.clone()
    }

    /// How many connections clients may have open, by the configuration.
    pub fn max_connections(&self) -> usize {
        usize::try_from(self.limits().connections.get()).unwrap_or(usize::MAX)
    }

    /// Publishes a snapshot: every request that starts from now on sees it.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|generation| generation.strong_count() > 0);
        seen.push(Arc::downgrade(&snapshot));
        self.current.store(snapshot);
    }

    /// Where it is told that a service or the process stands otherwise than before.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How many snapshots are in memory: the current one, and older ones that requests still hold.
    pub fn generations(&self) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|generation| generation.strong_count() > 0).count()
    }
}

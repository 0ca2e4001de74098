//! Tells whoever listens that something stands otherwise than before. A notice says what to look at again, and not what
//! is there now: so a listener that misses some only has to look at everything.

use std::sync::Arc;

use tokio::sync::broadcast::{self, Receiver};

use super::snapshot::ServiceKey;

/// Notices that a listener may be behind. One that is further behind has missed some.
const WAITING: usize = 64;

/// That the state of the process changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The generation that is served now.
    pub generation: u64,
    /// The service that stands otherwise; `None` where it may be any, or the process itself.
    pub service: Option<Arc<ServiceKey>>,
}

/// The notices of a process. Telling costs the same with and without listeners, and never waits.
#[derive(Clone, Debug)]
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Changes {
    /// Tells everybody who listens.
    pub fn tell(&self, change: Change) {
        // Fails where nobody listens.
        self.0.send(change).ok();
    }

    /// All notices from now on.
    pub fn listen(&self) -> Receiver<Change> {
        self.0.subscribe()
    }

    /// Whether anybody listens.
    pub fn are_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

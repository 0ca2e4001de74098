//! The end of the process: no new connections, and time for requests in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Tells everyone that the process ends, and tells when every connection has.
#[derive(Clone, Debug)]
pub struct Drain {
    started: Arc<watch::Sender<bool>>,
    /// The same, where a request looks at it.
    flag: Arc<AtomicBool>,
    /// One receiver for each open connection.
    open: Arc<watch::Sender<()>>,
}

/// One open connection.
pub struct Guard(#[expect(dead_code, reason = "counted while it exists")] watch::Receiver<()>);

impl Default for Drain {
    fn default() -> Self {
        Self {
            started: Arc::new(watch::Sender::new(false)),
            flag: Arc::default(),
            open: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Drain {
    /// Starts it: nobody accepts from now on, idle connections close, others after their response.
    pub fn start(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.started.send_replace(true);
    }

    /// Waits for the start.
    pub async fn started(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.watch().wait_for(|started| *started).await.ok();
    }

    /// The start, as pingora wants it.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.started.subscribe()
    }

    /// The start, as a flag.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn enter(&self) -> Guard {
        Guard(self.open.subscribe())
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.receiver_count()
    }

    /// Waits until no connection is open.
    pub async fn finished(&self) {
        self.open.closed().await;
    }
}

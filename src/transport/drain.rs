//! The end of the process: no new connections, and time for requests in flight.
//!
//! The drain has two steps. When it is *announced*, new requests are still served, responses close their connections,
//! and `/readyz` fails, so that balancers send clients elsewhere. When it *starts*, no connection is accepted any more.
//!
//! Where another process takes over the sockets, accepting is *suspended* instead: clients wait in the queues of the
//! sockets, which both processes share. All of that can be taken back, if the other process fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::descriptors::{Client, Descriptors};

/// How often HTTP/2 connections that are made after the announcement learn of it.
const REMINDER: Duration = Duration::from_secs(1);

/// Tells connections about the drain, and the server when all connections are closed.
#[derive(Clone, Debug)]
pub struct Drain {
    started: Arc<watch::Sender<bool>>,
    /// Whether HTTP/2 connections must end once their streams have.
    goaway: Arc<watch::Sender<bool>>,
    /// Whether connections are accepted.
    accepting: Arc<watch::Sender<Accepting>>,
    /// Whether the drain is announced, for requests to look at.
    flag: Arc<AtomicBool>,
    /// One receiver for each open connection.
    open: Arc<watch::Sender<()>>,
    /// One receiver for everybody who has something to say at the end.
    parting: Arc<watch::Sender<()>>,
    descriptors: Descriptors,
}

/// Which listeners accept connections.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Accepting {
    All,
    /// Those at these addresses.
    Only(Vec<SocketAddr>),
}

impl Accepting {
    fn has(&self, address: Option<SocketAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Only(addresses) => address.is_some_and(|it| addresses.contains(&it)),
        }
    }
}

/// Keeps the drain from being finished until dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
pub struct Parting(watch::Receiver<()>);

/// Counts one connection as open.
#[expect(dead_code, reason = "counted while it exists")]
pub struct OpenConnection(watch::Receiver<()>, Client);

impl Drain {
    /// The drain of a process with these descriptors, of which each open connection takes one.
    pub fn new(descriptors: Descriptors) -> Self {
        Self {
            started: Arc::new(watch::Sender::new(false)),
            goaway: Arc::new(watch::Sender::new(false)),
            accepting: Arc::new(watch::Sender::new(Accepting::All)),
            flag: Arc::default(),
            open: Arc::new(watch::Sender::new(())),
            parting: Arc::new(watch::Sender::new(())),
            descriptors,
        }
    }

    /// Announces the drain: connections are accepted and requests served as before, and every response closes its
    /// connection. HTTP/2 connections get a GOAWAY.
    pub fn announce(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.goaway.send_replace(true);
    }

    /// Takes the announcement back: the process goes on. Connections that were told to go are gone.
    pub fn withdraw(&self) {
        self.flag.store(false, Ordering::Relaxed);
        self.goaway.send_replace(false);
    }

    /// Accepts no connections but at these addresses: others wait until accepting resumes, or for another process that
    /// has the same socket.
    pub fn suspend_accepting(&self, but: Vec<SocketAddr>) {
        self.accepting.send_replace(Accepting::Only(but));
    }

    /// Accepts connections at all addresses.
    pub fn resume_accepting(&self) {
        self.accepting.send_replace(Accepting::All);
    }

    /// Waits until connections are accepted at an address. A socket whose address is not known counts as any.
    pub async fn accepts(&self, address: Option<SocketAddr>) {
        // The sender lives in `self`, so waiting cannot fail.
        self.accepting.subscribe().wait_for(|accepting| accepting.has(address)).await.ok();
    }

    /// Waits until no connections are accepted at an address.
    pub async fn suspends(&self, address: Option<SocketAddr>) {
        self.accepting.subscribe().wait_for(|accepting| !accepting.has(address)).await.ok();
    }

    /// Announces the drain, and returns after `delay`.
    pub async fn announce_for(&self, delay: Duration) {
        self.announce();
        let mut reminders = interval_at(Instant::now() + REMINDER, REMINDER);
        reminders.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let over = sleep(delay);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                // Sets the same value again, so that tasks that subscribed meanwhile see a change.
                _ = reminders.tick() => drop(self.goaway.send_replace(true)),
            }
        }
    }

    /// Waits for the announcement.
    pub async fn announced(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.goaway.subscribe().wait_for(|announced| *announced).await.ok();
    }

    /// Whether the drain is announced.
    pub fn is_announced(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Has the drain wait, beside open connections, until the returned value is dropped. For who has a word to say once
    /// the drain is announced, and says it at once.
    pub fn part(&self) -> Parting {
        Parting(self.parting.subscribe())
    }

    /// Starts the drain: no connection is accepted from now on, idle connections close, and others close after their
    /// response.
    pub fn start(&self) {
        self.flag.store(true, Ordering::Relaxed);
        // A task that subscribes between the two calls sees the change of the second.
        self.started.send_replace(true);
        self.goaway.send_replace(true);
    }

    /// Waits for the start.
    pub async fn started(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.watch().wait_for(|started| *started).await.ok();
    }

    /// The start of the drain, as pingora expects it. It changes once more for later subscribers.
    pub fn watch(&self) -> watch::Receiver<bool> {
        let mut receiver = self.started.subscribe();
        if *receiver.borrow() {
            receiver.mark_changed();
        }
        receiver
    }

    /// When an HTTP/2 connection has to send its GOAWAY, as pingora expects it. A connection that is made after the
    /// announcement learns of it within a second, so that its client can send a request first.
    pub fn goaway(&self) -> watch::Receiver<bool> {
        let mut receiver = self.goaway.subscribe();
        if *self.started.borrow() {
            receiver.mark_changed();
        }
        receiver
    }

    /// The announcement, as a flag: responses close their connections.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    /// Counts a connection as open until the returned value is dropped.
    pub fn enter(&self) -> OpenConnection {
        OpenConnection(self.open.subscribe(), self.descriptors.client())
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.receiver_count()
    }

    /// Waits until no connection is open, and everybody has parted.
    pub async fn finished(&self) {
        self.open.closed().await;
        self.parting.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_announcement_is_no_start() {
        let drain = Drain::new(Descriptors::of(1_000));
        let early = drain.goaway();
        drain.announce_for(Duration::from_millis(10)).await;
        assert!(drain.flag().load(Ordering::Relaxed));
        assert!(early.has_changed().unwrap());
        assert!(!*drain.watch().borrow());
        drain.start();
        assert!(*drain.watch().borrow());
    }

    #[tokio::test]
    async fn a_connection_made_meanwhile_is_told_a_little_later() {
        let drain = Drain::new(Descriptors::of(1_000));
        let delaying = drain.clone();
        let delay = tokio::spawn(async move { delaying.announce_for(REMINDER * 10).await });
        drain.goaway().wait_for(|goaway| *goaway).await.unwrap();
        let mut late = drain.goaway();
        assert!(!late.has_changed().unwrap());
        tokio::time::timeout(REMINDER * 5, late.changed()).await.unwrap().unwrap();
        delay.abort();
    }

    #[tokio::test]
    async fn a_listener_that_is_suspended_waits() {
        let drain = Drain::new(Descriptors::of(1_000));
        let [kept, given] = [1, 2].map(|port| Some(SocketAddr::from(([127, 0, 0, 1], port))));
        drain.accepts(given).await;
        drain.suspend_accepting(kept.into_iter().collect());
        drain.suspends(given).await;
        drain.accepts(kept).await;
        let resuming = drain.clone();
        let resumed = tokio::spawn(async move { resuming.accepts(given).await });
        drain.resume_accepting();
        tokio::time::timeout(REMINDER * 5, resumed).await.unwrap().unwrap();
    }

    #[test]
    fn what_was_announced_can_be_taken_back() {
        let drain = Drain::new(Descriptors::of(1_000));
        drain.announce();
        drain.withdraw();
        assert!(!drain.is_announced());
        assert!(!drain.goaway().has_changed().unwrap());
    }

    #[test]
    fn an_open_connection_takes_a_descriptor() {
        let descriptors = Descriptors::of(1_000);
        let drain = Drain::new(descriptors.clone());
        let guards = [drain.enter(), drain.enter()];
        assert_eq!((drain.open(), descriptors.look().clients), (2, 2));
        drop(guards);
        assert_eq!((drain.open(), descriptors.look().clients), (0, 0));
    }

    /// Pingora waits for a change, and not for the value.
    #[test]
    fn whoever_comes_after_the_start_is_told_at_once() {
        let drain = Drain::new(Descriptors::of(1_000));
        drain.start();
        assert!(drain.watch().has_changed().unwrap());
        assert!(drain.goaway().has_changed().unwrap());
    }
}

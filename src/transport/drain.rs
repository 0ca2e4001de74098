//! The end of the process: no new connections, and time for requests in flight.
//!
//! It comes in two steps. It is *announced*: new requests are still served, responses close their
//! connections, and `/readyz` says no, so that balancers send clients elsewhere. Then it *starts*:
//! nobody accepts any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::descriptors::{Client, Descriptors};

/// How often HTTP/2 connections made after the announcement are told of it.
const REMINDER: Duration = Duration::from_secs(1);

/// Tells connections that the process ends, and whoever ends the process when all of them are closed.
#[derive(Clone, Debug)]
pub struct Drain {
    started: Arc<watch::Sender<bool>>,
    /// Whether connections of HTTP/2 are to end once their streams have.
    goaway: Arc<watch::Sender<bool>>,
    /// Whether the end is announced, for requests to look at.
    flag: Arc<AtomicBool>,
    /// One receiver for each open connection.
    open: Arc<watch::Sender<()>>,
    descriptors: Descriptors,
}

/// Counts one connection as open.
#[expect(dead_code, reason = "counted while it exists")]
pub struct OpenConnection(watch::Receiver<()>, Client);

impl Drain {
    /// Of a process with these descriptors, of which each open connection takes one.
    pub fn new(descriptors: Descriptors) -> Self {
        Self {
            started: Arc::new(watch::Sender::new(false)),
            goaway: Arc::new(watch::Sender::new(false)),
            flag: Arc::default(),
            open: Arc::new(watch::Sender::new(())),
            descriptors,
        }
    }

    /// Announces the end: connections are accepted and requests served as before, and every
    /// response closes its connection. Connections of HTTP/2 get a GOAWAY.
    pub fn announce(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.goaway.send_replace(true);
    }

    /// Announces the end, and returns after `delay`.
    pub async fn announce_for(&self, delay: Duration) {
        self.announce();
        let mut reminders = interval_at(Instant::now() + REMINDER, REMINDER);
        reminders.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let over = sleep(delay);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                // Sets the same value again, so that those who subscribed meanwhile see a change.
                _ = reminders.tick() => drop(self.goaway.send_replace(true)),
            }
        }
    }

    /// Starts it: nobody accepts from now on, idle connections close, others after their response.
    pub fn start(&self) {
        self.flag.store(true, Ordering::Relaxed);
        // Who subscribes between the two calls sees the change of the second.
        self.started.send_replace(true);
        self.goaway.send_replace(true);
    }

    /// Waits for the start.
    pub async fn started(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.watch().wait_for(|started| *started).await.ok();
    }

    /// The start, as pingora wants it. It changes once more for those who come later.
    pub fn watch(&self) -> watch::Receiver<bool> {
        let mut receiver = self.started.subscribe();
        if *receiver.borrow() {
            receiver.mark_changed();
        }
        receiver
    }

    /// When a connection of HTTP/2 is to send its GOAWAY, as pingora wants it. One that is made
    /// after the announcement is told within a second, so that its client gets to send a request.
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

    /// Counts a connection as open until what this returns is dropped.
    pub fn enter(&self) -> OpenConnection {
        OpenConnection(self.open.subscribe(), self.descriptors.client())
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

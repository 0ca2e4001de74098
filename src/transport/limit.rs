//! Limits how many connections may be open at once.
//!
//! Each takes a descriptor, and the process needs some for its files and for its operators. At the limit, connections
//! that wait for their next request are closed first. Where none waits, those give way that have begun a request and are
//! slow to come to the end of its head, the oldest first. Where nobody is left but who is served, clients wait to be
//! accepted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a new connection waits for a permit before idle connections are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long a new connection may be silent before it counts as idle, and how long any may take for the head of a request
/// before it may have to give way.
const NEW: Duration = Duration::from_secs(1);
/// One in this many idle connections is asked to close at a time.
const PART: usize = 16;

/// The limit of all connections of a listener. Clones are the same limit.
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<Inner>);

struct Inner {
    max: Box<dyn Fn() -> usize + Send + Sync>,
    open: AtomicUsize,
    /// Notified when a connection has closed.
    closed: Notify,
    /// How many idle connections should close.
    to_close: AtomicUsize,
    crowded: Notify,
    /// Whether nobody was idle when the last connection had to wait.
    is_pressed: AtomicBool,
    /// The connections that have begun a request.
    begun: Mutex<BTreeMap<Begun, Arc<Notify>>>,
    /// Tells apart those that have begun at once.
    number: AtomicU64,
}

/// A connection that has begun a request, in the order in which they give way: strangers before those who have been
/// served, and then the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Begun {
    has_asked: bool,
    since: Instant,
    number: u64,
}

/// Has a connection give way while it exists.
struct GivesWay<'a> {
    limit: &'a ConnectionLimit,
    begun: Begun,
    asked: Arc<Notify>,
}

/// Permits one connection to be open, until dropped.
#[derive(Debug)]
pub struct Permit(ConnectionLimit);

impl ConnectionLimit {
    /// At most `max` connections, and at least one.
    pub fn new(max: usize) -> Self {
        Self::of(move || max)
    }

    /// At most as many connections as `max` says whenever one more is to be opened, and at least one. Where that is less
    /// than before, nobody is closed who is busy.
    pub fn of(max: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            max: Box::new(max),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
            to_close: AtomicUsize::new(0),
            crowded: Notify::new(),
            is_pressed: AtomicBool::new(false),
            begun: Mutex::default(),
            number: AtomicU64::new(0),
        }))
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Waits until one more connection may be open. Cancel-safe.
    pub async fn acquire(&self) -> Permit {
        let mut is_first = true;
        loop {
            let closed = self.0.closed.notified();
            tokio::pin!(closed);
            // A connection that closes from here on is noticed.
            closed.as_mut().enable();
            if let Some(permit) = self.try_acquire() {
                self.0.to_close.store(0, Ordering::Relaxed);
                if is_first {
                    self.0.is_pressed.store(false, Ordering::Relaxed);
                }
                return permit;
            }
            is_first = false;
            self.make_room();
            if self.0.is_pressed.load(Ordering::Relaxed) {
                self.displace();
            }
            // The limit may have been raised meanwhile.
            if tokio::time::timeout(ASK_AGAIN, closed).await.is_err() {
                self.0.is_pressed.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Has the connection give way that has taken longest for the head of a request.
    fn displace(&self) {
        let mut begun = self.begun();
        let Some(oldest) = begun.first_entry() else { return };
        if oldest.key().since.elapsed() >= NEW {
            oldest.remove().notify_one();
        }
    }

    fn begin(&self, has_asked: bool) -> GivesWay<'_> {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        let begun = Begun { has_asked, since: Instant::now(), number };
        let asked = Arc::new(Notify::new());
        self.begun().insert(begun, asked.clone());
        GivesWay { limit: self, begun, asked }
    }

    fn begun(&self) -> MutexGuard<'_, BTreeMap<Begun, Arc<Notify>>> {
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_acquire(&self) -> Option<Permit> {
        let max = self.max();
        let one_more = |open: usize| (open < max).then_some(open + 1);
        let open = self.0.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        open.is_ok().then(|| Permit(self.clone()))
    }

    fn max(&self) -> usize {
        (self.0.max)().max(1)
    }

    /// Asks some of the connections that wait for a request to close.
    pub fn make_room(&self) {
        self.0.to_close.store(self.max() / PART + 1, Ordering::Relaxed);
        self.0.crowded.notify_waiters();
    }
}

impl Permit {
    /// Whether this connection is the only one.
    pub fn is_alone(&self) -> bool {
        self.0.open() == 1
    }

    /// Waits until the connection, which has no request now, has to close. A connection that had no request yet gets a
    /// moment first.
    pub async fn asked_to_close(&self, is_new: bool) {
        if is_new {
            tokio::time::sleep(NEW).await;
        }
        let Inner { to_close, crowded, .. } = &*self.0.0;
        loop {
            let asked = crowded.notified();
            tokio::pin!(asked);
            // A request to close that is made from here on is noticed.
            asked.as_mut().enable();
            let take_one = |to_close: usize| to_close.checked_sub(1);
            if to_close.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
                return;
            }
            asked.await;
        }
    }
    /// Waits until the connection, of which no whole request is here, has to give way to others. Whether it `has_asked`
    /// before decides about its turn.
    pub async fn asked_to_give_way(&self, has_asked: bool) {
        let place = self.0.begin(has_asked);
        place.asked.notified().await;
    }
}

impl Drop for GivesWay<'_> {
    fn drop(&mut self) {
        self.limit.begun().remove(&self.begun);
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionLimit").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.0.closed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn who_is_idle_makes_room_and_nobody_else() {
        let limit = ConnectionLimit::new(2);
        let (idle, _busy) = (limit.acquire().await, limit.acquire().await);
        assert_eq!((limit.open(), idle.is_alone()), (2, false));
        let closing = tokio::spawn(async move { idle.asked_to_close(false).await });
        let third = timeout(SOON, limit.acquire()).await.unwrap();
        timeout(SOON, closing).await.unwrap().unwrap();
        assert_eq!(limit.open(), 2);
        assert!(timeout(2 * ASK_AGAIN, limit.acquire()).await.is_err(), "nobody else is idle");
        drop(third);
        timeout(SOON, limit.acquire()).await.unwrap();
    }

    /// One that has asked before, and two that have not; nobody is idle.
    #[tokio::test]
    async fn strangers_who_are_slow_give_way_before_others_and_the_oldest_first() {
        let limit = ConnectionLimit::new(3);
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (name, has_asked) in [("known", true), ("old", false), ("young", false)] {
            let (permit, told) = (limit.acquire().await, told.clone());
            tokio::spawn(async move {
                permit.asked_to_give_way(has_asked).await;
                told.send(name).unwrap();
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut taken = Vec::new();
        for expected in ["old", "young", "known"] {
            taken.push(timeout(SOON, limit.acquire()).await.unwrap());
            assert_eq!(order.recv().await, Some(expected));
        }
        assert!(limit.begun().is_empty());
        assert!(timeout(2 * ASK_AGAIN, limit.acquire()).await.is_err(), "the rest is served");
    }

    #[tokio::test]
    async fn nobody_closes_while_there_is_room() {
        let limit = ConnectionLimit::new(2);
        let one = limit.acquire().await;
        assert!(one.is_alone());
        assert!(timeout(2 * ASK_AGAIN, one.asked_to_close(false)).await.is_err());
    }

    #[tokio::test]
    async fn a_limit_that_changes_holds_from_then_on() {
        let max = Arc::new(AtomicUsize::new(1));
        let limit = ConnectionLimit::of({
            let max = max.clone();
            move || max.load(Ordering::Relaxed)
        });
        let first = limit.acquire().await;
        let waiting = tokio::spawn({
            let limit = limit.clone();
            async move { limit.acquire().await }
        });
        max.store(2, Ordering::Relaxed);
        let second = timeout(SOON, waiting).await.unwrap().unwrap();
        max.store(0, Ordering::Relaxed);
        drop(first);
        assert!(timeout(2 * ASK_AGAIN, limit.acquire()).await.is_err(), "one is open");
        drop(second);
        timeout(SOON, limit.acquire()).await.unwrap();
    }

    #[tokio::test]
    async fn who_is_asked_while_busy_closes_once_idle() {
        let limit = ConnectionLimit::new(1);
        let busy = limit.acquire().await;
        let waiting = tokio::spawn({
            let limit = limit.clone();
            async move { limit.acquire().await }
        });
        timeout(SOON, busy.asked_to_close(false)).await.unwrap();
        drop(busy);
        timeout(SOON, waiting).await.unwrap().unwrap();
    }
}

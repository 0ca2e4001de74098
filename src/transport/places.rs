//! How many connections there are, and may be.
//!
//! Each takes a descriptor, and the process needs some for its files and for those who look after it.
//! Where no place is free, connections that wait for their next request are closed first; where there
//! are none, clients wait to be accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long somebody waits for a place before idle connections are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long a new connection may be silent before it counts as idle.
const NEW: Duration = Duration::from_secs(1);
/// Of so many connections, one is asked to leave at a time.
const PART: usize = 16;

/// The places of all connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: usize,
    free: Arc<Semaphore>,
    open: AtomicUsize,
    /// How many idle connections should leave.
    leave: AtomicUsize,
    crowded: Notify,
}

/// The place of one connection, which is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    #[expect(dead_code, reason = "held for its drop")]
    permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many places.
    pub fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            count,
            free: Arc::new(Semaphore::new(count)),
            open: AtomicUsize::new(0),
            leave: AtomicUsize::new(0),
            crowded: Notify::new(),
        }))
    }

    /// How many connections there may be.
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Waits for a free place. Cancel-safe.
    pub async fn enter(&self) -> Place {
        loop {
            let free = self.0.free.clone();
            let permit = match free.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    self.make_room();
                    tokio::time::timeout(ASK_AGAIN, free.acquire_owned())
                        .await
                        .ok()
                        .and_then(Result::ok)
                }
            };
            if let Some(permit) = permit {
                self.0.leave.store(0, Ordering::Relaxed);
                self.0.open.fetch_add(1, Ordering::Relaxed);
                return Place { places: self.clone(), permit };
            }
        }
    }

    /// Asks some of the connections that wait for a request to leave.
    pub fn make_room(&self) {
        self.0.leave.store(self.0.count / PART + 1, Ordering::Relaxed);
        self.0.crowded.notify_waiters();
    }
}

impl Place {
    /// Whether it is the only connection there is.
    pub fn is_alone(&self) -> bool {
        self.places.open() == 1
    }

    /// All of them.
    pub fn places(&self) -> &Places {
        &self.places
    }
}

impl Places {
    /// Waits until a connection, which has no request now, is to leave. One that had none yet is given
    /// a moment first.
    pub async fn asked_to_leave(&self, is_new: bool) {
        if is_new {
            tokio::time::sleep(NEW).await;
        }
        let Inner { leave, crowded, .. } = &*self.0;
        loop {
            let asked = crowded.notified();
            tokio::pin!(asked);
            // From here on it hears of it.
            asked.as_mut().enable();
            let takes = |leave: usize| leave.checked_sub(1);
            if leave.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_ok() {
                return;
            }
            asked.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn who_is_idle_makes_room_and_nobody_else() {
        let places = Places::new(2);
        let (idle, _busy) = (places.enter().await, places.enter().await);
        assert_eq!((places.open(), idle.is_alone()), (2, false));
        let leaving = tokio::spawn(async move { idle.places().asked_to_leave(false).await });
        let third = timeout(SOON, places.enter()).await.unwrap();
        timeout(SOON, leaving).await.unwrap().unwrap();
        assert_eq!(places.open(), 2);
        assert!(timeout(2 * ASK_AGAIN, places.enter()).await.is_err(), "nobody else is idle");
        drop(third);
        timeout(SOON, places.enter()).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_leaves_while_there_is_room() {
        let places = Places::new(2);
        let one = places.enter().await;
        assert!(one.is_alone());
        assert!(timeout(2 * ASK_AGAIN, one.places().asked_to_leave(false)).await.is_err());
    }

    #[tokio::test]
    async fn who_is_asked_while_busy_leaves_once_idle() {
        let places = Places::new(1);
        let busy = places.enter().await;
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.enter().await }
        });
        timeout(SOON, busy.places().asked_to_leave(false)).await.unwrap();
        drop(busy);
        timeout(SOON, waiting).await.unwrap().unwrap();
    }
}

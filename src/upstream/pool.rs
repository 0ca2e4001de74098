//! Connections to one target that wait for the next request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::http1::Connection;
use super::target::Counters;

/// How many connections are kept for one target.
const MOST: usize = 1024;

/// The kept connections of one target. The one that was used last is used next, so that those which a burst needed
/// become old and are closed.
#[derive(Debug)]
pub struct Pool {
    idle: Mutex<VecDeque<Kept>>,
    counters: Arc<Counters>,
    most: usize,
}

#[derive(Debug)]
struct Kept {
    connection: Box<Connection>,
    until: Instant,
}

impl Pool {
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { idle: Mutex::default(), counters, most: MOST }
    }

    /// A connection that is open and quiet, as far as is known. `is_certain` asks the kernel too: a request that must
    /// not be sent twice needs a connection that has not been closed just now.
    pub fn take(&self, is_certain: bool, now: Instant) -> Option<Box<Connection>> {
        loop {
            // Others use the pool while the kernel is asked, and while a connection is closed.
            let Kept { mut connection, until } = self.pop()?;
            if until > now && connection.is_quiet(is_certain) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for `time`, unless there are enough.
    pub fn put(&self, connection: Box<Connection>, time: Duration) {
        let kept = Kept { connection, until: Instant::now() + time };
        let mut idle = self.idle();
        let is_full = idle.len() >= self.most;
        if !time.is_zero() && !is_full {
            self.counters.connection_kept();
            idle.push_back(kept);
        }
    }

    /// Closes the connections that are too old, were closed by the target, or brought what nobody asked for.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut closed = Vec::new();
        let mut idle = self.idle();
        for mut kept in std::mem::take(&mut *idle) {
            match kept.until > now && kept.connection.is_quiet(false) {
                true => idle.push_back(kept),
                false => closed.push(kept),
            }
        }
        drop(idle);
        for _ in closed {
            self.counters.connection_unkept();
        }
    }

    fn pop(&self) -> Option<Kept> {
        let kept = self.idle().pop_back()?;
        self.counters.connection_unkept();
        Some(kept)
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::super::stream::Stream;
    use super::*;

    /// What a burst has opened must not stay.
    #[tokio::test]
    async fn a_full_pool_closes_what_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::<Counters>::default();
        let pool = Pool { most: 2, ..Pool::new(counters.clone()) };
        let mut targets = Vec::new();
        for _ in 0..3 {
            let stream = TcpStream::connect(address).await.unwrap();
            targets.push(listener.accept().await.unwrap().0);
            let connection = Box::new(Connection::new(Stream::Tcp(stream), counters.clone()));
            pool.put(connection, Duration::from_mins(1));
        }
        let ends = async |target: &TcpStream| {
            target.readable().await.unwrap();
            target.try_read(&mut [0]).unwrap()
        };
        let last = targets.last().unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(5), ends(last)).await;
        assert_eq!(closed.unwrap(), 0, "the third is closed");
        let now = Instant::now();
        assert!(pool.take(true, now).is_some() && pool.take(true, now).is_some());
        assert!(pool.take(true, now).is_none());
    }
}

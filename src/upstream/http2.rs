//! HTTP/2 to one target: few connections, each with many requests at once. An [`Http2`] says over which connection the
//! next request goes, or that a new one is to be opened; an [`Http2Exchange`] is one request.

mod connection;
mod exchange;
mod failed;
mod request;
mod switch;
mod watched;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::failure::Failure;
use connection::{Connection, Room};

pub use exchange::{Http2Exchange, NotStarted};

/// How many connections one target gets at most, while each of them is full.
const CONNECTIONS: usize = 16;
/// Requests that one connection carries before another is opened, where the target allows more.
const STREAMS: usize = 256;
/// How soon who waits sees that a target has raised the number of requests that it takes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The HTTP/2 connections of one target. Dropping it ends those that no request uses; the others end after their last one.
#[derive(Debug)]
pub struct Http2(Arc<Connections>);

#[derive(Debug)]
struct Connections {
    idle_timeout: Duration,
    state: Mutex<State>,
    /// A place on a connection is free, or an attempt to open one is over.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<Connection>>,
    /// How many connections were opened so far.
    opened: u64,
    is_opening: bool,
    /// Whether the target chose HTTP/1.1 when it was last asked.
    is_http1: bool,
}

/// How the next request reaches the target.
#[derive(Debug)]
pub enum Turn {
    /// Over a connection that is there.
    Place(Place),
    /// Over a connection that the caller opens. Others wait for it, unless the target speaks HTTP/1.1.
    Open(Opening),
}

/// A place on a connection, for one request. Given back when dropped.
#[derive(Debug)]
pub struct Place {
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    /// Whether the connection had answered another request before.
    is_used: bool,
}

/// The right to open a connection. Dropping it passes it on to the next who waits.
#[derive(Debug)]
pub struct Opening {
    connections: Arc<Connections>,
    is_counted: bool,
}

impl Http2 {
    /// No connection yet. Each is closed after `idle_timeout` without a request; 0: at once.
    pub fn new(idle_timeout: Duration) -> Self {
        Self(Arc::new(Connections { idle_timeout, state: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits for a place, or for the right to open a connection. `on_new`: a place on a connection that is there now will not
    /// do, as long as another may be opened. The caller bounds the time.
    pub async fn turn(&self, on_new: bool) -> Turn {
        // Where a connection ends, all of its requests want a new one, and one is enough for them.
        let since = if on_new { self.0.state().opened } else { 0 };
        let mut has_waited = false;
        loop {
            let freed = self.0.freed.notified();
            if let Some(turn) = self.0.look(since) {
                if has_waited {
                    // There may be more than the one place that is taken now.
                    self.0.freed.notify_one();
                }
                return turn;
            }
            // h2 tells nobody that a target takes more requests than before.
            has_waited = timeout(LOOK_AGAIN, freed).await.is_ok();
        }
    }

    /// A place that is free now.
    pub fn place(&self) -> Option<Place> {
        self.0.state().place(&self.0, STREAMS, 0)
    }

    /// How many connections are open, and how many of them carry no request.
    pub fn count(&self) -> (usize, usize) {
        let state = self.0.state();
        let idle = state.open.iter().filter(|connection| connection.is_idle()).count();
        (state.open.len(), idle)
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        // Places keep their connections alive, and the last one ends them.
        self.0.state().open.clear();
    }
}

impl Connections {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn that is there now; a place on the connections from number `since` on.
    fn look(self: &Arc<Self>, since: u64) -> Option<Turn> {
        let mut state = self.state();
        let mut place = state.place(self, STREAMS, since);
        if place.is_none() && state.open.len() >= CONNECTIONS {
            // Better a crowded connection, or an old one, than none.
            place = state.place(self, STREAMS, 0).or_else(|| state.place(self, usize::MAX, 0));
        }
        if let Some(place) = place {
            return Some(Turn::Place(place));
        }
        let is_counted = !state.is_http1;
        if is_counted && (state.is_opening || state.open.len() >= CONNECTIONS) {
            return None;
        }
        state.is_opening |= is_counted;
        Some(Turn::Open(Opening { connections: self.clone(), is_counted }))
    }

    /// Gives no more requests to a connection.
    fn forget(&self, gone: &Arc<Connection>) {
        self.state().open.retain(|connection| !Arc::ptr_eq(connection, gone));
        self.freed.notify_one();
    }

    /// As [`forget`](Self::forget), unless the connection got a request meanwhile.
    fn forget_idle(&self, gone: &Arc<Connection>) -> bool {
        let mut state = self.state();
        let is_idle = gone.is_idle();
        if is_idle {
            state.open.retain(|connection| !Arc::ptr_eq(connection, gone));
        }
        is_idle
    }
}

impl State {
    /// A place on the first connection that has one, so that those which a burst needed become idle.
    /// Connections before number `since` do not count.
    fn place(&mut self, connections: &Arc<Connections>, bound: usize, since: u64) -> Option<Place> {
        let mut at = 0;
        while let Some(connection) = self.open.get(at) {
            match connection.room(bound) {
                Room::Free if connection.number() < since => at += 1,
                Room::Free => {
                    let is_used = connection.enter();
                    let (connection, connections) = (connection.clone(), connections.clone());
                    return Some(Place { connection, connections, is_used });
                }
                Room::Full => at += 1,
                Room::Closing => drop(self.open.remove(at)),
            }
        }
        None
    }
}

impl Opening {
    /// Begins HTTP/2 over a stream, and waits until the target has answered. The first request's place comes back.
    ///
    /// # Errors
    ///
    /// Where what answers does not speak HTTP/2.
    pub async fn opened<T>(self, stream: T) -> Result<Place, Failure>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connections = &self.connections;
        let (connection, task) = connection::open(stream, connections).await?;
        tokio::spawn(task);
        connection.enter();
        let mut state = connections.state();
        state.is_http1 = false;
        connection.set_number(state.opened);
        state.opened += 1;
        state.open.push(connection.clone());
        drop(state);
        Ok(Place { connection, connections: connections.clone(), is_used: false })
    }

    /// The target chose HTTP/1.1: nobody needs to wait for others.
    pub fn found_http1(self) {
        self.connections.state().is_http1 = true;
        self.connections.freed.notify_waiters();
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.is_counted {
            self.connections.state().is_opening = false;
            self.connections.freed.notify_one();
        }
    }
}

impl Place {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Gives no more requests to the connection of this one.
    fn give_up(&self) {
        self.connections.forget(&self.connection);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_idle = self.connection.leave();
        if is_idle && self.connections.idle_timeout.is_zero() {
            self.connections.forget_idle(&self.connection);
        }
        self.connections.freed.notify_one();
    }
}

#[cfg(test)]
mod tests;

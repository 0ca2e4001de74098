//! What arrived at an upstream.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As much of a body is kept.
const KEPT: usize = 1 << 20;
/// The last requests that are kept. All are counted.
const REMEMBERED: usize = 10_000;

/// A request, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Of the connections of the upstream, from 0 on.
    pub connection: usize,
    pub method: String,
    pub target: String,
    /// In the order of the wire, names as they were sent.
    pub fields: Vec<(String, String)>,
    /// Its first MiB.
    pub body: Vec<u8>,
    /// Of the whole body, in bytes.
    pub length: usize,
    pub trailers: Vec<(String, String)>,
    /// Whether it was read up to its end.
    pub is_complete: bool,
}

impl Request {
    /// The value of a field, whatever the case of its name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn add_data(&mut self, data: &[u8]) {
        self.length += data.len();
        let room = KEPT.saturating_sub(self.body.len()).min(data.len());
        self.body.extend_from_slice(&data[..room]);
    }
}

/// The last requests, and the number of those before them.
#[derive(Debug, Default)]
struct Requests {
    forgotten: usize,
    last: VecDeque<Request>,
}

/// What arrived so far. Counts only grow, other than [`Arrivals::open`].
#[derive(Debug, Default)]
pub struct Arrivals {
    connections: AtomicUsize,
    open: AtomicUsize,
    body_bytes: AtomicUsize,
    requests: Mutex<Requests>,
    broken: Mutex<Vec<String>>,
}

impl Arrivals {
    /// Connections that were accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that neither side has closed.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Requests whose head arrived.
    pub fn requests(&self) -> usize {
        let requests = self.seen();
        requests.forgotten + requests.last.len()
    }

    /// Bytes of request bodies.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes.load(Ordering::SeqCst)
    }

    /// The last ten thousand requests, in the order in which their heads arrived.
    pub fn all(&self) -> Vec<Request> {
        self.seen().last.iter().cloned().collect()
    }

    /// The request that arrived last.
    pub fn last(&self) -> Option<Request> {
        self.seen().last.back().cloned()
    }

    /// How the peer broke the rules of HTTP.
    pub fn broken(&self) -> Vec<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn seen(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection, and returns its number.
    pub(crate) fn accept(&self) -> usize {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.connections.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn end(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Notes a request whose head has arrived, and returns its number.
    pub(crate) fn begin(&self, request: Request) -> usize {
        let mut requests = self.seen();
        requests.last.push_back(request);
        if requests.last.len() > REMEMBERED {
            requests.last.pop_front();
            requests.forgotten += 1;
        }
        requests.forgotten + requests.last.len() - 1
    }

    /// A request that is remembered.
    pub(crate) fn get(&self, number: usize) -> Request {
        let requests = self.seen();
        let at = number.checked_sub(requests.forgotten);
        at.and_then(|at| requests.last.get(at)).cloned().unwrap_or_default()
    }

    /// Notes more of a request.
    pub(crate) fn update(&self, number: usize, change: impl FnMut(&mut Request)) {
        let mut requests = self.seen();
        let at = number.checked_sub(requests.forgotten);
        at.and_then(|at| requests.last.get_mut(at)).into_iter().for_each(change);
    }

    pub(crate) fn add_data(&self, number: usize, data: &[u8]) {
        self.body_bytes.fetch_add(data.len(), Ordering::SeqCst);
        self.update(number, |request| request.add_data(data));
    }

    pub(crate) fn note_broken(&self, what: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

//! A request body on its way to a backend, one part at a time. The proxy has the [`Feed`], the backend takes
//! from [`Fed`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{Notify, mpsc};

/// How many parts wait for the backend. The next part is read from the client when the backend has
/// taken one.
const PARTS_WAITING: usize = 1;

/// A part of a request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Not empty.
    Data(Bytes),
    /// The last part, where the body has trailers.
    Trailers(HeaderMap),
}

/// Feeds the request body to a backend. The body ends when the feed is dropped.
///
/// There is room for one part at a time, so a backend that does not read slows the client down.
#[derive(Debug)]
pub struct Feed {
    parts: mpsc::Sender<Part>,
    appetite: Arc<Appetite>,
}

/// Whether a backend wants the request body.
#[derive(Debug, Default)]
struct Appetite {
    /// Whether it waits for the next part.
    waits: AtomicBool,
    /// Notified when it asks for the first part.
    begins: Notify,
    has_begun: AtomicBool,
}

/// The backend no longer reads the request body.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyUnwanted;

impl Feed {
    /// A feed, and the body that it feeds.
    pub fn new() -> (Self, Fed) {
        let (sender, receiver) = mpsc::channel(PARTS_WAITING);
        let appetite = Arc::<Appetite>::default();
        let fed = Fed { parts: receiver, appetite: appetite.clone() };
        (Self { parts: sender, appetite }, fed)
    }

    /// Waits until the backend can take a part. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Where the backend has dropped the body.
    pub async fn ready(&self) -> Result<(), BodyUnwanted> {
        self.parts.reserve().await.map(drop).map_err(|_| BodyUnwanted)
    }

    /// Waits until the backend asks for the body. Waits for ever if it never does. Cancel-safe.
    pub async fn wanted(&self) {
        while !self.appetite.has_begun.load(Ordering::Relaxed) && !self.parts.is_closed() {
            tokio::select! {
                () = self.appetite.begins.notified() => {}
                () = self.parts.closed() => {}
            }
        }
    }

    /// Whether the backend waits for the next part of the body.
    pub fn is_awaited(&self) -> bool {
        // A part that the backend has not taken yet still waits for it.
        self.appetite.waits.load(Ordering::Relaxed) && self.parts.capacity() > 0
    }

    /// Hands over a part, after [`Feed::ready`].
    ///
    /// # Errors
    ///
    /// Where the backend has dropped the body.
    pub fn send(&self, data: Bytes) -> Result<(), BodyUnwanted> {
        self.parts.try_send(Part::Data(data)).map_err(|_| BodyUnwanted)
    }

    /// Ends the body with trailers, after [`Feed::ready`].
    ///
    /// # Errors
    ///
    /// Where the backend has dropped the body.
    pub fn finish(self, trailers: HeaderMap) -> Result<(), BodyUnwanted> {
        self.parts.try_send(Part::Trailers(trailers)).map_err(|_| BodyUnwanted)
    }
}

/// Tells whether a backend waits for the next part of a body that somebody else reads for it.
#[derive(Clone, Debug)]
pub struct Waits(Arc<Appetite>);

impl Waits {
    /// Whether it waits, as of its last look.
    pub fn for_more(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed)
    }
}

/// The backend's side of a [`Feed`].
#[derive(Debug)]
pub struct Fed {
    parts: mpsc::Receiver<Part>,
    appetite: Arc<Appetite>,
}

impl Fed {
    /// Whether this side waits for the next part.
    pub fn waits(&self) -> Waits {
        Waits(self.appetite.clone())
    }

    /// The next part; `None` once the body is complete.
    pub fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Part>> {
        let part = self.parts.poll_recv(context);
        self.appetite.waits.store(part.is_pending(), Ordering::Relaxed);
        if part.is_pending() && !self.appetite.has_begun.swap(true, Ordering::Relaxed) {
            self.appetite.begins.notify_one();
        }
        part
    }
}

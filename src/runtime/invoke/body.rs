//! The request body on its way to a guest, one part at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::{Notify, mpsc};
use wasmtime_wasi_http::Error as HttpError;
use wasmtime_wasi_http::p2::body::HyperIncomingBody;

/// Parts of a request body that wait for the guest; the next is read when it has taken one.
const PARTS_WAITING: usize = 1;

/// Feeds the request body to the guest.
///
/// There is room for one part at a time: a guest that does not read holds the client back.
#[derive(Debug)]
pub struct BodyFeed {
    parts: mpsc::Sender<Frame<Bytes>>,
    appetite: Arc<Appetite>,
}

/// What a guest wants of its request body.
#[derive(Debug, Default)]
struct Appetite {
    /// Whether it waits for the next part.
    waits: AtomicBool,
    /// Told when it asks for the first.
    begins: Notify,
    has_begun: AtomicBool,
}

/// The guest no longer reads its request body.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyUnwanted;

impl BodyFeed {
    /// A feed, and the body that it feeds.
    pub(super) fn new() -> (Self, HyperIncomingBody) {
        let (sender, receiver) = mpsc::channel(PARTS_WAITING);
        let appetite = Arc::<Appetite>::default();
        let fed = Fed { parts: receiver, appetite: appetite.clone() };
        (Self { parts: sender, appetite }, fed.boxed_unsync())
    }

    /// Waits until the guest can take a part. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Where the guest has dropped the body.
    pub async fn ready(&self) -> Result<(), BodyUnwanted> {
        self.parts.reserve().await.map(drop).map_err(|_| BodyUnwanted)
    }

    /// Waits until the guest asks for the body, or for good where it never does. Cancel-safe.
    pub async fn wanted(&self) {
        while !self.appetite.has_begun.load(Ordering::Relaxed) && !self.parts.is_closed() {
            tokio::select! {
                () = self.appetite.begins.notified() => {}
                () = self.parts.closed() => {}
            }
        }
    }

    /// Whether the guest waits for the next part of the body.
    pub fn is_awaited(&self) -> bool {
        // What it has not taken yet is there for it.
        self.appetite.waits.load(Ordering::Relaxed) && self.parts.capacity() > 0
    }

    /// Hands over a part, after [`BodyFeed::ready`].
    ///
    /// # Errors
    ///
    /// Where the guest has dropped the body.
    pub fn send(&self, data: Bytes) -> Result<(), BodyUnwanted> {
        self.parts.try_send(Frame::data(data)).map_err(|_| BodyUnwanted)
    }

    /// Ends the body with trailers, after [`BodyFeed::ready`].
    ///
    /// # Errors
    ///
    /// Where the guest has dropped the body.
    pub fn finish(self, trailers: HeaderMap) -> Result<(), BodyUnwanted> {
        self.parts.try_send(Frame::trailers(trailers)).map_err(|_| BodyUnwanted)
    }
}

/// The guest's side of a [`BodyFeed`]: it ends when the feed is dropped.
struct Fed {
    parts: mpsc::Receiver<Frame<Bytes>>,
    appetite: Arc<Appetite>,
}

impl Body for Fed {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = self.parts.poll_recv(context);
        self.appetite.waits.store(frame.is_pending(), Ordering::Relaxed);
        if frame.is_pending() && !self.appetite.has_begun.swap(true, Ordering::Relaxed) {
            self.appetite.begins.notify_one();
        }
        frame.map(|frame| frame.map(Ok))
    }
}

//! Feeds the request body to a guest, one part at a time. The caller of an invocation has the
//! [`BodyFeed`], the guest reads the other end.

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

/// How many parts wait for the guest. The next part is read from the client when the guest has
/// taken one.
const PARTS_WAITING: usize = 1;

/// Feeds the request body to the guest.
///
/// There is room for one part at a time, so a guest that does not read slows the client down.
#[derive(Debug)]
pub struct BodyFeed {
    parts: mpsc::Sender<Frame<Bytes>>,
    appetite: Arc<Appetite>,
}

/// Whether a guest wants its request body.
#[derive(Debug, Default)]
struct Appetite {
    /// Whether it waits for the next part.
    waits: AtomicBool,
    /// Notified when it asks for the first part.
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

    /// Waits until the guest asks for the body. Waits for ever if it never does. Cancel-safe.
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
        // A part that the guest has not taken yet still waits for it.
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

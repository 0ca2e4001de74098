//! The bodies of a call: what the guest sends is fed to an exchange, and the parts of the response are taken from it. Both
//! sides hold a part or two, and whoever is slow slows the other down.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Sleep;

use super::failed;
use crate::exchange::{Event, Feed};
use crate::runtime::{CallBody, CallError};
use crate::upstream::{self, Exchange};

/// Sends a body of a guest to whoever takes it. Returns at its end, or when nobody wants more of it.
///
/// # Errors
///
/// Where the guest breaks the body off. The feed is given back, since dropping it would end the body as if it were complete.
pub async fn pump(mut body: CallBody, feed: Feed) -> Result<(), (CallError, Feed)> {
    loop {
        // A part is taken from the guest only when there is room for it.
        if feed.ready().await.is_err() {
            return Ok(());
        }
        let frame = match body.frame().await {
            None => return Ok(()),
            Some(Err(error)) => return Err((error, feed)),
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                if feed.send(data).is_err() {
                    return Ok(());
                }
            }
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                // Empty ones would be a frame of their own over HTTP/2. Whoever does not read the body misses none.
                if !trailers.is_empty() {
                    feed.finish(trailers).ok();
                }
                return Ok(());
            }
        }
    }
}

/// The body of an answer, straight from its exchange.
pub struct Direct {
    exchange: Exchange,
    patience: Patience,
    is_over: bool,
    /// The place among the version's calls in flight.
    #[expect(dead_code, reason = "held for its drop")]
    permit: OwnedSemaphorePermit,
}

/// The body of an answer whose exchange somebody else drives.
pub struct Relayed {
    frames: mpsc::Receiver<Part>,
    patience: Patience,
    is_over: bool,
    #[expect(dead_code, reason = "held for its drop")]
    permit: OwnedSemaphorePermit,
}

/// A part of an answer; `None` at its end. Whoever drives the exchange may be gone before.
type Part = Option<Result<Frame<Bytes>, CallError>>;

/// How long the guest waits between two parts, where it says so.
pub struct Patience {
    time: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub fn new(time: Option<Duration>) -> Self {
        Self { time, timer: None }
    }

    fn reset(&mut self) {
        self.timer = None;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<CallError> {
        let Some(time) = self.time else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(CallError::Timeout(format!("the answer paused for longer than {time:?}")))
    }
}

impl Direct {
    pub fn new(exchange: Exchange, patience: Patience, permit: OwnedSemaphorePermit) -> Self {
        Self { exchange, patience, is_over: false, permit }
    }
}

impl Relayed {
    /// Drives an exchange in the future that it returns, which ends with the response, or when the body is dropped.
    pub fn new(
        mut exchange: Exchange,
        sending: impl Future<Output = Result<(), (CallError, Feed)>> + Send + 'static,
        patience: Patience,
        permit: OwnedSemaphorePermit,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, frames) = mpsc::channel(1);
        let broken = sender.clone();
        let receive = async move {
            loop {
                let part = frame(exchange.next().await);
                let is_last = !matches!(part, Some(Ok(_)));
                if sender.send(part).await.is_err() || is_last {
                    return;
                }
                // The guest took its time.
                exchange.reset_patience();
            }
        };
        let drive = async move {
            let mut receive = pin!(receive);
            let sent = tokio::select! {
                () = &mut receive => return,
                sent = sending => sent,
            };
            match sent {
                Ok(()) => receive.await,
                // The exchange, which is not polled any more, sees no end of the body, and its connection is closed.
                Err((error, _feed)) => broken.send(Some(Err(error))).await.unwrap_or(()),
            }
        };
        (Self { frames, patience, is_over: false, permit }, drive)
    }
}

/// What a guest gets of an event; nothing at the end.
fn frame(event: Event<upstream::Failure>) -> Part {
    match event {
        Event::Data(data) => Some(Ok(Frame::data(data))),
        Event::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
        Event::Failed(failure) => Some(Err(failed(failure))),
        Event::End | Event::Head(_) | Event::Informational(_) => None,
    }
}

impl Body for Direct {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let frame = match this.exchange.poll_next(context) {
            Poll::Ready(event) => frame(event),
            Poll::Pending => Some(Err(ready!(this.patience.poll(context)))),
        };
        this.patience.reset();
        this.exchange.reset_patience();
        this.is_over = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let frame = match this.frames.poll_recv(context) {
            Poll::Ready(Some(part)) => part,
            Poll::Ready(None) => Some(Err(CallError::Reset("the call was ended".to_owned()))),
            Poll::Pending => Some(Err(ready!(this.patience.poll(context)))),
        };
        this.patience.reset();
        this.is_over = !matches!(frame, Some(Ok(_)));
        if this.is_over {
            this.frames.close();
        }
        Poll::Ready(frame)
    }
}

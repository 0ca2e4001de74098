//! Serves one request in one sandbox.
//!
//! The caller owns the [`Invocation`] of a request and pulls [`Event`]s out of it. Each pull polls
//! the guest in the caller's task. Dropping the invocation ends the guest at once. `body` is the request
//! body as the guest reads it, `failure` names how guests fail.

mod body;
mod failure;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error as HttpError;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::{HyperIncomingBody, HyperOutgoingBody};

use super::cpu::CpuClock;
use super::guest::{Guest, Instance, Reservation, Reserved};
use super::length::{Length, Progress};
use failure::explain;

use crate::exchange::{self, Feed};

pub use failure::GuestFailure;

/// A request, and the scheme of the connection that it came over. The request target does not
/// reliably have the scheme: over HTTP/1.1 it is a path, and over HTTP/2 the client chooses it.
pub(super) type Incoming = (Scheme, Request<HyperIncomingBody>);

/// An event of a guest's response.
pub type Event = exchange::Event<GuestFailure>;

type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;
/// Receives the response head from a guest.
pub(super) type Reply = oneshot::Sender<Head>;
type Running = Pin<Box<dyn Future<Output = Result<Box<Instance>, GuestFailure>> + Send>>;

/// The state of the guest.
enum Stage {
    Running(Running),
    /// It has returned. Its sandbox stays until the response is over.
    Returned(Box<Instance>),
    /// Its sandbox was returned to the pool or dropped.
    Left,
    Failed(GuestFailure),
}

/// The state of the response.
enum Answer {
    Awaited(oneshot::Receiver<Head>),
    Body(HyperOutgoingBody),
    Over,
}

/// A request under way in its sandbox.
pub struct Invocation {
    guest: Arc<Guest>,
    stage: Stage,
    clock: Arc<CpuClock>,
    answer: Answer,
    is_head_request: bool,
    /// Known once the head is.
    length: Length,
    /// An event that was polled ahead of its turn.
    ahead: Option<Event>,
    /// The time limit of the next event, while the caller waits for it.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Invocation {
    /// Starts a request without a body, which came over `scheme`, in the sandbox reserved for it.
    /// Nothing runs until the first event is pulled.
    pub fn start(
        guest: &Arc<Guest>,
        reservation: Reservation,
        request_id: &Arc<str>,
        scheme: Scheme,
        request: Request<()>,
    ) -> Self {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Self::with_body(guest, reservation, request_id, (scheme, request.map(|()| body)))
    }

    /// Starts a request with a body, which the caller feeds.
    pub fn start_fed(
        guest: &Arc<Guest>,
        reservation: Reservation,
        request_id: &Arc<str>,
        scheme: Scheme,
        request: Request<()>,
    ) -> (Self, Feed) {
        let (feed, body) = body::fed();
        let request = request.map(|()| body);
        (Self::with_body(guest, reservation, request_id, (scheme, request)), feed)
    }

    fn with_body(
        guest: &Arc<Guest>,
        Reservation(reserved): Reservation,
        request_id: &Arc<str>,
        request: Incoming,
    ) -> Self {
        guest.program().engine.serves();
        let (reply, head) = oneshot::channel();
        let clock = match &reserved {
            Reserved::Instance(sandbox) => sandbox.clock.clone(),
            Reserved::Slot(_) => guest.clock(),
        };
        let is_head_request = *request.1.method() == Method::HEAD;
        let run = run(guest.clone(), reserved, clock.clone(), request_id.clone(), request, reply);
        Self {
            guest: guest.clone(),
            stage: Stage::Running(Box::pin(run)),
            clock,
            answer: Answer::Awaited(head),
            is_head_request,
            length: Length::Open,
            ahead: None,
            patience: None,
        }
    }

    /// Starts the guest's time limit anew, because it was waiting for the client.
    pub fn reset_patience(&mut self) {
        let limit = self.limit();
        if let Some((patience, limit)) = self.patience.as_mut().zip(limit) {
            patience.as_mut().reset(Instant::now() + limit);
        }
    }

    /// Whether the guest has not returned yet.
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// Returns the sandbox of a finished guest once the response is over, for callers that do other
    /// work before they [`settle`](Self::settle).
    pub fn release(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Left) {
            Stage::Returned(sandbox) => self.guest.put_back(sandbox),
            stage => self.stage = stage,
        }
    }

    /// Lets a guest finish its work after the response, within its limits.
    ///
    /// # Errors
    ///
    /// Where the guest fails after its response. The client has the response, so the error is for
    /// the log.
    pub async fn settle(mut self) -> Result<(), GuestFailure> {
        std::future::poll_fn(|context| {
            self.poll_guest(context);
            match &self.stage {
                Stage::Running(_) => self.poll_patience(context).map(Err),
                Stage::Failed(failure) => Poll::Ready(Err(failure.clone())),
                Stage::Returned(_) | Stage::Left => Poll::Ready(Ok(())),
            }
        })
        .await?;
        self.release();
        self.guest.replenish().await;
        Ok(())
    }

    /// Polls the guest, for the next event of the response. A wake-up that is missed loses nothing.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.ahead.take() {
            if matches!(event, Event::Failed(_)) {
                self.answer = Answer::Over;
            }
            return Poll::Ready(event);
        }
        self.poll_guest(context);
        let mut event = self.poll_answer(context);
        if event.is_pending() && matches!(self.stage, Stage::Returned(_)) {
            // The guest has returned and left its response open. Dropping the sandbox closes it.
            self.stage = Stage::Left;
            event = self.poll_answer(context);
        }
        let event = match event {
            Poll::Ready(event) => event,
            Poll::Pending => Event::Failed(ready!(self.poll_patience(context))),
        };
        self.patience = None;
        if matches!(event, Event::Failed(_)) {
            self.answer = Answer::Over;
        }
        Poll::Ready(event)
    }

    fn poll_guest(&mut self, context: &mut Context<'_>) {
        let Stage::Running(running) = &mut self.stage else { return };
        match self.clock.poll(running.as_mut(), context) {
            Poll::Ready(Ok(sandbox)) => self.stage = Stage::Returned(sandbox),
            Poll::Ready(Err(failure)) => self.stage = Stage::Failed(failure),
            // The guest uses up its time in turns too short for an epoch to end in one.
            Poll::Pending if self.clock.is_used_up() => {
                self.stage = Stage::Failed(GuestFailure::CpuTime);
            }
            Poll::Pending => {}
        }
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        match &mut self.answer {
            Answer::Awaited(head) => {
                // No head was sent yet, so a guest that failed after setting the head fails the
                // whole request.
                if let Stage::Failed(failure) = &self.stage {
                    return Poll::Ready(Event::Failed(failure.clone()));
                }
                let head = ready!(Pin::new(head).poll(context));
                Poll::Ready(self.take_head(context, head))
            }
            Answer::Body(body) => {
                let frame = loop {
                    let frame = ready!(Pin::new(&mut *body).poll_frame(context));
                    if !is_empty(&frame) {
                        break frame;
                    }
                };
                Poll::Ready(self.take_frame(context, frame))
            }
            Answer::Over => Poll::Ready(Event::End),
        }
    }

    fn take_head(
        &mut self,
        context: &mut Context<'_>,
        head: Result<Head, oneshot::error::RecvError>,
    ) -> Event {
        let failed = |reason: String| Event::Failed(GuestFailure::NoResponse(reason));
        match head {
            Ok(Ok(response)) if response.status().is_informational() => {
                failed(format!("its status is {}, which cannot end a request", response.status()))
            }
            Ok(Ok(response)) => {
                let (parts, body) = response.into_parts();
                match Length::of(&parts, self.is_head_request) {
                    Ok(length) => self.length = length,
                    Err(failure) => return Event::Failed(failure),
                }
                self.answer = Answer::Body(body);
                let head = Event::Head(parts.into());
                match self.length {
                    Length::Promised { left: 0, .. } => self.unless_more_follows(context, head),
                    _ => head,
                }
            }
            Ok(Err(code)) => failed(format!("it set the error {code:?}")),
            Err(_) => failed("it ended without setting one".to_owned()),
        }
    }

    fn take_frame(
        &mut self,
        context: &mut Context<'_>,
        frame: Option<Result<Frame<Bytes>, HttpError>>,
    ) -> Event {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => match self.length.take(data.len()) {
                    Ok(Progress::More) => Event::Data(data),
                    Ok(Progress::Met) => self.unless_more_follows(context, Event::Data(data)),
                    Err(failure) => Event::Failed(failure),
                },
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.or_failed(Event::Trailers(trailers))
                }
            },
            Some(Err(_)) if self.length == Length::NoBody => self.end(context),
            Some(Err(error)) => {
                let truncated = Event::Failed(GuestFailure::Truncated(format!("{error:?}")));
                self.or_failed(truncated)
            }
            None => self.end(context),
        }
    }

    fn end(&mut self, context: &mut Context<'_>) -> Event {
        self.answer = Answer::Over;
        // A guest of WASI 0.3 is done only when its body is.
        self.poll_guest(context);
        self.or_failed(Event::End)
    }

    /// The last event, or the failure if the guest failed or the body is too short.
    fn or_failed(&self, event: Event) -> Event {
        match (&self.stage, self.length.end()) {
            (Stage::Failed(failure), _) => Event::Failed(failure.clone()),
            (_, Err(failure)) => Event::Failed(failure),
            _ => event,
        }
    }

    /// A client stops reading when it has the promised length. So before the last part of a body is
    /// returned, the guest is polled once more, and the request fails if the guest already has more
    /// of the body.
    fn unless_more_follows(&mut self, context: &mut Context<'_>, last: Event) -> Event {
        self.poll_guest(context);
        match self.poll_answer(context) {
            Poll::Ready(Event::Failed(more @ GuestFailure::BadResponse(_))) => Event::Failed(more),
            Poll::Ready(event) => {
                self.ahead = Some(event);
                last
            }
            Poll::Pending => last,
        }
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<GuestFailure> {
        let Some(limit) = self.limit() else { return Poll::Pending };
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(patience.as_mut().poll(context));
        let failure = match self.answer {
            Answer::Body(_) => GuestFailure::IdleTime,
            Answer::Awaited(_) | Answer::Over => GuestFailure::WallTime,
        };
        self.stage = Stage::Failed(failure.clone());
        Poll::Ready(failure)
    }

    /// How long the next event may take: the head, or work after the response, `wall-time`; a part of the body
    /// `idle-time`, which may be for ever.
    fn limit(&self) -> Option<Duration> {
        let grant = self.guest.grant();
        match self.answer {
            Answer::Body(_) => grant.idle_time,
            Answer::Awaited(_) | Answer::Over => Some(grant.wall_time),
        }
    }
}

/// Whether a frame is an empty part, which would end a chunked body early.
fn is_empty(frame: &Option<Result<Frame<Bytes>, HttpError>>) -> bool {
    matches!(frame, Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty))
}

/// Serves one request in a sandbox, and returns the sandbox.
async fn run(
    guest: Arc<Guest>,
    reserved: Reserved,
    clock: Arc<CpuClock>,
    request_id: Arc<str>,
    request: Incoming,
    reply: Reply,
) -> Result<Box<Instance>, GuestFailure> {
    let failed = |(error, denied): (wasmtime::Error, bool)| explain(&error, denied);
    let mut sandbox = match reserved {
        Reserved::Instance(mut sandbox) => {
            sandbox.renew(request_id);
            sandbox
        }
        Reserved::Slot(slot) => guest.instantiate(slot, clock, request_id).await.map_err(failed)?,
    };
    sandbox.call(request, reply).await.map_err(failed)?;
    Ok(sandbox)
}

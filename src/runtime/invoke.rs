//! One request through one sandbox.
//!
//! Whoever serves the request owns its [`Invocation`] and pulls [`Event`]s out of it; each pull
//! polls the guest, in the caller's own task. Dropping it ends the guest at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::{HyperIncomingBody, HyperOutgoingBody};
use wasmtime_wasi_http::{Error as HttpError, WasiHttpView};

use super::cpu::{CpuClock, CpuTimeUsedUp};
use super::program::Program;
use super::sandbox::{Grant, Sandbox};

/// Parts of a request body that wait for the guest; the next is read when it has taken one.
const BODY_PARTS_WAITING: usize = 1;

/// What comes out of a guest: one head, then parts of the body, then the end. Or a failure, at any
/// point, after which nothing follows.
#[derive(Debug)]
pub enum Event {
    Head(Box<http::response::Parts>),
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    Failed(GuestFailure),
}

/// How a guest failed a request. The messages are for the log, never for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFailure {
    #[error("the guest trapped: {0}")]
    Trap(String),
    #[error("the guest died of its memory limit: {0}")]
    Memory(String),
    #[error("the guest used up its CPU time")]
    CpuTime,
    #[error("the guest used up its wall time")]
    WallTime,
    #[error("the guest gave no response: {0}")]
    NoResponse(String),
    #[error("the guest broke off its response body: {0}")]
    Truncated(String),
    #[error("no sandbox is free: {0}")]
    PoolExhausted(String),
}

/// Feeds the request body to the guest.
///
/// There is room for one part at a time: a guest that does not read holds the client back.
#[derive(Debug)]
pub struct BodyFeed(mpsc::Sender<Frame<Bytes>>);

/// The guest no longer reads its request body.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyUnwanted;

impl BodyFeed {
    /// Waits until the guest can take a part. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Where the guest has dropped the body.
    pub async fn ready(&self) -> Result<(), BodyUnwanted> {
        self.0.reserve().await.map(drop).map_err(|_| BodyUnwanted)
    }

    /// Hands over a part, after [`BodyFeed::ready`].
    ///
    /// # Errors
    ///
    /// Where the guest has dropped the body.
    pub fn send(&self, data: Bytes) -> Result<(), BodyUnwanted> {
        self.0.try_send(Frame::data(data)).map_err(|_| BodyUnwanted)
    }
}

/// The guest's side of a [`BodyFeed`]: it ends when the feed is dropped.
struct Fed(mpsc::Receiver<Frame<Bytes>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;
type Guest = Pin<Box<dyn Future<Output = Result<(), GuestFailure>> + Send>>;

/// Where the response is.
enum Reply {
    Awaited(oneshot::Receiver<Head>),
    Body(HyperOutgoingBody),
    Over,
}

/// A request under way in its sandbox.
pub struct Invocation {
    /// The guest, until it has returned; then how it ended.
    guest: Result<Guest, Result<(), GuestFailure>>,
    clock: Arc<CpuClock>,
    reply: Reply,
    wall_time: Duration,
    /// Runs while the guest keeps the caller waiting for its next event.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Invocation {
    /// Prepares a sandbox for a request without a body. Nothing runs until the first event is
    /// asked for.
    pub fn start(
        program: &Program,
        grant: &Arc<Grant>,
        request_id: &Arc<str>,
        request: Request<()>,
    ) -> Self {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Self::with_body(program, grant, request_id, request.map(|()| body))
    }

    /// The same for a request whose body will be fed.
    pub fn start_fed(
        program: &Program,
        grant: &Arc<Grant>,
        request_id: &Arc<str>,
        request: Request<()>,
    ) -> (Self, BodyFeed) {
        let (sender, receiver) = mpsc::channel(BODY_PARTS_WAITING);
        let request = request.map(|()| Fed(receiver).boxed_unsync());
        (Self::with_body(program, grant, request_id, request), BodyFeed(sender))
    }

    fn with_body(
        program: &Program,
        grant: &Arc<Grant>,
        request_id: &Arc<str>,
        request: Request<HyperIncomingBody>,
    ) -> Self {
        let (sender, receiver) = oneshot::channel();
        let clock = CpuClock::new(grant.cpu_time);
        let sandbox = Sandbox::new(grant, request_id);
        let guest = run(program.clone(), sandbox, clock.clone(), request, sender);
        Self {
            guest: Ok(Box::pin(guest)),
            clock,
            reply: Reply::Awaited(receiver),
            wall_time: grant.wall_time,
            patience: None,
        }
    }

    /// The next event of the response. Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Event {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Lets a guest finish what it does after its response, within its limits.
    ///
    /// # Errors
    ///
    /// Where it fails after all: the client has its response, so this is for the log.
    pub async fn settle(mut self) -> Result<(), GuestFailure> {
        std::future::poll_fn(|context| {
            self.poll_guest(context);
            match &self.guest {
                Err(ended) => Poll::Ready(ended.clone()),
                Ok(_) => self.poll_patience(context).map(Err),
            }
        })
        .await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        self.poll_guest(context);
        let event = match self.poll_reply(context) {
            Poll::Ready(event) => event,
            Poll::Pending => Event::Failed(ready!(self.poll_patience(context))),
        };
        self.patience = None;
        if matches!(event, Event::Failed(_)) {
            self.reply = Reply::Over;
        }
        Poll::Ready(event)
    }

    fn poll_guest(&mut self, context: &mut Context<'_>) {
        let Ok(guest) = &mut self.guest else { return };
        if let Poll::Ready(ended) = self.clock.poll(guest.as_mut(), context) {
            self.guest = Err(ended);
        } else if self.clock.is_used_up() {
            // It spends its time in short turns, between which no epoch ends.
            self.guest = Err(Err(GuestFailure::CpuTime));
        }
    }

    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        match &mut self.reply {
            Reply::Awaited(head) => {
                // Nothing is committed yet: a guest that failed since it set the head fails whole.
                if let Err(Err(failure)) = &self.guest {
                    return Poll::Ready(Event::Failed(failure.clone()));
                }
                let head = ready!(Pin::new(head).poll(context));
                Poll::Ready(self.take_head(head))
            }
            Reply::Body(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(self.take_frame(frame))
            }
            Reply::Over => Poll::Ready(Event::End),
        }
    }

    fn take_head(&mut self, head: Result<Head, oneshot::error::RecvError>) -> Event {
        let failed = |reason: String| Event::Failed(GuestFailure::NoResponse(reason));
        match head {
            Ok(Ok(response)) if response.status().is_informational() => {
                failed(format!("its status is {}, which cannot end a request", response.status()))
            }
            Ok(Ok(response)) => {
                let (parts, body) = response.into_parts();
                self.reply = Reply::Body(body);
                Event::Head(Box::new(parts))
            }
            Ok(Err(code)) => failed(format!("it set the error {code:?}")),
            Err(_) => failed("it ended without setting one".to_owned()),
        }
    }

    fn take_frame(&mut self, frame: Option<Result<Frame<Bytes>, HttpError>>) -> Event {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Event::Data(data),
                Err(frame) => Event::Trailers(frame.into_trailers().unwrap_or_default()),
            },
            Some(Err(error)) => Event::Failed(match &self.guest {
                Err(Err(failure)) => failure.clone(),
                _ => GuestFailure::Truncated(format!("{error:?}")),
            }),
            None => {
                self.reply = Reply::Over;
                match &self.guest {
                    // The body ended because its sandbox did.
                    Err(Err(failure)) => Event::Failed(failure.clone()),
                    _ => Event::End,
                }
            }
        }
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<GuestFailure> {
        let patience =
            self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.wall_time)));
        ready!(patience.as_mut().poll(context));
        self.guest = Err(Err(GuestFailure::WallTime));
        Poll::Ready(GuestFailure::WallTime)
    }
}

/// The guest's whole life: a store, an instance, one call. The store is dropped at the end.
async fn run(
    program: Program,
    sandbox: Sandbox,
    clock: Arc<CpuClock>,
    request: Request<HyperIncomingBody>,
    reply: oneshot::Sender<Head>,
) -> Result<(), GuestFailure> {
    let mut store = Store::new(&program.engine.wasm, sandbox);
    store.limiter(|sandbox| &mut sandbox.memory);
    clock.watch(&mut store);
    let called = call(&program, &mut store, request, reply).await;
    called.map_err(|error| explain(&error, store.data().memory.denied))
}

async fn call(
    program: &Program,
    store: &mut Store<Sandbox>,
    request: Request<HyperIncomingBody>,
    reply: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    let scheme = match request.uri().scheme_str() {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    let request = store.data_mut().http().new_incoming_request(scheme, request)?;
    let reply = store.data_mut().http().new_response_outparam(reply)?;
    let instance = program.pre.instantiate_async(&mut *store).await?;
    instance.wasi_http_incoming_handler().call_handle(store, request, reply).await
}

fn explain(error: &wasmtime::Error, memory_denied: bool) -> GuestFailure {
    tracing::debug!("{error:?}");
    let text = || error.root_cause().to_string();
    if error.is::<CpuTimeUsedUp>() {
        GuestFailure::CpuTime
    } else if error.is::<PoolConcurrencyLimitError>() {
        GuestFailure::PoolExhausted(text())
    } else if memory_denied {
        GuestFailure::Memory(text())
    } else if let Some(I32Exit(code)) = error.downcast_ref() {
        GuestFailure::NoResponse(format!("it exited with code {code}"))
    } else {
        GuestFailure::Trap(text())
    }
}

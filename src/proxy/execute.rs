//! Streams a request through a backend: both bodies at once, over one session, in one task.
//!
//! The loop has two sources. It looks at the backend's next event first; while there is none, it reads the client.
//! Writing an event waits for the client, and reading pauses until the backend takes what was read, so this process never
//! holds more than a few chunks for either side.
//!
//! As long as no head was sent to the client, a request that went wrong may start once more: `verdict` says whether,
//! `attempt` does it, and `upload` has kept what was read of the body. `respond` writes the response.

mod ahead;
mod attempt;
mod respond;
mod upload;
mod verdict;
mod wait;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;
use tracing::field::display;

use super::ctx::{Chosen, RequestCtx};
use super::exchange::Exchange;
use super::failure::Failure;
use super::headers;
use super::session::Session;
use crate::exchange::{Event, ResponseHead};
use crate::runtime::GuestFailure;
use crate::upstream::{self, FailureKind, Sent};
use ahead::Ahead;
use attempt::{Again, Attempts, Opened};
use upload::Read;
use verdict::Setback;
use wait::Wait;

/// The code of a failure that only the log shows.
const AFTER_RESPONSE: &str = "after-response";
/// The code of failures after which another target is asked, in the log.
const AFTER_RETRY: &str = "retry";

/// The minimum time for which a client may take none of a response: a lost packet takes a second or two, and a slow
/// reader's kernel reports its progress in large steps.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// Serves one request by the chosen version, or by the one that rescues it.
pub async fn execute(
    session: &mut Session,
    ctx: &mut RequestCtx,
    chosen: &mut Chosen,
) -> Result<(), Failure> {
    let mut attempts = Attempts::new(session, ctx, chosen);
    let opened = match attempts.open().await {
        Ok(opened) => opened,
        Err(failure) => unopened(&mut attempts, failure).await?,
    };
    let Opened { exchange, permit } = opened;
    let mut execution = Execution {
        attempts,
        exchange,
        permit,
        ahead: Ahead::default(),
        named: Vec::new(),
        trailers: None,
        is_switched: false,
        is_half_closed: false,
    };
    // By reference, so that it is not moved once more.
    execution.run().await?;
    execution.settle().await;
    Ok(())
}

/// Boxed, because few requests come here and all would carry its state.
async fn unopened(attempts: &mut Attempts<'_>, failure: Failure) -> Result<Opened, Failure> {
    match Box::pin(attempts.again(Setback::Failed(&failure), None)).await {
        Some(Again { exchange, permit: Some(permit) }) => Ok(Opened { exchange, permit }),
        _ => Err(failure),
    }
}

/// The result of an event or an input.
enum Step {
    More,
    /// The client has the whole response.
    Complete,
}

struct Execution<'a> {
    attempts: Attempts<'a>,
    exchange: Exchange,
    /// The request's place among those of its version.
    permit: OwnedSemaphorePermit,
    /// Events that were already pulled out of the backend.
    ahead: Ahead,
    /// The fields that the head of the response names as those of its connection.
    named: Vec<Vec<u8>>,
    trailers: Option<HeaderMap>,
    /// Whether both sides have switched to another protocol, of which only the bytes are seen.
    is_switched: bool,
    /// Whether the target has closed its direction after a switch, and the client's goes on.
    is_half_closed: bool,
}

impl Execution<'_> {
    /// Serves the request until the client has its whole response.
    async fn run(&mut self) -> Result<(), Failure> {
        loop {
            let Attempts { session, upload, wait, .. } = &mut self.attempts;
            // What is kept to be sent again is small, and each attempt sends it: that is no progress.
            let is_lost = !upload.is_at_hand();
            let step = tokio::select! {
                biased;
                event = next(&mut self.exchange, &mut self.ahead, wait, is_lost) => {
                    self.output(event).await
                }
                read = upload.read(session) => self.input(read),
            };
            match step {
                Ok(Step::More) => {}
                Ok(Step::Complete) => return Ok(()),
                Err(failure) => match Box::pin(self.again(Setback::Failed(&failure))).await {
                    true => {}
                    false => return Err(failure),
                },
            }
        }
    }

    /// Starts the request once more, if it may be. The exchange that went wrong ends then.
    async fn again(&mut self, setback: Setback<'_>) -> bool {
        let target = self.exchange.target().cloned();
        let Some(Again { exchange, permit }) = self.attempts.again(setback, target.as_ref()).await
        else {
            return false;
        };
        self.exchange = exchange;
        if let Some(permit) = permit {
            self.permit = permit;
        }
        self.ahead = Ahead::default();
        self.trailers = None;
        true
    }

    /// Ends the backend's part once the client has its response. A guest that goes on keeps its place and its limits; the
    /// connection is free for the next request.
    async fn settle(self) {
        let Self { exchange, permit, attempts, .. } = self;
        // A target has nothing left to do.
        let Exchange::Guest(_) = &exchange else { return };
        let version = attempts.chosen.version.clone();
        let key = attempts.ctx.service.as_ref().map(|service| service.key.clone());
        let running = exchange.is_running();
        let settle = async move {
            if let Err(failure) = exchange.settle().await
                && let Some(more) = version.meter.admits_warning(AFTER_RESPONSE, true)
            {
                let environment = key.as_ref().map(|key| display(&key.environment));
                let service = key.as_ref().map(|key| display(&key.service));
                let version = &version.spec.name;
                tracing::warn!(environment, service, %version, "after its response was complete: {failure}{more}");
            }
            drop(permit);
        };
        match running {
            true => drop(tokio::spawn(settle)),
            false => settle.await,
        }
    }

    fn input(&mut self, read: Read) -> Result<Step, Failure> {
        if read.is_of_client() {
            // The time that the client takes is not charged to the version.
            self.reset_patience();
        }
        self.attempts.upload.take(read)?;
        Ok(Step::More)
    }

    fn reset_patience(&mut self) {
        self.exchange.reset_patience();
        self.attempts.wait.renew();
    }

    async fn output(&mut self, event: Event<Failure>) -> Result<Step, Failure> {
        let written = match event {
            Event::Head(head) => return self.take_head(head).await,
            Event::Data(data) if self.has_body() => {
                let is_last = self.is_last_write().await;
                self.attempts.session.write(data, is_last).await
            }
            Event::Trailers(trailers) if self.has_body() => {
                self.trailers = Some(headers::keep_trailers(trailers, &self.named));
                Ok(())
            }
            Event::Data(_) | Event::Trailers(_) => Ok(()),
            Event::Informational(head) => self.informational(head).await,
            Event::Failed(failure) if self.is_switched && is_pause(&failure) => {
                return self.end().await;
            }
            Event::Failed(failure) if is_timeout(&failure) && self.waits_for_client() => {
                return Err(Failure::RequestTimeout);
            }
            Event::Failed(failure) => return Err(failure),
            Event::End => return self.end().await,
        };
        // The write waited for the client, so the version is not charged for the time.
        self.reset_patience();
        written?;
        Ok(Step::More)
    }

    /// Passes a head on, unless its status is one after which the request is done again.
    async fn take_head(&mut self, head: ResponseHead) -> Result<Step, Failure> {
        let status = head.status;
        if self.attempts.may_drop(status) && Box::pin(self.again(Setback::Status(status))).await {
            return Ok(Step::More);
        }
        self.head(head).await?;
        self.reset_patience();
        Ok(Step::More)
    }

    /// Whether the backend has nothing to do before the client sends more.
    fn waits_for_client(&self) -> bool {
        self.attempts.upload.is_awaited()
    }

    /// Whether the end of the response follows what is to be written now, as far as that is of use.
    ///
    /// If so, yields, so that responses to requests that came together leave together: their reader wakes up once for
    /// many. The sandbox is given back first, or else the other tasks would make sandboxes of their own. The only open
    /// connection of HTTP/1 has no others to wait for, and one of HTTP/2 waits by itself.
    async fn is_last_write(&mut self) -> bool {
        let session = &self.attempts.session;
        let (is_alone, gathers) = (session.is_alone(), session.gathers());
        if is_alone || self.exchange.is_running() {
            return false;
        }
        if self.ahead.is_empty()
            && let Some(event) = poll_once(&mut self.exchange).await
        {
            self.ahead.push(event);
        }
        let is_last = matches!(self.ahead.first(), Some(Event::End));
        if is_last {
            self.exchange.release();
        }
        if is_last && !gathers {
            // Unlike a plain wake-up, this runs after the tasks that are ready now.
            tokio::task::yield_now().await;
        }
        is_last
    }

    /// Ends the response. After a switch, that is one direction of two: the other goes on until the client closes it, or
    /// nothing passes for too long.
    async fn end(&mut self) -> Result<Step, Failure> {
        if !self.is_half_closed {
            let trailers = self.trailers.take().filter(|trailers| !trailers.is_empty());
            self.attempts.session.finish(trailers).await?;
        }
        self.is_half_closed = self.is_switched && self.exchange.goes_on();
        Ok(if self.is_half_closed { Step::More } else { Step::Complete })
    }
}

/// Whether a backend did not do its next step in time.
fn is_timeout(failure: &Failure) -> bool {
    match failure {
        Failure::Guest(failure) => {
            matches!(failure, GuestFailure::WallTime | GuestFailure::IdleTime)
        }
        Failure::Upstream(failure) => {
            matches!(failure.kind, FailureKind::WallTime | FailureKind::IdleTime)
        }
        _ => false,
    }
}

/// Whether a response paused for too long. For a protocol that was switched to, that is an ordinary end: nobody has
/// used it for a while.
fn is_pause(failure: &Failure) -> bool {
    matches!(failure, Failure::Upstream(failure) if failure.kind == FailureKind::IdleTime)
}

/// The next event; a failure where the time of several attempts together is over. Where it `renews`, that time begins
/// anew when the backend has taken more of the request.
async fn next(
    exchange: &mut Exchange,
    ahead: &mut Ahead,
    wait: &mut Wait,
    renews: bool,
) -> Event<Failure> {
    if let Some(event) = ahead.take() {
        return event;
    }
    poll_fn(|context| {
        let event = exchange.poll_next(context);
        if event.is_ready() {
            return event;
        }
        if exchange.was_sent_more() && renews {
            wait.renew();
        }
        wait.poll(context).map(|()| late())
    })
    .await
}

fn late() -> Event<Failure> {
    Event::Failed(Failure::Upstream(upstream::Failure {
        kind: FailureKind::WallTime,
        sent: Sent::Maybe,
        is_stale: false,
        detail: "no attempt gave a response in time".to_owned(),
    }))
}

/// The backend's next event, if it has one now.
async fn poll_once(exchange: &mut Exchange) -> Option<Event<Failure>> {
    poll_fn(|context| {
        Poll::Ready(match exchange.poll_next(context) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
    })
    .await
}

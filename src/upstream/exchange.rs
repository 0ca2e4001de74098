//! One request and its response, through one target.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::UPGRADE;
use http::uri::Scheme;
use tokio::time::Instant;

use super::connect::{Connected, Purpose, connect};
use super::failure::{Failure, FailureKind, Sent};
use super::http1::{Host, Http1};
use super::http2::{Http2Exchange, NotStarted};
use super::{Call, Target};
use crate::config::{Limits, Protocol};
use crate::exchange::{self, Fed, RequestHead, Waits};
use crate::timer::Timer;

/// An event of a target's response.
pub type Event = exchange::Event<Failure>;

type Connecting = Pin<Box<dyn Future<Output = Result<Connected, Failure>> + Send>>;

/// A request under way. Dropping it ends it: its connection is closed, or its stream reset.
pub struct Exchange {
    call: Call,
    request: RequestHead,
    body: Option<Fed>,
    /// Of the body, wherever it is.
    waits: Option<Waits>,
    stage: Stage,
    /// Whether a connection that has served others will not do.
    is_fresh: bool,
    patience: Patience,
    /// Bytes of the body that were sent, when the time limit was last looked at.
    sent: u64,
    was_sent_more: bool,
}

enum Stage {
    /// Nothing was done yet.
    Start,
    Connecting(Connecting),
    Http1(Box<Http1>),
    Http2(Box<Http2Exchange>),
    Over,
}

/// The time limit of the next event.
#[derive(Debug)]
struct Patience {
    /// Until the head.
    wall_time: Duration,
    /// Between two parts of the body.
    idle_time: Option<Duration>,
    has_head: bool,
    /// Whether the target has closed its direction, and ours goes on.
    is_half_closed: bool,
    /// Of the next event; set where it is waited for.
    deadline: Option<Instant>,
    timer: Timer,
}

impl Exchange {
    /// A request of `call`. Its connection is a new one where `is_fresh`.
    pub(super) fn new(
        call: Call,
        request: RequestHead,
        body: Option<Fed>,
        limits: &Limits,
        is_fresh: bool,
    ) -> Self {
        // From the time at which the call began, which is now: the clock need not be read again.
        let deadline = call.started() + limits.wall_time;
        Self {
            call,
            request,
            waits: body.as_ref().map(Fed::waits),
            body,
            stage: Stage::Start,
            is_fresh,
            patience: Patience {
                wall_time: limits.wall_time,
                idle_time: limits.idle_time(),
                has_head: false,
                is_half_closed: false,
                deadline: Some(deadline),
                timer: Timer::default(),
            },
            sent: 0,
            was_sent_more: false,
        }
    }

    /// The next event of the response. Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Event {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Polls for the next event of the response; sends what there is of the request meanwhile.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let mut event = match self.poll_stage(context) {
            Poll::Ready(event) => event,
            Poll::Pending => {
                self.look_at_progress();
                let limit = ready!(self.patience.poll(context));
                Event::Failed(self.out_of_patience(limit))
            }
        };
        match &mut event {
            // A head must still come in time.
            Event::Informational(_) => return Poll::Ready(event),
            Event::Head(head) => {
                self.patience.has_head = true;
                self.call.answered(head.status);
            }
            Event::Data(_) | Event::Trailers(_) => {}
            Event::End => self.end(),
            Event::Failed(failure) => {
                failure.detail = format!("{}: {}", self.target().declared(), failure.detail);
                if !self.is_of_client(failure.kind) {
                    self.call.failed(failure);
                }
                self.stage = Stage::Over;
            }
        }
        self.patience.reset();
        Poll::Ready(event)
    }

    /// Starts the time limit of the next event anew, because the exchange was waiting for the client.
    pub fn reset_patience(&mut self) {
        self.patience.reset();
    }

    /// Whether more of the request was sent since this was last asked. A target that takes a large body slowly is not
    /// late with its response.
    pub fn was_sent_more(&mut self) -> bool {
        std::mem::take(&mut self.was_sent_more)
    }

    /// Whether our direction goes on after the end of the target's, as after a switch of protocols.
    pub fn goes_on(&self) -> bool {
        self.stage.goes_on()
    }

    /// The target that was asked.
    pub fn target(&self) -> &Arc<Target> {
        self.call.target()
    }

    /// Gives the request back, for another attempt.
    pub fn into_request(self) -> RequestHead {
        self.request
    }

    /// Begins the time limit anew where the target has taken more of the request.
    fn look_at_progress(&mut self) {
        let sent = match &self.stage {
            Stage::Http1(http1) => http1.sent_bytes(),
            Stage::Http2(http2) => http2.sent_bytes(),
            Stage::Start | Stage::Connecting(_) | Stage::Over => 0,
        };
        if sent != self.sent {
            (self.sent, self.was_sent_more) = (sent, true);
            self.patience.reset();
        }
    }

    fn poll_stage(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        loop {
            match &mut self.stage {
                Stage::Start => {
                    if let Err(failure) = self.start() {
                        return Poll::Ready(Event::Failed(failure));
                    }
                }
                Stage::Connecting(connecting) => match ready!(connecting.as_mut().poll(context)) {
                    Ok(connected) => {
                        if let Err(failure) = self.begin(connected) {
                            return Poll::Ready(Event::Failed(failure));
                        }
                    }
                    Err(failure) => return Poll::Ready(Event::Failed(failure)),
                },
                Stage::Http1(http1) => {
                    let event = ready!(http1.poll_next(context));
                    return Poll::Ready(event);
                }
                Stage::Http2(http2) => return http2.poll_next(context),
                Stage::Over => return Poll::Ready(Event::End),
            }
        }
    }

    /// Takes a kept connection, or begins to make one.
    fn start(&mut self) -> Result<(), Failure> {
        let kept = match self.is_fresh {
            true => None,
            false => self.kept(),
        };
        match kept {
            Some(connected) => self.begin(connected)?,
            None => self.connect(),
        }
        Ok(())
    }

    fn connect(&mut self) {
        let target = self.target().clone();
        let purpose = Purpose { is_fresh: self.is_fresh, is_switch: self.is_switch() };
        let connecting = async move { connect(&target, purpose).await };
        self.stage = Stage::Connecting(Box::pin(connecting));
    }

    fn kept(&self) -> Option<Connected> {
        let target = self.target();
        let now = self.call.started();
        let http1 = || target.pool().take(!self.is_repeatable(), now).map(Connected::Http1);
        let http2 = || target.http2().place().map(Connected::Http2);
        match &target.settings().protocol {
            Protocol::Http1 => http1(),
            Protocol::H2c => http2(),
            Protocol::Tls(_) if self.is_switch() => http1(),
            // A target has connections of one of them, unless it is being changed.
            Protocol::Tls(_) => http2().or_else(http1),
        }
    }

    /// Sends the request over a connection.
    fn begin(&mut self, connected: Connected) -> Result<(), Failure> {
        let declared = &self.call.upstream().spec().host;
        let host = Host { declared, target: self.call.target().declared() };
        let body = self.body.take();
        match connected {
            Connected::Http1(mut connection) => {
                std::mem::swap(&mut self.patience.timer, &mut connection.timer);
                let http1 = Http1::new(connection, &self.request, host, body);
                self.stage = Stage::Http1(Box::new(http1));
            }
            Connected::Http2(place) => {
                let scheme = match &self.target().settings().protocol {
                    Protocol::Tls(_) => Scheme::HTTPS,
                    Protocol::Http1 | Protocol::H2c => Scheme::HTTP,
                };
                match Http2Exchange::start(place, &self.request, body, scheme, host) {
                    Ok(http2) => self.stage = Stage::Http2(Box::new(http2)),
                    Err((why, body)) => {
                        self.body = body;
                        return self.not_started(why);
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes on with a new connection where the one that was found is about to close.
    fn not_started(&mut self, why: NotStarted) -> Result<(), Failure> {
        match why {
            NotStarted::Closing(_) if !self.is_fresh => {
                self.is_fresh = true;
                self.connect();
                Ok(())
            }
            NotStarted::Closing(failure) | NotStarted::Impossible(failure) => Err(failure),
        }
    }

    /// Whether the request asks for another protocol.
    fn is_switch(&self) -> bool {
        self.request.fields.contains(&UPGRADE)
    }

    /// Whether the request may be sent twice.
    fn is_repeatable(&self) -> bool {
        self.request.method.is_idempotent() && self.body.is_none()
    }

    /// Keeps the connection, if that is possible, for the next request.
    fn end(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            stage @ (Stage::Http1(_) | Stage::Http2(_)) if stage.goes_on() => {
                self.patience.is_half_closed = true;
                self.stage = stage;
            }
            Stage::Http1(http1) => {
                if let Some((mut connection, keep_alive)) = http1.into_kept() {
                    connection.timer = std::mem::take(&mut self.patience.timer);
                    let time = kept_time(self.target().settings().idle_timeout, keep_alive);
                    self.target().pool().put(connection, time);
                }
            }
            // Its place is given back when it is dropped.
            Stage::Http2(_) | Stage::Start | Stage::Connecting(_) | Stage::Over => {}
        }
    }

    /// Whether the target was late because it has yet to be sent the rest of the request.
    fn is_of_client(&self, kind: FailureKind) -> bool {
        matches!(kind, FailureKind::WallTime | FailureKind::IdleTime)
            && self.waits.as_ref().is_some_and(Waits::for_more)
    }

    fn out_of_patience(&self, limit: Duration) -> Failure {
        let (kind, what) = match self.patience.has_head {
            true => (FailureKind::IdleTime, "it paused for longer than"),
            false => (FailureKind::WallTime, "no response within"),
        };
        let sent = match &self.stage {
            Stage::Http1(http1) => http1.sent(),
            Stage::Http2(http2) => http2.sent(),
            Stage::Start | Stage::Connecting(_) | Stage::Over => Sent::Nothing,
        };
        let detail = format!("{what} {limit:?}");
        Failure { kind, sent, is_stale: false, detail }
    }
}

impl Stage {
    fn goes_on(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.goes_on(),
            Self::Http2(http2) => http2.goes_on(),
            Self::Start | Self::Connecting(_) | Self::Over => false,
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Patience {
    fn reset(&mut self) {
        self.deadline = None;
    }

    /// Waits until the limit is reached, and tells it.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        let limit = match (self.has_head, self.idle_time) {
            // What is left of a connection would otherwise stay for as long as its client forgets to close it.
            (true, None) if self.is_half_closed => Some(self.wall_time),
            (true, idle_time) => idle_time,
            (false, _) => Some(self.wall_time),
        };
        let Some(limit) = limit else { return Poll::Pending };
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        self.timer.poll(context, deadline).map(|()| limit)
    }
}

/// How long a connection is kept: less than the target keeps it, so that the target does not close it just when a
/// request is on its way.
fn kept_time(idle_timeout: Duration, keep_alive: Option<Duration>) -> Duration {
    const MARGIN: Duration = Duration::from_secs(1);
    match keep_alive {
        Some(time) => idle_timeout.min(time.saturating_sub(MARGIN).max(time / 2)),
        None => idle_timeout,
    }
}

#[cfg(test)]
mod tests;

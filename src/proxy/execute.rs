//! Streams a request through a component: both bodies at once, over one session, in one task.
//!
//! The loop has two sources. It looks at the guest's next event first; while the guest has none, it reads the client.
//! Writing an event waits for the client, and reading pauses until the guest takes what was read, so this process never
//! holds more than a few chunks for either side.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use tokio::sync::OwnedSemaphorePermit;

use super::ctx::{Chosen, RequestCtx};
use super::exchange::Exchange;
use super::failure::Failure;
use super::headers::{self, WATERSHED_DECISION, WATERSHED_GENERATION};
use super::session::{Gone, Input, Session};
use crate::config::Expose;
use crate::exchange::{Event, Feed};
use crate::routing::WATERSHED_VERSION;
use crate::runtime::{GuestFailure, Invocation};
use crate::upstream::{Attempt, FailureKind};
use crate::versions::{Admission, ReadyVersion, Reserved};

/// The code of a failure that only the log shows.
const AFTER_RESPONSE: &str = "after-response";

/// Serves one request by the chosen version, unless the version has no room for it.
pub async fn execute(
    session: &mut Session,
    ctx: &mut RequestCtx,
    chosen: &Chosen,
) -> Result<(), Failure> {
    let limit = chosen.version.spec.limits.request_body.bytes();
    if declared_length(session).is_some_and(|length| length > limit) {
        return Err(Failure::RequestBody);
    }
    let Some(admission) = chosen.version.admit().await else {
        return Err(Failure::Overload);
    };
    let request_id = ctx.request_id(&session.request().headers);
    Execution::start(session, ctx, chosen, admission, &request_id)?.run().await
}

fn declared_length(session: &Session) -> Option<u64> {
    session.request().headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The minimum time for which a client may take none of a response: a lost packet takes a second or two, and a slow
/// reader's kernel reports its progress in large steps.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// What happened while the guest had no event.
enum Read {
    Client(Input),
    /// The guest does not want the rest of the body.
    Unwanted,
}

/// The result of an event or an input.
enum Step {
    More,
    /// The client has the whole response.
    Complete,
}

struct Execution<'a> {
    session: &'a mut Session,
    expose: Expose,
    generation: u64,
    chosen: &'a Chosen,
    exchange: Exchange,
    /// The request's place among those of its version.
    permit: OwnedSemaphorePermit,
    /// Events that were already pulled out of the guest.
    ahead: VecDeque<Event<Failure>>,
    /// True until the request body is complete or no longer wanted.
    feed: Option<Feed>,
    /// Bytes of request body that may still come.
    body_left: u64,
    /// Whether the client waits for `100 Continue` before it sends its body.
    awaits_continue: bool,
    trailers: Option<HeaderMap>,
}

impl<'a> Execution<'a> {
    fn start(
        session: &'a mut Session,
        ctx: &RequestCtx,
        chosen: &'a Chosen,
        Admission { reserved, permit }: Admission<'_>,
        request_id: &Arc<str>,
    ) -> Result<Self, Failure> {
        let (client, scheme) = (session.client(), session.scheme().clone());
        let ReadyVersion { spec, .. } = &*chosen.version;
        let mut request = headers::guest_request(session.request(), client, &scheme, request_id);
        if let Some(lane) = &chosen.lane {
            headers::tell_lane(session.request(), request.headers_mut(), lane, &spec.name);
        }
        session.set_patience(spec.limits.wall_time.max(LEAST_PATIENCE));
        let has_body = !session.is_body_empty();
        let (exchange, feed) = match reserved {
            Reserved::Guest(guest, place) if has_body => {
                let (invocation, feed) =
                    Invocation::start_fed(guest, place, request_id, scheme, request);
                (Ok(Exchange::Guest(invocation)), Some(feed))
            }
            Reserved::Guest(guest, place) => {
                let invocation = Invocation::start(guest, place, request_id, scheme, request);
                (Ok(Exchange::Guest(invocation)), None)
            }
            Reserved::Upstream(upstream) => {
                let (feed, fed) = has_body.then(Feed::new).unzip();
                let exchange = upstream.start(request, fed, &Attempt::default());
                (exchange.map(|it| Exchange::Upstream(Box::new(it))), feed)
            }
        };
        let exchange = exchange.map_err(|(failure, _)| Failure::Upstream(failure))?;
        Ok(Self {
            awaits_continue: feed.is_some() && headers::expects_continue(session.request()),
            session,
            expose: ctx.expose,
            generation: ctx.generation,
            chosen,
            exchange,
            permit,
            ahead: VecDeque::new(),
            feed,
            body_left: spec.limits.request_body.bytes(),
            trailers: None,
        })
    }

    async fn run(mut self) -> Result<(), Failure> {
        loop {
            let step = tokio::select! {
                biased;
                event = next(&mut self.exchange, &mut self.ahead) => self.output(event).await?,
                input = read(self.session, self.feed.as_ref(), &mut self.awaits_continue) => {
                    self.input(input)?
                }
            };
            if let Step::Complete = step {
                self.settle().await;
                return Ok(());
            }
        }
    }

    /// Ends the guest's part once the client has its response. A guest that goes on keeps its place and its limits; the
    /// connection is free for the next request.
    async fn settle(self) {
        let Self { exchange, permit, chosen, .. } = self;
        let version = chosen.version.clone();
        let running = exchange.is_running();
        let settle = async move {
            if let Err(failure) = exchange.settle().await
                && let Some(more) = version.meter.admits_warning(AFTER_RESPONSE, true)
            {
                let version = &version.spec.name;
                tracing::warn!(%version, "after its response was complete: {failure}{more}");
            }
            drop(permit);
        };
        match running {
            true => drop(tokio::spawn(settle)),
            false => settle.await,
        }
    }

    fn input(&mut self, read: Read) -> Result<Step, Failure> {
        let Read::Client(input) = read else {
            self.feed = None;
            return Ok(Step::More);
        };
        match input {
            // A part of a chunk's head, or an empty frame. A guest that waits for data must not get an empty chunk.
            Input::Data(data) if data.is_empty() => {}
            Input::Data(data) => {
                let length = data.len() as u64;
                self.body_left = self.body_left.checked_sub(length).ok_or(Failure::RequestBody)?;
                // The time that the client takes is not charged to the guest.
                self.exchange.reset_patience();
                let unwanted = self.feed.as_ref().is_some_and(|feed| feed.send(data).is_err());
                if unwanted {
                    self.feed = None;
                }
            }
            Input::End(trailers) => self.end_of_request(trailers),
            Input::Malformed => return Err(Failure::BadRequest),
            Input::Gone => return Err(Failure::ClientGone),
        }
        Ok(Step::More)
    }

    /// The guest sees the end of its body when the feed is dropped.
    fn end_of_request(&mut self, trailers: HeaderMap) {
        let Some(feed) = self.feed.take() else { return };
        self.exchange.reset_patience();
        if !trailers.is_empty() {
            // A guest that does not read its body does not miss the trailers.
            feed.finish(trailers).ok();
        }
    }

    async fn output(&mut self, event: Event<Failure>) -> Result<Step, Failure> {
        let written = match event {
            Event::Head(head) => self.head(*head).await,
            Event::Data(data) if self.has_body() => {
                self.yield_before_last_write().await;
                self.session.write(data).await
            }
            Event::Trailers(mut trailers) if self.has_body() => {
                headers::keep_trailers(&mut trailers);
                self.trailers = Some(trailers);
                Ok(())
            }
            Event::Data(_) | Event::Trailers(_) => Ok(()),
            Event::Informational(_) => Ok(()),
            Event::Failed(failure) if is_timeout(&failure) && self.waits_for_client() => {
                return Err(Failure::RequestTimeout);
            }
            Event::Failed(failure) => return Err(failure),
            Event::End => return self.end().await,
        };
        // The write waited for the client, so the guest is not charged for the time.
        self.exchange.reset_patience();
        written?;
        Ok(Step::More)
    }

    /// Whether the guest has nothing to do before the client sends more.
    fn waits_for_client(&self) -> bool {
        self.feed.as_ref().is_some_and(Feed::is_awaited)
    }

    /// Yields before the last write of a response that is complete, so that responses to requests that came together
    /// leave together: their reader wakes up once for many. The sandbox is given back first, or else the other tasks
    /// would make sandboxes of their own. The only open connection has no others to wait for, and an HTTP/2 connection
    /// carries several requests.
    async fn yield_before_last_write(&mut self) {
        let alone = self.session.is_alone();
        if alone || self.exchange.is_running() {
            return;
        }
        if self.ahead.is_empty() {
            self.ahead.extend(poll_once(&mut self.exchange).await);
        }
        if matches!(self.ahead.front(), Some(Event::End)) {
            self.exchange.release();
            // Unlike a plain wake-up, this runs after the tasks that are ready now.
            tokio::task::yield_now().await;
        }
    }

    async fn end(&mut self) -> Result<Step, Failure> {
        let trailers = self.trailers.take().filter(|trailers| !trailers.is_empty());
        self.session.finish(trailers).await?;
        Ok(Step::Complete)
    }

    async fn head(&mut self, mut head: http::response::Parts) -> Result<(), Gone> {
        headers::keep_end_to_end(&mut head.headers);
        let version = self.chosen.version.header.as_ref().filter(|_| self.expose != Expose::None);
        if let Some(version) = version {
            head.headers.insert(WATERSHED_VERSION, version.clone());
        }
        let mut response = ResponseHeader::from(head);
        self.tell(&mut response).map_err(|_| Gone)?;
        self.frame(&mut response).await.map_err(|_| Gone)?;
        if std::mem::take(&mut self.awaits_continue) {
            // A client that was not told to continue need not send its body, so the next bytes could be a body or a
            // request.
            self.session.close_after();
        }
        self.session.write_head(response).await
    }

    /// Adds the decision's headers, and the cookie with the key by which a user stays with the version.
    fn tell(&self, response: &mut ResponseHeader) -> pingora::Result<()> {
        if self.expose == Expose::Decision {
            response.insert_header(WATERSHED_DECISION, self.chosen.decision.as_str())?;
            response.insert_header(WATERSHED_GENERATION, self.generation)?;
        }
        if let Some(cookie) = &self.chosen.cookie {
            response.append_header(header::SET_COOKIE, cookie)?;
        }
        Ok(())
    }

    /// Makes sure that the client can tell where the body ends.
    async fn frame(&mut self, response: &mut ResponseHeader) -> pingora::Result<()> {
        if response.status == StatusCode::NO_CONTENT {
            response.remove_header(&header::CONTENT_LENGTH);
        }
        let bodiless = bodiless(&self.session.request().method, response.status);
        if bodiless || response.headers.contains_key(header::CONTENT_LENGTH) {
            return Ok(());
        }
        if let Some(length) = self.length_ahead().await {
            response.insert_header(header::CONTENT_LENGTH, length)?;
        } else if self.session.request().version == Version::HTTP_11 {
            response.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        } else {
            self.session.close_after();
        }
        Ok(())
    }

    /// The length of the body, if the guest has written all of it already: then head and body leave in one packet, and
    /// need no chunks.
    async fn length_ahead(&mut self) -> Option<usize> {
        let mut length = 0;
        loop {
            match poll_once(&mut self.exchange).await? {
                Event::Data(data) => {
                    length += data.len();
                    self.ahead.push_back(Event::Data(data));
                }
                event => {
                    let is_end = matches!(event, Event::End);
                    self.ahead.push_back(event);
                    return is_end.then_some(length);
                }
            }
            if self.ahead.len() > 1 {
                return None;
            }
        }
    }

    fn has_body(&self) -> bool {
        let method = &self.session.request().method;
        self.session.sent_head().is_some_and(|(status, _)| !bodiless(method, status))
    }
}

/// Whether a backend did not do its next step in time.
fn is_timeout(failure: &Failure) -> bool {
    match failure {
        Failure::Guest(failure) => matches!(failure, GuestFailure::WallTime),
        Failure::Upstream(failure) => failure.kind == FailureKind::WallTime,
        _ => false,
    }
}

/// Whether a response has no body whatever its headers say
/// ([RFC 9112, section 6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).
fn bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

async fn next(exchange: &mut Exchange, ahead: &mut VecDeque<Event<Failure>>) -> Event<Failure> {
    match ahead.pop_front() {
        Some(event) => event,
        None => exchange.next().await,
    }
}

/// The guest's next event, if it has one now.
async fn poll_once(exchange: &mut Exchange) -> Option<Event<Failure>> {
    let mut next = pin!(exchange.next());
    poll_fn(|context| {
        Poll::Ready(match next.as_mut().poll(context) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
    })
    .await
}

/// Reads the client: its body while there is more of it and the guest takes it, and then whether the client is still
/// there.
async fn read(session: &mut Session, feed: Option<&Feed>, awaits_continue: &mut bool) -> Read {
    let Some(feed) = feed else {
        session.gone().await;
        return Read::Client(Input::Gone);
    };
    let ready = async {
        if *awaits_continue {
            feed.wanted().await;
        }
        feed.ready().await
    };
    tokio::select! {
        biased;
        ready = ready => if ready.is_err() { return Read::Unwanted },
        () = session.gone() => return Read::Client(Input::Gone),
    }
    if std::mem::take(awaits_continue) && session.write_continue().await.is_err() {
        return Read::Client(Input::Gone);
    }
    Read::Client(session.read().await)
}

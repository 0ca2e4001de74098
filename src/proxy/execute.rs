//! Streams a request through a component: both bodies at once, over one session, in one task.
//!
//! The loop has two sources. The guest's next event is looked at first; while the guest has none,
//! the client is read. Writing an event waits for the client, and reading waits until the guest
//! takes what was read, so that neither side can make this process hold more than a few chunks.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::{ErrorType, Result};
use pingora::protocols::http::ServerSession;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Connection;
use super::ctx::{Chosen, Ended, RequestCtx};
use super::failure::Failure;
use super::headers::{self, WATERSHED_DECISION, WATERSHED_GENERATION};
use crate::config::Expose;
use crate::registry::{Admission, VersionEntry};
use crate::routing::WATERSHED_VERSION;
use crate::runtime::{BodyFeed, Event, Invocation};

/// What pingora says of a chunked body that is not one.
const MALFORMED: [ErrorType; 2] =
    [ErrorType::Custom("InvalidChunk"), ErrorType::Custom("InvalidTrailerEnd")];

/// The code of a failure that only the log tells of.
const AFTER_RESPONSE: &str = "after-response";

/// Serves one request by the chosen version, unless it has no room for it.
pub async fn execute(session: &mut ServerSession, ctx: &mut RequestCtx, chosen: &Chosen) -> Ended {
    let refused = |failure| Ended::Failed { failure, committed: false };
    let limit = chosen.version.spec.limits.request_body.bytes();
    if declared_length(session).is_some_and(|length| length > limit) {
        return refused(Failure::RequestBody);
    }
    let Some(admission) = chosen.version.admit().await else {
        return refused(Failure::Overload);
    };
    let request_id = ctx.request_id(&session.req_header().headers);
    match Execution::start(session, ctx, chosen, admission, &request_id).await {
        Ok(execution) => execution.run().await,
        Err(_) => Ended::ClientGone,
    }
}

fn declared_length(session: &ServerSession) -> Option<u64> {
    session.req_header().headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What the client did while the guest had no event.
enum Input {
    Data(Bytes),
    /// The body is complete.
    End,
    /// The guest does not want the rest of the body.
    Unwanted,
    /// The body is not framed as it should be.
    Malformed,
    Gone,
}

struct Execution<'a> {
    session: &'a mut ServerSession,
    expose: Expose,
    generation: u64,
    chosen: &'a Chosen,
    invocation: Invocation,
    /// The request's place among those of its version.
    permit: OwnedSemaphorePermit,
    /// Events that were already pulled out of the guest.
    ahead: VecDeque<Event>,
    /// Until the request body is complete, or no longer wanted.
    feed: Option<BodyFeed>,
    /// Bytes of request body that may still come.
    body_left: u64,
    /// The status of the response, once its head is sent.
    committed: Option<StatusCode>,
    /// Whether trailers have ended the response.
    trailed: bool,
    /// Whether only the end of the connection tells the client where the body ends.
    ends_with_connection: bool,
}

impl<'a> Execution<'a> {
    async fn start(
        session: &'a mut ServerSession,
        ctx: &RequestCtx,
        chosen: &'a Chosen,
        Admission { place, permit }: Admission,
        request_id: &Arc<str>,
    ) -> Result<Self> {
        let client = session.client_addr().and_then(|client| client.as_inet().copied());
        let VersionEntry { guest, spec, .. } = &*chosen.version;
        let mut request = headers::guest_request(session.req_header(), client, request_id);
        if let Some(lane) = &chosen.lane {
            headers::tell_lane(session.req_header(), request.headers_mut(), lane, &spec.name);
        }
        session.set_write_timeout(Some(spec.limits.wall_time));
        let (invocation, feed) = if session.is_body_empty() {
            (Invocation::start(guest, place, request_id, request), None)
        } else {
            let (invocation, feed) = Invocation::start_fed(guest, place, request_id, request);
            (invocation, Some(feed))
        };
        if feed.is_some() && headers::expects_continue(session.req_header()) {
            session.write_continue_response().await?;
        }
        Ok(Self {
            session,
            expose: ctx.expose,
            generation: ctx.generation,
            chosen,
            invocation,
            permit,
            ahead: VecDeque::new(),
            feed,
            body_left: spec.limits.request_body.bytes(),
            committed: None,
            trailed: false,
            ends_with_connection: false,
        })
    }

    async fn run(mut self) -> Ended {
        loop {
            let ended = tokio::select! {
                biased;
                event = next(&mut self.invocation, &mut self.ahead) => self.output(event).await,
                input = read(self.session, self.feed.as_ref()) => self.input(input),
            };
            match ended {
                Some(Ended::Answered(status)) => {
                    self.settle().await;
                    return Ended::Answered(status);
                }
                Some(ended) => return ended,
                None => {}
            }
        }
    }

    /// The client has its response by now. A guest that goes on keeps its place and its limits, but
    /// not the connection, which is free for the next request.
    async fn settle(self) {
        let Self { invocation, permit, chosen, .. } = self;
        let version = chosen.version.clone();
        let running = invocation.is_running();
        let settle = async move {
            if let Err(failure) = invocation.settle().await
                && let Some(more) = version.meter.tells(AFTER_RESPONSE)
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

    fn input(&mut self, input: Input) -> Option<Ended> {
        match input {
            Input::Data(data) => {
                let length = data.len() as u64;
                let Some(left) = self.body_left.checked_sub(length) else {
                    return Some(self.failed(Failure::RequestBody));
                };
                self.body_left = left;
                let unwanted = self.feed.as_ref().is_some_and(|feed| feed.send(data).is_err());
                if unwanted {
                    self.feed = None;
                }
            }
            Input::End => self.end_of_request(),
            Input::Unwanted => self.feed = None,
            Input::Malformed => return Some(self.failed(Failure::BadRequest)),
            Input::Gone => return Some(Ended::ClientGone),
        }
        None
    }

    /// The guest sees the end of its body when the feed is gone.
    fn end_of_request(&mut self) {
        let Some(feed) = self.feed.take() else { return };
        let chunked = self.session.req_header().headers.contains_key(header::TRANSFER_ENCODING);
        let trailers =
            connection(self.session).filter(|_| chunked).map(Connection::request_trailers);
        if let Some(trailers) = trailers.filter(|trailers| !trailers.is_empty()) {
            // A guest that does not read its body does not miss them.
            feed.finish(trailers).ok();
        }
    }

    async fn output(&mut self, event: Event) -> Option<Ended> {
        let written = match event {
            Event::Head(head) => self.head(*head).await,
            Event::Data(data) if self.has_body() => {
                self.let_others_go_first().await;
                self.session.write_response_body(data, false).await
            }
            Event::Trailers(trailers) if self.has_body() => self.trailers(trailers).await,
            Event::Data(_) | Event::Trailers(_) => Ok(()),
            Event::Failed(failure) => return Some(self.failed(Failure::Guest(failure))),
            Event::End => return Some(self.end().await),
        };
        written.is_err().then_some(Ended::ClientGone)
    }

    /// Before the last write of a response that is whole, lets the other tasks of this worker go
    /// first, without keeping the sandbox: they would make sandboxes of their own. The responses to
    /// requests that came together leave together then, and their reader is woken once for many.
    /// The only connection there is has nobody to wait for; one of HTTP/2 carries several requests.
    async fn let_others_go_first(&mut self) {
        let alone = connection(self.session).is_some_and(Connection::is_alone);
        if alone || self.invocation.is_running() {
            return;
        }
        if self.ahead.is_empty() {
            self.ahead.extend(poll_once(&mut self.invocation).await);
        }
        if matches!(self.ahead.front(), Some(Event::End)) {
            self.invocation.release();
            // Unlike a plain wake-up, it comes after the tasks that are ready now.
            tokio::task::yield_now().await;
        }
    }

    async fn end(&mut self) -> Ended {
        let ended = match self.trailed {
            true => Ok(()),
            false => self.session.write_response_body(Bytes::new(), true).await,
        };
        match (ended, self.committed) {
            (Ok(()), Some(status)) => Ended::Answered(status),
            _ => Ended::ClientGone,
        }
    }

    /// HTTP/2 ends with its trailers; HTTP/1.1 has them in its last chunk.
    async fn trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        match connection(self.session) {
            Some(connection) => connection.add_trailers(&trailers),
            None => {
                self.session.write_response_trailers(trailers).await?;
                self.trailed = true;
            }
        }
        Ok(())
    }

    fn failed(&self, failure: Failure) -> Ended {
        if self.ends_with_connection
            && let Some(connection) = connection(self.session)
        {
            connection.reset_on_close();
        }
        Ended::Failed { failure, committed: self.committed.is_some() }
    }

    async fn head(&mut self, mut head: http::response::Parts) -> Result<()> {
        let status = head.status;
        let version = self.chosen.version.header.as_ref().filter(|_| self.expose != Expose::None);
        if let Some(version) = version {
            head.headers.insert(WATERSHED_VERSION, version.clone());
        }
        let mut response = ResponseHeader::from(head);
        if self.expose == Expose::Decision {
            response.insert_header(WATERSHED_DECISION, self.chosen.decision.as_str())?;
            response.insert_header(WATERSHED_GENERATION, self.generation)?;
        }
        if let Some(cookie) = &self.chosen.cookie {
            response.append_header(header::SET_COOKIE, cookie)?;
        }
        self.frame(&mut response).await?;
        self.session.write_response_header(Box::new(response)).await?;
        self.committed = Some(status);
        Ok(())
    }

    /// Makes sure that the client can tell where the body ends.
    async fn frame(&mut self, response: &mut ResponseHeader) -> Result<()> {
        if response.status == StatusCode::NO_CONTENT {
            response.remove_header(&header::CONTENT_LENGTH);
        }
        let bodiless = bodiless(&self.session.req_header().method, response.status);
        if bodiless || response.headers.contains_key(header::CONTENT_LENGTH) {
            return Ok(());
        }
        if let Some(length) = self.length_ahead().await {
            response.insert_header(header::CONTENT_LENGTH, length)?;
        } else if self.session.req_header().version == Version::HTTP_11 {
            response.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        } else {
            self.ends_with_connection = true;
            self.session.set_keepalive(None);
        }
        Ok(())
    }

    /// The length of the body, if the guest has already written all of it: then head and body leave
    /// in one packet, and need no chunks.
    async fn length_ahead(&mut self) -> Option<usize> {
        let mut length = 0;
        loop {
            match poll_once(&mut self.invocation).await? {
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
        let method = &self.session.req_header().method;
        self.committed.is_some_and(|status| !bodiless(method, status))
    }
}

/// Whether a response has no body whatever its headers say
/// ([RFC 9112, section 6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).
fn bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The connection of an HTTP/1 session; one of HTTP/2 is shared by many.
fn connection(session: &ServerSession) -> Option<&Connection> {
    session.as_http1()?.stream().as_any().downcast_ref()
}

async fn next(invocation: &mut Invocation, ahead: &mut VecDeque<Event>) -> Event {
    match ahead.pop_front() {
        Some(event) => event,
        None => invocation.next().await,
    }
}

/// The guest's next event if it has one now.
async fn poll_once(invocation: &mut Invocation) -> Option<Event> {
    let mut next = pin!(invocation.next());
    poll_fn(|context| {
        Poll::Ready(match next.as_mut().poll(context) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
    })
    .await
}

/// Reads the client: its body while there is more of it, and then whether it is still there.
async fn read(session: &mut ServerSession, feed: Option<&BodyFeed>) -> Input {
    if let Some(feed) = feed {
        // Asked now, a session whose body is complete would wait for the client to go away.
        if session.is_body_done() {
            return Input::End;
        }
        if feed.ready().await.is_err() {
            return Input::Unwanted;
        }
    }
    match session.read_body_or_idle(false).await {
        Ok(Some(data)) => Input::Data(data),
        Ok(None) => Input::End,
        Err(error) if MALFORMED.contains(error.etype()) => Input::Malformed,
        Err(_) => Input::Gone,
    }
}

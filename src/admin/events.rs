//! `GET /api/v1/events`: a stream of server-sent events that says when to look at the status again
//! ([HTML, section 9.2](https://html.spec.whatwg.org/multipage/server-sent-events.html)).
//!
//! The reloader tells of what it publishes and rejects, and one task (`targets`) of targets whose health changes; each
//! stream hears both. A stream keeps at most 64 notices for a client that does not read, and ends when there are more:
//! the client asks again, and is then told to look at everything.

mod body;
mod right;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rand::RngExt;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::Admin;
use super::error::AdminError;
use super::routes::no_parameters;
use super::session::SessionSecret;
use crate::api::{ChangeEvent, EndEvent, HelloEvent};
use crate::transport::{Drain, Parting};
use crate::versions::{Change, Live};
use body::Streamed;
use right::Right;
use targets::Targets;

/// How often it is looked whether a client may still listen.
const RIGHTS: Duration = Duration::from_secs(1);
/// Streams at once: half of the listener's connections.
const STREAMS: usize = 32;
/// How often, and how long before the next time, all clients are sent a comment where there is no room for another: the
/// first one lets a client that is gone refuse it, and with the second one that is known.
const TRIES: usize = 3;
const TRY: Duration = Duration::from_millis(100);
/// How often a comment is sent: proxies and browsers give up on streams that are silent for longer, and a client that
/// is gone is noticed.
const COMMENTS: Duration = Duration::from_secs(10);
const COMMENT: &str = ": still here\n\n";
/// How long a client may take nothing before its stream ends.
const UNTAKEN: Duration = Duration::from_secs(30);
/// How long the process waits for clients to take the last event.
const PARTING: Duration = Duration::from_secs(1);
/// After how many milliseconds a client connects again. Spread out, so that the clients of a process that ends do not
/// all reach the next one at the same moment.
const RETRY: std::ops::Range<u32> = 1_000..3_000;
/// The media type of a stream of events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// The streams of a process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Events {
    /// Differs from start to start.
    process: Arc<str>,
    free: Arc<Semaphore>,
    /// Asks the streams whether their clients are there.
    probe: Arc<Notify>,
    targets: Arc<Targets>,
}

impl Default for Events {
    fn default() -> Self {
        let process = format!("{:012x}", rand::rng().random::<u64>() >> 16);
        let free = Arc::new(Semaphore::new(STREAMS));
        Self { process: process.into(), free, probe: Arc::default(), targets: Arc::default() }
    }
}

impl Events {
    /// Tells of targets whose health changes, while anybody listens.
    pub(super) async fn watch(&self, live: &Live) {
        self.targets.watch(live).await;
    }

    /// Room for a stream. A connection that its client has closed may still take some: it is read again after its
    /// answer only.
    async fn room(&self) -> Result<OwnedSemaphorePermit, AdminError> {
        for _ in 0..TRIES {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                return Ok(permit);
            }
            self.probe.notify_waiters();
            sleep(TRY).await;
        }
        let busy = |_| AdminError::StreamsBusy { most: STREAMS };
        self.free.clone().try_acquire_owned().map_err(busy)
    }
}

pub async fn stream(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    session: Option<Extension<SessionSecret>>,
    headers: HeaderMap,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let permit = admin.events.room().await?;
    // Before anything is looked at: what changes from here on is told.
    let changes = admin.live.changes().listen();
    admin.events.targets.look(&admin.live);
    let (sender, receiver) = mpsc::channel(1);
    let stream = Stream {
        live: admin.live.clone(),
        drain: admin.drain.clone(),
        parting: admin.drain.part(),
        probe: admin.events.probe.clone(),
        right: Right::of(&admin, session.map(|Extension(session)| session), &headers),
        changes,
        sender,
        permit,
    };
    tokio::spawn(stream.run(admin.events.process.to_string()));
    let headers = [
        (CONTENT_TYPE.as_str(), EVENT_STREAM),
        (CACHE_CONTROL.as_str(), "no-store"),
        // nginx would keep events until its buffer is full.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::new(Streamed(receiver))).into_response())
}

/// One client's stream.
struct Stream {
    live: Arc<Live>,
    drain: Drain,
    #[expect(dead_code, reason = "the process waits for it")]
    parting: Parting,
    probe: Arc<Notify>,
    right: Right,
    changes: Receiver<Change>,
    /// Room for one event: what waits beside it waits in `changes`, whose length is bounded.
    sender: mpsc::Sender<Bytes>,
    #[expect(dead_code, reason = "held for its drop")]
    permit: OwnedSemaphorePermit,
}

impl Stream {
    /// Writes events until the client is gone, does not read, or may not listen any more, or the process drains.
    async fn run(mut self, process: String) {
        let mut comments = interval_at(Instant::now() + COMMENTS, COMMENTS);
        comments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let hello = HelloEvent { generation: self.generation(), process, version };
        let retry = rand::rng().random_range(RETRY);
        let mut next = Some(format!("retry: {retry}\n{}", event("hello", &hello)));
        let drain = self.drain.clone();
        loop {
            if let Some(text) = next
                && !self.send(text, UNTAKEN).await
            {
                return;
            }
            next = tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) => Some(event("change", &ChangeEvent::from(change))),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                },
                _ = comments.tick() => Some(COMMENT.to_owned()),
                () = self.probe.notified() => Some(COMMENT.to_owned()),
                () = drain.announced() => return self.end().await,
                () = self.right.ended() => return,
                () = self.sender.closed() => return,
            };
        }
    }

    /// Writes the last event, and waits until the connection has it.
    async fn end(self) {
        let end = event("end", &EndEvent { generation: self.generation() });
        if self.send(end, PARTING).await {
            timeout(PARTING, self.sender.reserve()).await.ok();
        }
    }

    /// Whether the client, or the connection's buffer, took a text in time.
    async fn send(&self, text: String, within: Duration) -> bool {
        matches!(timeout(within, self.sender.send(text.into())).await, Ok(Ok(())))
    }

    fn generation(&self) -> u64 {
        self.live.load().generation
    }
}

fn event(name: &str, data: &impl Serialize) -> String {
    // JSON in one line. Ours can always be written.
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
    format!("event: {name}\ndata: {data}\n\n")
}

impl From<Change> for ChangeEvent {
    fn from(Change { generation, service }: Change) -> Self {
        let environment = service.as_ref().map(|key| key.environment.to_string());
        Self { generation, environment, service: service.map(|key| key.service.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Descriptors;

    fn stream(live: &Arc<Live>, drain: &Drain) -> (Stream, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(1);
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (live, drain, parting) = (live.clone(), drain.clone(), drain.part());
        let (changes, right) = (live.changes().listen(), Right::Everybodys);
        let probe = Arc::default();
        (Stream { live, drain, parting, probe, right, changes, sender, permit }, receiver)
    }

    fn text(bytes: Option<Bytes>) -> String {
        String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
    }

    /// A client that takes nothing while a hundred changes are told.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_too_far_behind_is_dropped() {
        let (live, drain) = (Arc::<Live>::default(), Drain::new(Descriptors::of(1_000)));
        let (stream, mut events) = stream(&live, &drain);
        let running = tokio::spawn(stream.run("1".to_owned()));
        tokio::task::yield_now().await;
        (0..100).for_each(|generation| live.changes().tell(Change { generation, service: None }));
        assert!(text(events.recv().await).contains("event: hello\n"));
        assert_eq!(events.recv().await, None, "it would be told of a part");
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_for_long_is_dropped() {
        let (live, drain) = (Arc::<Live>::default(), Drain::new(Descriptors::of(1_000)));
        let (stream, mut events) = stream(&live, &drain);
        let started = Instant::now();
        stream.run("1".to_owned()).await;
        // The first comment fits, the second does not.
        assert!(started.elapsed() <= 2 * COMMENTS + UNTAKEN, "{:?}", started.elapsed());
        assert!(text(events.recv().await).starts_with("retry: "));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_by_comments_and_the_drain_ends_it() {
        let (live, drain) = (Arc::<Live>::default(), Drain::new(Descriptors::of(1_000)));
        let (stream, mut events) = stream(&live, &drain);
        let running = tokio::spawn(stream.run("1".to_owned()));
        assert!(text(events.recv().await).contains(r#""process":"1""#));
        for _ in 0..3 {
            assert_eq!(text(events.recv().await), COMMENT);
        }
        drain.announce();
        assert_eq!(text(events.recv().await), "event: end\ndata: {\"generation\":0}\n\n");
        assert_eq!(events.recv().await, None);
        running.await.unwrap();
        timeout(PARTING, drain.finished()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_holds_up_no_drain() {
        let (live, drain) = (Arc::<Live>::default(), Drain::new(Descriptors::of(1_000)));
        let (stream, _events) = stream(&live, &drain);
        let running = tokio::spawn(stream.run("1".to_owned()));
        tokio::task::yield_now().await;
        drain.announce();
        timeout(3 * PARTING, running).await.unwrap().unwrap();
        timeout(PARTING, drain.finished()).await.unwrap();
    }
}

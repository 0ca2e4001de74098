//! One HTTP/2 connection, and the task that reads and writes it for all of its requests.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::Connections;
use super::watched::{Heard, Watched};
use crate::upstream::failure::{Failure, FailureKind};

/// Bytes of one response that may wait for its client. It bounds the throughput of one response to this in each round trip.
const STREAM_WINDOW: u32 = 256 << 10;
/// Responses that nobody reads must not use up the window of the others.
#[expect(clippy::cast_possible_truncation, reason = "STREAMS is small")]
const CONNECTION_WINDOW: u32 = super::STREAMS as u32 * STREAM_WINDOW;
/// Bytes of one request body that wait for the connection.
const SEND_BUFFER: usize = 256 << 10;
/// The longest head of a response, each field counted with 32 bytes more than it has.
pub const HEAD: u32 = 128 << 10;
/// The length of a frame's head: nothing shorter is an answer.
const FRAME: u64 = 9;

/// How long a connection with requests may be silent before the target is asked whether it is there, and how long it has to
/// answer.
const SILENCE: Duration = Duration::from_secs(10);
/// How often at most a silent target is asked. Servers of gRPC close connections on which they are asked more than twice
/// within five minutes without having sent anything.
const ASK: Duration = Duration::from_secs(310);
/// What an answered ping brings.
const PONG: u64 = 17;

/// A connection that takes requests.
#[derive(Debug)]
pub struct Connection {
    send: SendRequest<Bytes>,
    /// How many connections of its target were opened before it.
    number: AtomicU64,
    heard: Arc<Heard>,
    open: AtomicUsize,
    has_answered: AtomicBool,
    idle_since: Mutex<Instant>,
}

/// Whether a connection takes one more request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Free,
    Full,
    /// It takes no more: it is broken, or the target is about to close it.
    Closing,
}

/// Begins HTTP/2 over a stream, and waits for the settings of the target: so what does not speak HTTP/2 is known before
/// a request is sent, and how many requests it takes. Gives the connection, and the task to spawn.
pub async fn open<T>(
    stream: T,
    connections: &Arc<Connections>,
) -> Result<(Arc<Connection>, impl Future<Output = ()> + Send + 'static), Failure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, heard) = Watched::new(stream);
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD)
        .max_send_buffer_size(SEND_BUFFER);
    let failed = |error: h2::Error| begin_failed(&error, &heard);
    let (send, mut h2) = builder.handshake(stream).await.map_err(failed)?;
    let settled = poll_fn(|context| match Pin::new(&mut h2).poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.and(Err(h2::Reason::NO_ERROR.into()))),
        Poll::Pending if heard.bytes() >= FRAME => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    });
    settled.await.map_err(failed)?;
    let connection = Arc::new(Connection {
        send,
        number: AtomicU64::new(0),
        heard: heard.clone(),
        open: AtomicUsize::new(0),
        has_answered: AtomicBool::new(false),
        idle_since: Mutex::new(Instant::now()),
    });
    let watch = Watch {
        connection: Arc::downgrade(&connection),
        connections: Arc::downgrade(connections),
        idle_timeout: connections.idle_timeout,
        seen: heard.bytes(),
        heard,
        pings: h2.ping_pong(),
        asked: None,
        asked_at: None,
    };
    Ok((connection, run(h2, watch)))
}

fn begin_failed(error: &h2::Error, heard: &Heard) -> Failure {
    if let Some(broken) = heard.broken().filter(|broken| broken.is_refused) {
        return Failure::unsent(FailureKind::Tls, format!("TLS failed: {}", broken.detail));
    }
    let detail = match error.reason() {
        Some(h2::Reason::NO_ERROR) | None => {
            "it closed the connection where HTTP/2 begins".to_owned()
        }
        Some(reason) => format!("it does not speak HTTP/2 ({reason})"),
    };
    Failure::unsent(FailureKind::Connect, detail)
}

/// Reads and writes the connection until it ends.
async fn run<T>(mut h2: client::Connection<Watched<T>, Bytes>, mut watch: Watch)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut next = Instant::now() + SILENCE.min(watch.idle_timeout);
    loop {
        tokio::select! {
            // How it ended is told to each request by h2.
            _ = &mut h2 => break,
            () = sleep_until(next) => match watch.look() {
                Some(pause) => next = Instant::now() + pause,
                None => break,
            }
        }
    }
    // What waits for this connection must not wait for ever: first its end, then the news.
    drop(h2);
    watch.end();
}

impl Connection {
    /// Whether it takes one more request, beside at most `bound` others.
    pub fn room(&self, bound: usize) -> Room {
        let mut send = self.send.clone();
        match send.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Room::Closing,
            Poll::Pending => return Room::Full,
        }
        match self.open.load(Ordering::Relaxed) < bound.min(send.current_max_send_streams()) {
            true => Room::Free,
            false => Room::Full,
        }
    }

    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    pub fn set_number(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Takes a place for a request. Returns whether others were answered before.
    pub fn enter(&self) -> bool {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Gives a place back. Returns whether it was the last one.
    pub fn leave(&self) -> bool {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.open.fetch_sub(1, Ordering::Relaxed) == 1
    }

    pub fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// The head of a response has come.
    pub fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// What sends requests over the connection.
    pub fn send(&self) -> SendRequest<Bytes> {
        self.send.clone()
    }

    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    fn idle_for(&self) -> Duration {
        self.idle_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Looks at a connection now and then: whether it is idle, or its target is gone without a word.
struct Watch {
    connection: Weak<Connection>,
    connections: Weak<Connections>,
    idle_timeout: Duration,
    heard: Arc<Heard>,
    /// Bytes that had come when it was last looked at.
    seen: u64,
    pings: Option<PingPong>,
    /// Bytes that had come when the target was asked, until it has answered.
    asked: Option<u64>,
    /// When it was asked in the present silence.
    asked_at: Option<Instant>,
}

impl Watch {
    /// The time until the next look; `None`: the target does not answer.
    fn look(&mut self) -> Option<Duration> {
        let (Some(connection), Some(connections)) =
            (self.connection.upgrade(), self.connections.upgrade())
        else {
            // h2 ends by itself once no request is left; until then, the target is watched.
            return self.listen();
        };
        if connection.is_idle() {
            let left = self.idle_timeout.saturating_sub(connection.idle_for());
            // A target that has announced its end may wait for ours.
            let is_over = left.is_zero() || connection.room(usize::MAX) == Room::Closing;
            if is_over && connections.forget_idle(&connection) {
                return Some(SILENCE);
            }
            (self.asked, self.asked_at) = (None, None);
            return Some(left.clamp(Duration::from_millis(1), SILENCE));
        }
        self.listen()
    }

    fn listen(&mut self) -> Option<Duration> {
        let bytes = self.heard.bytes();
        if let Some(asked) = self.asked.take() {
            if bytes == asked {
                let detail = format!("it did not answer a ping within {}s", SILENCE.as_secs());
                self.heard.set_broken(detail, false);
                return None;
            }
            if bytes - asked > PONG {
                self.asked_at = None;
            }
            self.take_pong();
        } else if bytes != self.seen {
            self.asked_at = None;
        } else if self.asked_at.is_none_or(|at| at.elapsed() >= ASK) && self.ask() {
            (self.asked, self.asked_at) = (Some(bytes), Some(Instant::now()));
        }
        self.seen = bytes;
        Some(SILENCE)
    }

    fn ask(&mut self) -> bool {
        // One that is under way already is an answer to wait for, too.
        self.pings.as_mut().is_some_and(|pings| pings.send_ping(Ping::opaque()).is_ok())
    }

    fn take_pong(&mut self) {
        if let Some(pings) = &mut self.pings {
            // Without it, the next ping could not be sent. That there was an answer is known already.
            let _pong = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
        }
    }

    fn end(self) {
        if let (Some(connection), Some(connections)) =
            (self.connection.upgrade(), self.connections.upgrade())
        {
            connections.forget(&connection);
        }
    }
}

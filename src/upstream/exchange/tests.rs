//! Exchanges with a peer whose every step a test writes down, over real sockets.

mod early;
mod kept;
mod limits;
mod streams;
mod upgrade;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use http::Request;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{TargetAddress, TargetSpec, UpstreamSpec};
use crate::exchange::Feed;
use crate::upstream::{Attempt, Counters, Targets, Upstream};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// A target, and the upstream that has no other.
struct Peer {
    listener: TcpListener,
    upstream: Arc<Upstream>,
}

/// A connection as the target has it.
struct Line(TcpStream);

/// All of a response.
#[derive(Debug, Default)]
struct Answer {
    informational: Vec<u16>,
    status: u16,
    body: Vec<u8>,
    trailers: Option<http::HeaderMap>,
    failure: Option<Failure>,
}

impl Peer {
    async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    async fn with(change: impl FnOnce(&mut UpstreamSpec, &mut Limits)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = upstream(listener.local_addr().unwrap(), change).await;
        Self { listener, upstream }
    }

    fn start(&self, request: Request<()>, body: Option<Fed>) -> Exchange {
        self.upstream.start(request, body, &Attempt::default()).unwrap()
    }

    fn get(&self) -> Exchange {
        self.start(request("GET", &[]), None)
    }

    async fn accept(&self) -> Line {
        Line(within(self.listener.accept()).await.unwrap().0)
    }

    /// The connection over which the request of `exchange` comes, and its head.
    async fn arrival(&self, exchange: &mut Exchange) -> (Line, String) {
        meanwhile(exchange, async {
            let mut line = self.accept().await;
            let head = line.head().await;
            (line, head)
        })
        .await
    }

    /// Asks once, answers, and returns the connection.
    async fn serve_one(&self, answer: &str) -> Line {
        let mut exchange = self.get();
        let serve = async {
            let mut line = self.accept().await;
            line.head().await;
            line.send(answer).await;
            line
        };
        let (answer, line) = tokio::join!(whole(&mut exchange), serve);
        assert_eq!(answer.failure, None);
        line
    }

    fn counters(&self) -> Arc<Counters> {
        self.get().target().counters().clone()
    }

    /// Open connections, and idle ones.
    fn connections(&self) -> (usize, usize) {
        self.counters().connections()
    }
}

impl Line {
    /// Reads up to the end of a head.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    async fn read(&mut self, length: usize) -> String {
        let mut read = vec![0; length];
        within(self.0.read_exact(&mut read)).await.unwrap();
        String::from_utf8(read).unwrap()
    }

    /// Reads up to the end of the connection.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.unwrap();
        String::from_utf8(rest).unwrap()
    }

    async fn send(&mut self, text: &str) {
        within(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    fn reset(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

async fn upstream(
    address: SocketAddr,
    change: impl FnOnce(&mut UpstreamSpec, &mut Limits),
) -> Arc<Upstream> {
    let mut spec = UpstreamSpec::new(vec![TargetSpec::new(TargetAddress::Address(address))]);
    let mut limits = Limits::default();
    change(&mut spec, &mut limits);
    Upstream::prepare(&spec, &limits, &Targets::default()).await.unwrap()
}

fn request(method: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/path?query");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.header("host", "a.example").body(()).unwrap()
}

/// Fails instead of waiting for ever.
async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.expect("it takes too long")
}

async fn whole(exchange: &mut Exchange) -> Answer {
    let mut answer = Answer::default();
    loop {
        match within(exchange.next()).await {
            Event::Informational(head) => answer.informational.push(head.status.as_u16()),
            Event::Head(head) => answer.status = head.status.as_u16(),
            Event::Data(data) => answer.body.extend_from_slice(&data),
            Event::Trailers(trailers) => answer.trailers = Some(trailers),
            Event::End => return answer,
            Event::Failed(failure) => {
                answer.failure = Some(failure);
                return answer;
            }
        }
    }
}

/// Polls the exchange while something else is waited for, which must come first.
async fn meanwhile<T>(exchange: &mut Exchange, future: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = future => done,
        event = exchange.next() => panic!("{event:?} came first"),
    }
}

/// The failure, what of the request may have been sent, and whether the connection was stale.
fn failure(answer: Answer) -> (FailureKind, Sent, bool) {
    let failure = answer.failure.expect("it does not fail");
    (failure.kind, failure.sent, failure.is_stale)
}

/// Waits until something is so.
async fn until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Feeds a part once there is room for it.
async fn feed(feed: &Feed, data: &[u8]) {
    within(feed.ready()).await.unwrap();
    feed.send(bytes::Bytes::copy_from_slice(data)).unwrap();
}

async fn is_pending(exchange: &mut Exchange) -> bool {
    poll_fn(|context| Poll::Ready(exchange.poll_next(context).is_pending())).await
}

//! A connection over something else than a TCP socket, through the whole gateway. The stream stands
//! for TLS: it needs exclusive access, keeps what is written until it is flushed, and its requests are
//! `https`, whatever its clients say.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::uri::Scheme;
use tokio::io::{
    AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, DuplexStream, ReadBuf, duplex,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use watershed::descriptors::Descriptors;
use watershed::proxy::Gateway;
use watershed::source::load;

use watershed::runtime::Engine;
use watershed::server::pool_size;
use watershed::telemetry::{Format, Scrape, Telemetry};
use watershed::transport::{Connection, ConnectionLimit, Drain, Handler, Stream};
use watershed::versions::{Live, Preparer, Snapshot, Status, Statuses, declared};

use crate::support::{DEADLINE, LAB, Site, lab, lab_p3};

/// One end of a pipe in the process.
#[derive(Debug)]
struct Layer(Mutex<BufWriter<DuplexStream>>);

impl Layer {
    fn new(pipe: DuplexStream) -> Self {
        Self(Mutex::new(BufWriter::new(pipe)))
    }

    fn pipe(&self) -> MutexGuard<'_, BufWriter<DuplexStream>> {
        self.0.lock().unwrap()
    }
}

impl Stream for Layer {
    fn scheme(&self) -> Scheme {
        Scheme::HTTPS
    }

    fn socket(&self) -> Option<&TcpStream> {
        None
    }

    fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        tokio::io::AsyncRead::poll_read(Pin::new(&mut *self.pipe()), context, buffer)
    }

    fn poll_write(&self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.pipe()).poll_write(context, data)
    }

    fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.pipe()).poll_write_vectored(context, parts)
    }

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.pipe()).poll_flush(context)
    }

    fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(context))?;
        Pin::new(&mut *self.pipe()).poll_shutdown(context)
    }
}

fn client_address() -> SocketAddr {
    "192.0.2.7:4711".parse().unwrap()
}

/// A gateway to a lab of each world.
struct Served {
    gateway: Gateway,
    limit: ConnectionLimit,
    telemetry: Telemetry,
    _site: Site,
}

impl Served {
    async fn new() -> Self {
        let site = Site::new().service("lab", &lab("v1")).service("newer", &lab_p3("v1"));
        let config = load(&site.main_file()).unwrap();
        let telemetry = Telemetry::default();
        let engine = Engine::new(pool_size(&config)).unwrap();
        let preparer = Preparer::new(engine, None, telemetry.clone());
        let mut statuses = Statuses::new();
        for (key, _, spec) in declared(&config) {
            let version = preparer.prepare(&key, spec).await.unwrap();
            statuses.entry(key).or_default().push(Status::Normal(version));
        }
        let live = Arc::<Live>::default();
        live.publish(Arc::new(Snapshot::after(&Snapshot::default(), &config, &statuses)));
        let drain = Drain::new(Descriptors::of(1_000));
        let gateway = Gateway::new(live, telemetry.clone(), drain);
        Self { gateway, limit: ConnectionLimit::new(8), telemetry, _site: site }
    }

    /// The client's end of a new connection.
    async fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(64 << 10);
        let permit = self.limit.acquire().await;
        let connection = Connection::new(Layer::new(server), client_address(), permit);
        let gateway = self.gateway.clone();
        tokio::spawn(async move { gateway.serve(connection).await });
        client
    }

    fn count(&self, outcome: &str) -> u64 {
        let metrics = self.telemetry.render(Scrape::default(), Format::Text).unwrap();
        let requests = metrics.lines().filter(|line| line.starts_with("watershed_requests_total{"));
        let ended = requests.filter(|line| line.contains(&format!("outcome=\"{outcome}\"")));
        ended.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// A client may have its whole response before the request is counted.
    async fn await_counts(&self, expected: &[(&str, u64)]) {
        let counted = async {
            while expected.iter().any(|(outcome, count)| self.count(outcome) != *count) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, counted).await.unwrap();
    }
}

/// Reads until a response is complete up to its last line, which contains this text.
async fn read_to(client: &mut DuplexStream, last: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !(text.contains(last) && text.ends_with('\n')) {
            let mut part = [0; 1 << 10];
            let read = client.read(&mut part).await.unwrap();
            assert_ne!(read, 0, "{text}");
            text.push_str(str::from_utf8(&part[..read]).unwrap());
        }
    };
    timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("no {last:?}"));
    text
}

async fn read_to_end(client: &mut DuplexStream) -> String {
    let mut text = String::new();
    timeout(DEADLINE, client.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

/// What a guest has seen of its request. The guest of WASI 0.3 names no other scheme.
#[track_caller]
fn assert_https(seen: &str) {
    assert!(seen.contains("scheme: https\n") || seen.contains("scheme: another\n"), "{seen}");
    assert!(seen.contains("x-forwarded-proto: https\n"), "{seen}");
}

/// Keep-alive, chunks and trailers both ways, a refusal, and the end.
#[tokio::test(flavor = "multi_thread")]
async fn http1_runs_over_any_stream() {
    let served = Served::new().await;
    let mut client = served.connect().await;
    for host in [LAB, "newer.localhost"] {
        let target = format!("http://{host}/headers");
        client
            .write_all(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let seen = read_to(&mut client, "x-request-id: ").await;
        assert_https(&seen);
        assert!(seen.contains("x-forwarded-for: 192.0.2.7\n"), "{seen}");
    }
    let post = format!(
        "POST /echo HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"
    );
    client.write_all(post.as_bytes()).await.unwrap();
    let echoed = read_to(&mut client, "x-sum: 7\r\n\r\n").await;
    assert!(echoed.contains("\r\n\r\n2\r\nhi\r\n0\r\n"), "{echoed}");
    client.write_all(b"nonsense\r\n\r\n").await.unwrap();
    let refused = read_to_end(&mut client).await;
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    served.await_counts(&[("2xx", 3), ("bad-request", 1)]).await;
    drop(client);
    let closed = async {
        while served.limit.open() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, closed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_runs_over_any_stream() {
    let served = Served::new().await;
    let (sender, connection) = h2::client::handshake(served.connect().await).await.unwrap();
    tokio::spawn(connection);
    for host in [LAB, "newer.localhost"] {
        let mut sender = sender.clone().ready().await.unwrap();
        let request = http::Request::get(format!("http://{host}/headers")).body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let mut body = timeout(DEADLINE, response).await.unwrap().unwrap().into_body();
        let mut seen = Vec::new();
        while let Some(data) = timeout(DEADLINE, body.data()).await.unwrap() {
            seen.extend_from_slice(&data.unwrap());
        }
        let seen = String::from_utf8(seen).unwrap();
        assert_https(&seen);
    }
    served.await_counts(&[("2xx", 2)]).await;
}

/// Without a socket nothing reports what the client's kernel has acknowledged, so the client gets more time.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up_over_any_stream() {
    let (_client, server) = duplex(1 << 10);
    let permit = ConnectionLimit::new(1).acquire().await;
    let mut connection = Connection::new(Layer::new(server), client_address(), permit);
    connection.set_patience(Duration::from_secs(5));
    let started = Instant::now();
    let written = connection.write_all(&[0; 64 << 10]).await;
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed(), Duration::from_secs(30));
}

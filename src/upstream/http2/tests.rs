//! Requests to servers of HTTP/2 that are made for each test: h2's own where they behave, and frames written by hand where
//! they do not.

mod broken;
mod pace;

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::header::LINK;
use http::uri::Scheme;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::config::{HostHeader, TargetAddress};
use crate::exchange::{Event, Fed, Feed};
use crate::upstream::failure::{FailureKind, Sent};
use crate::upstream::http1::Host;

const LONG: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

const TARGET: TargetAddress =
    TargetAddress::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1));

type Reply = SendResponse<Bytes>;

fn get() -> Request<()> {
    Request::get("/a?b").header("host", "a.example").body(()).unwrap()
}

fn host() -> Host<'static> {
    Host { declared: &HostHeader::Keep, target: &TARGET }
}

fn ok() -> Response<()> {
    Response::new(())
}

fn ask(place: Place, request: &Request<()>, body: Option<Fed>) -> Http2Exchange {
    let started = Http2Exchange::start(place, &request.clone().into(), body, Scheme::HTTP, host());
    started.map_err(|(why, _)| why).unwrap()
}

async fn next(exchange: &mut Http2Exchange) -> Event<Failure> {
    timeout(LONG, poll_fn(|context| exchange.poll_next(context))).await.expect("an event in time")
}

async fn failure(exchange: &mut Http2Exchange) -> Failure {
    loop {
        match next(exchange).await {
            Event::Failed(failure) => return failure,
            Event::End => panic!("it ended well"),
            _ => {}
        }
    }
}

async fn status(exchange: &mut Http2Exchange) -> StatusCode {
    match next(exchange).await {
        Event::Head(head) => head.status,
        other => panic!("{other:?}"),
    }
}

/// The next event of which is the end, after this much data.
async fn rest(exchange: &mut Http2Exchange) -> usize {
    let mut length = 0;
    loop {
        match next(exchange).await {
            Event::Data(data) => length += data.len(),
            Event::End => return length,
            other => panic!("{other:?}"),
        }
    }
}

/// A place over a new connection in memory; the other end is for the test.
async fn place_and_peer(http2: &Http2) -> (JoinHandle<Result<Place, Failure>>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let Turn::Open(opening) = http2.turn(false).await else { panic!("there is a connection") };
    let place = tokio::spawn(async move { opening.opened(ours).await });
    (place, theirs)
}

/// A connection to a server of h2 that answers every request by `answer`.
async fn served<F>(http2: &Http2, builder: server::Builder, mut answer: F) -> Place
where
    F: FnMut(Request<RecvStream>, Reply) + Send + 'static,
{
    let (place, theirs) = place_and_peer(http2).await;
    tokio::spawn(async move {
        let mut connection = builder.handshake::<_, Bytes>(theirs).await.unwrap();
        while let Some(Ok((request, reply))) = connection.accept().await {
            answer(request, reply);
        }
    });
    place.await.unwrap().unwrap()
}

/// A connection to a server that has sent its settings, and sends nothing more by itself.
async fn scripted(http2: &Http2) -> (Place, DuplexStream) {
    let (place, mut theirs) = place_and_peer(http2).await;
    theirs.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    theirs.read_exact(&mut [0; 24]).await.unwrap();
    (place.await.unwrap().unwrap(), theirs)
}

/// Waits until this many heads of requests have come: a frame about a stream that nobody has begun breaks the rules.
async fn hear(peer: &mut DuplexStream, mut heads: usize) {
    while heads > 0 {
        let mut frame = [0; 9];
        peer.read_exact(&mut frame).await.unwrap();
        let length = usize::from(frame[1]) << 8 | usize::from(frame[2]);
        peer.read_exact(&mut vec![0; length]).await.unwrap();
        heads -= usize::from(frame[3] == 1);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `:status: 200`, the only head that needs no table.
fn head(stream: u32, is_end: bool) -> Vec<u8> {
    frame(1, 4 | u8::from(is_end), stream, &[0x88])
}

fn reset(stream: u32, reason: Reason) -> Vec<u8> {
    frame(3, 0, stream, &u32::from(reason).to_be_bytes())
}

fn go_away(last: u32, reason: Reason) -> Vec<u8> {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend(u32::from(reason).to_be_bytes());
    frame(7, 0, 0, &payload)
}

#[tokio::test]
async fn heads_bodies_and_trailers_pass_both_ways() {
    let http2 = Http2::new(MINUTE);
    let place = served(&http2, server::Builder::new(), |request, mut reply| {
        tokio::spawn(async move {
            assert_eq!(request.uri(), "http://a.example/a?b");
            assert_eq!(request.headers()["te"], "trailers");
            let mut early = ok();
            *early.status_mut() = StatusCode::from_u16(103).unwrap();
            early.headers_mut().insert("link", "</s>".parse().unwrap());
            reply.send_informational(early).unwrap();
            let mut body = request.into_body();
            let mut echo = reply.send_response(ok(), false).unwrap();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                echo.send_data(data, false).unwrap();
            }
            let trailers = body.trailers().await.unwrap().unwrap();
            echo.send_trailers(trailers).unwrap();
        });
    })
    .await;
    let (feed, fed) = Feed::new();
    let request = Request::post("/a?b").header("host", "a.example").header("te", "trailers");
    let mut exchange = ask(place, &request.body(()).unwrap(), Some(fed));
    let Event::Informational(early) = next(&mut exchange).await else { panic!("no 103") };
    assert_eq!((early.status.as_u16(), early.fields.get(&LINK)), (103, Some(&b"</s>"[..])));
    assert_eq!(status(&mut exchange).await, 200);
    for part in ["one", "two"] {
        feed.send(Bytes::from(part)).unwrap();
        let Event::Data(data) = next(&mut exchange).await else { panic!("no echo") };
        assert_eq!(data, part);
        feed.ready().await.unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("connection", "close".parse().unwrap());
    feed.finish(trailers).unwrap();
    let Event::Trailers(trailers) = next(&mut exchange).await else { panic!("no trailers") };
    assert_eq!(trailers.len(), 1);
    assert_eq!(trailers["grpc-status"], "0");
    assert!(matches!(next(&mut exchange).await, Event::End));
}

#[tokio::test]
async fn requests_share_a_connection_until_it_is_full() {
    let http2 = Http2::new(MINUTE);
    let held = Arc::new(Mutex::new(Vec::new()));
    let mut places = Vec::new();
    for _ in 0..2 {
        let mut builder = server::Builder::new();
        builder.max_concurrent_streams(2);
        let held = held.clone();
        let hold = move |_, reply| held.lock().unwrap().push(reply);
        places.push(served(&http2, builder, hold).await);
        let Turn::Place(place) = http2.turn(false).await else { panic!("it is not shared") };
        places.push(place);
    }
    assert_eq!(http2.count(), (2, 0));
    let mut asked: Vec<_> = places.into_iter().map(|place| ask(place, &get(), None)).collect();
    let Turn::Open(opening) = http2.turn(false).await else { panic!("five on two connections") };
    // One opens, and others wait for it, or for a place.
    let waiting = timeout(Duration::from_millis(50), http2.turn(false)).await;
    assert!(waiting.is_err());
    drop(asked.pop());
    assert!(matches!(timeout(LONG, http2.turn(false)).await, Ok(Turn::Place(_))));
    drop(opening);
    drop(asked);
    assert_eq!(http2.count(), (2, 2));
}

#[tokio::test]
async fn who_waits_for_a_connection_takes_over_where_it_fails() {
    let http2 = Arc::new(Http2::new(MINUTE));
    let Turn::Open(opening) = http2.turn(false).await else { panic!("there is none") };
    let served = Arc::new(AtomicUsize::new(0));
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let (http2, served) = (http2.clone(), served.clone());
            tokio::spawn(async move {
                if let Turn::Open(opening) = http2.turn(false).await {
                    let (ours, theirs) = tokio::io::duplex(1 << 16);
                    // The first two fail, too.
                    if served.fetch_add(1, Ordering::Relaxed) < 2 {
                        drop(theirs);
                        return opening.opened(ours).await.map(drop).unwrap_err().kind
                            == FailureKind::Connect;
                    }
                    tokio::spawn(async move {
                        let mut connection = server::handshake(theirs).await.unwrap();
                        drop(connection.accept().await);
                    });
                    return opening.opened(ours).await.is_ok();
                }
                true
            })
        })
        .collect();
    drop(opening);
    for waiter in waiters {
        assert!(timeout(LONG, waiter).await.unwrap().unwrap());
    }
    assert_eq!((served.load(Ordering::Relaxed), http2.count().0), (3, 1));
}

/// A target may take no request for now (RFC 9113, section 6.5.2), and says later that it takes some.
#[tokio::test]
async fn who_waits_sees_that_a_target_takes_more() {
    let takes = |streams: u8| frame(4, 0, 0, &[0, 3, 0, 0, 0, streams]);
    let http2 = Http2::new(MINUTE);
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS {
        let (place, mut theirs) = place_and_peer(&http2).await;
        theirs.write_all(&takes(0)).await.unwrap();
        all.push((place.await.unwrap().unwrap(), theirs));
    }
    let mut waiting = std::pin::pin!(http2.turn(false));
    assert!(timeout(Duration::from_millis(50), waiting.as_mut()).await.is_err());
    all[3].1.write_all(&takes(9)).await.unwrap();
    let Ok(Turn::Place(place)) = timeout(LONG, waiting).await else { panic!("it waits") };
    assert!(Arc::ptr_eq(&place.connection, &all[3].0.connection));
}

/// Where a connection ends with many requests on it, all of them want another one.
#[tokio::test]
async fn who_wants_a_new_connection_shares_it() {
    let http2 = Http2::new(MINUTE);
    let (old, _peer) = scripted(&http2).await;
    let Turn::Open(opening) = http2.turn(true).await else { panic!("it is an old one") };
    let mut second = std::pin::pin!(http2.turn(true));
    assert!(timeout(Duration::from_millis(50), second.as_mut()).await.is_err());
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    theirs.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let new = opening.opened(ours).await.unwrap();
    let Ok(Turn::Place(shared)) = timeout(LONG, second).await else { panic!("it is not shared") };
    assert!(Arc::ptr_eq(&shared.connection, &new.connection));
    assert!(!Arc::ptr_eq(&shared.connection, &old.connection));
    assert!(matches!(http2.turn(true).await, Turn::Open(_)), "it is there already");
}

#[tokio::test]
async fn a_target_that_chooses_http1_holds_nobody_up() {
    let http2 = Http2::new(MINUTE);
    let Turn::Open(opening) = http2.turn(false).await else { panic!("there is none") };
    opening.found_http1();
    for _ in 0..3 {
        let Turn::Open(opening) = http2.turn(false).await else { panic!("there is none") };
        std::mem::forget(opening);
    }
}

#[tokio::test]
async fn extended_connect_needs_a_target_that_takes_it() {
    let request = || {
        let request = Request::get("/chat").header("host", "a.example");
        let request = request.header("upgrade", "websocket").header("sec-websocket-key", "a");
        request.body(()).unwrap()
    };
    let http2 = Http2::new(MINUTE);
    let place = served(&http2, server::Builder::new(), |_, _| panic!("it was asked")).await;
    let started = Http2Exchange::start(place, &request().into(), None, Scheme::HTTP, host());
    let Err((NotStarted::Impossible(failure), _)) = started.map(drop) else {
        panic!("it was sent")
    };
    assert_eq!((failure.kind, failure.sent), (FailureKind::Protocol, Sent::Nothing));

    let http2 = Http2::new(MINUTE);
    let mut builder = server::Builder::new();
    builder.enable_connect_protocol();
    let place = served(&http2, builder, |request, mut reply| {
        tokio::spawn(async move {
            let protocol = request.extensions().get::<h2::ext::Protocol>().unwrap();
            assert_eq!((protocol.as_str(), request.uri().path()), ("websocket", "/chat"));
            assert!(request.headers().is_empty(), "{request:?}");
            let mut body = request.into_body();
            let mut echo = reply.send_response(ok(), false).unwrap();
            while let Some(Ok(data)) = body.data().await {
                echo.send_data(data, false).unwrap();
            }
            echo.send_data(Bytes::new(), true).unwrap();
        });
    })
    .await;
    let (feed, fed) = Feed::new();
    let mut exchange = ask(place, &request(), Some(fed));
    assert_eq!(status(&mut exchange).await, 101);
    feed.send(Bytes::from("frame")).unwrap();
    let Event::Data(data) = next(&mut exchange).await else { panic!("no echo") };
    assert_eq!(data, "frame");
    drop(feed);
    assert!(matches!(next(&mut exchange).await, Event::End));
}

#[tokio::test]
async fn it_works_over_real_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = server::handshake(socket).await.unwrap();
        while let Some(Ok((_, mut reply))) = connection.accept().await {
            let mut stream = reply.send_response(ok(), false).unwrap();
            stream.send_data(Bytes::from(vec![7; 1 << 16]), true).unwrap();
        }
    });
    let http2 = Http2::new(MINUTE);
    for _ in 0..100 {
        let place = match http2.turn(false).await {
            Turn::Place(place) => place,
            Turn::Open(opening) => {
                opening.opened(TcpStream::connect(address).await.unwrap()).await.unwrap()
            }
        };
        let mut exchange = ask(place, &get(), None);
        assert_eq!(status(&mut exchange).await, 200);
        assert_eq!(rest(&mut exchange).await, 1 << 16);
    }
    assert_eq!(http2.count(), (1, 1));
}

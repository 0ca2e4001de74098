//! Requests to servers of HTTP/2 that are made for each test: h2's own where they behave, and frames written by hand where
//! they do not.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::uri::Scheme;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::exchange::{Event, Fed, Feed};
use crate::upstream::failure::{FailureKind, Sent};

const LONG: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

type Reply = SendResponse<Bytes>;

fn get() -> Request<()> {
    Request::get("/a?b").header("host", "a.example").body(()).unwrap()
}

fn ok() -> Response<()> {
    Response::new(())
}

fn ask(place: Place, request: &Request<()>, body: Option<Fed>) -> Http2Exchange {
    let started = Http2Exchange::start(place, request, body, Scheme::HTTP, None, "t".to_owned());
    started.map_err(|(failure, _)| failure).unwrap()
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
    let place = tokio::spawn(async move { opening.opened(ours, "t").await });
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
    (place.await.unwrap().unwrap(), theirs)
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
    assert_eq!((early.status.as_u16(), &early.headers["link"]), (103, &"</s>".parse().unwrap()));
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
                        return opening.opened(ours, "t").await.map(drop).unwrap_err().kind
                            == FailureKind::Connect;
                    }
                    tokio::spawn(async move {
                        let mut connection = server::handshake(theirs).await.unwrap();
                        connection.accept().await.map(drop);
                    });
                    return opening.opened(ours, "t").await.is_ok();
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

#[tokio::test]
async fn a_target_that_chooses_http1_holds_nobody_up() {
    let http2 = Http2::new(MINUTE);
    let Turn::Open(opening) = http2.turn(false).await else { panic!("there is none") };
    opening.is_http1();
    for _ in 0..3 {
        let Turn::Open(opening) = http2.turn(false).await else { panic!("there is none") };
        std::mem::forget(opening);
    }
}

/// nginx/nginx#1431, and many clients: a request that a GOAWAY leaves out may be sent again, whatever its method, and
/// those that it does not leave out go on.
#[tokio::test]
async fn a_goaway_refuses_what_was_not_looked_at_and_nothing_else() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let Turn::Place(second) = http2.turn(false).await else { panic!("it is not shared") };
    let (mut first, mut second) = (ask(place, &get(), None), ask(second, &get(), None));
    peer.write_all(&head(1, false)).await.unwrap();
    assert_eq!(status(&mut first).await, 200);
    peer.write_all(&go_away(1, Reason::NO_ERROR)).await.unwrap();
    let refused = failure(&mut second).await;
    assert_eq!((refused.kind, refused.sent), (FailureKind::Reset, Sent::Refused));
    assert!(!refused.is_stale, "{refused}");
    assert!(matches!(http2.turn(false).await, Turn::Open(_)), "it takes no new requests");
    peer.write_all(&frame(0, 1, 1, b"rest")).await.unwrap();
    assert_eq!(rest(&mut first).await, 4);
}

#[tokio::test]
async fn a_goaway_of_an_error_fails_what_is_under_way() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let mut exchange = ask(place, &get(), None);
    peer.write_all(&go_away(1, Reason::ENHANCE_YOUR_CALM)).await.unwrap();
    drop(peer);
    let broken = failure(&mut exchange).await;
    assert_eq!((broken.kind, broken.sent), (FailureKind::Reset, Sent::Maybe));
}

#[tokio::test]
async fn a_refused_stream_may_be_sent_again_and_a_reset_one_may_not() {
    let cases = [
        (Reason::REFUSED_STREAM, Sent::Refused, "t refused the stream"),
        (Reason::CANCEL, Sent::Maybe, "t reset the stream (stream no longer needed)"),
        (Reason::NO_ERROR, Sent::Maybe, "t reset the stream (not a result of an error)"),
        (
            Reason::INTERNAL_ERROR,
            Sent::Maybe,
            "t reset the stream (unexpected internal error encountered)",
        ),
    ];
    for (reason, sent, detail) in cases {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        peer.write_all(&reset(1, reason)).await.unwrap();
        let failure = failure(&mut exchange).await;
        assert_eq!((failure.kind, failure.sent), (FailureKind::Reset, sent));
        assert_eq!((failure.detail.as_str(), failure.is_stale), (detail, false));
    }
    // What has begun is not refused, whatever the target says.
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let mut exchange = ask(place, &get(), None);
    peer.write_all(&head(1, false)).await.unwrap();
    assert_eq!(status(&mut exchange).await, 200);
    peer.write_all(&reset(1, Reason::REFUSED_STREAM)).await.unwrap();
    assert_eq!(failure(&mut exchange).await.sent, Sent::Maybe);
}

/// hyperium/hyper#2872: a response that is whole stays whole, though the rest of the request is not wanted.
#[tokio::test]
async fn a_whole_response_counts_though_the_request_is_cut_off() {
    for (with_body, with_trailers) in [(false, false), (true, false), (true, true)] {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let (feed, fed) = Feed::new();
        let mut exchange = ask(place, &get(), Some(fed));
        feed.send(Bytes::from("part")).unwrap();
        let mut answer = head(1, !with_body);
        if with_body {
            answer.extend(frame(0, u8::from(!with_trailers), 1, b"early"));
        }
        if with_trailers {
            // `a: b`, without a table.
            answer.extend(frame(1, 5, 1, b"\x00\x01a\x01b"));
        }
        answer.extend(reset(1, Reason::NO_ERROR));
        peer.write_all(&answer).await.unwrap();
        // All of it is there before the first event is asked for.
        sleep(Duration::from_millis(20)).await;
        assert_eq!(status(&mut exchange).await, 200);
        let mut events = Vec::new();
        loop {
            match next(&mut exchange).await {
                Event::End => break,
                other => events.push(format!("{other:?}")),
            }
        }
        assert_eq!(events.len(), usize::from(with_body) + usize::from(with_trailers), "{events:?}");
        assert!(events.iter().all(|event| !event.contains("Failed")), "{events:?}");
        assert!(timeout(LONG, feed.ready()).await.unwrap().is_err(), "nobody wants the rest");
    }
}

#[tokio::test]
async fn what_is_cut_off_is_never_a_clean_end() {
    for with_reset in [true, false] {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        peer.write_all(&head(1, false)).await.unwrap();
        peer.write_all(&frame(0, 0, 1, b"part")).await.unwrap();
        assert_eq!(status(&mut exchange).await, 200);
        if with_reset {
            peer.write_all(&reset(1, Reason::NO_ERROR)).await.unwrap();
        } else {
            drop(peer);
        }
        let cut = failure(&mut exchange).await;
        assert_eq!((cut.kind, cut.sent, cut.is_stale), (FailureKind::Reset, Sent::Maybe, false));
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_stale() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let mut first = ask(place, &get(), None);
    peer.write_all(&head(1, true)).await.unwrap();
    assert_eq!(status(&mut first).await, 200);
    assert_eq!(rest(&mut first).await, 0);
    drop(first);
    let Turn::Place(place) = http2.turn(false).await else { panic!("it was not kept") };
    let mut second = ask(place, &get(), None);
    drop(peer);
    let broken = failure(&mut second).await;
    assert!(broken.is_stale && broken.kind == FailureKind::Reset, "{broken:?}");
    assert_eq!(http2.count(), (0, 0));
    // And a request that finds the connection closed is not even sent.
    assert!(matches!(http2.turn(false).await, Turn::Open(_)));
}

#[tokio::test]
async fn a_connection_that_closes_between_turn_and_request_sends_nothing() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    peer.write_all(&go_away(0, Reason::NO_ERROR)).await.unwrap();
    while !matches!(place.connection().room(STREAMS), connection::Room::Closing) {
        tokio::task::yield_now().await;
    }
    let started = Http2Exchange::start(place, &get(), None, Scheme::HTTP, None, "t".to_owned());
    let (failure, _) = started.map(drop).unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Reset, Sent::Nothing));
}

#[tokio::test]
async fn what_breaks_the_rules_of_http2_is_told() {
    let cases: [(&str, Vec<u8>); 4] = [
        // `content-length: 5`, without a table, and four bytes.
        (
            "length",
            [frame(1, 4, 1, b"\x88\x00\x0econtent-length\x015"), frame(0, 1, 1, b"four")].concat(),
        ),
        ("data first", frame(0, 1, 1, b"early")),
        ("uppercase", frame(1, 5, 1, b"\x88\x00\x01A\x01b")),
        ("connection", frame(1, 5, 1, b"\x88\x00\x0aconnection\x05close")),
    ];
    for (name, answer) in cases {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        peer.write_all(&answer).await.unwrap();
        let broken = failure(&mut exchange).await;
        assert_eq!(
            (broken.kind, broken.sent),
            (FailureKind::Protocol, Sent::Maybe),
            "{name}: {broken}"
        );
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_not_taken_for_a_refused_stream() {
    let http2 = Http2::new(MINUTE);
    let place = served(&http2, server::Builder::new(), |_, mut reply| {
        let mut long = ok();
        for number in 0..40 {
            let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
            long.headers_mut().insert(name, "a".repeat(4096).parse().unwrap());
        }
        reply.send_response(long, true).unwrap();
    })
    .await;
    let mut exchange = ask(place, &get(), None);
    let broken = failure(&mut exchange).await;
    assert_eq!((broken.kind, broken.sent), (FailureKind::Protocol, Sent::Maybe), "{broken}");
}

#[tokio::test]
async fn what_does_not_speak_http2_gets_no_request() {
    for (answer, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], "t does not speak HTTP/2"),
        (b"", "t closed the connection where HTTP/2 begins"),
    ] {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = place_and_peer(&http2).await;
        peer.write_all(answer).await.unwrap();
        if answer.is_empty() {
            drop(peer);
        }
        let failure = timeout(LONG, place).await.unwrap().unwrap().map(drop).unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, Sent::Nothing));
        assert!(failure.detail.starts_with(expected), "{failure}");
    }
}

#[tokio::test]
async fn a_target_that_reads_slowly_slows_the_client_down() {
    let http2 = Http2::new(MINUTE);
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    let keep = move |request: Request<RecvStream>, reply: Reply| {
        kept.lock().unwrap().push((request.into_body(), reply));
    };
    let place = served(&http2, server::Builder::new(), keep).await;
    let (feed, fed) = Feed::new();
    let mut exchange = ask(place, &get(), Some(fed));
    let part = Bytes::from(vec![0; 16 << 10]);
    let mut fed = 0;
    let sending = async {
        while timeout(Duration::from_millis(200), feed.ready()).await.is_ok() {
            feed.send(part.clone()).unwrap();
            fed += part.len();
        }
    };
    tokio::select! {
        () = sending => {}
        event = next(&mut exchange) => panic!("{event:?}"),
    }
    // The window of the stream, and parts on their way.
    assert!((65_535..=65_535 + 3 * part.len()).contains(&fed), "{fed}");
}

#[tokio::test]
async fn a_client_that_reads_slowly_slows_the_target_down() {
    let http2 = Http2::new(MINUTE);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let place = served(&http2, server::Builder::new(), move |_, mut reply: Reply| {
        let counted = counted.clone();
        tokio::spawn(async move {
            let mut stream = reply.send_response(ok(), false).unwrap();
            for _ in 0..64 {
                let mut part = Bytes::from(vec![0; 64 << 10]);
                while !part.is_empty() {
                    stream.reserve_capacity(part.len());
                    let Some(Ok(room)) = poll_fn(|context| stream.poll_capacity(context)).await
                    else {
                        return;
                    };
                    counted.fetch_add(room, Ordering::Relaxed);
                    stream.send_data(part.split_to(room), false).unwrap();
                }
            }
            stream.send_data(Bytes::new(), true).unwrap();
        });
    })
    .await;
    let mut exchange = ask(place, &get(), None);
    assert_eq!(status(&mut exchange).await, 200);
    sleep(Duration::from_millis(200)).await;
    let held = sent.load(Ordering::Relaxed);
    assert_eq!(held, 256 << 10, "nothing but the window");
    assert_eq!(rest(&mut exchange).await, 64 * (64 << 10));
}

#[tokio::test]
async fn dropping_an_exchange_resets_its_stream() {
    let http2 = Http2::new(MINUTE);
    let (told, mut news) = tokio::sync::mpsc::unbounded_channel();
    let place = served(&http2, server::Builder::new(), move |_, mut reply: Reply| {
        let told = told.clone();
        tokio::spawn(async move {
            let reason = poll_fn(|context| reply.poll_reset(context)).await;
            told.send(reason.unwrap()).unwrap();
        });
    })
    .await;
    let mut exchange = ask(place, &get(), None);
    let waiting = timeout(Duration::from_millis(50), poll_fn(|it| exchange.poll_next(it))).await;
    assert!(waiting.is_err());
    drop(exchange);
    assert_eq!(timeout(LONG, news.recv()).await.unwrap(), Some(Reason::CANCEL));
    assert_eq!(http2.count(), (1, 1), "the connection stays");
}

#[tokio::test]
async fn extended_connect_needs_a_target_that_takes_it() {
    let request = || {
        let protocol = h2::ext::Protocol::from_static("websocket");
        let request = Request::connect("/chat").header("host", "a.example").extension(protocol);
        request.body(()).unwrap()
    };
    let http2 = Http2::new(MINUTE);
    let place = served(&http2, server::Builder::new(), |_, _| panic!("it was asked")).await;
    let started = Http2Exchange::start(place, &request(), None, Scheme::HTTP, None, "t".to_owned());
    let (failure, _) = started.map(drop).unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Protocol, Sent::Nothing));

    let http2 = Http2::new(MINUTE);
    let mut builder = server::Builder::new();
    builder.enable_connect_protocol();
    let place = served(&http2, builder, |request, mut reply| {
        tokio::spawn(async move {
            let protocol = request.extensions().get::<h2::ext::Protocol>().unwrap();
            assert_eq!((protocol.as_str(), request.uri().path()), ("websocket", "/chat"));
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
    assert_eq!(status(&mut exchange).await, 200);
    feed.send(Bytes::from("frame")).unwrap();
    let Event::Data(data) = next(&mut exchange).await else { panic!("no echo") };
    assert_eq!(data, "frame");
    drop(feed);
    assert!(matches!(next(&mut exchange).await, Event::End));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    for (idle, kept) in [(MINUTE, true), (Duration::ZERO, false)] {
        let http2 = Http2::new(idle);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        peer.write_all(&head(1, true)).await.unwrap();
        assert_eq!(status(&mut exchange).await, 200);
        // A long response is not idle.
        sleep(Duration::from_secs(5)).await;
        drop(exchange);
        assert_eq!(http2.count().0, usize::from(kept));
        let began = Instant::now();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.unwrap();
        let (least, most) = if kept { (60, 71) } else { (0, 0) };
        assert!((least..=most).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        assert_eq!(http2.count(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_without_a_word_is_noticed() {
    let http2 = Http2::new(MINUTE);
    let (place, _peer) = scripted(&http2).await;
    let mut exchange = ask(place, &get(), None);
    let began = Instant::now();
    let Event::Failed(gone) = poll_fn(|context| exchange.poll_next(context)).await else {
        panic!("it answered")
    };
    assert!((20..=31).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(gone.detail, "t broke the connection: it did not answer a ping within 10s");
    assert_eq!((gone.kind, gone.sent), (FailureKind::Reset, Sent::Maybe));
}

/// golang/go#70575: servers of gRPC close a connection on which they get more than two pings within five minutes of silence.
#[tokio::test(start_paused = true)]
async fn a_silent_target_is_asked_rarely() {
    let http2 = Http2::new(MINUTE);
    let (place, peer) = place_and_peer(&http2).await;
    let (mut reader, mut writer) = tokio::io::split(peer);
    writer.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let mut exchange = ask(place.await.unwrap().unwrap(), &get(), None);
    let pings = Arc::new(AtomicUsize::new(0));
    let counted = pings.clone();
    tokio::spawn(async move {
        reader.read_exact(&mut [0; 24]).await.unwrap();
        loop {
            let mut head = [0; 9];
            reader.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            reader.read_exact(&mut payload).await.unwrap();
            if head[3] == 6 && head[4] == 0 {
                counted.fetch_add(1, Ordering::Relaxed);
                writer.write_all(&frame(6, 1, 0, &payload)).await.unwrap();
            }
        }
    });
    let silent = timeout(Duration::from_secs(3000), poll_fn(|it| exchange.poll_next(it))).await;
    assert!(silent.is_err(), "{silent:?}");
    let pings = pings.load(Ordering::Relaxed);
    assert!((8..=10).contains(&pings), "{pings} in 50 minutes");
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
                opening.opened(TcpStream::connect(address).await.unwrap(), "t").await.unwrap()
            }
        };
        let mut exchange = ask(place, &get(), None);
        assert_eq!(status(&mut exchange).await, 200);
        assert_eq!(rest(&mut exchange).await, 1 << 16);
    }
    assert_eq!(http2.count(), (1, 1));
}

//! Bodies through an upstream: large ones, both directions at once, silences, and clients and upstreams that answer
//! early, end half of a connection, or stop reading.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Step, Upstream};
use http::HeaderMap;

use crate::support::{ONCE, Site, UP, Watershed, eventually, limits, request, upstream};

/// More than every buffer on the way.
const LARGE: usize = 64 << 20;

fn serve(target: &Upstream) -> Watershed {
    serve_within(target, "")
}

fn serve_within(target: &Upstream, patience: &str) -> Watershed {
    let lines = format!("request-body = \"2GiB\"\n{patience}");
    let version = upstream("v1", &[target.address()], ONCE) + &limits(&lines);
    Site::new().service("up", &version).start()
}

/// The memory of a process for a gigabyte is that for a kilobyte.
#[test]
fn a_gigabyte_passes_in_little_memory() {
    const GIB: usize = 1 << 30;
    let part = vec![b'x'; 1 << 20];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {GIB}\r\n\r\n");
    let script = Script::answer(head).flood(&part, GIB / part.len());
    let target = Upstream::http1(script);
    let watershed = serve(&target);
    let mut client = watershed.http1();
    client.send(format!("GET /down HTTP/1.1\r\nhost: {UP}\r\n\r\n"));
    let response = client.head();
    assert_eq!(response.header("content-length"), Some("1073741824"));
    assert_eq!(client.skip(GIB), GIB);
    let mut client = watershed.http1();
    let mut writer = client.writer();
    let head = format!("POST /up HTTP/1.1\r\nhost: {UP}\r\ncontent-length: {GIB}\r\n\r\n");
    let sending = thread::spawn(move || {
        writer.write_all(head.as_bytes()).unwrap();
        (0..GIB / part.len()).for_each(|_| writer.write_all(&part).unwrap());
    });
    assert_eq!(client.head().status, 200);
    sending.join().unwrap();
    assert_eq!(target.arrived().last().unwrap().length, GIB);
    drop(client);
    let peak = watershed.peak_memory();
    assert!(peak < 150 << 20, "{} MiB", peak >> 20);
}

#[test]
fn both_directions_run_at_once() {
    let target = Upstream::http1(Script::echo());
    let watershed = serve(&target);
    let mut client = watershed.http1();
    client.send(format!("POST / HTTP/1.1\r\nhost: {UP}\r\ntransfer-encoding: chunked\r\n\r\n"));
    client.send("3\r\nabc\r\n");
    // The answer to a part comes before the next part goes out.
    let mut response = client.head();
    assert!(client.chunk(&mut response));
    assert_eq!(response.text(), "abc");
    client.send("2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n");
    while !response.complete {
        assert!(client.chunk(&mut response), "{response:?}");
    }
    assert_eq!(response.text(), "abcde");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "5".to_owned())]);
    let http2 = watershed.http2();
    let mut exchange = http2.open(request("POST", UP, "/"), true);
    exchange.upload.send_data("abc".into(), false).unwrap();
    let mut body = http2.wait(exchange.response).unwrap().into_body();
    assert_eq!(http2.wait(body.data()).unwrap().unwrap(), "abc");
    exchange.upload.send_data("de".into(), false).unwrap();
    assert_eq!(http2.wait(body.data()).unwrap().unwrap(), "de");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "5".parse().unwrap());
    exchange.upload.send_trailers(trailers.clone()).unwrap();
    assert!(http2.wait(body.data()).is_none());
    assert_eq!(http2.wait(body.trailers()).unwrap(), Some(trailers));
    let last = target.arrived().last().unwrap();
    assert_eq!(last.trailers, [("x-sum".to_owned(), "5".to_owned())]);
    assert!(target.arrived().broken().is_empty(), "{:?}", target.arrived().broken());
}

/// pingora #935: an empty last frame of a client over HTTP/2 became a second last chunk.
#[test]
fn an_empty_last_frame_ends_a_body_once() {
    let target = Upstream::http1(Script::echo());
    let watershed = serve(&target);
    let http2 = watershed.http2();
    for _ in 0..3 {
        let mut exchange = http2.open(request("POST", UP, "/"), true);
        exchange.upload.send_data("hello".into(), false).unwrap();
        exchange.upload.send_data("".into(), true).unwrap();
        assert_eq!(http2.response(exchange.response).unwrap().text(), "hello");
    }
    assert_eq!(target.arrived().broken(), Vec::<String>::new());
    assert_eq!(target.arrived().connections(), 1, "the connection is kept");
}

/// Otherwise the process holds what the client does not take.
#[test]
fn a_client_that_stops_reading_stops_its_upstream() {
    let target = Upstream::http1(Script::echo());
    let watershed = serve(&target);
    let client = watershed.http1();
    let mut writer = client.writer();
    writer.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: {UP}\r\ncontent-length: {LARGE}\r\n\r\n");
    writer.write_all(head.as_bytes()).unwrap();
    let part = vec![b'x'; 64 << 10];
    let sent = (0..LARGE / part.len()).take_while(|_| writer.write_all(&part).is_ok()).count();
    let sent = sent * part.len();
    assert!(sent < LARGE, "all of it was taken, and nothing of it read");
    assert!(watershed.peak_memory() < 150 << 20);
    drop((client, writer));
    eventually("the end of the upstream's connection", || target.arrived().open() == 0);
}

#[test]
fn an_upstream_that_stops_reading_stops_its_client() {
    let target = Upstream::http1(Script::new().read_head().pause(Duration::from_secs(3)).reset());
    let watershed = serve(&target);
    let client = watershed.http1();
    let mut writer = client.writer();
    writer.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: {UP}\r\ncontent-length: {LARGE}\r\n\r\n");
    writer.write_all(head.as_bytes()).unwrap();
    let part = vec![b'x'; 64 << 10];
    let sent = (0..LARGE / part.len()).take_while(|_| writer.write_all(&part).is_ok()).count();
    assert!(sent * part.len() < LARGE);
    assert!(watershed.peak_memory() < 150 << 20);
}

/// gravitee #7093: the events of clients that had left went on.
#[test]
fn events_come_when_they_are_sent_and_end_with_their_client() {
    let events = Script::new().read_head().send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    let pause = Duration::from_millis(700);
    let event = "8\r\ndata: 1\n\r\n";
    let events = events.send(event).pause(pause).send(event).pause(pause).send(event).hang();
    let target = Upstream::http1(events);
    let watershed = serve_within(&target, "wall-time = \"500ms\"\nidle-time = \"none\"");
    let mut client = watershed.http1();
    client.send(format!("GET / HTTP/1.1\r\nhost: {UP}\r\n\r\n"));
    let mut response = client.head();
    for count in 1..=3 {
        let began = Instant::now();
        assert!(client.chunk(&mut response), "{response:?}");
        assert_eq!(response.body.len(), 8 * count);
        assert!(count == 1 || began.elapsed() > pause / 2, "buffered");
    }
    client.reset();
    eventually("the end of the upstream's connection", || target.arrived().open() == 0);
}

/// An early answer must not become a 502: Envoy #2929, h2o #2010, haproxy #3495.
#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    type Way = fn(Script) -> Script;
    let early = |then: Way| then(Script::early(413, "too large"));
    let ways: [(&str, Way); 4] = [
        ("and reads on", |script| script.read_body()),
        ("and closes", |script| script.close()),
        ("and reads nothing", |script| script.pause(Duration::from_secs(2)).close()),
        ("and resets", |script| script.pause(Duration::from_millis(300)).reset()),
    ];
    for (name, way) in ways {
        let target = Upstream::http1(early(way));
        let watershed = serve(&target);
        let mut client = watershed.http1();
        let mut writer = client.writer();
        let head = format!("POST / HTTP/1.1\r\nhost: {UP}\r\ncontent-length: {LARGE}\r\n\r\n");
        let sending = thread::spawn(move || {
            // The connection may be closed after the answer.
            let mut goes_on = writer.write_all(head.as_bytes()).is_ok();
            for _ in 0..LARGE >> 20 {
                goes_on = goes_on && writer.write_all(&vec![b'x'; 1 << 20]).is_ok();
            }
        });
        let response = client.response("POST");
        assert_eq!((response.status, response.text().as_str()), (413, "too large"), "{name}");
        drop(client);
        sending.join().unwrap();
        let http2 = watershed.http2();
        let mut exchange = http2.open(request("POST", UP, "/"), true);
        exchange.upload.send_data(vec![b'x'; 1 << 20].into(), false).unwrap();
        let response = http2.response(exchange.response).unwrap();
        assert_eq!((response.status, response.text().as_str()), (413, "too large"), "{name}");
        assert_eq!(target.arrived().requests(), 2, "{name}");
    }
}

#[test]
fn a_half_closed_client_is_answered() {
    let late = Script::new().read_head().read_body().pause(Duration::from_millis(300));
    let target = Upstream::http1(late.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate"));
    let watershed = serve(&target);
    let mut client = watershed.http1();
    client.send(format!("POST / HTTP/1.1\r\nhost: {UP}\r\ncontent-length: 5\r\n\r\nhello"));
    client.end_writing();
    assert_eq!(client.response("POST").text(), "late");
}

/// Of a client that leaves, its upstream hears, and the connection is not kept for others.
#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let target = Upstream::http1(Script::new().read_head().hang());
    let watershed = serve_within(&target, "wall-time = \"30s\"");
    let mut client = watershed.http1();
    client.send(format!("GET / HTTP/1.1\r\nhost: {UP}\r\n\r\n"));
    eventually("the request", || target.arrived().requests() == 1);
    client.reset();
    eventually("the end of it", || target.arrived().open() == 0);
    let http2 = watershed.http2();
    let exchange = http2.open(request("GET", UP, "/"), false);
    eventually("the request", || target.arrived().requests() == 2);
    drop(exchange);
    eventually("the end of it", || target.arrived().open() == 0);
    watershed.await_outcomes("client-gone", 2);
}

/// node-http-proxy #327: what was still to be read at the end of the connection was thrown away.
#[test]
fn a_slow_reader_gets_all_of_a_body_whose_upstream_has_left() {
    let body = "x".repeat(1 << 20);
    let whole = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let target = Upstream::http1(Script::answer([head, &whole].concat()).close());
    let watershed = serve(&target);
    let mut client = watershed.http1();
    client.send(format!("GET / HTTP/1.1\r\nhost: {UP}\r\n\r\n"));
    thread::sleep(Duration::from_millis(700));
    let response = client.response("GET");
    assert_eq!((response.body.len(), response.complete), (1 << 20, true));
}

/// An upstream may drip a body for longer than any patience, as long as it goes on.
#[test]
fn patience_is_between_parts() {
    let drip = Duration::from_millis(150);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    let script =
        Script::answer(head).then(Step::Drip { bytes: b"helloworld".to_vec(), pause: drip });
    let target = Upstream::http1(script);
    let watershed = serve_within(&target, "wall-time = \"1s\"\nidle-time = \"1s\"");
    assert_eq!(watershed.get(UP, "/").text(), "helloworld");
}

/// The whole body is in our hands, or in kernels, long before the upstream has taken it.
#[test]
fn an_upstream_that_takes_a_body_slowly_is_not_late() {
    const LENGTH: usize = 8 << 20;
    let slowly = Step::ReadSlowly { at_once: 256 << 10, pause: Duration::from_millis(80) };
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let target = Upstream::http1(Script::new().read_head().then(slowly).send(answer));
    let watershed = serve_within(&target, "wall-time = \"1s\"");
    let mut client = watershed.http1();
    let started = Instant::now();
    let head = format!("POST / HTTP/1.1\r\nhost: {UP}\r\ncontent-length: {LENGTH}\r\n\r\n");
    client.send([head.as_bytes(), &vec![b'x'; LENGTH]].concat());
    assert_eq!(client.response("POST").status, 200);
    assert!(started.elapsed() > Duration::from_secs(2), "{:?}", started.elapsed());
}

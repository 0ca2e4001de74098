//! Connections that switch to another protocol: WebSocket and others by `upgrade`, and by extended CONNECT over HTTP/2.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Step, Upstream};
use bytes::Bytes;
use http::{Method, Request};

use crate::support::{Http1, ONCE, Site, Watershed, eventually, lab, limits, split, upstream};

const HOST: &str = "api.localhost";
const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn serve(target: SocketAddr, bounds: &str) -> Watershed {
    let text = upstream("v1", &[target], ONCE) + &limits(bounds) + &split("v1 = 100");
    Site::new().server("expose = \"decision\"").service("api", &text).start()
}

fn ask(client: &mut Http1, fields: &str) {
    client.send(format!("GET /chat HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n"));
}

/// A client whose connection was switched.
fn switched(watershed: &Watershed) -> Http1 {
    let mut client = watershed.http1();
    ask(&mut client, UPGRADE);
    let head = client.head();
    assert_eq!((head.status, head.header("upgrade")), (101, Some("websocket")), "{head:?}");
    assert!(head.header("connection").unwrap().eq_ignore_ascii_case("upgrade"), "{head:?}");
    assert_eq!(head.header("watershed-version"), Some("v1"));
    client
}

#[track_caller]
fn assert_echoes(client: &mut Http1, bytes: &[u8]) {
    client.send(bytes);
    let mut back = Vec::new();
    assert_eq!(client.read_up_to(bytes.len(), &mut back), bytes.len());
    assert!(back == bytes);
}

#[test]
fn both_sides_are_bytes_after_an_upgrade() {
    let target = Upstream::http1(Script::upgrade());
    let watershed = serve(target.address(), "request-body = \"1KiB\"");
    let mut client = switched(&watershed);
    for _ in 0..3 {
        assert_echoes(&mut client, b"GET / HTTP/1.1\r\n\r\n\0\x81\xff");
    }
    // More than a request's body may have.
    assert_echoes(&mut client, &vec![b'x'; 100_000]);
    let seen = target.arrived().last().unwrap();
    assert_eq!((seen.field("upgrade"), seen.target.as_str()), (Some("websocket"), "/chat"));
    assert_eq!(seen.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(seen.field("content-length"), None);
    watershed.await_metric("watershed_in_flight", &[], 1.0);
    client.end_writing();
    client.assert_closed();
    watershed.await_outcomes("1xx", 1);
    watershed.await_metric("watershed_in_flight", &[], 0.0);
    eventually("the end of the target's connection", || target.arrived().open() == 0);
}

/// What comes with the request, or with the head, belongs to the new protocol.
#[test]
fn early_bytes_are_not_lost() {
    let head = "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello";
    let target = Upstream::http1(Script::new().read_head().send(head).then(Step::EchoBytes));
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    ask(&mut client, &format!("{UPGRADE}\r\nearly"));
    assert_eq!(client.head().status, 101);
    let mut back = Vec::new();
    // The two extra bytes end the head of the request above.
    assert_eq!(client.read_up_to(12, &mut back), 12);
    assert_eq!(String::from_utf8_lossy(&back), "helloearly\r\n");
}

#[test]
fn a_target_that_refuses_answers_as_usual() {
    let target = Upstream::http1(Script::status(403, "no"));
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    for _ in 0..2 {
        ask(&mut client, UPGRADE);
        let response = client.response("GET");
        assert_eq!((response.status, response.text().as_str()), (403, "no"));
    }
    assert_eq!(client.get(HOST, "/").status, 403, "the connection goes on");
}

/// They would carry requests past the decisions that are made here.
#[test]
fn versions_of_http_are_not_switched_to() {
    let target = Upstream::http1(Script::echo());
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    ask(
        &mut client,
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n",
    );
    assert_eq!(client.response("GET").status, 200);
    assert_eq!(target.arrived().last().unwrap().field("upgrade"), None);
}

#[test]
fn a_component_sees_an_ordinary_request() {
    let watershed = Site::new().service("lab", &lab("v1")).start();
    let mut client = watershed.http1();
    client.send(format!("GET /count HTTP/1.1\r\nhost: lab.localhost\r\n{UPGRADE}\r\n"));
    assert_eq!(client.response("GET").text(), "1\n");
    assert_eq!(client.get("lab.localhost", "/count").text(), "1\n");
}

/// Silence ends both sides, and is nobody's failure. Bytes of either side count.
#[test]
fn a_silent_connection_ends_after_the_idle_time() {
    let target = Upstream::http1(Script::upgrade());
    let watershed = serve(target.address(), "wall-time = \"300ms\"\nidle-time = \"1s\"");
    let mut client = switched(&watershed);
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2_500) {
        assert_echoes(&mut client, b"ping");
        std::thread::sleep(Duration::from_millis(400));
    }
    client.assert_closed();
    watershed.await_outcomes("1xx", 1);
    eventually("the end of the target's connection", || target.arrived().open() == 0);
}

#[test]
fn a_target_that_breaks_off_breaks_the_client() {
    let head = "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let pause = Duration::from_millis(100);
    let target = Upstream::http1(Script::new().read_head().send(head).pause(pause).reset());
    let watershed = serve(target.address(), "");
    switched(&watershed).assert_closed();
    watershed.await_outcomes("upstream-reset", 1);
}

/// A target that says a last word and closes its direction, and then what it read up to the end of the client's.
fn half_closing() -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let answer =
            "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nbye";
        socket.write_all(answer.as_bytes()).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        socket.read_to_string(&mut rest).unwrap();
        rest
    });
    (address, serving)
}

#[test]
fn a_client_goes_on_after_its_target_has_closed_its_direction() {
    let (target, serving) = half_closing();
    let watershed = serve(target, "");
    let mut client = switched(&watershed);
    assert_eq!(client.everything(), "bye");
    for part in ["still ", "here"] {
        client.send(part);
        thread::sleep(Duration::from_millis(50));
    }
    watershed.await_metric("watershed_in_flight", &[], 1.0);
    client.end_writing();
    assert_eq!(serving.join().unwrap(), "still here");
    watershed.await_outcomes("1xx", 1);
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

#[test]
fn a_stream_goes_on_after_its_target_has_closed_its_direction() {
    let (target, serving) = half_closing();
    let watershed = serve(target, "");
    let client = watershed.http2();
    assert_eq!(client.get("nobody.localhost", "/").status, 404);
    let exchange = client.open(connect("websocket"), true);
    let mut upload = exchange.upload;
    let mut body = client.wait(exchange.response).unwrap().into_body();
    assert_eq!(client.wait(body.data()).unwrap().unwrap(), "bye");
    while let Some(data) = client.wait(body.data()) {
        assert!(data.unwrap().is_empty(), "nothing more was sent");
    }
    upload.send_data(Bytes::from("still here"), true).unwrap();
    assert_eq!(serving.join().unwrap(), "still here");
    watershed.await_outcomes("1xx", 1);
}

/// A client that forgets to close its own direction does not keep the other half for ever.
#[test]
fn what_is_left_of_a_connection_ends_when_nothing_passes() {
    let (target, serving) = half_closing();
    let watershed = serve(target, "wall-time = \"500ms\"\nidle-time = \"none\"");
    let mut client = switched(&watershed);
    assert_eq!(client.everything(), "bye");
    assert_eq!(serving.join().unwrap(), "");
    watershed.await_outcomes("1xx", 1);
}

fn connect(protocol: &'static str) -> Request<()> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://{HOST}/chat"))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
    request
}

#[test]
fn an_extended_connect_is_an_upgrade_for_the_target() {
    let target = Upstream::http1(Script::upgrade());
    let watershed = serve(target.address(), "");
    let client = watershed.http2();
    // The settings, which allow it, come before any answer.
    assert_eq!(client.get("nobody.localhost", "/").status, 404);
    let exchange = client.open(connect("websocket"), true);
    let mut upload = exchange.upload;
    let response = client.wait(exchange.response).unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    assert!(!response.headers().contains_key("upgrade"));
    let mut body = response.into_body();
    for text in ["one", "two"] {
        upload.send_data(Bytes::from(text), false).unwrap();
        let data = client.wait(body.data()).unwrap().unwrap();
        assert_eq!(data, text.as_bytes());
    }
    let seen = target.arrived().last().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/chat"));
    assert_eq!((seen.field("upgrade"), seen.field("host")), (Some("websocket"), Some(HOST)));
    assert_eq!(seen.field("sec-websocket-key").map(str::len), Some(24));
    upload.send_data(Bytes::new(), true).unwrap();
    while let Some(data) = client.wait(body.data()) {
        assert!(data.unwrap().is_empty(), "nothing more was sent");
    }
    watershed.await_outcomes("1xx", 1);
}

/// A success would tell the client that its protocol is spoken.
#[test]
fn an_extended_connect_that_leads_nowhere_is_refused() {
    let target = Upstream::http1(Script::text("a page"));
    let watershed = serve(target.address(), "");
    let client = watershed.http2();
    assert_eq!(client.get("nobody.localhost", "/").status, 404);
    let exchange = client.open(connect("websocket"), true);
    let response = client.response(exchange.response).unwrap();
    assert_eq!(response.status, 405);
    let plain =
        Request::builder().method(Method::CONNECT).uri("api.localhost:80").body(()).unwrap();
    let exchange = client.open(plain, true);
    assert_eq!(client.response(exchange.response).unwrap().status, 405);
}

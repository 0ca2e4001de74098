//! The upstreams of the tests do what their scripts say, and count what arrives.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Script2, Step, Upstream, refusing, silent};

use crate::support::{Http1, Http2, eventually, request};

#[test]
fn an_echo_sends_back_the_head_the_body_and_the_trailers() {
    let upstream = Upstream::http1(Script::echo());
    let mut client = Http1::connect(upstream.address());
    let response = client.ask("PUT", "a.test", "/x?y", &["x-a: 1"], b"hello");
    assert_eq!((response.text().as_str(), response.header("echo-x-a")), ("hello", Some("1")));
    client.send("POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n");
    let response = client.response("POST");
    assert_eq!(response.text(), "abcde");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "5".to_owned())]);
    let all = upstream.arrived().all();
    assert!(all.iter().all(|request| request.is_complete && request.length == 5), "{all:?}");
    assert_eq!((all.len(), upstream.arrived().connections()), (2, 1));
    client.close();
    eventually("the end of the connection", || upstream.arrived().open() == 0);
}

#[test]
fn scripts_are_chosen_for_each_visit() {
    let upstream = Upstream::scripted(|visit| match (visit.connection, visit.request) {
        (0, 0) => Script::text("first"),
        (0, _) => Script::new(),
        _ => Script::new().reset(),
    });
    let mut client = Http1::connect(upstream.address());
    assert_eq!(client.get("a.test", "/").text(), "first");
    client.assert_closed();
    // The reset may come before the connection is known to be there.
    match TcpStream::connect(upstream.address()) {
        Ok(mut stream) => assert!(stream.read(&mut [0]).is_err()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(upstream.arrived().requests(), 1);
}

#[test]
fn what_breaks_the_rules_is_noted() {
    let upstream = Upstream::http1(Script::echo());
    let mut client = Http1::connect(upstream.address());
    client.send("POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n");
    client.assert_closed();
    assert_eq!(upstream.arrived().broken(), ["a length and an encoding"]);
}

#[test]
fn a_stopped_upstream_returns_to_its_address() {
    let first = Upstream::http1(Script::text("first").then(Step::Close));
    assert_eq!(Http1::connect(first.address()).get("a.test", "/").text(), "first");
    let address = first.stop();
    std::net::TcpStream::connect(address).unwrap_err();
    let second = Upstream::scripted_on(address, |_| Script::text("second")).unwrap();
    assert_eq!(Http1::connect(second.address()).get("a.test", "/").text(), "second");
}

#[test]
fn addresses_without_an_upstream_refuse_or_say_nothing() {
    let (address, _kept) = refusing();
    let error = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let (address, _kept) = silent();
    let began = Instant::now();
    let patience = Duration::from_millis(300);
    let error = std::net::TcpStream::connect_timeout(&address, patience).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(began.elapsed() >= patience);
}

#[test]
fn an_echo_over_http2_sends_back_the_body_and_the_trailers() {
    let upstream = Upstream::http2_echo();
    let client = Http2::connect(upstream.address());
    assert_eq!(client.get("a.test", "/x").header("echo-method"), Some("GET"));
    let mut exchange = client.open(request("POST", "a.test", "/x"), true);
    let body = vec![b'x'; 1 << 20];
    exchange.upload.send_data(body.clone().into(), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "5".parse().unwrap());
    exchange.upload.send_trailers(trailers).unwrap();
    let response = client.response(exchange.response).unwrap();
    assert!(response.body == body && response.complete);
    assert_eq!(response.trailers, [("x-sum".to_owned(), "5".to_owned())]);
}

#[test]
fn an_upstream_of_http2_follows_its_script() {
    let upstream = Upstream::http2(|connection| match connection {
        0 => Script2::new().read_request().head_only(200, &[("grpc-status", "5")]).serve("more"),
        1 => Script2::new().read_request().reset_stream(7).go_away(0).close(),
        _ => Script2::new().read_request().head(200, &[]).data("hal").reset_stream(2).hang(),
    });
    let client = Http2::connect(upstream.address());
    assert_eq!(client.get("a.test", "/").header("grpc-status"), Some("5"));
    assert_eq!(client.get("a.test", "/").text(), "more");
    let client = Http2::connect(upstream.address());
    let exchange = client.open(request("GET", "a.test", "/"), false);
    let error = client.response(exchange.response).unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM));
    let client = Http2::connect(upstream.address());
    let exchange = client.open(request("GET", "a.test", "/"), false);
    let (response, reason) = client.broken(exchange.response);
    assert_eq!((response.text().as_str(), reason), ("hal", Some(h2::Reason::INTERNAL_ERROR)));
    assert_eq!(upstream.arrived().requests(), 4);
}

//! Cleartext HTTP/2, on the same port as HTTP/1.1.

use http::HeaderMap;

use crate::support::{Http2, LAB, Response, request, serve_lab};

#[test]
fn both_protocols_share_a_port() {
    let watershed = serve_lab();
    let (http1, http2) = (watershed.http1(), watershed.http2());
    for mut client in [http1, watershed.http1()] {
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
    }
    let response = http2.get(LAB, "/count");
    assert_eq!(response.text(), "1\n");
    assert_eq!(response.header("watershed-version"), Some("v1"));
    assert_eq!(response.header("connection"), None, "RFC 9113, section 8.2.2");
}

#[test]
fn streams_run_side_by_side() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let slow = client.open(request("GET", LAB, "/sleep?ms=1000"), false);
    let many: Vec<_> =
        (0..20).map(|_| client.open(request("GET", LAB, "/big?mib=1"), false)).collect();
    // All at once: what nobody reads takes the connection's window from the others.
    for response in client.responses(many.into_iter().map(|exchange| exchange.response)) {
        assert_eq!((response.status, response.complete), (200, true));
        assert_eq!(response.body.len(), 1 << 20);
    }
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
    assert_eq!(client.response(slow.response).unwrap().text(), "slept 1000 ms\n");
    watershed.await_outcomes("2xx", 22);
}

#[test]
fn bodies_pass_both_ways() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let body = vec![b'x'; 40_000];
    let mut exchange = client.open(request("POST", LAB, "/echo"), true);
    exchange.upload.send_data(body.clone().into(), true).unwrap();
    let response = client.response(exchange.response).unwrap();
    assert_eq!((response.status, response.complete), (200, true));
    assert!(response.body == body, "the echo differs");
}

#[test]
fn trailers_of_a_request_do_no_harm() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let mut exchange = client.open(request("POST", LAB, "/echo"), true);
    exchange.upload.send_data("hello".into(), false).unwrap();
    exchange.upload.send_trailers(trailers).unwrap();
    let response = client.response(exchange.response).unwrap();
    // Pingora 0.9 does not hand them on, as the README says.
    assert_eq!((response.text().as_str(), response.complete), ("hello", true));
    assert_eq!(response.trailers, []);
}

#[test]
fn trailers_of_a_response_pass() {
    let watershed = serve_lab();
    let response = watershed.http2().get(LAB, "/trailers");
    assert_eq!(response.text(), "see the trailers\n");
    assert_eq!(response.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
}

#[test]
fn responses_without_a_body_end_their_stream() {
    let watershed = serve_lab();
    let client = watershed.http2();
    for (method, path, status) in [
        ("HEAD", "/count", 200),
        ("HEAD", "/big?mib=1", 200),
        ("HEAD", "/trailers", 200),
        ("GET", "/status?code=204", 204),
        ("GET", "/status?code=304", 304),
    ] {
        let response = ask(&client, method, path);
        assert_eq!((response.status, response.complete), (status, true), "{method} {path}");
        assert_eq!(response.text(), "", "{method} {path}");
    }
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

fn ask(client: &Http2, method: &str, path: &str) -> Response {
    let exchange = client.open(request(method, LAB, path), false);
    client.response(exchange.response).unwrap()
}

/// Flow control lets 64 KiB through before anybody must read.
#[test]
fn a_stream_that_nobody_reads_does_not_stop_the_others() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let unread = client.open(request("GET", LAB, "/big?mib=1"), false);
    let response = client.wait(unread.response).unwrap();
    let other = watershed.http2();
    for _ in 0..50 {
        assert_eq!(other.get(LAB, "/count").text(), "1\n");
    }
    drop(response);
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

//! Cleartext HTTP/2, on the same port as HTTP/1.1.

use http::HeaderMap;

use crate::support::{Http2, LAB, Response, assert_problem, in_both_worlds, request, serve_lab};

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
    // All at once: a body that nothing reads takes the connection's window from the others.
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
fn trailers_of_a_request_pass() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let mut exchange = client.open(request("POST", LAB, "/echo"), true);
    exchange.upload.send_data("hello".into(), false).unwrap();
    exchange.upload.send_trailers(trailers).unwrap();
    let response = client.response(exchange.response).unwrap();
    assert_eq!((response.text().as_str(), response.complete), ("hello", true));
    assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
}

#[test]
fn trailers_of_a_response_pass() {
    in_both_worlds("", |watershed| {
        let response = watershed.http2().get(LAB, "/trailers");
        assert_eq!(response.text(), "see the trailers\n");
        assert_eq!(response.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
    });
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

/// Flow control lets 64 KiB through before the other side must read.
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

/// A cleartext connection decides the scheme itself.
#[test]
fn the_scheme_is_the_connections() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let uri = format!("https://{LAB}/headers");
    let request = http::Request::get(uri).body(()).unwrap();
    let response = client.response(client.open(request, false).response).unwrap();
    assert_eq!(response.reported("scheme").as_deref(), Some("http"), "{}", response.text());
    assert_eq!(response.reported("x-forwarded-proto").as_deref(), Some("http"));
}

/// RFC 9113, section 8.2.3.
#[test]
fn pieces_of_cookies_reach_the_guest_as_one_field() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let mut request = request("GET", LAB, "/headers");
    for piece in ["a=1", "b=2", "c=3"] {
        request.headers_mut().append("cookie", piece.parse().unwrap());
    }
    let response = client.response(client.open(request, false).response).unwrap();
    let text = response.text();
    let cookies: Vec<_> = text.lines().filter(|line| line.starts_with("cookie")).collect();
    assert_eq!(cookies, ["cookie: a=1; b=2; c=3"]);
}

#[test]
fn a_client_that_waits_for_a_word_gets_it() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let mut expecting = request("POST", LAB, "/read");
    expecting.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let mut exchange = client.open(expecting.clone(), true);
    let informed =
        client.wait(std::future::poll_fn(|context| exchange.response.poll_informational(context)));
    assert_eq!(informed.unwrap().unwrap().status(), 100);
    exchange.upload.send_data("hello".into(), true).unwrap();
    assert_eq!(client.response(exchange.response).unwrap().text(), "read 5 bytes\n");
    // A guest that does not want the body answers at once.
    *expecting.uri_mut() = format!("http://{LAB}/count").parse().unwrap();
    let exchange = client.open(expecting, true);
    assert_eq!(client.response(exchange.response).unwrap().text(), "1\n");
}

#[test]
fn what_names_two_hosts_or_none_is_refused() {
    let watershed = serve_lab();
    let client = watershed.http2();
    for host in ["other.localhost", "user@lab.localhost", ""] {
        let mut request = request("GET", LAB, "/count");
        request.headers_mut().insert("host", host.parse().unwrap());
        let response = client.response(client.open(request, false).response).unwrap();
        assert_problem(&response, 400, "bad-request");
    }
    let mut same = request("GET", LAB, "/count");
    same.headers_mut().insert("host", "LAB.localhost".parse().unwrap());
    assert_eq!(client.response(client.open(same, false).response).unwrap().status, 200);
    watershed.await_outcomes("bad-request", 3);
}

/// Fields that HTTP/2 forbids used to reset the stream, and counted as if the client had left.
#[test]
fn a_guest_that_writes_what_http2_forbids_has_it_dropped() {
    in_both_worlds("", |watershed| {
        let client = watershed.http2();
        for path in ["/te", "/forbidden"] {
            assert_forbidden_are_dropped(&client.get(LAB, path), path);
        }
        watershed.await_outcomes("2xx", 2);
    });
    assert_forbidden_are_dropped(&serve_lab().http2().get(LAB, "/hop"), "/hop");
}

#[track_caller]
fn assert_forbidden_are_dropped(response: &Response, path: &str) {
    assert_eq!((response.status, response.complete), (200, true), "{path}");
    for name in ["te", "connection", "keep-alive", "transfer-encoding", "upgrade"] {
        assert_eq!(response.header(name), None, "{path}");
    }
    assert!(response.header("x-kept").is_some(), "{path}: {response:?}");
}

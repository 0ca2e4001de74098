//! HTTP/1 on the wire: bodiless responses, trailers, pipelining, `100-continue` and HTTP/1.0.

use crate::support::{
    LAB, Response, Site, Watershed, assert_problem, greeter, in_both_worlds, serve_lab,
};

#[test]
fn responses_without_a_body_leave_the_connection_usable() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    for (method, path, status) in [
        ("HEAD", "/count", 200),
        ("HEAD", "/big?mib=1", 200),
        ("HEAD", "/trailers", 200),
        ("GET", "/status?code=204", 204),
        ("GET", "/status?code=304", 304),
        ("GET", "/status?code=205", 205),
    ] {
        let response = client.ask(method, LAB, path, &[], b"");
        assert_eq!((response.status, response.complete), (status, true), "{method} {path}");
        assert_eq!(response.text(), "", "{method} {path}");
        if status == 204 {
            // RFC 9110, section 8.6, and RFC 9112, section 6.1.
            assert_eq!(response.header("content-length"), None);
            assert_eq!(response.header("transfer-encoding"), None);
        }
        assert_eq!(client.get(LAB, "/count").text(), "1\n", "after {method} {path}");
    }
    watershed.await_outcomes("3xx", 1);
}

#[test]
fn a_head_says_how_long_the_body_would_be() {
    let watershed = serve_lab();
    let response = watershed.http1().ask("HEAD", LAB, "/count", &[], b"");
    assert_eq!(response.header("content-length"), Some("2"));
}

#[test]
fn every_status_passes() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    for status in [200, 201, 299, 301, 400, 418, 500, 503, 599] {
        let response = client.get(LAB, &format!("/status?code={status}"));
        assert_eq!((response.status, response.complete), (status, true));
        assert_eq!(response.header("watershed-error"), None, "the guest's own {status}");
    }
    watershed.await_outcomes("5xx", 3);
}

#[test]
fn trailers_follow_the_last_chunk() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!("GET /trailers HTTP/1.1\r\nhost: {LAB}\r\nconnection: close\r\n\r\n"));
    let raw = client.everything();
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\ntrailer: x-checksum"), "{head}");
    assert_eq!(body, "11\r\nsee the trailers\n\r\n0\r\nx-checksum: 42\r\n\r\n");
}

#[test]
fn a_connection_is_usable_after_trailers() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    for _ in 0..2 {
        let response = client.get(LAB, "/trailers");
        assert_eq!(response.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
    }
}

#[test]
fn the_trailers_of_a_request_pass() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!(
        "POST /echo HTTP/1.1\r\nhost: {LAB}\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n"
    ));
    client.send("2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
    let response = client.response("POST");
    assert_eq!(response.text(), "hi");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

#[test]
fn a_client_that_waits_for_100_continue_is_told() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!(
        "POST /read HTTP/1.1\r\nhost: {LAB}\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
    ));
    assert_eq!(client.head().status, 100);
    client.send("12345");
    assert_eq!(client.response("POST").text(), "read 5 bytes\n");
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

#[test]
fn a_client_that_waits_for_100_continue_is_refused_at_once() {
    let watershed = serve_lab();
    for (host, length, status) in [(LAB, 1_u64 << 40, 413), ("nobody.localhost", 5, 404)] {
        let mut client = watershed.http1();
        client.send(format!(
            "POST /read HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        ));
        assert_eq!(client.response("POST").status, status);
        client.assert_closed();
    }
}

#[test]
fn http1_0_ends_with_its_connection() {
    let watershed = serve_lab();
    for path in ["/count", "/slow-body?chunks=2&ms=10", "/trailers", "/big?mib=1"] {
        let mut client = watershed.http1();
        client.send(format!("GET {path} HTTP/1.0\r\nhost: {LAB}\r\n\r\n"));
        let response = client.response("GET");
        assert_eq!((response.status, response.complete), (200, true), "{path}");
        assert_eq!(response.header("transfer-encoding"), None, "{path}");
        assert!(!response.body.is_empty(), "{path}");
        client.assert_closed();
    }
}

#[test]
fn http1_0_keeps_a_connection_if_asked() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    for _ in 0..2 {
        client
            .send(format!("GET /count HTTP/1.0\r\nhost: {LAB}\r\nconnection: keep-alive\r\n\r\n"));
        assert_eq!(client.response("GET").text(), "1\n");
    }
}

#[test]
fn a_client_that_wants_its_connection_closed_gets_that() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    let response = client.ask("GET", LAB, "/count", &["connection: close"], b"");
    assert_eq!((response.status, response.complete), (200, true));
    client.assert_closed();
}

/// Sends all requests in one write, and reads as many responses.
fn pipelined(watershed: &Watershed, requests: &[String]) -> Vec<Response> {
    let mut client = watershed.http1();
    client.send(requests.concat());
    let responses = requests.iter().map(|_| client.response("GET")).collect();
    assert_eq!(client.get(LAB, "/count").text(), "1\n", "afterwards");
    responses
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let watershed = serve_lab();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\n\r\n");
    let requests =
        [get("/sleep?ms=200"), get("/status?code=201"), get("/slow-body?chunks=2&ms=10")];
    let responses = pipelined(&watershed, &requests);
    let texts: Vec<_> = responses.iter().map(Response::text).collect();
    assert_eq!(texts, ["slept 200 ms\n", "status 201\n", "chunk 1 of 2\nchunk 2 of 2\n"]);
}

#[test]
fn a_pipelined_request_follows_a_body() {
    let watershed = serve_lab();
    let get = format!("GET /status?code=201 HTTP/1.1\r\nhost: {LAB}\r\n\r\n");
    let framed = |path: &str, framing: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: {LAB}\r\n{framing}\r\n\r\n{body}")
    };
    let chunked = "transfer-encoding: chunked";
    for (post, echoed) in [
        (framed("/echo", "content-length: 5", "hello"), "hello"),
        (framed("/echo", chunked, "5\r\nhello\r\n0\r\n\r\n"), "hello"),
        (framed("/read", "content-length: 5", "hello"), "read 5 bytes\n"),
        (framed("/count", "content-length: 5", "hello"), "1\n"),
        (framed("/count", chunked, "5\r\nhello\r\n0\r\n\r\n"), "1\n"),
    ] {
        let responses = pipelined(&watershed, &[post.clone(), get.clone()]);
        assert_eq!(responses[0].text(), echoed, "{post}");
        assert_eq!(responses[1].status, 201, "after {post}");
    }
}

#[test]
fn a_pipelined_request_follows_a_failure() {
    let watershed = serve_lab();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\n\r\n");
    let responses = pipelined(&watershed, &[get("/trap"), get("/never"), get("/count")]);
    let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [500, 502, 200]);
}

#[test]
fn a_request_may_come_in_pieces() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    for byte in format!("GET /count HTTP/1.1\r\nhost: {LAB}\r\n\r\n").bytes() {
        client.send([byte]);
    }
    assert_eq!(client.response("GET").text(), "1\n");
}

/// The first bytes of both are those of an HTTP/2 connection.
#[test]
fn a_method_that_begins_like_http2_is_http1() {
    let watershed = Site::new().service("greeter", &greeter("v1")).start();
    for method in ["P", "PRI", "PR"] {
        let mut client = watershed.http1();
        client.send(format!("{method} / HTTP/1.1\r\nhost: greeter.localhost\r\n\r\n"));
        assert_eq!(client.response("GET").text(), "Hello from v1!\n", "{method}");
    }
}

#[test]
fn what_is_not_http_is_refused() {
    let watershed = serve_lab();
    for sent in
        ["nonsense\r\n\r\n", "GET /count HTTP/1.1\r\nbad header\r\n\r\n", "\0\0\0\0\r\n\r\n"]
    {
        let mut client = watershed.http1();
        client.send(sent);
        let answer = client.everything();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{sent:?}: {answer}");
        watershed.assert_serves(LAB, "/count");
    }
}

/// RFC 9112, sections 3.2 and 7.1. A tunnel would lead to a place that nobody has allowed.
#[test]
fn connect_is_refused() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!("CONNECT {LAB}:443 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    assert!(client.everything().starts_with("HTTP/1.1 405"));
    assert_eq!(watershed.get(LAB, "/count").text(), "1\n");
}

#[test]
fn a_request_without_a_host_or_with_a_malformed_body_is_refused() {
    let watershed = serve_lab();
    for request in [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost:\r\n\r\n".to_owned(),
        format!("POST /read HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    ] {
        let mut client = watershed.http1();
        client.send(&request);
        assert_problem(&client.response("GET"), 400, "bad-request");
        client.assert_closed();
    }
    watershed.assert_serves(LAB, "/count");
    watershed.await_outcomes("bad-request", 3);
}

/// If a client could have its `host` removed, the version would fail and be blamed.
#[test]
fn a_connection_header_that_names_the_host_does_no_harm() {
    let watershed = serve_lab();
    let response = watershed.http1().ask("GET", LAB, "/headers", &["connection: host"], b"");
    assert_eq!(response.reported("authority").as_deref(), Some(LAB), "{response:?}");
}

/// A body that ends with its connection cannot be followed by another response.
#[test]
fn http1_0_is_told_when_the_connection_ends_with_the_body() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!(
        "GET /slow-body?ms=10 HTTP/1.0\r\nhost: {LAB}\r\nconnection: keep-alive\r\n\r\n"
    ));
    let response = client.response("GET");
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    client.assert_closed();
}

/// Not all of the body is read, and the client gets to see why.
#[test]
fn a_body_that_is_declared_far_too_large_ends_its_connection() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!(
        "POST /read HTTP/1.1\r\nhost: {LAB}\r\ncontent-length: 100000000000\r\n\r\n"
    ));
    let response = client.response("POST");
    assert_problem(&response, 413, "request-body");
    assert_eq!(response.header("connection"), Some("close"));
    client.assert_closed();
}

/// Each request was served. A client and a server that disagree about where a request ends see two.
#[test]
fn what_leaves_the_end_of_a_request_open_is_refused() {
    let watershed = serve_lab();
    let behind = format!("GET /count HTTP/1.1\r\nhost: {LAB}\r\n\r\n");
    for (fields, status, code) in [
        ("transfer-encoding: gzip, chunked", 501, "transfer-coding"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", 400, "bad-request"),
        ("transfer-encoding: chunked, chunked", 400, "bad-request"),
        ("transfer-encoding: gzip", 400, "bad-request"),
        ("transfer-encoding : chunked", 400, "bad-request"),
        ("content-length: 5\r\ntransfer-encoding: chunked", 400, "bad-request"),
        ("content-length: 5, 5", 400, "bad-request"),
        ("content-length: 5\r\ncontent-length: 5", 400, "bad-request"),
        ("content-length: +5", 400, "bad-request"),
        ("x-a: 1\r\n folded", 400, "bad-request"),
        ("x-a: 1\n\r\ncontent-length: 5", 400, "bad-request"),
        ("x-a: \0", 400, "bad-request"),
    ] {
        let mut client = watershed.http1();
        let head = format!("POST /read HTTP/1.1\r\nhost: {LAB}\r\n{fields}\r\n\r\n");
        client.send(format!("{head}0\r\n\r\n{behind}"));
        assert_problem(&client.response("POST"), status, code);
        client.assert_closed();
    }
    watershed.await_outcomes("bad-request", 11);
    watershed.await_outcomes("transfer-coding", 1);
}

#[test]
fn a_body_in_chunks_is_exactly_that() {
    let watershed = serve_lab();
    for body in [
        "5\r\nhello\r\n\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = watershed.http1();
        client.send(format!(
            "POST /read HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n{body}"
        ));
        let response = client.response("POST");
        assert_problem(&response, 400, "bad-request");
        client.assert_closed();
    }
    watershed.await_outcomes("bad-request", 6);
}

#[test]
fn a_target_is_visible_characters() {
    let watershed = serve_lab();
    for target in ["/a b", "/a\0b", "/a\tb", "/a\x7fb", "a", "", "*"] {
        let mut client = watershed.http1();
        client.send(format!("GET {target} HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        assert_problem(&client.response("GET"), 400, "bad-request");
        client.assert_closed();
    }
}

/// RFC 9112, section 3.2.2.
#[test]
fn a_target_in_absolute_form_says_whom_it_is_for() {
    let watershed = serve_lab();
    for (target, version, host) in [
        ("http://LAB.localhost/headers", "1.1", "host: lab.localhost\r\n"),
        ("http://lab.localhost:80/headers", "1.1", "host: lab.localhost\r\n"),
        ("http://lab.localhost/headers", "1.1", "host: LAB.localhost:80\r\n"),
        ("HTTP://lab.localhost/headers", "1.0", ""),
    ] {
        let mut client = watershed.http1();
        client.send(format!("GET {target} HTTP/{version}\r\n{host}\r\n"));
        let response = client.response("GET");
        assert_eq!(response.status, 200, "{target}");
        assert_eq!(response.reported("path-with-query").as_deref(), Some("/headers"), "{target}");
        let authority = response.reported("authority").unwrap();
        assert!(target.contains(&authority), "{target}: {authority}");
    }
    let mut client = watershed.http1();
    client.send("GET http://other.localhost/ HTTP/1.1\r\nhost: lab.localhost\r\n\r\n");
    assert_problem(&client.response("GET"), 400, "bad-request");
}

/// RFC 9110, section 10.1.1.
#[test]
fn a_client_hears_100_when_its_body_is_wanted_and_only_then() {
    let watershed = serve_lab();
    let ask = |version: &str, path: &str, body: &str| {
        let mut client = watershed.http1();
        client.send(format!(
            "POST {path} HTTP/{version}\r\nhost: {LAB}\r\nconnection: close\r\n\
             expect: 100-Continue\r\ncontent-length: 5\r\n\r\n{body}"
        ));
        client
    };
    let mut client = ask("1.1", "/read", "");
    assert_eq!(client.head().status, 100);
    client.send("hello");
    assert_eq!(client.response("POST").text(), "read 5 bytes\n");
    // The client need not send the body then, so the next bytes could be a body or a request.
    let mut client = watershed.http1();
    client.send(format!(
        "POST /count HTTP/1.1\r\nhost: {LAB}\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
    ));
    let not_wanted = client.response("POST");
    assert_eq!((not_wanted.status, not_wanted.text().as_str()), (200, "1\n"));
    assert_eq!(not_wanted.header("connection"), Some("close"));
    client.assert_closed();
    let old = ask("1.0", "/read", "hello").response("POST");
    assert_eq!((old.status, old.text().as_str()), (200, "read 5 bytes\n"));
}

/// Trailers used to be kept until a body looked like the end of one, even a body of another service.
#[test]
fn trailers_end_their_own_response_or_none() {
    in_both_worlds("", |watershed| {
        let mut client = watershed.http1();
        // The body declares its length, so there is no place for trailers.
        let response = client.get(LAB, "/length?is=16&trailers=1");
        assert_eq!((response.body.len(), response.trailers), (16, Vec::new()));
        let response = client.get(LAB, "/slow-body?chunks=2&ms=1");
        assert_eq!((response.complete, response.trailers), (true, Vec::new()));
        for path in ["/last-chunk?length=1&trailers=1", "/last-chunk?length=1", "/last-chunk"] {
            let response = client.get(LAB, path);
            assert_eq!(
                (response.complete, response.text().as_str()),
                (true, "0\r\n\r\n"),
                "{path}"
            );
            assert_eq!(response.trailers, Vec::new(), "{path}");
        }
        let response = client.get(LAB, "/odd-trailers");
        assert_eq!(response.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
        let response = client.get(LAB, "/last-chunk?trailers=1");
        assert_eq!(response.text(), "0\r\n\r\n");
        assert_eq!(response.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
        // This version of HTTP does not report it.
        let mut old = watershed.http1();
        old.send(format!("GET /trailers HTTP/1.0\r\nhost: {LAB}\r\n\r\n"));
        assert_eq!(old.response("GET").text(), "see the trailers\n");
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
    });
}

/// The next request may follow already.
#[test]
fn trailers_of_a_pipelined_request_reach_its_guest() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    let post = format!(
        "POST /echo HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"
    );
    client.send(post.repeat(2) + &format!("GET /count HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    for _ in 0..2 {
        let response = client.response("POST");
        assert_eq!(response.text(), "hello");
        assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    }
    assert_eq!(client.response("GET").text(), "1\n");
}

/// The promised bytes have reached the client: it must see nevertheless that something is wrong.
#[test]
fn a_guest_that_writes_more_than_it_promises_ends_visibly() {
    let watershed = serve_lab();
    for path in ["/length?is=8&parts=2", "/length?is=8&parts=2&ms=100"] {
        let mut client = watershed.http1();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        client.response("GET");
        client.assert_closed();
    }
    watershed.await_outcomes("bad-response", 2);
    watershed.log_line(&["bad-response", "content-length"]);
}

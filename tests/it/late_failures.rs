//! Failures after the head of a response: they must never look like a clean end.

use crate::support::{LAB, Site, Watershed, in_both_worlds, lab, lab_p3, limits, request};

const TIGHT: &str = r#"
cpu-time = "100ms"
wall-time = "1500ms"
request-body = "1KiB"
"#;

/// A guest's behaviour after `partial`, and how it is counted.
const LATE_FAILURES: [(&str, &str); 5] = [
    ("/late-trap?ms=50", "trap"),
    ("/late-drop?ms=50", "truncated"),
    ("/no-finish?ms=50", "truncated"),
    ("/loop-late", "cpu-time"),
    ("/hang-late", "wall-time"),
];

/// What only a guest of 0.3 can do after `partial`, and how it is counted.
const LATE_FAILURES_OF_P3: [(&str, &str); 1] = [("/leak", "wall-time")];

fn tight(version: &str) -> Watershed {
    Site::new().service("lab", &(version.to_owned() + &limits(TIGHT))).start()
}

/// Asserts that each of these failures was counted once.
fn assert_counted(watershed: &Watershed, failures: &[(&str, &str)]) {
    for (_, code) in failures {
        let count = failures.iter().map(|(_, other)| u32::from(other == code)).sum();
        watershed.await_outcomes(code, count);
    }
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

fn assert_connections_close(watershed: &Watershed, failures: &[(&str, &str)]) {
    for (path, _) in failures {
        let mut client = watershed.http1();
        let response = client.get(LAB, path);
        assert_eq!((response.status, response.text().as_str()), (200, "partial\n"), "{path}");
        assert!(!response.complete, "{path}: {response:?}");
        client.assert_closed();
        watershed.assert_serves(LAB, "/count");
    }
    assert_counted(watershed, failures);
}

#[test]
fn http1_closes_the_connection_before_the_body_is_complete() {
    in_both_worlds(TIGHT, |watershed| assert_connections_close(watershed, &LATE_FAILURES));
    assert_connections_close(&tight(&lab_p3("v1")), &LATE_FAILURES_OF_P3);
}

/// A body without a length ends with its connection: only a reset tells that it broke off.
#[test]
fn http1_0_resets_the_connection() {
    in_both_worlds(TIGHT, |watershed| {
        for path in ["/late-trap?ms=50", "/no-finish?ms=50", "/loop-late", "/hang-late"] {
            let mut client = watershed.http1();
            client.send(format!("GET {path} HTTP/1.0\r\nhost: {LAB}\r\n\r\n"));
            let response = client.response("GET");
            assert_eq!((response.status, response.complete), (200, false), "{path}: {response:?}");
            watershed.assert_serves(LAB, "/count");
        }
    });
}

fn assert_streams_are_reset(watershed: &Watershed, failures: &[(&str, &str)]) {
    let client = watershed.http2();
    for (path, _) in failures {
        let neighbour = client.open(request("GET", LAB, "/sleep?ms=300"), false);
        let exchange = client.open(request("GET", LAB, path), false);
        let (response, reason) = client.broken(exchange.response);
        assert_eq!((response.status, response.text().as_str()), (200, "partial\n"), "{path}");
        assert!(!response.complete && reason.is_some(), "{path}: {response:?} {reason:?}");
        let neighbour = client.response(neighbour.response).unwrap();
        assert_eq!(neighbour.text(), "slept 300 ms\n", "beside {path}");
        assert_eq!(client.get(LAB, "/count").text(), "1\n", "after {path}");
    }
    assert_counted(watershed, failures);
}

#[test]
fn http2_resets_the_stream_and_no_other() {
    in_both_worlds(TIGHT, |watershed| assert_streams_are_reset(watershed, &LATE_FAILURES));
    assert_streams_are_reset(&tight(&lab_p3("v1")), &LATE_FAILURES_OF_P3);
}

#[test]
fn a_request_body_over_the_limit_breaks_a_response_that_has_begun() {
    let watershed = tight(&lab("v1"));
    let mut client = watershed.http1();
    client
        .send(format!("POST /early HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n"));
    let mut response = client.head();
    assert!(client.chunk(&mut response));
    assert_eq!((response.status, response.text().as_str()), (200, "early\n"));
    client.send(format!("401\r\n{}\r\n", "x".repeat(1025)));
    while !response.complete && client.chunk(&mut response) {}
    assert!(!response.complete, "{response:?}");
    watershed.await_outcomes("request-body", 1);
    watershed.assert_serves(LAB, "/count");
}

#[test]
fn the_log_says_that_the_head_was_sent() {
    in_both_worlds(TIGHT, |watershed| {
        let id = ["x-request-id: late-1"];
        watershed.http1().ask("GET", LAB, "/late-trap?ms=50", &id, b"");
        watershed.log_line(&["late-1", "committed=true", "trap"]);
    });
}

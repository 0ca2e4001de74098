//! Failures before the head of a response: what the client is told, what is counted, and that the
//! next request is served.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    LAB, Site, Watershed, assert_problem, eventually, in_both_worlds, lab, limits, request,
};

/// Limits that are soon reached. The wall time leaves room to fill the memory and to use up the CPU time on a busy
/// machine.
const TIGHT: &str = r#"
memory = "32MiB"
cpu-time = "250ms"
wall-time = "3s"
request-body = "1KiB"
"#;

/// A guest's behaviour, and what its client gets.
const FAILURES: [(&str, u16, &str); 6] = [
    ("/trap", 500, "trap"),
    ("/error", 502, "no-response"),
    ("/exit", 502, "no-response"),
    ("/loop", 504, "cpu-time"),
    ("/hang", 504, "wall-time"),
    ("/hog", 500, "memory"),
];

fn tight_lab() -> Watershed {
    Site::new().service("lab", &(lab("v1") + &limits(TIGHT))).start()
}

/// What only a guest of 0.2 can do, and what its client gets.
const FAILURES_OF_P2: [(&str, u16, &str); 2] =
    [("/panic", 500, "trap"), ("/never", 502, "no-response")];

/// Asserts that each of these failures was counted once for each of two clients.
fn assert_counted(watershed: &Watershed, failures: &[(&str, u16, &str)]) {
    for (_, _, code) in failures {
        let count: u32 = failures.iter().map(|(.., other)| 2 * u32::from(other == code)).sum();
        let labels = [("service", "lab"), ("version", "v1"), ("outcome", *code)];
        watershed.await_metric("watershed_requests_total", &labels, count.into());
    }
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

fn assert_problems(watershed: &Watershed, failures: &[(&str, u16, &str)]) {
    let (mut http1, http2) = (watershed.http1(), watershed.http2());
    for (path, status, code) in failures {
        assert_problem(&http1.get(LAB, path), *status, code);
        let next = http1.get(LAB, "/count");
        assert_eq!((next.status, next.text().as_str()), (200, "1\n"), "after {path}");
        assert_problem(&http2.get(LAB, path), *status, code);
        assert_eq!(http2.get(LAB, "/count").text(), "1\n", "after {path}");
    }
    assert_counted(watershed, failures);
}

#[test]
fn a_guest_that_fails_is_a_problem_document_over_both_protocols() {
    in_both_worlds(TIGHT, |watershed| assert_problems(watershed, &FAILURES));
    assert_problems(&tight_lab(), &FAILURES_OF_P2);
}

#[test]
fn the_head_of_a_failure_has_no_body() {
    let watershed = tight_lab();
    let mut client = watershed.http1();
    let response = client.ask("HEAD", LAB, "/trap", &[], b"");
    assert_eq!(response.status, 500);
    assert_eq!(response.header("watershed-error"), Some("trap"));
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

#[test]
fn the_reason_of_a_failure_is_in_the_log() {
    in_both_worlds(TIGHT, |watershed| {
        let ask = |path, id| watershed.http1().ask("GET", LAB, path, &[id], b"");
        assert_problem(&ask("/trap", "x-request-id: id-1"), 500, "trap");
        watershed.log_line(&["id-1", "lab", "v1", "trap", "unreachable"]);
        assert_problem(&ask("/error", "x-request-id: id-2"), 502, "no-response");
        watershed.log_line(&["id-2", "no-response", "the lab was asked to fail"]);
    });
}

#[test]
fn a_guest_that_asks_first_lives_within_its_memory() {
    let watershed = tight_lab();
    let text = watershed.get(LAB, "/try-hog").text();
    let got: u32 = text.split(' ').nth(1).and_then(|got| got.parse().ok()).unwrap();
    assert!((16..32).contains(&got), "{text}");
    assert_eq!(watershed.get(LAB, "/hog?mib=8").text(), "holding 8 MiB\n");
}

/// The client's deadline proves that the guest is cut: the guest would wait for a day.
#[test]
fn a_guest_that_waits_is_cut_when_its_time_is_up_and_not_before() {
    in_both_worlds("wall-time = \"500ms\"", |watershed| {
        let mut client = watershed.http1();
        let started = Instant::now();
        assert_problem(&client.get(LAB, "/hang"), 504, "wall-time");
        assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    });
}

#[test]
fn a_request_beyond_the_concurrency_waits_its_queue_time_and_gets_503() {
    let lines = "concurrency = 1\nqueue-time = \"50ms\"";
    let watershed = Site::new().service("lab", &(lab("v1") + &limits(lines))).start();
    let mut busy = watershed.http1();
    busy.send(format!("GET /hang HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    watershed.await_metric("watershed_in_flight", &[("service", "lab")], 1.0);
    let started = Instant::now();
    let mut refused = watershed.http1();
    assert_problem(&refused.get(LAB, "/count"), 503, "overload");
    assert!(started.elapsed() >= Duration::from_millis(50), "{:?}", started.elapsed());
    watershed.await_outcomes("overload", 1);
    busy.reset();
    eventually("room", || refused.get(LAB, "/count").text() == "1\n");
}

#[test]
fn a_request_beyond_the_concurrency_is_served_if_there_is_room_in_time() {
    let lines = "concurrency = 1\nqueue-time = \"10s\"";
    let watershed = Site::new().service("lab", &(lab("v1") + &limits(lines))).start();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope
                .spawn(|| assert_eq!(watershed.get(LAB, "/sleep?ms=100").text(), "slept 100 ms\n"));
        }
    });
    watershed.await_outcomes("2xx", 4);
}

#[test]
fn a_declared_request_body_over_the_limit_is_refused() {
    in_both_worlds(TIGHT, |watershed| {
        let mut client = watershed.http1();
        let mut read = |length| client.ask("POST", LAB, "/read", &[], &vec![b'x'; length]);
        assert_eq!(read(1024).text(), "read 1024 bytes\n");
        assert_problem(&read(1025), 413, "request-body");
        watershed.await_outcomes("request-body", 1);
        watershed.assert_serves(LAB, "/count");
    });
}

#[test]
fn a_refused_request_body_is_not_taken_for_the_next_request() {
    let watershed = tight_lab();
    let mut client = watershed.http1();
    let smuggled = format!("GET /trap HTTP/1.1\r\nhost: {LAB}\r\n\r\n");
    let body = smuggled.repeat(1 + 1024 / smuggled.len());
    assert_problem(&client.ask("POST", LAB, "/read", &[], body.as_bytes()), 413, "request-body");
    // Whether the connection can be used again is the server's choice; `/trap` must not run.
    watershed.assert_serves(LAB, "/count");
    watershed.await_outcomes("2xx", 1);
    client.close();
    assert!(watershed.metric("watershed_requests_total", &[("outcome", "trap")]) < 0.5);
}

#[test]
fn a_chunked_request_body_over_the_limit_is_refused() {
    in_both_worlds(TIGHT, |watershed| {
        let mut client = watershed.http1();
        client.send(format!(
            "POST /read HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
        client.send(format!("400\r\n{}\r\n", "x".repeat(1024)));
        client.send("1\r\nx\r\n0\r\n\r\n");
        assert_problem(&client.response("POST"), 413, "request-body");
        watershed.await_outcomes("request-body", 1);
        watershed.assert_serves(LAB, "/count");
    });
}

#[test]
fn a_request_body_over_the_limit_is_refused_over_http2() {
    in_both_worlds(TIGHT, |watershed| {
        let client = watershed.http2();
        let mut exchange = client.open(request("POST", LAB, "/read"), true);
        exchange.upload.send_data(vec![b'x'; 1025].into(), true).unwrap();
        assert_problem(&client.response(exchange.response).unwrap(), 413, "request-body");
        watershed.await_outcomes("request-body", 1);
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
    });
}

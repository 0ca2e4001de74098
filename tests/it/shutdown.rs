//! The end of the process: requests in flight finish within the grace period, and nothing else delays it.
//!
//! Where nothing may use up the grace period, the period is six times as long as the test waits for the process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::support::{
    DEADLINE, Http1, LAB, Site, Watershed, assert_admin_problem, eventually, lab, request,
};

/// A grace period longer than any test.
const LONG: &str = "60s";

fn serve_lab(grace_period: &str) -> Watershed {
    let grace_period = format!("grace-period = \"{grace_period}\"");
    Site::new().server(&grace_period).service("lab", &lab("v1")).start()
}

/// A client whose request is in flight, and no other.
fn waiting(watershed: &Watershed, path: &str) -> Http1 {
    watershed.await_metric("watershed_in_flight", &[], 0.0);
    let mut client = watershed.http1();
    client.send(format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    watershed.await_metric("watershed_in_flight", &[], 1.0);
    client
}

#[test]
fn a_request_in_flight_completes_and_idle_connections_do_not_wait() {
    for signal in [SIGTERM, SIGINT] {
        let mut watershed = serve_lab(LONG);
        let mut idle = watershed.http1();
        assert_eq!(idle.get(LAB, "/count").text(), "1\n");
        let mut silent = watershed.http1();
        let mut busy = waiting(&watershed, "/sleep?ms=500");
        watershed.signal(signal);
        let response = busy.response("GET");
        assert_eq!((response.text().as_str(), response.complete), ("slept 500 ms\n", true));
        assert_eq!(watershed.wait(DEADLINE).code(), Some(0), "{signal}");
        idle.assert_closed();
        silent.assert_closed();
        busy.assert_closed();
    }
}

#[test]
fn a_process_without_requests_ends_at_once() {
    let mut watershed = serve_lab(LONG);
    watershed.signal(SIGTERM);
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
}

#[test]
fn no_connection_is_accepted_during_the_drain() {
    let mut watershed = serve_lab(LONG);
    let mut busy = waiting(&watershed, "/sleep?ms=3000");
    watershed.signal(SIGTERM);
    watershed.log_line(&["draining"]);
    let address = watershed.address();
    eventually("refused", || TcpStream::connect(address).is_err());
    assert!(!watershed.has_ended(), "a process that is gone refuses everybody");
    assert_eq!(busy.response("GET").text(), "slept 3000 ms\n");
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
}

#[test]
fn http2_streams_in_flight_complete() {
    let mut watershed = serve_lab(LONG);
    let idle = watershed.http2();
    assert_eq!(idle.get(LAB, "/count").text(), "1\n");
    let client = watershed.http2();
    let exchange = client.open(request("GET", LAB, "/sleep?ms=500"), false);
    watershed.await_metric("watershed_in_flight", &[], 1.0);
    watershed.signal(SIGTERM);
    assert_eq!(client.response(exchange.response).unwrap().text(), "slept 500 ms\n");
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
}

/// A client that answers no ping is never sent the last GOAWAY.
#[test]
fn an_http2_client_that_answers_nothing_does_not_use_up_the_grace_period() {
    let mut watershed = serve_lab(LONG);
    let mut client = TcpStream::connect(watershed.address()).unwrap();
    let path = "/sleep?ms=500";
    // `:method: GET`, `:scheme: http`, `:path` and `:authority`.
    let fields: Vec<u8> = [
        &[0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()],
        path.as_bytes(),
        &[0x01, u8::try_from(LAB.len()).unwrap()],
        LAB.as_bytes(),
    ]
    .concat();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let (settings, headers) = (frame(4, 0, 0, &[]), frame(1, 0x05, 1, &fields));
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    client.write_all(&[settings, headers].concat()).unwrap();
    watershed.await_metric("watershed_in_flight", &[], 1.0);
    watershed.signal(SIGTERM);
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
    let mut answer = Vec::new();
    // The end may be a reset, because what the client sent is not read.
    client.read_to_end(&mut answer).ok();
    assert!(String::from_utf8_lossy(&answer).contains("slept 500 ms"), "{answer:?}");
}

#[test]
fn the_grace_period_ends_what_is_left() {
    let mut watershed = serve_lab("300ms");
    let mut busy = waiting(&watershed, "/sleep?ms=20000");
    let started = Instant::now();
    watershed.signal(SIGTERM);
    // The request would take twice as long.
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    busy.assert_closed();
}

#[test]
fn a_second_signal_ends_at_once() {
    for second in [SIGTERM, SIGINT] {
        let mut watershed = serve_lab(LONG);
        let _busy = waiting(&watershed, "/sleep?ms=20000");
        watershed.signal(SIGTERM);
        watershed.log_line(&["draining"]);
        assert!(!watershed.has_ended());
        watershed.signal(second);
        watershed.wait(DEADLINE);
    }
}

fn serve_with_delay(delay: &str) -> Watershed {
    let server = format!("drain-delay = \"{delay}\"\ngrace-period = {LONG:?}");
    Site::new().server(&server).service("lab", &lab("v1")).start()
}

/// Balancers take a while to notice that the process takes no more requests.
#[test]
fn what_comes_within_the_delay_is_served() {
    let mut watershed = serve_with_delay("60s");
    let mut kept = watershed.http1();
    assert_eq!(kept.get(LAB, "/count").header("connection"), Some("keep-alive"));
    watershed.signal(SIGTERM);
    eventually("not ready", || watershed.admin("/readyz").status == 503);
    assert_admin_problem(&watershed.admin("/readyz"), 503, "not-ready");
    assert_eq!(watershed.admin("/readyz").json()["detail"], "not ready: draining");
    assert_eq!(watershed.admin("/livez").status, 200);
    assert_eq!(watershed.status()["draining"], true);
    // The next process should get further changes, and the next request of a kept connection.
    let refused = watershed.admin_post("/api/v1/reload");
    assert_eq!((refused.status, refused.header("connection")), (503, Some("close")));
    assert_admin_problem(&refused, 503, "draining");
    for client in [&mut kept, &mut watershed.http1()] {
        let response = client.get(LAB, "/count");
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        client.assert_closed();
    }
    assert_eq!(watershed.http2().get(LAB, "/count").status, 200);
    assert!(!watershed.has_ended());
}

#[test]
fn the_process_ends_after_the_delay_and_not_before() {
    let mut watershed = serve_with_delay("1s");
    let started = Instant::now();
    watershed.signal(SIGTERM);
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn connections_of_http2_are_told_to_go_within_the_delay() {
    let watershed = serve_with_delay("60s");
    let before = watershed.http2();
    assert_eq!(before.get(LAB, "/count").status, 200);
    watershed.signal(SIGTERM);
    before.await_end();
    let after = watershed.http2();
    assert_eq!(after.get(LAB, "/count").status, 200);
    after.await_end();
}

#[test]
fn a_second_signal_ends_the_delay_too() {
    let mut watershed = serve_with_delay("60s");
    watershed.signal(SIGTERM);
    watershed.log_line(&["still served for 60s"]);
    assert!(!watershed.has_ended());
    watershed.signal(SIGTERM);
    watershed.wait(DEADLINE);
}

/// Without a close, a client would lose its next request.
#[test]
fn a_response_that_is_written_after_the_signal_ends_its_connection() {
    let watershed = serve_lab(LONG);
    let mut client = waiting(&watershed, "/sleep?ms=1000");
    watershed.signal(SIGTERM);
    let response = client.response("GET");
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    client.assert_closed();
}

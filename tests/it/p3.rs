//! Guests that export `wasi:http/handler@0.3`: everything that holds for 0.2 holds for them.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    GREETER, LAB, Site, Watershed, assert_problem, eventually, greeter, lab_p3, limits, request,
    split, within,
};

const MIB: usize = 1 << 20;

/// Limits that are soon reached.
const TIGHT: &str = r#"
memory = "32MiB"
cpu-time = "250ms"
wall-time = "500ms"
request-body = "1KiB"
"#;

fn serve(lines: &str) -> Watershed {
    Site::new().service("lab", &(lab_p3("v1") + &limits(lines))).start()
}

fn serve_roomy() -> Watershed {
    serve("request-body = \"1GiB\"\ncpu-time = \"30s\"")
}

/// Bytes that repeat only after 251, which no chunk's length divides.
fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[test]
fn both_worlds_share_the_traffic_of_a_service() {
    let versions = greeter("v1") + &lab_p3("v2") + &split("v1 = 50, v2 = 50");
    let watershed = Site::new().service("greeter", &versions).start();
    let mut client = watershed.http1();
    let mut greeted = [0, 0];
    // That one of them is never drawn has a chance of one in 2^255.
    for _ in 0..256 {
        let response = client.get(GREETER, "/");
        let version = usize::from(response.header("watershed-version") == Some("v2"));
        assert_eq!(response.text(), format!("Hello from v{}!\n", version + 1));
        assert_eq!(response.header("content-length"), Some("15"));
        greeted[version] += 1;
    }
    assert!(greeted.iter().all(|count| *count > 0), "{greeted:?}");
}

/// What each does before its head, and what its client gets.
const FAILURES: [(&str, u16, &str); 6] = [
    ("/trap", 500, "trap"),
    ("/error", 502, "no-response"),
    ("/exit", 502, "no-response"),
    ("/loop", 504, "cpu-time"),
    ("/hang", 504, "wall-time"),
    ("/hog", 500, "memory"),
];

#[test]
fn a_guest_that_fails_before_its_head_is_a_problem_document() {
    let watershed = serve(TIGHT);
    let (mut http1, http2) = (watershed.http1(), watershed.http2());
    for (path, status, code) in FAILURES {
        assert_problem(&http1.get(LAB, path), status, code);
        assert_eq!(http1.get(LAB, "/count").text(), "1\n", "after {path}");
        assert_problem(&http2.get(LAB, path), status, code);
        assert_eq!(http2.get(LAB, "/count").text(), "1\n", "after {path}");
    }
    for (code, count) in
        [("trap", 2), ("no-response", 4), ("cpu-time", 2), ("wall-time", 2), ("memory", 2)]
    {
        watershed.await_outcomes(code, count);
    }
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

/// What each does after `partial`, and how that is counted.
const LATE_FAILURES: [(&str, &str); 6] = [
    ("/late-trap?ms=50", "trap"),
    ("/late-drop", "truncated"),
    ("/no-finish", "truncated"),
    ("/loop-late", "cpu-time"),
    ("/hang-late", "wall-time"),
    ("/leak", "wall-time"),
];

#[test]
fn a_guest_that_fails_after_its_head_never_looks_complete() {
    let watershed = serve(TIGHT);
    let http2 = watershed.http2();
    for (path, _) in LATE_FAILURES {
        let mut http1 = watershed.http1();
        let response = http1.get(LAB, path);
        assert_eq!((response.status, response.complete), (200, false), "{path}: {response:?}");
        http1.assert_closed();
        let neighbour = http2.open(request("GET", LAB, "/sleep?ms=300"), false);
        let exchange = http2.open(request("GET", LAB, path), false);
        let (response, reason) = http2.broken(exchange.response);
        assert!(!response.complete && reason.is_some(), "{path}: {response:?} {reason:?}");
        let neighbour = http2.response(neighbour.response).unwrap();
        assert_eq!(neighbour.text(), "slept 300 ms\n", "beside {path}");
    }
    for (code, count) in [("trap", 2), ("truncated", 4), ("cpu-time", 2), ("wall-time", 4)] {
        watershed.await_outcomes(code, count);
    }
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

#[test]
fn the_reason_of_a_failure_is_in_the_log() {
    let watershed = serve(TIGHT);
    let ask = |path, id| watershed.http1().ask("GET", LAB, path, &[id], b"");
    assert_problem(&ask("/trap", "x-request-id: id-1"), 500, "trap");
    watershed.log_line(&["id-1", "lab", "v1", "trap", "unreachable"]);
    assert_problem(&ask("/error", "x-request-id: id-2"), 502, "no-response");
    watershed.log_line(&["id-2", "no-response", "the lab was asked to fail"]);
    ask("/late-trap?ms=50", "x-request-id: id-3");
    watershed.log_line(&["id-3", "committed=true", "trap"]);
}

/// `/relay` hands its request body back as it is, so that the host need not ask the guest.
#[test]
fn bodies_come_back_as_they_were() {
    let watershed = serve_roomy();
    let sent = pattern(20 * MIB + 7);
    for path in ["/echo", "/relay"] {
        let mut client = watershed.http1();
        let length = sent.len();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nhost: {LAB}\r\ncontent-length: {length}\r\n\r\n"
        ));
        let mut writer = client.writer();
        let response = thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&sent).unwrap());
            client.response("POST")
        });
        assert_eq!((response.status, response.complete), (200, true), "{path}");
        assert!(response.body == sent, "{path}: {} bytes", response.body.len());
        assert_eq!(client.get(LAB, "/count").text(), "1\n", "after {path}");
    }
    watershed.await_outcomes("2xx", 4);
}

#[test]
fn the_response_begins_before_the_request_ends_and_trailers_end_both() {
    let watershed = serve_roomy();
    for path in ["/echo", "/relay"] {
        let mut client = watershed.http1();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\
             trailer: x-sum\r\n\r\n5\r\nfirst\r\n"
        ));
        let mut response = client.head();
        assert!(client.chunk(&mut response), "{path}");
        assert_eq!(response.text(), "first", "{path}");
        client.send("7\r\n second\r\n0\r\nx-sum: 7\r\n\r\n");
        while !response.complete && client.chunk(&mut response) {}
        assert_eq!(response.text(), "first second", "{path}");
        assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())], "{path}");
    }
}

#[test]
fn trailers_of_a_response_pass_over_both_protocols() {
    let watershed = serve(TIGHT);
    for response in [watershed.get(LAB, "/trailers"), watershed.http2().get(LAB, "/trailers")] {
        assert_eq!(response.text(), "see the trailers\n");
        assert_eq!(response.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
    }
}

#[test]
fn each_part_of_a_response_leaves_when_it_is_written() {
    let watershed = serve_roomy();
    let mut client = watershed.http1();
    client.send(format!("GET /slow-body?chunks=3&ms=100 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    let mut response = client.head();
    for part in 1..=3 {
        assert!(client.chunk(&mut response));
        assert_eq!(response.text().lines().count(), part);
    }
}

/// Neither a client that does not read nor a guest that does not makes the process hold a body.
#[test]
fn bodies_are_not_gathered() {
    let watershed = serve_roomy();
    let mut client = watershed.http1();
    client.send(format!("GET /big?mib=400 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    let mut response = client.head();
    // By then, other requests have had their turn many times over.
    for _ in 0..100 {
        watershed.assert_serves(LAB, "/count");
    }
    let mut length = 0;
    while !response.complete {
        response.body.clear();
        assert!(client.chunk(&mut response));
        length += response.body.len();
    }
    assert_eq!(length, 400 * MIB);
    let body = pattern(64 * MIB);
    let read = watershed.http1().ask("POST", LAB, "/read", &[], &body);
    assert_eq!(read.text(), format!("read {} bytes\n", body.len()));
    let unread = watershed.http1().ask("POST", LAB, "/count", &[], &body[..2 * MIB]);
    assert_eq!((unread.status, unread.complete), (200, true));
    let peak = watershed.peak_memory();
    assert!(peak < 150 * MIB, "{} MiB", peak / MIB);
}

#[test]
fn a_request_body_over_the_limit_is_refused() {
    let watershed = serve(TIGHT);
    let mut client = watershed.http1();
    assert_eq!(client.ask("POST", LAB, "/read", &[], &[b'x'; 1024]).text(), "read 1024 bytes\n");
    client
        .send(format!("POST /read HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n"));
    client.send(format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025)));
    assert_problem(&client.response("POST"), 413, "request-body");
    watershed.assert_serves(LAB, "/count");
}

/// A hanging guest would be in flight for thirty seconds more.
#[test]
fn a_guest_ends_with_its_client() {
    let watershed = serve("wall-time = \"30s\"");
    let in_flight = || watershed.metric("watershed_in_flight", &[]);
    for path in ["/hang", "/hang-late", "/big?mib=100000", "/loop-late"] {
        let mut client = watershed.http1();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        eventually(&format!("{path} in flight"), || in_flight() > 0.5);
        client.reset();
        within(Duration::from_secs(2), &format!("the end of {path}"), || in_flight() < 0.5);
        watershed.assert_serves(LAB, "/count");
    }
    let client = watershed.http2();
    let mut exchange = client.open(request("POST", LAB, "/echo"), true);
    exchange.upload.send_data("half".into(), false).unwrap();
    eventually("an echo in flight", || in_flight() > 0.5);
    exchange.upload.send_reset(h2::Reason::CANCEL);
    within(Duration::from_secs(2), "the end of the echo", || in_flight() < 0.5);
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

/// What a guest does after its response keeps neither its client nor the connection waiting.
#[test]
fn a_guest_may_go_on_after_its_response() {
    let watershed = serve("wall-time = \"30s\"");
    let mut client = watershed.http1();
    let started = Instant::now();
    assert_eq!(client.get(LAB, "/after?ms=1500").text(), "answered\n");
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
    assert!(started.elapsed() < Duration::from_millis(1_400), "{:?}", started.elapsed());
    watershed.log_line(&["done after the answer"]);
    assert!(started.elapsed() >= Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[test]
fn a_guest_that_goes_on_keeps_to_its_limits() {
    let watershed = serve(TIGHT);
    assert_eq!(watershed.get(LAB, "/after?ms=60000").text(), "answered\n");
    watershed.log_line(&["after its response was complete", "wall time"]);
    watershed.assert_serves(LAB, "/count");
}

#[test]
fn a_guest_learns_that_its_response_was_taken() {
    let watershed = serve(TIGHT);
    assert_eq!(watershed.get(LAB, "/delivered").text(), "answered\n");
    watershed.log_line(&["delivered: true"]);
}

/// Several of them on one worker; each must make room for the others.
#[test]
fn requests_flow_past_a_guest_that_computes_on_their_worker() {
    let service = lab_p3("v1") + &limits("cpu-time = \"1s\"");
    let watershed = Site::new().server("threads = 1").service("lab", &service).start();
    let looping = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_problem(&watershed.get(LAB, "/loop"), 504, "cpu-time");
            looping.store(false, Ordering::Relaxed);
        });
        let mut client = watershed.http1();
        let mut served = 0;
        while looping.load(Ordering::Relaxed) {
            assert_eq!(client.get(LAB, "/count").text(), "1\n");
            served += 1;
        }
        assert!(served > 25, "{served}");
    });
}

/// Time that a guest spends waiting is not CPU time.
#[test]
fn a_guest_that_waits_uses_no_cpu_time() {
    let watershed = serve("cpu-time = \"100ms\"");
    assert_eq!(watershed.get(LAB, "/sleep?ms=400").text(), "slept 400 ms\n");
}

#[test]
fn many_are_served_at_once() {
    let watershed = serve("wall-time = \"30s\"");
    let client = watershed.http2();
    let open = |_| client.open(request("GET", LAB, "/slow-body?chunks=3&ms=100"), false).response;
    let responses = client.responses((0..100).map(open).collect::<Vec<_>>().into_iter());
    for response in responses {
        assert_eq!(response.text(), "chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n");
    }
}

#[test]
fn a_guest_sees_its_request_and_its_environment_only() {
    let watershed = serve("wall-time = \"30s\"");
    // One through 0.3, and one through the standard library's 0.2.
    assert_eq!(watershed.get(LAB, "/env").text(), "VERSION=v1\n");
    assert_eq!(watershed.get(LAB, "/").text(), "Hello from v1!\n");
    let neighbour = TcpListener::bind("127.0.0.1:0").unwrap();
    neighbour.set_nonblocking(true).unwrap();
    let port = neighbour.local_addr().unwrap().port();
    assert_eq!(watershed.get(LAB, &format!("/net?port={port}")).text(), "denied\n");
    assert!(neighbour.accept().is_err(), "the guest reached it");
    let path = "/headers?a=1";
    let sent = ["x-mine: 1", "connection: x-secret", "x-secret: 1"];
    let http1 = watershed.http1().ask("GET", LAB, path, &sent, b"");
    for response in [&http1, &watershed.http2().get(LAB, path)] {
        assert_eq!(response.reported("scheme").as_deref(), Some("http"), "{response:?}");
        assert_eq!(response.reported("authority").as_deref(), Some(LAB), "{response:?}");
        assert_eq!(response.reported("path-with-query").as_deref(), Some(path), "{response:?}");
        assert_eq!(response.reported("x-forwarded-for").as_deref(), Some("127.0.0.1"));
        assert_eq!(response.reported("host"), None);
    }
    assert_eq!(http1.reported("x-mine").as_deref(), Some("1"));
    assert_eq!((http1.reported("x-secret"), http1.reported("connection")), (None, None));
}

#[test]
fn what_a_guest_prints_is_logged_under_its_name() {
    let watershed = serve("wall-time = \"30s\"");
    let id = ["x-request-id: talk-1"];
    let response = watershed.http1().ask("GET", LAB, "/stdout", &id, b"");
    assert_eq!(response.text(), "said twice\n");
    watershed.log_line(&["lab", "v1", "talk-1", "stdout", "by 0.2"]);
    watershed.log_line(&["lab", "v1", "talk-1", "stdout", "by 0.3"]);
}

#[test]
fn a_sandbox_serves_as_many_requests_as_it_may() {
    let watershed = serve("instance-reuse = 3");
    let mut client = watershed.http1();
    let mut counts = Vec::new();
    for _ in 0..12 {
        let count = client.get(LAB, "/count").text();
        counts.push(count.trim().parse::<u32>().unwrap());
        // A streamed body and trailers leave the sandbox as fit as a text does.
        assert_eq!(client.get(LAB, "/trailers").trailers.len(), 1);
    }
    // Every third request begins a sandbox, and every second counts; one that is late back loses its turn.
    assert!(
        counts.contains(&2) && counts.iter().all(|count| (1..=2).contains(count)),
        "{counts:?}"
    );
    assert_eq!(client.get(LAB, "/trap").status, 500);
    watershed.assert_serves(LAB, "/count");
}

#[test]
fn each_world_has_its_own_compiled_components() {
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab_p3("v1"));
    let compiled = |site: &Site| fs::read_dir(site.path("state/compiled")).unwrap().count();
    let watershed = site.start();
    assert_eq!(compiled(&watershed.site), 2);
    watershed.assert_serves(GREETER, "/");
    // A restart on the same state takes both from there, and compiles none anew.
    let again = watershed.site.run(&["check"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let command = watershed.site.command(&["run"]);
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab_p3("v1"));
    let restarted = Watershed::spawn(site, command);
    restarted.assert_serves(LAB, "/");
    assert_eq!(compiled(&watershed.site), 2);
    assert!(!restarted.stderr().contains("damaged"), "{}", restarted.stderr());
}

#[test]
fn a_version_that_cannot_start_says_so() {
    let small = lab_p3("v1") + &limits("memory = \"64KiB\"");
    let site = Site::new().service("small", &small);
    site.write("bare.wasm", b"\0asm\x0d\0\x01\0");
    site.write("services/bare.toml", "[[versions]]\nname = \"v1\"\ncomponent = \"../bare.wasm\"\n");
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for part in [
        "error[memory-too-small]: version v1 of service small",
        "error[unsupported-world]: version v1 of service bare: it exports nothing, and neither \
         wasi:http/incoming-handler@0.2 nor wasi:http/handler@0.3",
    ] {
        assert!(checked.stdout.contains(part), "{part}\n{}", checked.stdout);
    }
}

//! What a guest can see and reach: its request, its own environment, and nothing else.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::{
    LAB, LABS, Site, Watershed, eventually, in_both_worlds, lab, limits, serve_lab,
};

#[test]
fn a_guest_has_no_file_system() {
    let watershed = serve_lab();
    let text = watershed.get(LAB, "/fs").text();
    assert!(text.contains("no file system"), "{text}");
    assert!(!text.contains("read ") && !text.contains("written"), "{text}");
}

#[test]
fn a_guest_has_no_network() {
    in_both_worlds("", |watershed| {
        let neighbour = TcpListener::bind("127.0.0.1:0").unwrap();
        neighbour.set_nonblocking(true).unwrap();
        let port = neighbour.local_addr().unwrap().port();
        let text = watershed.get(LAB, &format!("/net?port={port}")).text();
        assert!(text.to_lowercase().contains("denied"), "{text}");
        assert!(neighbour.accept().is_err(), "the guest reached it");
    });
}

#[test]
fn a_guest_sees_its_declared_environment_only() {
    for lab in LABS {
        let version = lab("v1").replace("VERSION = \"v1\"", "");
        let version = version.replace("env = {", "env = { FLASK = \"round\", EMPTY = \"\"");
        let site = Site::new().service("lab", &version);
        let watershed = site.variable("WATERSHED_SECRET", "do not tell").start();
        assert_eq!(watershed.get(LAB, "/env").text(), "EMPTY=\nFLASK=round\n");
    }
}

#[test]
fn every_request_gets_a_fresh_sandbox() {
    in_both_worlds("", |watershed| {
        let mut client = watershed.http1();
        for _ in 0..50 {
            assert_eq!(client.get(LAB, "/count").text(), "1\n");
        }
    });
}

#[test]
fn a_sandbox_that_may_serve_three_requests_serves_the_next_two_of_a_lone_client() {
    let version = lab("v1") + &limits("instance-reuse = 3");
    let watershed = Site::new().service("lab", &version).start();
    let mut client = watershed.http1();
    let counts = [(); 9].map(|()| client.get(LAB, "/count").text());
    assert_eq!(counts.concat(), "1\n2\n3\n".repeat(3));
}

#[test]
fn what_a_guest_prints_is_logged_under_its_name() {
    let watershed = serve_lab();
    let id = ["x-request-id: talk-1"];
    let response = watershed.http1().ask("GET", LAB, "/stdout?lines=2&len=5", &id, b"");
    assert_eq!(response.text(), "2 lines of 5 bytes\n");
    watershed.log_line(&["lab", "v1", "talk-1", "stdout", "ooooo"]);
    watershed.log_line(&["lab", "v1", "talk-1", "stderr", "the lab wrote 2 lines to stdout"]);
    let log = watershed.stderr();
    assert_eq!(log.lines().filter(|line| line.contains("ooooo")).count(), 2);
    assert!(!watershed.stdout().contains("ooooo"), "stdout is for people");
}

/// Lines of the log that contain this text.
fn lines_with(watershed: &Watershed, text: &str) -> Vec<String> {
    watershed.stderr().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// However often a guest writes, flushes and opens its streams.
#[test]
fn a_line_that_a_guest_writes_in_parts_is_one_line() {
    in_both_worlds("", |watershed| {
        let ask = |path, id| watershed.http1().ask("GET", LAB, path, &[id], b"").text();
        assert_eq!(ask("/print?parts=4", "x-request-id: parts-1"), "printed\n");
        let line = watershed.log_line(&["parts-1", "stdout"]);
        assert!(line.contains(" [part 1][part 2][part 3][part 4] "), "{line}");
        assert_eq!(lines_with(watershed, "[part").len(), 1);
    });
}

/// The line belongs to that request, even if the sandbox goes on to serve the next one.
#[test]
fn what_is_left_of_a_line_at_the_end_of_a_request_is_a_line() {
    for reuse in ["instance-reuse = 1", "instance-reuse = 100"] {
        in_both_worlds(reuse, |watershed| {
            let mut client = watershed.http1();
            for id in 1..=3 {
                let header = format!("x-request-id: rest-{id}");
                client.ask("GET", LAB, "/print?parts=2&end=0", &[&header], b"");
                let line = watershed.log_line(&[&format!("rest-{id}"), "stdout"]);
                assert!(line.contains(" [part 1][part 2] "), "{line}");
            }
            assert_eq!(lines_with(watershed, "[part").len(), 3, "{reuse}");
        });
    }
}

/// The guest's memory is dropped with its sandbox, so the line must be logged before.
#[test]
fn a_guest_that_dies_leaves_its_last_words() {
    let watershed = serve_lab();
    let id = ["x-request-id: last-1"];
    assert_eq!(watershed.http1().ask("GET", LAB, "/panic", &id, b"").status, 500);
    watershed.log_line(&["last-1", "stderr", "the lab was asked to panic"]);
}

#[test]
fn a_long_line_of_a_guest_is_cut() {
    let watershed = serve_lab();
    watershed.assert_serves(LAB, "/stdout?lines=1&len=100000");
    let line = watershed.log_line(&["oooo"]);
    assert_eq!(line.bytes().filter(|byte| *byte == b'o').count() & !63, 4096, "{line}");
    assert!(line.contains("[cut]"), "{line}");
    watershed.log_line(&["the lab wrote 1 lines"]);
}

#[test]
fn a_guest_that_talks_too_much_loses_lines_which_are_counted() {
    let watershed = serve_lab();
    let started = Instant::now();
    watershed.assert_serves(LAB, "/stdout?lines=20000&len=40");
    // A version may log 200 lines in each second of the clock, even a partial one.
    let seconds = started.elapsed().as_secs() + 2;
    let line = "o".repeat(40);
    let dropped = || {
        let lines = lines_with(&watershed, "lines dropped");
        let counts = lines.iter().map(|line| {
            let (said, _) = line.split_once(" lines dropped").unwrap();
            said.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        });
        counts.sum::<u64>()
    };
    let kept = || lines_with(&watershed, &line).len() as u64;
    // They may be of several seconds, and each second is told of by the first line after it.
    eventually("every line, kept or counted", || {
        watershed.assert_serves(LAB, "/stdout?lines=1&len=1");
        kept() + dropped() >= 20_000
    });
    let kept = kept();
    assert!((200..=200 * seconds).contains(&kept), "{kept} lines in {seconds} seconds");
}

#[test]
fn a_guest_that_dies_leaves_nothing_behind() {
    let lines = limits("memory = \"32MiB\"");
    let watershed = Site::new().service("lab", &(lab("v1") + &lines)).start();
    let mut client = watershed.http1();
    for _ in 0..20 {
        for path in ["/hog", "/trap", "/panic"] {
            assert_eq!(client.get(LAB, path).status, 500);
        }
        assert_eq!(client.get(LAB, "/try-hog?mib=16").text(), "got 16 of 16 MiB\n");
    }
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

/// What a guest does after its response delays neither its client nor the connection.
#[test]
fn a_guest_may_go_on_after_its_response() {
    in_both_worlds("wall-time = \"30s\"", |watershed| {
        let mut client = watershed.http1();
        let started = Instant::now();
        assert_eq!(client.get(LAB, "/after?ms=1500").text(), "answered\n");
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
        assert!(!watershed.stderr().contains("done after"), "the client waited for it");
        watershed.log_line(&["done after the answer"]);
        assert!(started.elapsed() >= Duration::from_millis(1_500), "{:?}", started.elapsed());
    });
}

#[test]
fn a_guest_that_goes_on_keeps_to_its_limits() {
    in_both_worlds("wall-time = \"500ms\"", |watershed| {
        assert_eq!(watershed.get(LAB, "/after?ms=60000").text(), "answered\n");
        watershed.log_line(&[
            "after its response was complete",
            "wall time",
            "environment=default service=",
        ]);
        watershed.assert_serves(LAB, "/count");
    });
}

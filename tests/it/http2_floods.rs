//! HTTP/2 clients that send more than can be good: each is told to calm down, counted and logged once, while another
//! client is served as ever, and the process needs no more memory than before.
//!
//! Peers had these: hyperium/hyper#2877 (streams that were reset piled up), hyperium/h2#856 (a limit of resets over the
//! whole life of a connection ended connections of honest clients), cloudflare/pingora#903 (fields by reference, and a
//! window of nothing), FgForrest/evitaDB#1369 (a connection that was ended for its resets left no trace),
//! icing/mod_h2 and netty's CVE-2025-8671 (resets that clients have the server make).

use std::time::Duration;

use crate::support::https::{FIRST, secure_beside};
use crate::support::raw2::{
    self, ACK, CANCEL, CONTINUATION, DATA, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY,
    Raw2, SETTINGS,
};
use crate::support::{DEADLINE, LAB, Site, Watershed, beside_an_honest_client, lab, within};

/// Requests that nobody serves: cheap for this test, and counted.
const NOBODY: &str = "nobody.localhost";

fn serve(limits: &str) -> Watershed {
    let site = Site::new().service("lab", &lab("v1"));
    let site = site.tables(&format!("[server.limits]\n{limits}"));
    site.variable("WATERSHED_LOG", "watershed=debug").start()
}

/// Asserts that what is sent again and again ends the connection, by a GOAWAY, and is counted and logged once.
#[track_caller]
fn assert_calmed(
    watershed: &Watershed,
    what: &str,
    outcome: &str,
    mut frames: impl FnMut(u32) -> Vec<u8> + Send,
) {
    let count = || watershed.metric("watershed_requests_total", &[("outcome", outcome)]);
    let before = count();
    beside_an_honest_client(watershed, what, || {
        let mut client = Raw2::connect(watershed.address(), &[]);
        client.send(raw2::frame(SETTINGS, ACK, 0, b""));
        // Each round is a stream. The end comes after a few hundred or thousand, so these are far too many.
        let all: Vec<u8> = (0..5_000).flat_map(|round| frames(2 * round + 1)).collect();
        client.set_write_timeout(Duration::from_secs(1));
        for part in all.chunks(4 << 10) {
            if !client.offer(part) {
                break;
            }
        }
        assert_eq!(client.goaway(), ENHANCE_YOUR_CALM, "{what}");
    });
    within(DEADLINE, what, || count() > before);
    assert_eq!(count(), before + 1.0, "{what}");
    watershed.log_line(&["DEBUG", &format!("code=\"{outcome}\""), "client=127.0.0.1:"]);
}

/// CVE-2023-44487.
#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    let watershed = serve("resets = 50");
    assert_calmed(&watershed, "rapid reset", "too-many-resets", |stream| {
        [raw2::get(stream, LAB, "/sleep?ms=1000"), raw2::reset(stream, CANCEL)].concat()
    });
    // Those before the last one were served, as far as they got.
    let begun = watershed.metric("watershed_requests_total", &[("outcome", "client-gone")]);
    assert!(begun <= 50.0, "{begun}");
}

/// As many as allowed, on each connection, are nothing.
#[test]
fn clients_may_take_requests_back() {
    let watershed = serve("resets = 50");
    let mut client = Raw2::connect(watershed.address(), &[]);
    for stream in (0..50).map(|number| 2 * number + 1) {
        client.send(raw2::get(stream, NOBODY, "/"));
        client.send(raw2::reset(stream, CANCEL));
    }
    client.assert_open();
    client.send([raw2::get(101, NOBODY, "/"), raw2::reset(101, CANCEL)].concat());
    assert_eq!(client.goaway(), ENHANCE_YOUR_CALM);
}

/// CVE-2025-8671, in the ways that there are to have a stream reset, and CVE-2019-9514.
#[test]
fn streams_that_we_are_made_to_reset_end_the_connection() {
    let watershed = serve("resets = 50");
    let (most, ends) = ((1 << 31) - 1, END_STREAM);
    let slow = |stream| raw2::get(stream, LAB, "/sleep?ms=1000");
    let close = [("connection", "close")];
    for what in ["window", "dependency", "length", "a field of HTTP/1", "open trailers"] {
        assert_calmed(&watershed, what, "too-many-resets", |stream| match what {
            "window" => [slow(stream), raw2::window_update(stream, most)].concat(),
            "dependency" => {
                let itself = [&stream.to_be_bytes()[..], &[0]].concat();
                [slow(stream), raw2::frame(PRIORITY, 0, stream, itself)].concat()
            }
            "length" => {
                let fields = [&raw2::pseudo("POST", LAB, "/echo")[..], &[("content-length", "1")]];
                let head = raw2::head(0, stream, &fields.concat());
                [head, raw2::frame(DATA, 0, stream, b"too long")].concat()
            }
            "a field of HTTP/1" => {
                raw2::head(ends, stream, &[&raw2::pseudo("GET", LAB, "/")[..], &close].concat())
            }
            _ => {
                let trailers = raw2::head(0, stream, &[("x-a", "1")]);
                [raw2::post(stream, LAB, "/echo"), trailers].concat()
            }
        });
    }
}

/// CVE-2019-9511 to 9518, CVE-2024-27316: frames that ask for nothing.
#[test]
fn frames_that_carry_nothing_end_the_connection() {
    let watershed = serve("");
    for what in ["SETTINGS", "windows", "PING", "PONG", "PRIORITY", "update", "unknown"] {
        assert_calmed(&watershed, what, "flood", |stream| match what {
            "SETTINGS" => raw2::settings(&[(0x3, 100)]),
            "windows" => raw2::settings(&[(0x4, stream)]),
            "PING" => raw2::frame(PING, 0, 0, b"12345678"),
            "PONG" => raw2::frame(PING, ACK, 0, b"12345678"),
            "PRIORITY" => raw2::frame(PRIORITY, 0, stream, [0, 0, 0, 0, 16]),
            "update" => raw2::window_update(0, 1),
            _ => raw2::frame(0xfe, 0, 0, b"?"),
        });
    }
}

#[test]
fn empty_parts_of_a_body_end_the_connection() {
    let watershed = serve("");
    assert_calmed(&watershed, "empty DATA", "flood", |stream| match stream {
        1 => raw2::post(1, LAB, "/read"),
        _ => raw2::frame(DATA, 0, 1, b""),
    });
    // Padding counts for the window, and for nothing else.
    assert_calmed(&watershed, "padded DATA", "flood", |stream| match stream {
        1 => raw2::post(1, LAB, "/read"),
        _ => raw2::frame(DATA, 0x8, 1, [7, 0, 0, 0, 0, 0, 0, 0]),
    });
}

/// CVE-2024-27316, CVE-2024-2758: a head without an end.
#[test]
fn a_head_without_an_end_ends_the_connection() {
    let watershed = serve("");
    let long = raw2::block(&[("x-a", &"x".repeat(1_000))]);
    for (what, part) in [("empty", vec![]), ("with fields", long)] {
        assert_calmed(&watershed, what, "flood", |stream| match stream {
            1 => raw2::frame(HEADERS, END_STREAM, 1, raw2::block(&raw2::pseudo("GET", LAB, "/"))),
            _ => raw2::frame(CONTINUATION, 0, 1, &part),
        });
    }
}

/// What is counted are frames, whatever carries them.
#[test]
fn floods_over_tls_end_too() {
    use std::io::{Read, Write};
    let site = secure_beside("[server.limits]\nresets = 50", "").service("lab", &lab("v1"));
    let watershed = site.start();
    let mut client = watershed.tls(FIRST, &["h2"]);
    let resets = (0..60).flat_map(|number| {
        let stream = 2 * number + 1;
        [raw2::get(stream, NOBODY, "/"), raw2::reset(stream, CANCEL)].concat()
    });
    let all: Vec<u8> =
        raw2::PREFACE.iter().copied().chain(raw2::settings(&[])).chain(resets).collect();
    client.write_all(&all).unwrap();
    let mut answer = Vec::new();
    // Whether the end is told is TLS's business.
    client.read_to_end(&mut answer).ok();
    let goaway = raw2::frame(raw2::GOAWAY, 0, 0, [0; 8]);
    let is_calm = |at: &[u8]| at[..9] == goaway[..9] && at[13..] == ENHANCE_YOUR_CALM.to_be_bytes();
    assert!(answer.windows(goaway.len()).any(is_calm), "{answer:?}");
    watershed.await_outcomes("too-many-resets", 1);
}

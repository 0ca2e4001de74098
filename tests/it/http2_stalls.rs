//! HTTP/2 clients that stand in the way: they take nothing, or next to nothing, of what they have asked for, or never
//! come to the end of it. Another client is served as ever, and what they hold is bounded in memory and time.
//!
//! Peers had these: cloudflare/pingora#903 (fields by reference and a window of nothing keep heads in memory),
//! varnishcache/varnish-cache#2549 (streams that wait for a window for ever), OpenLiberty/open-liberty#18674 (a client
//! that is slow is cut off too soon).

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::raw2::{
    self, CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, NO_ERROR, PING, Raw2,
};
use crate::support::{
    DEADLINE, LAB, Site, Watershed, beside_an_honest_client, beside_an_honest_client_within, lab,
    limits, within,
};

/// A setting that leaves no room for bodies of responses.
const NO_WINDOW: (u16, u32) = (0x4, 0);

fn serve(server: &str) -> Watershed {
    let lines = "wall-time = \"300ms\"\ncpu-time = \"10s\"\nconcurrency = 300";
    let site = Site::new().service("lab", &(lab("v1") + &limits(lines)));
    site.tables(&format!("[server.limits]\n{server}")).start()
}

fn count(watershed: &Watershed, outcome: &str) -> f64 {
    watershed.metric("watershed_requests_total", &[("outcome", outcome)])
}

/// CVE-2019-9517.
#[test]
fn streams_without_a_window_hold_little_and_end() {
    let watershed = serve("");
    // Each has a sandbox that waits.
    beside_an_honest_client_within(64 << 20, &watershed, "no window", || {
        let mut client = Raw2::connect(watershed.address(), &[NO_WINDOW]);
        for stream in (0..100).map(|number| 2 * number + 1) {
            client.send(raw2::get(stream, LAB, "/big?mib=64"));
        }
        // A client that takes nothing is given up after five seconds.
        within(DEADLINE * 2, "their end", || count(&watershed, "client-slow") >= 100.0);
        client.assert_open();
    });
}

/// Each byte of a head stands for a field of 33 bytes, which takes more than 100 in memory.
#[test]
fn heads_that_unfold_in_memory_do_not_stay_there() {
    let watershed = serve("");
    // Kept, the fields of all streams would take more than 35 MB; the streams themselves, and the pages in which an
    // allocator takes memory, are about 25.
    beside_an_honest_client_within(32 << 20, &watershed, "by reference", || {
        let mut client = Raw2::connect(watershed.address(), &[NO_WINDOW]);
        for stream in (0..100).map(|number| 2 * number + 1) {
            // `a: ` goes into the table, and is then named by its index, up to what is answered by us and not by h2.
            let mut block = raw2::block(&raw2::pseudo("GET", LAB, "/count"));
            block.extend_from_slice(&[0x40, 1, b'a', 0]);
            block.extend(vec![0xbe; 3_500]);
            client.send(raw2::frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
        }
        // Each is told, and there is no room for what it is told.
        let mut heads = 0;
        client.until("431 to each", |frame| {
            heads += u32::from(frame.kind == HEADERS);
            heads == 100
        });
        client.assert_open();
    });
}

/// CVE-2019-9512, 9514 and 9515: answers that nobody takes.
#[test]
fn a_client_that_only_sends_is_not_read_for_long() {
    let watershed = serve("resets = 100000");
    let bad = |stream| {
        let fields = [&raw2::pseudo("GET", LAB, "/")[..], &[("connection", "close")]].concat();
        raw2::head(END_STREAM, stream, &fields)
    };
    for what in ["PING", "SETTINGS", "bad heads", "requests"] {
        beside_an_honest_client(&watershed, what, || {
            let mut client = Raw2::connect(watershed.address(), &[]);
            client.set_write_timeout(Duration::from_millis(500));
            let until = Instant::now() + Duration::from_secs(4);
            let mut stream = 1;
            loop {
                let part: Vec<u8> = (0..500)
                    .flat_map(|_| {
                        stream += 2;
                        match what {
                            "PING" => raw2::frame(PING, 0, 0, b"12345678"),
                            "SETTINGS" => raw2::settings(&[(0x3, 100)]),
                            "bad heads" => bad(stream - 2),
                            _ => raw2::get(stream - 2, "nobody.localhost", "/"),
                        }
                    })
                    .collect();
                if Instant::now() > until || !client.offer(part) {
                    break;
                }
            }
        });
    }
}

/// CVE-2019-9511: a response in as many frames as it has bytes.
#[test]
fn a_window_that_opens_byte_by_byte_ends_the_connection() {
    let watershed = serve("");
    beside_an_honest_client(&watershed, "byte by byte", || {
        let mut client = Raw2::connect(watershed.address(), &[NO_WINDOW]);
        client.send(raw2::get(1, LAB, "/big?mib=1"));
        client.set_write_timeout(Duration::from_secs(1));
        for _ in 0..5_000 {
            // One frame after the other, as far as it goes.
            if !client.offer(raw2::window_update(1, 1)) {
                break;
            }
            thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(client.goaway(), ENHANCE_YOUR_CALM);
    });
    within(DEADLINE, "its count", || count(&watershed, "flood") > 0.0);
}

#[test]
fn a_head_has_its_time_however_its_frames_drip() {
    let watershed = serve("head-time = \"1s\"");
    let block = raw2::block(&raw2::pseudo("GET", LAB, "/count"));
    let whole = raw2::frame(HEADERS, END_STREAM | END_HEADERS, 3, &block);
    let open = raw2::frame(HEADERS, END_STREAM, 3, &block);
    let rest = raw2::frame(CONTINUATION, 0, 3, raw2::block(&[("x-a", &"x".repeat(100))]));
    for (what, sent) in [("a frame", whole), ("a block", [open, rest].concat())] {
        beside_an_honest_client(&watershed, what, || {
            let mut client = Raw2::connect(watershed.address(), &[]);
            // Another request on the connection is no reason to wait longer.
            client.send(raw2::get(1, LAB, "/count"));
            let (began, mut writer) = (Instant::now(), client.writer());
            let dripping = thread::spawn(move || {
                for byte in sent {
                    thread::sleep(Duration::from_millis(50));
                    if writer.write_all(&[byte]).is_err() {
                        return;
                    }
                }
            });
            assert_eq!(client.goaway(), ENHANCE_YOUR_CALM, "{what}");
            assert!(began.elapsed() >= Duration::from_secs(1), "{what}: {:?}", began.elapsed());
            drop(client);
            dripping.join().unwrap();
        });
    }
    within(DEADLINE, "their count", || count(&watershed, "request-timeout") >= 2.0);
    assert_eq!(count(&watershed, "request-timeout"), 2.0);
}

/// PINGs are no requests.
#[test]
fn a_connection_without_requests_is_idle_whatever_else_it_carries() {
    let watershed = serve("idle-time = \"1s\"");
    let mut client = Raw2::connect(watershed.address(), &[]);
    let mut writer = client.writer();
    let pinging = thread::spawn(move || {
        let ping = raw2::frame(PING, 0, 0, b"12345678");
        while writer.write_all(&ping).is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(client.goaway(), NO_ERROR);
    drop(client);
    pinging.join().unwrap();
}

/// Where it listens, it says how many it takes; a client that sends more before it has read that is told which are left.
#[test]
fn as_many_streams_are_open_as_declared() {
    let watershed = serve("streams = 3");
    let mut client = Raw2::connect(watershed.address(), &[]);
    let settings = client.until("SETTINGS", |frame| frame.kind == raw2::SETTINGS);
    let pairs: Vec<_> = settings.payload.chunks(6).collect();
    assert!(pairs.contains(&&[0, 3, 0, 0, 0, 3][..]), "{pairs:?}");
    for stream in [1, 3, 5, 7] {
        client.send(raw2::get(stream, LAB, "/sleep?ms=200"));
    }
    let refused = client.until("a reset", |frame| frame.kind == raw2::RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (7, Some(raw2::REFUSED_STREAM)));
    let mut ended = 0;
    client.until("three responses", |frame| {
        ended += u32::from(frame.ends_stream());
        ended == 3
    });
    client.send(raw2::get(9, LAB, "/count"));
    client.until("one more", |frame| frame.stream == 9 && frame.ends_stream());
    within(DEADLINE, "its count", || count(&watershed, "too-many-streams") > 0.0);
}

//! Requests that are refused before they can be read: the client is told, and each is counted and logged once, like any
//! other request. Peers had requests that their metrics and logs never saw: apache/trafficserver#13105 (malformed
//! HTTP/2 requests), quarkusio/quarkus#55148 (431), line/armeria#2159 (405).

use crate::support::{LAB, Site, Watershed, eventually, lab};

/// A lab that accepts small heads only, and logs everything.
fn serve() -> Watershed {
    let limits = "[server.limits]\nhead = \"4KiB\"\nheaders = 10\nhead-time = \"1s\"";
    let site = Site::new().service("lab", &lab("v1")).tables(limits);
    site.variable("WATERSHED_LOG", "watershed=debug").start()
}

/// Asserts that `refused` counts as exactly one request, with this outcome.
#[track_caller]
fn assert_counted(watershed: &Watershed, outcome: &str, what: &str, refused: impl FnOnce()) {
    let requests = |labels: &[(&str, &str)]| watershed.metric("watershed_requests_total", labels);
    let counted = || (requests(&[("outcome", outcome), ("service", "")]), requests(&[]));
    let (before, all) = counted();
    refused();
    // The request is counted after its response.
    eventually(&format!("one more {outcome}: {what}"), || counted().0 > before);
    assert_eq!(counted(), (before + 1.0, all + 1.0), "{outcome}: {what}");
}

#[test]
fn each_refusal_over_http1_is_counted_once() {
    let watershed = serve();
    let request =
        |line: &str, fields: &str| format!("{line} HTTP/1.1\r\nhost: {LAB}\r\n{fields}\r\n");
    let long = format!("x-long: {}\r\n", "x".repeat(6 << 10));
    let many = "x-many: 1\r\n".repeat(20);
    for (sent, status, outcome) in [
        ("nonsense\r\n\r\n".to_owned(), 400, "bad-request"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "bad-request"),
        // Our reader of heads accepts the head, and pingora's parser does not.
        (request("GET /", "x-a: \0\r\n"), 400, "bad-request"),
        (request("CONNECT lab.localhost:443", ""), 405, "method-not-allowed"),
        ("GET / HTTP/1.1\r\nhost".to_owned(), 408, "request-timeout"),
        (request("GET /", &long), 431, "request-head"),
        (request("GET /", &many), 431, "request-head"),
        (request("POST /", "transfer-encoding: gzip, chunked\r\n"), 501, "transfer-coding"),
        (request("GET /", "host: other.localhost\r\n"), 400, "bad-request"),
    ] {
        assert_counted(&watershed, outcome, &sent, || {
            let mut client = watershed.http1();
            client.send(&sent);
            let answer = client.everything();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:?}: {answer}");
        });
        watershed.log_line(&["DEBUG", &format!("code=\"{outcome}\""), "client=127.0.0.1:"]);
    }
    watershed.assert_serves(LAB, "/count");
}

/// A client that leaves before the head is complete has requested nothing.
#[test]
fn half_a_head_is_no_request() {
    let watershed = serve();
    let mut client = watershed.http1();
    client.send("GET / HTTP/1.1\r\nhost");
    drop(client);
    watershed.assert_serves(LAB, "/count");
    watershed.await_outcomes("2xx", 1);
    assert_eq!(watershed.metric("watershed_requests_total", &[]), 1.0);
}

/// HTTP/2 frames, written by the test.
struct Frames(Vec<u8>);

impl Frames {
    const HEADERS: u8 = 0x1;
    const SETTINGS: u8 = 0x4;
    const END_HEADERS: u8 = 0x4;
    const END_STREAM: u8 = 0x1;

    fn new() -> Self {
        Self(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()).frame(Self::SETTINGS, 0, 0, b"")
    }

    fn frame(mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.0.extend_from_slice(&length[1..]);
        self.0.extend_from_slice(&[kind, flags]);
        self.0.extend_from_slice(&stream.to_be_bytes());
        self.0.extend_from_slice(payload);
        self
    }

    /// `GET /` for a host, with one field more.
    fn request(self, stream: u32, flags: u8, host: &str, (name, value): (&str, &str)) -> Self {
        // RFC 7541: `:method GET`, `:scheme http` and `:path /` of the static table, then literals.
        let mut block = vec![0x82, 0x86, 0x84, 0x01];
        string(&mut block, host);
        block.push(0x00);
        string(&mut block, name);
        string(&mut block, value);
        self.frame(Self::HEADERS, flags | Self::END_HEADERS, stream, &block)
    }
}

/// A string literal (RFC 7541, section 5.2).
fn string(block: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length @ 0..0x7f) => block.push(length),
        _ => {
            block.push(0x7f);
            let mut rest = text.len() - 0x7f;
            while rest >= 0x80 {
                block.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
                rest /= 0x80;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend_from_slice(text.as_bytes());
}

#[test]
fn each_refusal_over_http2_is_counted_once() {
    let watershed = serve();
    let nothing = ("x-a", "1");
    // Past the limit we refuse the stream, and past twice the limit h2 does.
    let (long, longer) = ("x".repeat(6 << 10), "x".repeat(12 << 10));
    let ends = Frames::END_STREAM;
    for (what, frames, outcome) in [
        ("no host", Frames::new().request(1, ends, "", nothing), "bad-request"),
        ("a long head", Frames::new().request(1, ends, LAB, ("x-a", &long)), "request-head"),
        ("a longer head", Frames::new().request(1, ends, LAB, ("x-a", &longer)), "request-head"),
        ("one with a body", Frames::new().request(1, 0, LAB, ("x-a", &longer)), "request-head"),
        // RFC 9113, section 8.2.2.
        (
            "a field of HTTP/1",
            Frames::new().request(1, ends, LAB, ("connection", "x")),
            "bad-request",
        ),
        ("upper case", Frames::new().request(1, ends, LAB, ("X-A", "1")), "bad-request"),
        // RFC 9113, section 4.2.
        ("a frame too large", Frames::new().frame(0x0, 0, 1, &[0; 20 << 10]), "bad-request"),
    ] {
        // The connection stays open until the request is counted: counting need not wait for the end of the connection.
        let mut client = watershed.http1();
        assert_counted(&watershed, outcome, what, || client.send(&frames.0));
    }
    let log = watershed.stderr();
    assert!(log.contains("code=\"request-head\"") && !log.contains("WARN"), "{log}");
    watershed.http2().get(LAB, "/count");
}

/// One more than is allowed, before any of the others was looked at.
#[test]
fn a_request_too_many_on_a_connection_is_counted_once() {
    let watershed = serve();
    let mut frames = Frames::new();
    for number in 0..129 {
        frames = frames.request(2 * number + 1, 0, "nobody.localhost", ("x-a", "1"));
    }
    let mut client = watershed.http1();
    client.send(&frames.0);
    watershed.await_outcomes("too-many-streams", 1);
    watershed.await_outcomes("no-service", 128);
    assert_eq!(watershed.metric("watershed_requests_total", &[]), 129.0);
    drop(client);
}

//! Bodies stream both ways at once, whole, in constant memory, and end with their client. Guests of both releases of
//! WASI are tested.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use crate::support::{
    Http1, LAB, Response, Watershed, eventually, in_both_worlds, request, serve_lab,
};

const MIB: usize = 1 << 20;

/// Limits of a lab that takes large bodies.
pub const ROOMY: &str = "request-body = \"1GiB\"\ncpu-time = \"30s\"";

/// Limits of a lab whose guests may wait for longer than any test.
const PATIENT: &str = "wall-time = \"5m\"\ncpu-time = \"30s\"";

/// Bytes without repeated parts.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes in a thread of its own, because a body that comes back must be read meanwhile.
pub fn post<T>(
    client: &mut Http1,
    (path, framing): (&str, &str),
    write: impl FnOnce(&mut TcpStream) + Send,
    read: impl FnOnce(&mut Http1) -> T,
) -> T {
    client.send(format!("POST {path} HTTP/1.1\r\nhost: {LAB}\r\n{framing}\r\n\r\n"));
    let mut writer = client.writer();
    thread::scope(|scope| {
        scope.spawn(move || write(&mut writer));
        read(client)
    })
}

fn write_chunked(stream: &mut TcpStream, parts: std::slice::Chunks<'_, u8>) {
    for part in parts {
        write!(stream, "{:x}\r\n", part.len()).unwrap();
        stream.write_all(part).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
}

#[track_caller]
pub fn assert_echoed(response: &Response, sent: &[u8]) {
    assert_eq!((response.status, response.complete), (200, true));
    assert_eq!(response.body.len(), sent.len());
    assert!(response.body == sent, "the echo differs");
}

#[test]
fn twenty_megabytes_come_back_as_they_were() {
    let sent = noise(20 * MIB + 7);
    in_both_worlds(ROOMY, |watershed| {
        let mut client = watershed.http1();
        let length = format!("content-length: {}", sent.len());
        let write = |stream: &mut TcpStream| stream.write_all(&sent).unwrap();
        let response =
            post(&mut client, ("/echo", &length), write, |client| client.response("POST"));
        assert_echoed(&response, &sent);
        let write = |stream: &mut TcpStream| write_chunked(stream, sent.chunks(10_007));
        let chunked = ("/echo", "transfer-encoding: chunked");
        let response = post(&mut client, chunked, write, |client| client.response("POST"));
        assert_echoed(&response, &sent);
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
        watershed.await_outcomes("2xx", 3);
    });
}

/// 1 GiB was tried by hand with the same result; a quarter of the size takes a quarter of the time.
#[test]
fn an_echo_of_256_mib_needs_less_than_150_mib_of_memory() {
    let part = noise(MIB);
    in_both_worlds(ROOMY, |watershed| {
        let mut client = watershed.http1();
        let write = |stream: &mut TcpStream| {
            for _ in 0..256 {
                stream.write_all(&part).unwrap();
            }
        };
        let length = format!("content-length: {}", 256 * MIB);
        post(&mut client, ("/echo", &length), write, |client| {
            let mut response = client.head();
            assert_eq!(response.header("transfer-encoding"), Some("chunked"));
            assert_eq!(measure(client, &mut response), 256 * MIB);
        });
        assert_small(watershed);
    });
}

/// Reads the rest of a chunked body, and throws it away. Returns its length.
fn measure(client: &mut Http1, response: &mut Response) -> usize {
    let mut length = 0;
    while !response.complete {
        response.body.clear();
        assert!(client.chunk(response), "it broke off after {length} bytes");
        length += response.body.len();
    }
    length
}

/// Asserts that the process has never held a body as a whole.
#[track_caller]
fn assert_small(watershed: &Watershed) {
    let peak = watershed.peak_memory();
    assert!(peak < 150 * MIB, "{} MiB", peak / MIB);
}

/// Neither a client that does not read nor a guest that does not makes the process hold a body.
#[test]
fn bodies_that_nobody_reads_are_not_gathered() {
    in_both_worlds(ROOMY, |watershed| {
        let mut client = watershed.http1();
        client.send(format!("GET /big?mib=400 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        let mut response = client.head();
        // By then, other requests have had their turn many times.
        for _ in 0..200 {
            watershed.assert_serves(LAB, "/count");
        }
        assert_eq!(measure(&mut client, &mut response), 400 * MIB);
        let read = watershed.http1().ask("POST", LAB, "/read", &[], &noise(64 * MIB));
        assert_eq!(read.text(), format!("read {} bytes\n", 64 * MIB));
        assert_small(watershed);
    });
}

#[test]
fn the_response_begins_before_the_request_ends_and_trailers_end_both() {
    in_both_worlds(ROOMY, |watershed| assert_streams(watershed, "/echo"));
}

/// Asserts that a path gives back each part of a body before the next one is sent.
pub fn assert_streams(watershed: &Watershed, path: &str) {
    let mut client = watershed.http1();
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\
         trailer: x-sum\r\n\r\n5\r\nfirst\r\n"
    ));
    let mut response = client.head();
    assert!(client.chunk(&mut response));
    assert_eq!(response.text(), "first");
    client.send("7\r\n second\r\n");
    assert!(client.chunk(&mut response));
    assert_eq!(response.text(), "first second");
    client.send("0\r\nx-sum: 7\r\n\r\n");
    assert!(client.chunk(&mut response));
    assert!(response.complete);
    assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

#[test]
fn the_response_begins_before_the_request_ends_over_http2() {
    in_both_worlds(ROOMY, |watershed| {
        let client = watershed.http2();
        let mut exchange = client.open(request("POST", LAB, "/echo"), true);
        exchange.upload.send_data("first".into(), false).unwrap();
        let mut body = client.wait(exchange.response).unwrap().into_body();
        assert_eq!(client.wait(body.data()).unwrap().unwrap(), "first");
        exchange.upload.send_data(" second".into(), true).unwrap();
        assert_eq!(client.wait(body.data()).unwrap().unwrap(), " second");
        // The end of the stream may come with an empty frame.
        while let Some(data) = client.wait(body.data()) {
            assert_eq!(data.unwrap(), "");
        }
    });
}

#[test]
fn a_guest_may_answer_before_it_reads() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!("POST /early HTTP/1.1\r\nhost: {LAB}\r\ncontent-length: 10\r\n\r\n"));
    let mut response = client.head();
    assert!(client.chunk(&mut response));
    assert_eq!(response.text(), "early\n");
    client.send("0123456789");
    while !response.complete && client.chunk(&mut response) {}
    assert_eq!(response.text(), "early\nthen 10 bytes\n");
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

#[test]
fn a_guest_need_not_read_its_request() {
    in_both_worlds(ROOMY, |watershed| {
        for path in ["/read?bytes=10", "/count"] {
            let mut client = watershed.http1();
            let response = client.ask("POST", LAB, path, &[], &noise(2 * MIB));
            assert_eq!((response.status, response.complete), (200, true), "{path}");
            watershed.assert_serves(LAB, "/count");
        }
    });
}

#[test]
fn each_part_of_a_response_leaves_when_it_is_flushed() {
    in_both_worlds(ROOMY, |watershed| {
        let mut client = watershed.http1();
        client.send(format!("GET /slow-body?chunks=3&ms=100 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        let mut response = client.head();
        for part in 1..=3 {
            assert!(client.chunk(&mut response));
            assert_eq!(response.text().lines().count(), part);
        }
    });
}

#[test]
fn many_bodies_stream_at_once() {
    in_both_worlds(PATIENT, |watershed| {
        let client = watershed.http2();
        let open =
            |_| client.open(request("GET", LAB, "/slow-body?chunks=3&ms=100"), false).response;
        let responses = client.responses((0..100).map(open).collect::<Vec<_>>().into_iter());
        assert_eq!(responses.len(), 100);
        for response in responses {
            assert_eq!(response.text(), "chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n");
        }
    });
}

#[test]
fn a_guest_ends_with_its_http1_client() {
    in_both_worlds(PATIENT, |watershed| {
        for path in ["/hang", "/hang-late", "/big?mib=100000", "/loop-late"] {
            let mut client = watershed.http1();
            client.send(format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
            assert_ends_with(watershed, path, || client.reset());
        }
        watershed.await_outcomes("client-gone", 4);
        watershed.assert_serves(LAB, "/count");
    });
}

#[test]
fn a_guest_ends_when_its_http1_client_goes_in_mid_upload() {
    in_both_worlds(PATIENT, |watershed| {
        let mut client = watershed.http1();
        client
            .send(format!("POST /echo HTTP/1.1\r\nhost: {LAB}\r\ncontent-length: 100\r\n\r\nhalf"));
        assert_ends_with(watershed, "/echo", || client.reset());
        watershed.await_outcomes("client-gone", 1);
        watershed.assert_serves(LAB, "/count");
    });
}

#[test]
fn a_guest_ends_with_its_http2_stream() {
    in_both_worlds(PATIENT, |watershed| {
        let client = watershed.http2();
        for path in ["/hang", "/hang-late"] {
            let mut exchange = client.open(request("GET", LAB, path), false);
            assert_ends_with(watershed, path, || exchange.upload.send_reset(h2::Reason::CANCEL));
            assert_eq!(client.get(LAB, "/count").text(), "1\n");
        }
        let mut exchange = client.open(request("POST", LAB, "/echo"), true);
        exchange.upload.send_data("half".into(), false).unwrap();
        assert_ends_with(watershed, "/echo", || exchange.upload.send_reset(h2::Reason::CANCEL));
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
        watershed.await_outcomes("client-gone", 3);
    });
}

#[test]
fn a_guest_ends_with_its_http2_connection() {
    in_both_worlds(PATIENT, |watershed| {
        let client = watershed.http2();
        let exchange = client.open(request("GET", LAB, "/hang"), false);
        assert_ends_with(watershed, "/hang", || drop((exchange, client)));
        watershed.assert_serves(LAB, "/count");
    });
}

/// Asserts that the only request in flight ends when its client leaves. Otherwise it would end after half a minute at
/// the soonest.
#[track_caller]
fn assert_ends_with(watershed: &Watershed, path: &str, leave: impl FnOnce()) {
    let in_flight = || watershed.metric("watershed_in_flight", &[]);
    eventually(&format!("{path} in flight"), || in_flight() > 0.5);
    leave();
    eventually(&format!("the end of {path}"), || in_flight() < 0.5);
}

//! What clients do to the process, again and again.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::{MIXED, SOCKETS, STEADY, Tally};
use crate::support::https::FIRST;
use crate::support::raw2::{self, Raw2};
use crate::support::{Http1, Response, Watershed, request};

const PART: usize = 100_000;

/// Each makes requests for a moment, and is then called again.
pub const ALL: [fn(&Watershed, &Tally); 8] =
    [small, uploads, many, leaving, chunks, encrypted, sockets, hostile];

/// Whether a response says that its connection ends: the process is being replaced.
fn closes(response: &Response) -> bool {
    response.header("connection") == Some("close")
}

/// Small requests on a kept connection: none may fail, whatever dies.
fn small(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.http1();
    for _ in 0..200 {
        let response = client.get(MIXED, "/");
        let is_right = response.status == 200 && response.complete;
        tally.expect(is_right && response.text().starts_with("Hello"), || format!("{response:?}"));
        if closes(&response) {
            return;
        }
    }
    client.close();
}

/// Uploads to a target that stays: none may fail.
fn uploads(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.http1();
    let body = vec![b'x'; PART];
    for _ in 0..20 {
        let response = client.ask("POST", STEADY, "/", &[], &body);
        tally.expect(response.body == body, || format!("{} {}", response.status, response.text()));
        if closes(&response) {
            return;
        }
    }
    client.close();
}

/// Requests of one HTTP/2 connection, to both services, until it goes away.
fn many(watershed: &Watershed, tally: &Tally) {
    let client = watershed.http2();
    for host in [MIXED, STEADY].into_iter().cycle().take(200) {
        let Some(response) = client.get_unless_gone(host, "/") else { return };
        tally.expect(response.status == 200 && response.complete, || format!("{response:?}"));
    }
}

/// Clients that leave: in the middle of an upload, and before they have read the response.
fn leaving(watershed: &Watershed, tally: &Tally) {
    let mut client: Http1 = watershed.http1();
    client
        .send(format!("POST / HTTP/1.1\r\nhost: {STEADY}\r\ncontent-length: {PART}\r\n\r\nxxxxx"));
    client.head();
    client.reset();
    let mut client = watershed.http1();
    client.send(format!("GET / HTTP/1.1\r\nhost: {MIXED}\r\n\r\n"));
    client.reset();
    let http2 = watershed.http2();
    drop(http2.open(request("GET", MIXED, "/"), true));
    tally.abandoned.fetch_add(3, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(20));
}

/// Both directions at once, part by part, with trailers.
fn chunks(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.http1();
    client.send(format!("POST / HTTP/1.1\r\nhost: {STEADY}\r\ntransfer-encoding: chunked\r\n\r\n"));
    let mut response = client.head();
    for _ in 0..50 {
        client.send("5\r\nhello\r\n");
    }
    client.send("0\r\nx-a: b\r\n\r\n");
    while !response.complete && client.chunk(&mut response) {}
    let is_right = response.body.len() == 250 && response.trailers.len() == 1;
    tally.expect(is_right, || format!("{response:?}"));
    client.close();
}

/// Handshakes, and requests over TLS.
fn encrypted(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.tls(FIRST, &["http/1.1"]);
    for _ in 0..50 {
        write!(client, "GET / HTTP/1.1\r\nhost: {MIXED}\r\n\r\n").unwrap();
        let mut said = Vec::new();
        let mut part = [0; 4096];
        // The body ends with the line that it has.
        while !said.ends_with(b"!\n") {
            match client.read(&mut part).unwrap() {
                0 => break,
                read => said.extend_from_slice(&part[..read]),
            }
        }
        let said = String::from_utf8_lossy(&said).to_lowercase();
        tally.expect(said.starts_with("http/1.1 200") && said.ends_with("!\n"), || said.clone());
        if said.contains("connection: close") {
            return;
        }
    }
}

/// A connection that has switched its protocol, for a moment. The end of a process ends it, after the grace period.
fn sockets(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.http1();
    let key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    client.send(format!(
        "GET /chat HTTP/1.1\r\nhost: {SOCKETS}\r\nconnection: upgrade\r\nupgrade: websocket\r\n{key}\r\n\r\n"
    ));
    let head = client.head();
    tally.expect(head.status == 101, || format!("{head:?}"));
    for _ in 0..20 {
        let mut back = Vec::new();
        client.send("ping");
        client.read_up_to(4, &mut back);
        tally.expect(back == b"ping", || format!("an echo of {back:?}"));
        thread::sleep(Duration::from_millis(20));
    }
    client.close();
}

/// Clients that attack. What they are told does not matter here: that everybody else is served does.
fn hostile(watershed: &Watershed, tally: &Tally) {
    let cleartext: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nX",
        b"GET / HTTP/1.1\nhost: a\n\n",
        b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x04\x08\0\0\0\0\0\0\0\0\0",
        b"GET / HTTP/1.1\r\nhost: ",
    ];
    for bytes in cleartext {
        throw(watershed.address(), bytes);
    }
    throw(watershed.address(), &[b"GET / HTTP/1.1\r\n", &[b'x'; PART][..]].concat());
    throw(watershed.https_address(), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    throw(watershed.https_address(), &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
    rapid_resets(watershed);
    tally.abandoned.fetch_add(10, Ordering::Relaxed);
}

/// Sends bytes, and waits until the connection is closed.
fn throw(address: SocketAddr, bytes: &[u8]) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(bytes).ok();
    socket.shutdown(Shutdown::Write).ok();
    socket.read_to_end(&mut Vec::new()).ok();
}

/// Asks, and takes every request back at once (CVE-2023-44487).
fn rapid_resets(watershed: &Watershed) {
    let mut client = Raw2::connect(watershed.address(), &[]);
    for stream in (1..400).step_by(2) {
        let request = [raw2::get(stream, MIXED, "/"), raw2::reset(stream, 8)].concat();
        if !client.offer(request) {
            return;
        }
    }
}

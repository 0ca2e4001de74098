//! What connections cost that wait for their next request, and what is left of a burst of them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{ClientConnection, StreamOwned};
use socket2::SockRef;

use ::misbehaving::{Script, Upstream};

use crate::support::https::{FIRST, secure};
use crate::support::{DEADLINE, Site, UP, Watershed, upstream, within};

/// Connections that ask at the same time.
const AT_ONCE: usize = 50;
/// Connections that are kept, after so many that only warm the process up.
const KEPT: usize = 2_000;
const WARM: usize = 200;
/// The bound of the resident memory of one of them, in KiB. It was 3.2 when this was written, so what the process takes
/// for itself in the meantime may be 5 MiB.
const MOST: f64 = 6.0;
/// What may be left of a burst, in MiB: it leaves pages behind that are in use by something else. The connections
/// themselves take twice as much.
const LEFT: f64 = 16.0;
const BURST: usize = 10_000;
/// The same over TLS. Without a word to the allocator, a burst of those that only shake hands keeps 20 MiB for minutes.
const TLS_BURST: usize = 2_000;
const TLS_LEFT: f64 = 8.0;

impl Watershed {
    /// Resident memory in KiB.
    fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Connections that had one request each, with a body of this length and a response of the same, and wait for another.
    fn kept(&self, count: usize, length: usize) -> Vec<Kept> {
        let mut kept = Vec::with_capacity(count);
        while kept.len() < count {
            let mut together: Vec<_> = (0..AT_ONCE).map(|_| Kept::new(self)).collect();
            together.iter_mut().for_each(|it| it.ask(length));
            together.iter_mut().for_each(|it| it.answer(length));
            kept.append(&mut together);
        }
        kept
    }

    /// Waits until such connections hold no more than they may.
    fn assert_holds_little(&self, length: usize) {
        drop(self.kept(WARM, length));
        let before = self.resident();
        let kept = self.kept(KEPT, length);
        // The allocator gives back a second later what large messages took.
        within(Duration::from_secs(20), "idle connections hold little", || {
            (self.resident() - before) / (kept.len() as f64) < MOST
        });
    }
}

/// A connection that is reset when it is dropped, so that its port is free at once: other tests need ports too.
struct Kept(TcpStream);

impl Kept {
    fn new(watershed: &Watershed) -> Self {
        Self::at(watershed.address())
    }

    fn at(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        Self(stream)
    }

    fn ask(&mut self, length: usize) {
        let head = format!("POST / HTTP/1.1\r\nhost: {UP}\r\ncontent-length: {length}\r\n\r\n");
        self.0.write_all(head.as_bytes()).unwrap();
        self.0.write_all(&vec![b'x'; length]).unwrap();
    }

    fn answer(&mut self, length: usize) {
        let (mut response, mut part) = (Vec::new(), [0; 4096]);
        let body = |response: &[u8]| {
            let head = response.windows(4).position(|it| it == b"\r\n\r\n")?;
            Some(response.len() - head - 4)
        };
        while body(&response) != Some(length) {
            let read = self.0.read(&mut part).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&response));
            response.extend_from_slice(&part[..read]);
        }
        assert!(response.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&response));
    }
}

/// An upstream that echoes bodies: what is measured is connections, and no guest's sandboxes.
fn serve() -> (Upstream, Watershed) {
    let echo = Upstream::http1(Script::echo());
    let watershed = Site::new().service("up", &upstream("v1", &[echo.address()], "")).start();
    (echo, watershed)
}

#[test]
fn a_connection_that_waits_for_a_request_holds_little() {
    allow_descriptors(KEPT);
    let (_echo, watershed) = serve();
    watershed.assert_holds_little(15);
}

/// What a connection once needed for large messages must not stay with it.
#[test]
fn a_connection_that_waits_for_a_request_holds_no_more_after_large_ones() {
    allow_descriptors(KEPT);
    let (_echo, watershed) = serve();
    watershed.assert_holds_little(15 << 10);
}

#[test]
fn what_a_burst_of_connections_took_is_given_back() {
    let count = allow_descriptors(BURST);
    let (_echo, watershed) = serve();
    drop(watershed.kept(WARM, 15));
    let before = watershed.resident();
    drop(watershed.kept(count, 15));
    // Nothing else happens that would have the allocator look at its memory.
    within(Duration::from_secs(60), "the memory is given back", || {
        watershed.resident() - before < LEFT * 1024.0
    });
}

/// The same over TLS, of clients that shake hands, and of those that ask too. What mimalloc has to give back, it gives back
/// only when it is asked to.
#[test]
fn what_a_burst_of_connections_over_tls_took_is_given_back() {
    let count = allow_descriptors(TLS_BURST);
    let echo = Upstream::http1(Script::echo());
    let service = format!("domains = [\"{FIRST}\"]\n{}", upstream("v1", &[echo.address()], ""));
    let watershed = secure("").service("up", &service).start();
    let config = Arc::new(watershed.tls_config(&["http/1.1"]));
    let burst = |count: usize, asks: bool| -> Vec<_> {
        let connections = (0..count).map(|_| {
            let name = FIRST.try_into().unwrap();
            let tls = ClientConnection::new(config.clone(), name).unwrap();
            let socket = Kept::at(watershed.https_address()).0;
            let mut stream = StreamOwned::new(tls, socket);
            stream.conn.complete_io(&mut stream.sock).unwrap();
            if asks {
                write!(stream, "GET / HTTP/1.1\r\nhost: {FIRST}\r\n\r\n").unwrap();
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            }
            stream
        });
        connections.collect()
    };
    drop(burst(WARM, true));
    for asks in [false, true] {
        let before = watershed.resident();
        let open = burst(count, asks);
        let most = watershed.resident() - before;
        assert!(most < 24.0 * count as f64, "{most} KiB for {count} connections");
        drop(open);
        within(Duration::from_secs(60), "the memory is given back", || {
            watershed.resident() - before < TLS_LEFT * 1024.0
        });
    }
}

/// Lets this process, and those that it starts, have so many connections. Returns how many they can have.
pub fn allow_descriptors(connections: usize) -> usize {
    let wanted = connections as u64 + 1_000;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit }).unwrap();
        return usize::try_from(current).unwrap().saturating_sub(1_000).min(connections);
    }
    connections
}

//! How responses over HTTP/2 are cut into frames and writes.
//!
//! Peers had these: nodejs/node#33891 and yesodweb/wai#459 (one more frame, an empty one, for the end of each response),
//! nurl-lang/nurl#1115 and hyperium/h2#902 (a write for each frame), icing/mod_h2#147 and nodejs/node#18411 (parts of a
//! response that stay behind until there are more).

use std::io::{self, Read, Write};
use std::net::TcpStream;

use ::misbehaving::{Script, Script2, Upstream};
use rustls::{ClientConnection, StreamOwned};

use crate::support::https::{FIRST, secure};
use crate::support::raw2::{self, DATA, END_STREAM, HEADERS, Raw2};
use crate::support::{LAB, ONCE, Site, UP, Watershed, in_both_worlds, lab, limits, upstream};

/// A response of 1 KiB that is written at once.
const KIB: &str = "/length?is=1024&parts=1&size=1024";

#[test]
fn the_end_comes_with_the_last_data() {
    in_both_worlds("", |watershed| {
        let mut client = Raw2::connect(watershed.address(), &[]);
        for (stream, path) in [(1, "/count"), (3, KIB)] {
            client.send(raw2::get(stream, LAB, path));
            let head = client.until("a head", |frame| frame.kind == HEADERS);
            assert_eq!((head.stream, head.ends_stream()), (stream, false), "{path}");
            let data = client.until("data", |frame| frame.kind == DATA);
            assert!(data.ends_stream() && !data.payload.is_empty(), "{path}: {data:?}");
        }
    });
}

/// Go and python-h2 miss the body that a 304's `content-length` announces, unless its head ends the stream.
#[test]
fn a_head_without_a_body_is_the_end() {
    let cases = [
        ("GET", "304 Not Modified\r\ncontent-length: 3\r\n\r\n"),
        ("GET", "304 Not Modified\r\ncontent-length: 3\r\n\r\nabc"),
        ("GET", "304 Not Modified\r\n\r\n"),
        ("DELETE", "204 No Content\r\n\r\n"),
        ("HEAD", "200 OK\r\ncontent-length: 3\r\n\r\n"),
        ("HEAD", "200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("GET", "200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("GET", "200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ];
    for (method, answer) in cases {
        let target = Upstream::http1(Script::answer(format!("HTTP/1.1 {answer}")).close());
        let version = upstream("v1", &[target.address()], ONCE);
        let watershed = Site::new().service("up", &version).start();
        let mut client = Raw2::connect(watershed.address(), &[]);
        for stream in [1, 3] {
            let head = raw2::pseudo(method, UP, "/");
            client.send(raw2::head(END_STREAM, stream, &head));
            let head = client.until("a head", |frame| [HEADERS, DATA].contains(&frame.kind));
            assert_eq!(
                (head.kind, head.stream, head.ends_stream()),
                (HEADERS, stream, true),
                "{answer}"
            );
        }
        // What has no version to answer it.
        client.send(raw2::head(END_STREAM, 5, &raw2::pseudo("HEAD", "nobody.localhost", "/")));
        let head = client.until("a head", |frame| [HEADERS, DATA].contains(&frame.kind));
        assert!(head.stream == 5 && head.ends_stream(), "{answer}: {head:?}");
        client.assert_open();
        watershed.await_outcomes("no-service", 1);
    }
}

/// Of a body without any bytes, trailers may follow all the same.
#[test]
fn trailers_behind_an_empty_body_pass() {
    let script = Script2::new()
        .read_request()
        .head(200, &[("content-length", "0")])
        .trailers(&[("grpc-status", "5")]);
    let target = Upstream::http2(move |_| script.clone());
    let version = upstream("v1", &[target.address()], "protocol = \"h2c\"");
    let watershed = Site::new().service("up", &version).start();
    let response = watershed.http2().get(UP, "/");
    assert_eq!((response.status, response.complete), (200, true));
    assert_eq!(response.trailers, [("grpc-status".to_owned(), "5".to_owned())]);
}

/// Clients end a connection, with all that it carries, for white space around a value.
#[test]
fn values_are_bare() {
    let space = [("x-a", " 1 "), ("x-b", "\t")];
    let script =
        Script2::new().read_request().read_body().head(200, &space).data("ok").trailers(&space);
    let target = Upstream::http2(move |_| script.clone());
    let version = upstream("v1", &[target.address()], "protocol = \"h2c\"");
    let watershed = Site::new().service("up", &version).start();
    let response = watershed.http2().get(UP, "/");
    let bare = [("x-a".to_owned(), "1".to_owned()), ("x-b".to_owned(), String::new())];
    assert_eq!((response.header("x-a"), response.header("x-b")), (Some("1"), Some("")));
    assert_eq!((response.text().as_str(), &response.trailers[..]), ("ok", &bare[..]));

    // Trailers of a client must not end the connection that it shares with others.
    let target = Upstream::http2_echo();
    let version = upstream("v1", &[target.address()], "protocol = \"h2c\"");
    let watershed = Site::new().service("up", &version).start();
    let mut client = Raw2::connect(watershed.address(), &[]);
    let trailers = raw2::head(END_STREAM, 1, &space);
    client.send([raw2::post(1, UP, "/"), raw2::frame(DATA, 0, 1, "hi"), trailers].concat());
    client.until("the end", |frame| frame.stream == 1 && frame.ends_stream());
    assert_eq!(target.arrived().last().unwrap().trailers, bare);
}

/// Each write is a record of TLS, which the client can count.
#[test]
fn responses_that_are_ready_together_leave_together() {
    let lab = lab("v1") + &limits("instance-reuse = 1000\nconcurrency = 100");
    let watershed = secure("").server("threads = 1").service("lab", &lab).start();
    let mut client = Client::connect(&watershed);
    // What a sandbox takes the first time is behind it then.
    client.ask(1, "/count");
    for path in ["/count", KIB] {
        let writes = client.ask(16, path);
        assert!(writes < 8, "{path}: {writes} writes for 16 responses");
    }
}

/// The parts of a response do not wait for what others have yet to do.
#[test]
fn a_part_of_a_response_does_not_wait_for_others() {
    let lab = lab("v1") + &limits("cpu-time = \"60s\"\nwall-time = \"60s\"");
    let watershed = Site::new().server("threads = 1").service("lab", &lab).start();
    let mut client = Raw2::connect(watershed.address(), &[]);
    client.send([raw2::get(1, LAB, "/loop"), raw2::get(3, LAB, "/sleep?ms=60000")].concat());
    client.send(raw2::get(5, LAB, "/slow-body?chunks=3&ms=20"));
    let mut parts = 0;
    client.until("three parts", |frame| {
        assert!([0, 5].contains(&frame.stream), "{frame:?}");
        parts += u32::from(frame.kind == DATA && !frame.payload.is_empty());
        parts == 3
    });
}

/// A client that counts the records that it gets.
struct Client {
    tls: StreamOwned<ClientConnection, Records>,
    next: u32,
}

impl Client {
    fn connect(watershed: &Watershed) -> Self {
        let StreamOwned { conn, sock } = watershed.tls(FIRST, &["h2"]);
        let mut tls = StreamOwned::new(conn, Records::of(sock));
        tls.write_all(&[raw2::PREFACE, &raw2::settings(&[])].concat()).unwrap();
        Self { tls, next: 1 }
    }

    /// Asks so many times at once. Returns in how many records the responses come.
    fn ask(&mut self, times: u32, path: &str) -> usize {
        let streams = (self.next..).step_by(2).take(times as usize);
        self.next += 2 * times;
        let requests: Vec<u8> = streams.flat_map(|stream| raw2::get(stream, LAB, path)).collect();
        let before = self.tls.sock.count;
        self.tls.write_all(&requests).unwrap();
        let mut open = times;
        while open > 0 {
            open -= u32::from(self.frame_ends_stream());
        }
        self.tls.sock.count - before
    }

    /// Reads a frame.
    fn frame_ends_stream(&mut self) -> bool {
        let mut head = [0; 9];
        self.tls.read_exact(&mut head).unwrap();
        let [a, b, c, kind, flags, ..] = head;
        self.tls.read_exact(&mut vec![0; u32::from_be_bytes([0, a, b, c]) as usize]).unwrap();
        matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0
    }
}

/// A socket that counts the records that come.
struct Records {
    socket: TcpStream,
    head: Vec<u8>,
    /// Bytes of the present record that are yet to come.
    left: usize,
    count: usize,
}

impl Records {
    fn of(socket: TcpStream) -> Self {
        Self { socket, head: Vec::new(), left: 0, count: 0 }
    }
}

impl Read for Records {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(buffer)?;
        for byte in &buffer[..read] {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            self.head.push(*byte);
            // RFC 8446, section 5.1.
            if let [_, _, _, high, low] = self.head[..] {
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.count += 1;
                self.head.clear();
            }
        }
        Ok(read)
    }
}

impl Write for Records {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.socket.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

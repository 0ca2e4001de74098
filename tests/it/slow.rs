//! Clients that send a body slowly, or take one slowly, for as long as `client-rate` is measured: half a minute. They are
//! cut off, and nobody but them is blamed; whoever keeps the rate is served.
//!
//! Jetty and Kestrel had to find out that a rate counts only while the server waits for the client
//! (jetty/jetty.project#4014, aspnet/KestrelHttpServer#2855), and Envoy answered a slow client with 504, or a slow
//! upstream with 408 (envoyproxy/envoy#12665, #19975).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::raw2::{self, Raw2};
use crate::support::{
    Backend, LAB, Site, UP, Watershed, assert_problem, eventually, greeter, lab, limits, request,
    split, upstream, within,
};

/// How long a rate is measured.
const TIME: Duration = Duration::from_secs(30);
/// A machine that is busy is late, and what is on the way when a client becomes slow is its own.
const LATEST: Duration = Duration::from_secs(50);
const RATE: usize = 64 << 10;
/// Longer than the rate is measured, so nothing but the rate cuts anybody off.
const WALL_TIME: &str = "wall-time = \"10m\"\ncpu-time = \"10s\"\nrequest-body = \"1GiB\"";

fn serve(target: SocketAddr) -> Watershed {
    let once = "eject = { failures = 1 }\nretry = { attempts = 0 }";
    let lab = lab("v1") + &limits(WALL_TIME) + &greeter("v2");
    let up =
        upstream("v1", &[target], once) + &limits("wall-time = \"10m\"\nrequest-body = \"1GiB\"");
    let rescue = split("v1 = 100") + "rescue = \"v2\"\n";
    let site = Site::new().server("[server.limits]\nclient-rate = \"64KiB/s\"");
    let site =
        site.service("lab", &(lab + &rescue)).service("up", &(up + &greeter("v2") + &rescue));
    site.variable("WATERSHED_LOG", "watershed=debug").start()
}

#[test]
fn who_is_slower_than_the_rate_is_cut_off_and_nobody_else_is_blamed() {
    let target = Source::start();
    let watershed = serve(target);
    thread::scope(|scope| {
        let mut cases = Vec::new();
        for (host, path) in [(LAB, "/read"), (UP, "/")] {
            cases.push(scope.spawn(|| drips_its_body(&watershed, host, path, false)));
            cases.push(scope.spawn(|| drips_its_body(&watershed, host, path, true)));
            cases.push(scope.spawn(|| sends_its_body_in_time(&watershed, host, path)));
        }
        for (host, path) in [(LAB, "/big?mib=100000"), (UP, "/big")] {
            cases.push(scope.spawn(|| sips_its_response(&watershed, host, path)));
            cases.push(scope.spawn(|| takes_its_response_in_time(&watershed, host, path)));
        }
        cases.push(scope.spawn(|| drips_its_body_over_http2(&watershed)));
        cases.push(scope.spawn(|| sips_its_response_over_http2(&watershed)));
        cases.into_iter().for_each(|case| case.join().unwrap());
    });
    watershed.await_outcomes("request-timeout", 5);
    watershed.await_outcomes("client-slow", 3);
    for code in ["request-timeout", "client-slow"] {
        watershed.log_line(&["DEBUG", &format!("code=\"{code}\""), "client=127.0.0.1:"]);
    }
    assert_blameless(&watershed);
}

/// Neither a version nor a target has failed, and no version has rescued another.
fn assert_blameless(watershed: &Watershed) {
    for metric in [
        "watershed_rescued_requests_total",
        "watershed_upstream_errors_total",
        "watershed_upstream_ejected",
    ] {
        assert_eq!(watershed.metric(metric, &[]), 0.0, "{metric}");
    }
    let status = watershed.admin("/api/v1/status").json();
    for service in status["environments"][0]["services"].as_array().unwrap() {
        for version in service["versions"].as_array().unwrap() {
            let ratio = &version["last_minute"]["error_ratio"];
            assert!(ratio.is_null() || ratio == 0 || ratio == 0.0, "{version}");
        }
    }
    watershed.assert_serves(LAB, "/count");
    watershed.assert_serves(UP, "/");
}

/// One byte at a time, each well before any time limit.
fn drips_its_body(watershed: &Watershed, host: &str, path: &str, in_chunks: bool) {
    let mut client = watershed.http1();
    let (framing, part) = match in_chunks {
        true => ("transfer-encoding: chunked", "1\r\nx\r\n"),
        false => ("content-length: 1000000", "x"),
    };
    client.send(format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n{framing}\r\n\r\n"));
    let (began, mut writer) = (Instant::now(), client.writer());
    let drip = thread::spawn(move || {
        while began.elapsed() < LATEST && writer.write_all(part.as_bytes()).is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    });
    assert!(client.has_more(LATEST), "{host}: no answer");
    let response = client.response("POST");
    assert_problem(&response, 408, "request-timeout");
    assert_eq!(response.header("connection"), Some("close"), "{host}");
    assert!(began.elapsed() >= TIME, "{host}: {:?}", began.elapsed());
    client.assert_closed();
    drip.join().unwrap();
}

fn drips_its_body_over_http2(watershed: &Watershed) {
    let client = watershed.http2();
    let mut exchange = client.open(request("POST", LAB, "/read"), true);
    let began = Instant::now();
    while began.elapsed() < LATEST && exchange.upload.send_data("x".into(), false).is_ok() {
        thread::sleep(Duration::from_millis(200));
    }
    let elapsed = began.elapsed();
    assert!((TIME..LATEST).contains(&elapsed), "{elapsed:?}");
    let response = client.response(exchange.response).unwrap();
    assert_problem(&response, 408, "request-timeout");
}

/// A small part of the rate, by windows that are large enough to be no flood.
fn sips_its_response_over_http2(watershed: &Watershed) {
    let mut client = Raw2::connect(watershed.address(), &[]);
    client.send(raw2::get(1, LAB, "/big?mib=100000"));
    let (began, mut writer) = (Instant::now(), client.writer());
    let sip = thread::spawn(move || {
        let window = [raw2::window_update(0, 4096), raw2::window_update(1, 4096)].concat();
        while began.elapsed() < LATEST && writer.write_all(&window).is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
    });
    client.set_read_timeout(LATEST);
    while client.frame().is_some_and(|frame| frame.kind != raw2::RST_STREAM) {}
    let elapsed = began.elapsed();
    assert!((TIME..LATEST).contains(&elapsed), "{elapsed:?}");
    drop(client);
    sip.join().unwrap();
}

/// Twice the rate, in bursts, for longer than the rate is measured.
fn sends_its_body_in_time(watershed: &Watershed, host: &str, path: &str) {
    let mut client = watershed.http1();
    let (seconds, burst) = (36, 2 * RATE);
    let length = seconds * burst;
    client
        .send(format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n"));
    for _ in 0..seconds {
        thread::sleep(Duration::from_secs(1));
        client.send(vec![b'x'; burst]);
    }
    assert_eq!(client.response("POST").status, 200, "{host}");
}

/// A small part of the rate, but never nothing for long.
fn sips_its_response(watershed: &Watershed, host: &str, path: &str) {
    let mut client = narrow(watershed.address());
    write!(client, "GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
    let (began, mut part) = (Instant::now(), [0; 1024]);
    while client.read(&mut part).is_ok_and(|read| read > 0) {
        assert!(began.elapsed() < 2 * LATEST, "{host}: it is not cut off");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(began.elapsed() >= TIME, "{host}: {:?}", began.elapsed());
}

/// Twice the rate, for longer than the rate is measured.
fn takes_its_response_in_time(watershed: &Watershed, host: &str, path: &str) {
    let mut client = watershed.http1();
    client.send(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    assert_eq!(client.head().status, 200, "{host}");
    for second in 0..40 {
        assert_eq!(client.skip(2 * RATE), 2 * RATE, "{host}: cut off after {second} s");
        thread::sleep(Duration::from_secs(1));
    }
    client.close();
}

/// A connection whose kernel takes little by itself.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LATEST)).unwrap();
    stream
}

/// An upstream with an endless response at `/big`, that reads every other request to its end before it answers.
struct Source;

impl Source {
    fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || Self::serve(connection));
            }
        });
        address
    }

    fn serve(mut connection: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let mut part = [0; 64 << 10];
        loop {
            let read = connection.read(&mut part).ok().filter(|read| *read > 0)?;
            bytes.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            if head.starts_with("GET /big ") {
                connection
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
                    .ok()?;
                while connection.write_all(&part).is_ok() {}
                return None;
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let is_whole = match length {
                Some(length) => body.len() >= length.parse().unwrap(),
                None => !head.contains("chunked") || body.ends_with("0\r\n\r\n"),
            };
            if is_whole {
                connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").ok()?;
                bytes.clear();
            }
        }
    }
}

/// A target that had to wait for the rest of a request used to be blamed, and ejected.
#[test]
fn a_target_is_not_blamed_for_a_client_that_stops_sending() {
    let backend = Backend::start("v1");
    let lines = "eject = { failures = 1 }\nretry = { attempts = 0 }";
    let version = upstream("v1", &[backend.address()], lines) + &limits("wall-time = \"300ms\"");
    let watershed = Site::new().service("up", &version).start();
    for _ in 0..3 {
        let mut client = watershed.http1();
        client.send(format!("POST / HTTP/1.1\r\nhost: {UP}\r\ncontent-length: 5\r\n\r\nhe"));
        assert_problem(&client.response("POST"), 408, "request-timeout");
    }
    watershed.await_outcomes("request-timeout", 3);
    for metric in ["watershed_upstream_errors_total", "watershed_upstream_ejected"] {
        assert_eq!(watershed.metric(metric, &[]), 0.0, "{metric}");
    }
    watershed.assert_serves(UP, "/");
}

/// By one byte at a time, between requests and before one, also by bytes that belong to none.
#[test]
fn empty_lines_that_drip_keep_no_connection() {
    let limits = "[server.limits]\nhead-time = \"1s\"\nidle-time = \"2s\"";
    let watershed = Site::new().server(limits).service("lab", &lab("v1")).start();
    for kept in [false, true] {
        let mut client = watershed.http1();
        if kept {
            assert_eq!(client.get(LAB, "/count").status, 200);
        }
        let (began, mut writer) = (Instant::now(), client.writer());
        let drip = thread::spawn(move || {
            let mut bytes = b"\r\n".iter().cycle();
            while began.elapsed() < LATEST
                && bytes.next().is_some_and(|it| writer.write_all(&[*it]).is_ok())
            {
                thread::sleep(Duration::from_millis(50));
            }
        });
        client.assert_closed();
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        drip.join().unwrap();
    }
    watershed.await_outcomes("request-timeout", 0);
}

/// twemproxy (twitter/twemproxy#97) and others ran out of descriptors, or span in `accept`. Here clients beyond the limit
/// wait to be accepted, and operators do not.
#[test]
fn connections_beyond_the_limit_wait_and_operators_do_not() {
    let limits = "[server.limits]\nconnections = 3";
    let watershed = Site::new().server(limits).service("lab", &lab("v1")).start();
    let max = || watershed.metric("watershed_max_connections", &[]);
    assert_eq!(max(), 3.0);
    let ask = |path: &str| {
        let mut client = watershed.http1();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        client
    };
    let mut busy: Vec<_> = (0..3).map(|_| ask("/sleep?ms=2000")).collect();
    eventually("three of them", || watershed.metric("watershed_connections", &[]) > 2.5);
    let began = Instant::now();
    let mut waiting: Vec<_> = (0..3).map(|_| ask("/count")).collect();
    assert_eq!(watershed.admin("/readyz").status, 200);
    // Each becomes idle, and makes room.
    for client in busy.iter_mut().chain(&mut waiting) {
        assert_eq!(client.response("GET").status, 200);
    }
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    // Whoever waits is served at once when the limit is raised.
    let mut busy: Vec<_> = (0..3).map(|_| ask("/sleep?ms=9000")).collect();
    let mut waiting = ask("/count");
    thread::sleep(Duration::from_millis(300));
    let main = watershed.site.read("watershed.toml").replace("connections = 3", "connections = 9");
    watershed.site.replace("watershed.toml", main);
    let began = Instant::now();
    assert_eq!(waiting.response("GET").status, 200);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    within(Duration::from_secs(1), "the new limit", || max() == 9.0);
    busy.iter_mut().for_each(|client| assert_eq!(client.response("GET").status, 200));
}

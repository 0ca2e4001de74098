//! Strangers take every place for a connection, and send nothing that could be served: they give way to whoever asks, the
//! oldest first, and nobody gives way who is served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Upstream};

use crate::support::https::{FIRST, secure_beside};
use crate::support::raw2::{self, Raw2};
use crate::support::{DEADLINE, GREETER, LAB, Site, Watershed, lab, one_version, upstream};

const PLACES: usize = 4;
const LIMITS: &str = "[server.limits]\nconnections = 4\nhead-time = \"60s\"";

/// What a stranger sends first, and then nothing more.
fn stranger(watershed: &Watershed, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(watershed.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(sent).unwrap();
    stream
}

fn crowded(watershed: &Watershed) -> f64 {
    watershed.metric("watershed_requests_total", &[("outcome", "crowded")])
}

#[test]
fn who_is_slow_to_ask_gives_way_and_nobody_who_is_served() {
    let watershed = Site::new()
        .server(LIMITS)
        .service("lab", &lab("v1"))
        .service("greeter", &one_version("v1"))
        .start();
    let mut busy = watershed.http1();
    busy.send(format!("GET /sleep?ms=8000 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    watershed.await_metric("watershed_in_flight", &[], 1.0);
    let half = format!("GET / HTTP/1.1\r\nhost: {GREETER}\r\n");
    let mut strangers: Vec<_> =
        (1..PLACES).map(|_| stranger(&watershed, half.as_bytes())).collect();
    for asked in 0..2 {
        let began = Instant::now();
        watershed.assert_serves(GREETER, "/");
        assert!(began.elapsed() < Duration::from_secs(5), "{asked}: {:?}", began.elapsed());
        // The connection of the request before has closed: somebody takes the place again.
        strangers.push(stranger(&watershed, half.as_bytes()));
    }
    let mut said = String::new();
    strangers.remove(0).read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    let said = said.to_ascii_lowercase();
    for field in ["watershed-error: crowded", "retry-after: 1", "connection: close"] {
        assert!(said.contains(&format!("{field}\r\n")), "{said}");
    }
    assert!(crowded(&watershed) >= 1.0);
    watershed.log_line(&["WARN", "crowded", "slow to come to a request"]);
    assert_eq!(busy.response("GET").status, 200);
}

/// Over HTTP/2, a head may come in any number of frames.
#[test]
fn who_is_slow_to_ask_over_http2_gives_way() {
    let watershed = Site::new().server(LIMITS).service("greeter", &one_version("v1")).start();
    let fields = raw2::pseudo("GET", GREETER, "/");
    let mut strangers: Vec<_> = (0..PLACES)
        .map(|_| {
            let mut stranger = Raw2::connect(watershed.address(), &[]);
            // The end of the head never comes.
            stranger.send(raw2::frame(raw2::HEADERS, 0, 1, raw2::block(&fields)));
            stranger
        })
        .collect();
    watershed.assert_serves(GREETER, "/");
    assert!(crowded(&watershed) >= 1.0);
    let told = strangers.iter_mut().filter_map(Raw2::frame).count();
    assert!(told > 0);
}

#[test]
fn who_does_not_end_a_handshake_gives_way() {
    let target = Upstream::http1(Script::text("hello"));
    let version = format!("domains = [\"{FIRST}\"]\n") + &upstream("v1", &[target.address()], "");
    let tables = "[server.limits]\nconnections = 4\nhead-time = \"60s\"";
    let watershed = secure_beside(tables, "").service("up", &version).start();
    let _strangers: Vec<_> = (0..PLACES)
        .map(|_| {
            let mut stream = TcpStream::connect(watershed.https_address()).unwrap();
            // The begin of a record of a handshake.
            stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            stream
        })
        .collect();
    assert_eq!(watershed.curl(&["--max-time", "8"], &format!("https://{FIRST}/")), "hello");
    assert!(crowded(&watershed) >= 1.0);
    watershed.log_line(&["WARN", "crowded"]);
}

#[test]
fn who_does_not_end_a_proxy_header_gives_way() {
    let server = format!("proxy-protocol = \"v1-v2\"\ntrusted-proxies = [\"127.0.0.1\"]\n{LIMITS}");
    let watershed = Site::new().server(&server).service("greeter", &one_version("v1")).start();
    let _strangers: Vec<_> = (0..PLACES).map(|_| stranger(&watershed, b"PROXY TCP4 ")).collect();
    let mut client = watershed.http1();
    client.send("PROXY UNKNOWN\r\n");
    assert_eq!(client.get(GREETER, "/").status, 200);
    assert!(crowded(&watershed) >= 1.0);
    watershed.log_line(&["WARN", "crowded", "PROXY header"]);
}

/// Where nothing is slow, nobody is closed who has begun: a head that comes in parts within a second.
#[test]
fn a_head_that_comes_in_parts_is_served_in_a_crowd() {
    let watershed = Site::new().server(LIMITS).service("greeter", &one_version("v1")).start();
    let ask = || {
        let mut client = watershed.http1();
        for part in ["GET / HT", "TP/1.1\r\nhost: ", GREETER, "\r\n", "connection: close\r\n\r\n"] {
            client.send(part);
            std::thread::sleep(Duration::from_millis(20));
        }
        client.response("GET").status
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4 * PLACES).map(|_| scope.spawn(ask)).collect();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), 200);
        }
    });
    assert!(crowded(&watershed) < 0.5);
}

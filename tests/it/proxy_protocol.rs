//! Connections that begin with a PROXY header: what it says is believed of trusted proxies, and whoever sends none, or no
//! right one, is closed without an answer.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::support::https::{FIRST, secure};
use crate::support::{Http1, LAB, Response, Site, Watershed, lab};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

fn serve(trusted: &str, more: &str) -> Watershed {
    let server = format!("proxy-protocol = \"v1-v2\"\ntrusted-proxies = [{trusted}]\n{more}");
    Site::new().server(&server).service("lab", &lab("v1")).start()
}

fn v2(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, kind], &length, rest].concat()
}

const V4: [u8; 12] = [198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];

fn after(watershed: &Watershed, header: &[u8]) -> Http1 {
    let mut client = watershed.http1();
    client.send(header);
    client
}

fn asked(client: &mut Http1, headers: &[&str]) -> Response {
    let response = client.ask("GET", LAB, "/headers", headers, b"");
    assert_eq!(response.status, 200, "{response:?}");
    response
}

fn hops(client: &mut Http1, headers: &[&str]) -> String {
    asked(client, headers).reported("x-forwarded-for").unwrap()
}

#[test]
fn the_client_is_whom_the_header_names() {
    let watershed = serve("\"127.0.0.0/8\"", "");
    let v6 = {
        let ip: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
        [ip.octets().as_slice(), &ip.octets(), &[0, 1, 0, 2]].concat()
    };
    let tlvs = [V4.as_slice(), &[2, 0, 1, b'a', 4, 0, 2, 0, 0, 3, 0, 4, 1, 2, 3, 4]].concat();
    for (header, client) in [
        (b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\r\n".to_vec(), "198.51.100.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:198.51.100.7 ::1 4711 80\r\n".to_vec(), "198.51.100.7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0x11, &V4), "198.51.100.7"),
        (v2(0x21, 0x11, &tlvs), "198.51.100.7"),
        (v2(0x21, 0x21, &v6), "2001:db8::7"),
        (v2(0x21, 0x31, &[0; 216]), "127.0.0.1"),
        (v2(0x21, 0, &[]), "127.0.0.1"),
        (v2(0x20, 0, &[]), "127.0.0.1"),
        (v2(0x20, 0x11, &V4), "127.0.0.1"),
    ] {
        let mut connection = after(&watershed, &header);
        // For every request of the connection. The client itself is nobody whose word is believed.
        for _ in 0..2 {
            let forwarded = if client == "127.0.0.1" { "" } else { "x-forwarded-for: 1.2.3.4" };
            let sent: Vec<_> = [forwarded].into_iter().filter(|it| !it.is_empty()).collect();
            assert_eq!(hops(&mut connection, &sent), client, "{header:?}");
        }
    }
}

/// Somebody whom the proxy does not name is not the proxy, although the address is that of the proxy.
#[test]
fn only_the_proxy_itself_is_believed() {
    let watershed = serve("\"127.0.0.1\", \"198.51.100.7\"", "");
    let said = ["x-forwarded-for: 1.2.3.4"];
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x21, 0, &[]), v2(0x21, 0x31, &[0; 216])] {
        assert_eq!(hops(&mut after(&watershed, &header), &said), "127.0.0.1", "{header:?}");
    }
    let own = v2(0x20, 0, &[]);
    assert_eq!(hops(&mut after(&watershed, &own), &said), "1.2.3.4, 127.0.0.1");
    // A proxy before the proxy.
    let relayed = v2(0x21, 0x11, &V4);
    assert_eq!(hops(&mut after(&watershed, &relayed), &said), "1.2.3.4, 198.51.100.7");
}

#[test]
fn the_header_may_come_in_any_pieces() {
    let watershed = serve("\"127.0.0.1\"", "");
    let get = format!("GET /headers HTTP/1.1\r\nhost: {LAB}\r\n\r\n").into_bytes();
    let long = [V4.as_slice(), &[4, 0x0b, 0xb8], &[0; 3_000]].concat();
    for header in [
        b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\r\n".to_vec(),
        v2(0x21, 0x11, &V4),
        v2(0x21, 0x11, &long),
    ] {
        let all = [header.as_slice(), &get].concat();
        // All at once, so that the request comes with the header.
        let whole = after(&watershed, &all).response("GET");
        assert_eq!(whole.reported("x-forwarded-for").as_deref(), Some("198.51.100.7"));
        let step = header.len() / 20 + 1;
        let mut dripping = watershed.http1();
        for piece in all.chunks(step) {
            dripping.send(piece);
            std::thread::sleep(Duration::from_millis(2));
        }
        let dripped = dripping.response("GET");
        assert_eq!(dripped.reported("x-forwarded-for").as_deref(), Some("198.51.100.7"));
    }
}

#[test]
fn http2_begins_behind_the_header_too() {
    let watershed = serve("\"127.0.0.1\"", "");
    let client = crate::support::Http2::connect_after(watershed.address(), &v2(0x21, 0x11, &V4));
    let told = client.get(LAB, "/headers");
    assert_eq!(
        told.reported("x-forwarded-for").as_deref(),
        Some("198.51.100.7"),
        "{}",
        told.text()
    );
}

/// nats-io/nats-server#7571, haraka/Haraka#3105: the header comes before TLS, whole or in pieces.
#[test]
fn a_handshake_begins_behind_the_header() {
    let server = "proxy-protocol = \"v1-v2\"\ntrusted-proxies = [\"127.0.0.1\"]";
    let service = format!("domains = [\"{FIRST}\"]\n{}", lab("v1"));
    let watershed = secure("").server(server).service("lab", &service).start();
    let v1 = b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n".to_vec();
    let of_tls = [V4.as_slice(), &[0x20, 0, 5, 1, 0, 0, 0, 0]].concat();
    for (header, piece) in
        [(v1.clone(), 100), (v2(0x21, 0x11, &V4), 100), (v2(0x21, 0x11, &of_tls), 100), (v1, 7)]
    {
        let mut client = watershed.tls(FIRST, &["http/1.1"]);
        for piece in header.chunks(piece) {
            client.sock.write_all(piece).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        write!(client, "GET /headers HTTP/1.1\r\nhost: {FIRST}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut read = String::new();
        client.read_to_string(&mut read).unwrap();
        assert!(read.contains("x-forwarded-for: 198.51.100.7\n"), "{read}");
        assert!(read.contains("x-forwarded-proto: https\n"), "{read}");
    }
    // Without a header, or with one behind the beginning of TLS, nothing is answered, not even an alert.
    for start in [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut client = Http1::connect(watershed.https_address());
        client.writer().write_all(start).ok();
        assert_eq!(client.everything(), "");
    }
    watershed.await_outcomes("proxy-header", 2);
    watershed.await_outcomes("tls-handshake", 0);
    // What is behind a right header, and no TLS, is what it is without one.
    let mut cleartext = Http1::connect(watershed.https_address());
    cleartext.send(v2(0x21, 0x11, &V4));
    assert_eq!(cleartext.get(FIRST, "/").status, 400);
    watershed.await_outcomes("cleartext", 1);
}

/// The proxy speaks TLS for us, and says so in its header.
#[test]
fn a_client_that_speaks_tls_with_the_proxy_asks_for_https() {
    let watershed = serve("\"127.0.0.1\"", "");
    let tls = |bits: u8| v2(0x21, 0x11, &[V4.as_slice(), &[0x20, 0, 5, bits, 0, 0, 0, 0]].concat());
    for (bits, scheme) in [(1, "https"), (0, "http")] {
        let told = asked(&mut after(&watershed, &tls(bits)), &["x-forwarded-proto: gopher"]);
        assert_eq!(told.reported("scheme").as_deref(), Some(scheme));
        assert_eq!(told.reported("x-forwarded-proto").as_deref(), Some(scheme));
    }
}

#[track_caller]
fn assert_closed_silently(watershed: &Watershed, start: &[u8]) {
    let mut client = watershed.http1();
    // It may be closed before all of it is sent.
    client.writer().write_all(start).ok();
    let shown = String::from_utf8_lossy(start).into_owned();
    assert_eq!(client.everything(), "", "{shown:?}");
}

#[test]
fn what_does_not_begin_with_a_right_header_is_closed_counted_and_told() {
    let watershed = serve("\"127.0.0.1\"", "");
    let get = format!("GET / HTTP/1.1\r\nhost: {LAB}\r\n\r\n");
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let starts = [
        get.as_bytes().to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\0".to_vec(),
        b"PROXY TCP4 198.51.100.7 10.0.0.1 4711\r\n".to_vec(),
        b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\n\n".to_vec(),
        long.into_bytes(),
        v2(0x22, 0x11, &V4),
        v2(0x21, 0x11, &V4[..11]),
        v2(0x21, 0x11, &[V4.as_slice(), &[4, 0, 9]].concat()),
        v2(0x21, 0x11, &[0; 9_000]),
    ];
    for start in &starts {
        assert_closed_silently(&watershed, start);
    }
    watershed.await_outcomes("proxy-header", u32::try_from(starts.len()).unwrap());
    watershed.log_line(&["WARN", "proxy-header", "does not begin with a PROXY header"]);
    // A second header is no request, whoever is behind the proxy.
    let mut twice = after(&watershed, &[v2(0x21, 0x11, &V4), v2(0x21, 0x11, &V4)].concat());
    assert_eq!(twice.response("GET").status, 400);
    let mut served = after(&watershed, &v2(0x21, 0x11, &V4));
    asked(&mut served, &[]);
}

#[test]
fn nobody_else_may_connect() {
    let watershed = serve("\"10.0.0.0/8\"", "");
    assert_closed_silently(&watershed, &v2(0x21, 0x11, &V4));
    assert_closed_silently(&watershed, b"GET / HTTP/1.1\r\nhost: lab.localhost\r\n\r\n");
    watershed.await_outcomes("untrusted-proxy", 2);
    watershed.log_line(&["WARN", "untrusted-proxy", "127.0.0.1", "none of `trusted-proxies`"]);
}

#[test]
fn a_header_has_its_time_and_no_more() {
    let watershed = serve("\"127.0.0.1\"", "[server.limits]\nhead-time = \"1s\"\n");
    let begun = Instant::now();
    let (mut silent, mut part) = (watershed.http1(), after(&watershed, b"PROXY TC"));
    assert_eq!(part.everything() + &silent.everything(), "");
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    watershed.await_outcomes("request-timeout", 2);
    // Who only looks whether the port is open is no failure.
    for _ in 0..3 {
        watershed.http1().close();
    }
    let gone = after(&watershed, b"PROXY");
    gone.close();
    asked(&mut after(&watershed, b"PROXY UNKNOWN\r\n"), &[]);
    watershed.await_outcomes("request-timeout", 2);
    watershed.await_outcomes("proxy-header", 0);
}

/// Without the key, a header is a request that is none.
#[test]
fn a_header_that_nobody_expects_is_refused() {
    let watershed =
        Site::new().server("trusted-proxies = [\"127.0.0.1\"]").service("lab", &lab("v1")).start();
    for header in [b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\r\n".to_vec(), v2(0x21, 0x11, &V4)] {
        let mut client = after(&watershed, &header);
        assert_eq!(client.response("GET").status, 400, "{header:?}");
    }
}

/// Connections that have not said who they are do not hold up the end.
#[test]
fn a_silent_connection_does_not_hold_up_the_end() {
    let mut watershed = serve("\"127.0.0.1\"", "grace-period = \"60s\"");
    let silent = watershed.http1();
    watershed.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(watershed.wait(crate::support::DEADLINE).success());
    drop(silent);
}

/// A burst is told of once, and how many more there were once it is over.
#[test]
fn how_many_more_were_refused_is_told() {
    let watershed = serve("\"192.0.2.1\"", "");
    for _ in 0..30 {
        assert_eq!(watershed.http1().everything(), "");
    }
    let told = watershed.log_line(&["WARN", "untrusted-proxy", "more of the same"]);
    assert!(told.contains("connections are closed: "), "{told}");
}

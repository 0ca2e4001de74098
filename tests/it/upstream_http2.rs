//! Each way in which an upstream misbehaves over HTTP/2 and over TLS, and what its client sees.

use std::time::Duration;

use ::misbehaving::{Authority, Frames, Script, Script2, Step, Tls, Upstream};
use h2::ext::Protocol;

use crate::support::{ONCE, Response, Site, UP, Watershed, limits, request, upstream};

const PATIENCE: &str = "wall-time = \"1s\"\nidle-time = \"1s\"";
const H2C: &str = "protocol = \"h2c\"";

// Settings (RFC 9113, section 6.5.2).
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

fn serve(target: &Upstream, lines: &str) -> Watershed {
    let lines = format!("{H2C}\n{lines}");
    let version = upstream("v1", &[target.address()], &lines) + &limits(PATIENCE);
    Site::new().service("up", &version).start()
}

fn code(response: &Response) -> &str {
    response.header("watershed-error").unwrap_or("none")
}

/// A name, what the upstream does on each connection, and the codes that its client may see.
type Refused = (&'static str, Script2, &'static [&'static str]);

#[test]
fn a_stream_or_connection_that_ends_too_early_is_told() {
    let read = || Script2::new().read_request();
    let mut cases: Vec<Refused> = vec![
        ("closed after the preface", Script2::new().close(), &["upstream-reset", "connect"]),
        ("closed after the request", read().close(), &["upstream-reset"]),
        ("reset after the request", read().reset(), &["upstream-reset"]),
        (
            "GOAWAY with an error",
            read().go_away(2).close(),
            &["upstream-reset", "upstream-protocol"],
        ),
        ("never a preface", Script2::silent().hang(), &["wall-time", "connect"]),
        ("no answer", read().hang(), &["wall-time"]),
        ("HTTP/1.1", Script2::silent().raw("HTTP/1.1 400 No\r\n\r\n").close(), NOT_HTTP2),
        ("a head in capitals", read().raw(frame(1, 4, 1, b"\x88\0\x01X\x01a")).hang(), PROTOCOL),
        ("a head without a status", read().raw(frame(1, 4, 1, b"\0\x01x\x01a")).hang(), PROTOCOL),
        ("a field of a connection", read().head(200, &[("connection", "x")]).hang(), PROTOCOL),
        ("data before the head", read().raw(frame(0, 0, 1, b"hello")).hang(), PROTOCOL),
        ("a head of stream 0", read().raw(frame(1, 4, 0, b"\x88")).hang(), PROTOCOL),
        ("a huge frame", read().raw([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]).hang(), PROTOCOL),
        ("a broken block", read().raw(frame(1, 4, 1, b"\xff\xff\xff\xff\xff")).hang(), PROTOCOL),
    ];
    for number in [0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 13, 77] {
        cases.push(("a stream that is reset", read().reset_stream(number).hang(), RESET));
    }
    let mut wrong = Vec::new();
    for (name, script, codes) in cases {
        let target = Upstream::http2(move |_| script.clone());
        let watershed = serve(&target, ONCE);
        let response = watershed.get(UP, "/");
        if !codes.contains(&code(&response)) || !response.complete {
            let (status, code) = (response.status, code(&response));
            wrong.push(format!("{name}: {codes:?}, and not {status} {code}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const RESET: &[&str] = &["upstream-reset", "upstream-protocol"];
const PROTOCOL: &[&str] = &["upstream-protocol", "upstream-reset"];
const NOT_HTTP2: &[&str] = &["upstream-protocol", "upstream-reset", "connect"];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frames::frame(kind, flags, stream, payload)
}

/// Never a clean end of what is not whole.
#[test]
fn a_body_that_is_cut_is_cut_for_the_client_too() {
    let begun = || Script2::new().read_request().head(200, &[]).data("hel");
    let announced = |length| Script2::new().read_request().head(200, &[("content-length", length)]);
    let cases = [
        ("reset", begun().reset_stream(2).hang()),
        ("cancelled", begun().reset_stream(8).hang()),
        ("reset without an error", begun().reset_stream(0).hang()),
        ("closed", begun().close()),
        ("GOAWAY, and closed", begun().go_away(0).close()),
        ("silence", begun().hang()),
        ("less than said", announced("10").last_data("hello").hang()),
        ("more than said", announced("3").last_data("hello").hang()),
        ("an announced body that is missing", announced("5").trailers(&[("x", "y")]).hang()),
    ];
    for (name, script) in cases {
        let target = Upstream::http2(move |_| script.clone());
        let watershed = serve(&target, ONCE);
        let mut client = watershed.http1();
        client.send(format!("GET / HTTP/1.1\r\nhost: {UP}\r\n\r\n"));
        let response = client.response("GET");
        let failed = |it: &Response| !it.complete || code(it) != "none";
        assert!(failed(&response), "{name}: {response:?}");
        let client = watershed.http2();
        let exchange = client.open(request("GET", UP, "/"), false);
        if let Ok((response, _)) = client.wait(crate::support::read(exchange.response)) {
            assert!(failed(&response), "{name}: {response:?}");
        }
    }
}

/// Trailers-only responses are a head that ends its stream: Traefik #4181 and calico #10319 lost theirs.
#[test]
fn unusual_responses_pass() {
    let grpc = [("content-type", "application/grpc"), ("grpc-status", "5")];
    let read = || Script2::new().read_request().read_body();
    let cases: Vec<(&str, Script2, &str, usize)> = vec![
        ("trailers only", read().head_only(200, &grpc), "", 0),
        ("trailers", read().head(200, &[]).data("hello").trailers(&grpc[1..]), "hello", 1),
        ("no data, trailers", read().head(200, &grpc[..1]).trailers(&grpc[1..]), "", 1),
        (
            "an unknown frame",
            read().raw(frame(99, 0, 1, b"?")).head(200, &[]).last_data("hello"),
            "hello",
            0,
        ),
        (
            "two hints",
            read().head(103, &[]).head(103, &[]).head(200, &[]).last_data("hello"),
            "hello",
            0,
        ),
        ("an empty last frame", read().head(200, &[]).data("hello").last_data(""), "hello", 0),
        ("the last request", read().go_away(0).head(200, &[]).last_data("hello"), "hello", 0),
        (
            "half a body, then GOAWAY",
            read().head(200, &[]).data("hel").go_away(0).last_data("lo"),
            "hello",
            0,
        ),
    ];
    for (name, script, text, trailers) in cases {
        // Nobody minds when a connection is closed after the response.
        let script = script.pause(Duration::from_millis(20)).close();
        let target = Upstream::http2(move |_| script.clone());
        let watershed = serve(&target, ONCE);
        for _ in 0..2 {
            let response = watershed.http2().get(UP, "/");
            let seen = (response.status, response.text(), response.trailers.len());
            assert_eq!(seen, (200, text.to_owned(), trailers), "{name}: {response:?}");
            assert!(response.complete, "{name}: {response:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// In gRPC, the fields of a head are trailers only if the head itself ends its stream: an empty frame behind it will not
/// do.
#[test]
fn a_head_that_ends_its_stream_leaves_as_one() {
    let fields = [("content-type", "application/grpc"), ("grpc-status", "5")];
    let script = Script2::new().read_request().read_body().head_only(200, &fields).hang();
    let target = Upstream::http2(move |_| script.clone());
    for has_body in [false, true] {
        let watershed = serve(&target, ONCE);
        let client = watershed.http2();
        let mut exchange = client.open(request("POST", UP, "/"), has_body);
        if has_body {
            exchange.upload.send_data("hello".into(), true).unwrap();
        }
        let response = client.wait(exchange.response).unwrap();
        assert!(response.body().is_end_stream(), "{response:?}");
        assert_eq!(response.headers()["grpc-status"], "5");
        assert!(!response.headers().contains_key("content-length"), "{response:?}");
    }
}

/// nginx #1431, Envoy #36450, cloudflared #1273: what an upstream says that it did not do is done by another connection.
#[test]
fn what_was_refused_is_sent_again_even_a_post() {
    let refusals: [fn() -> Script2; 3] = [
        || Script2::new().read_request().read_body().reset_stream(7).serve("hello"),
        || Script2::new().read_request().go_away_before(0).close(),
        || Script2::new().read_request().read_body().go_away_before(0).hang(),
    ];
    for refuse in refusals {
        let target = Upstream::http2(move |connection| match connection {
            0 => refuse(),
            _ => Script2::new().serve("hello"),
        });
        let other = Upstream::http2(|_| Script2::new().serve("hello"));
        let addresses = [target.address(), other.address()];
        let version = upstream("v1", &addresses, &format!("{H2C}\neject = false"));
        let watershed = Site::new().service("up", &(version + &limits(PATIENCE))).start();
        for _ in 0..4 {
            let response = watershed.http1().ask("POST", UP, "/", &[], b"hello");
            assert_eq!(response.text(), "hello", "{response:?}");
        }
    }
}

/// curl #11450: a larger window may come as a setting.
#[test]
fn windows_are_obeyed_and_may_change() {
    let target = Upstream::http2(|_| {
        let closed = Script2::with_settings(&[(INITIAL_WINDOW_SIZE, 0)]).read_request();
        let open =
            closed.pause(Duration::from_millis(100)).settings(&[(INITIAL_WINDOW_SIZE, 1 << 20)]);
        open.read_body().head(200, &[]).last_data("hello").serve("hello")
    });
    let watershed = serve(&target, ONCE);
    let response = watershed.http1().ask("POST", UP, "/", &[], &[b'x'; 30_000]);
    assert_eq!((response.text().as_str(), target.arrived().body_bytes()), ("hello", 30_000));
    let stalled = Upstream::http2(|_| Script2::new().giving_no_window().read_request().read_body());
    let watershed = serve(&stalled, ONCE);
    let response = watershed.http1().ask("POST", UP, "/", &[], &[b'x'; 200_000]);
    assert_eq!(code(&response), "wall-time", "{response:?}");
    assert!(stalled.arrived().body_bytes() <= 65_535);
}

#[test]
fn an_upstream_with_room_for_one_stream_serves_many() {
    let target =
        Upstream::http2(|_| Script2::with_settings(&[(MAX_CONCURRENT_STREAMS, 1)]).serve("hello"));
    let watershed = serve(&target, ONCE);
    let client = watershed.http2();
    let streams: Vec<_> =
        (0..20).map(|_| client.open(request("GET", UP, "/"), false).response).collect();
    for response in client.responses(streams.into_iter()) {
        assert_eq!(response.text(), "hello", "{response:?}");
    }
}

#[test]
fn both_directions_run_at_once_over_http2() {
    let target = Upstream::http2_echo();
    let watershed = serve(&target, "");
    let client = watershed.http2();
    let body = vec![b'x'; 4 << 20];
    let mut exchange = client.open(request("POST", UP, "/"), true);
    exchange.upload.send_data(body.clone().into(), true).unwrap();
    let response = client.response(exchange.response).unwrap();
    assert!(response.body == body && response.complete);
    // RFC 8441: bytes in both directions after a CONNECT with a protocol.
    let mut connect = request("CONNECT", UP, "/chat");
    connect.extensions_mut().insert(Protocol::from_static("websocket"));
    let mut exchange = client.open(connect, true);
    exchange.upload.send_data("ping".into(), false).unwrap();
    let response = client.wait(exchange.response).unwrap();
    assert_eq!(response.status(), 200);
    let mut bytes = response.into_body();
    assert_eq!(client.wait(bytes.data()).unwrap().unwrap(), "ping");
    exchange.upload.send_data("".into(), true).unwrap();
    assert!(client.wait(bytes.data()).is_none_or(|it| it.is_ok_and(|it| it.is_empty())));
}

/// A site whose service trusts this authority.
fn trusting(authority: &Authority, target: &Upstream, tls: &str) -> Watershed {
    let lines = format!("{ONCE}\ntls = {{ ca = \"ca.pem\", {tls} }}");
    let version = upstream("v1", &[target.address()], &lines) + &limits(PATIENCE);
    let site = Site::new().service("up", &version);
    site.write("services/ca.pem", authority.pem());
    let client = authority.issue(&["client.test"]);
    site.write("services/client.pem", client.certificate);
    site.write("services/client.key", client.key);
    site.start()
}

const NAMED: &str = "server-name = \"up.test\"";
const BOTH: &[&str] = &["h2", "http/1.1"];

fn over(tls: &Tls) -> Upstream {
    Upstream::tls(tls, Script::text("hello"), Script2::new().serve("hello"))
}

#[test]
fn tls_speaks_what_alpn_chose() {
    let authority = Authority::new();
    let identity = authority.issue(&["up.test", "127.0.0.1"]);
    for protocols in [BOTH, &["h2"], &["http/1.1"], &[]] {
        let target = over(&Tls::new(&identity, protocols));
        for name in [NAMED, ""] {
            let watershed = trusting(&authority, &target, name);
            for _ in 0..3 {
                let response = watershed.get(UP, "/");
                assert_eq!(response.text(), "hello", "{protocols:?} {name}: {response:?}");
            }
        }
    }
}

#[test]
fn a_certificate_that_is_not_to_be_trusted_is_not() {
    let authority = Authority::new();
    let cases = [
        ("another name", authority.issue(&["other.test"])),
        ("expired", authority.issue_expired(&["up.test"])),
        ("a stranger's", Authority::new().issue(&["up.test"])),
    ];
    for (name, identity) in cases {
        let target = over(&Tls::new(&identity, BOTH));
        let watershed = trusting(&authority, &target, NAMED);
        let response = watershed.get(UP, "/");
        assert_eq!(
            (response.status, code(&response)),
            (502, "upstream-tls"),
            "{name}: {response:?}"
        );
        assert_eq!(target.arrived().requests(), 0, "{name}");
        assert!(!response.text().contains("test"), "{name}: {response:?}");
    }
}

#[test]
fn a_certificate_may_change_while_an_upstream_serves() {
    let authority = Authority::new();
    let tls = Tls::new(&authority.issue(&["up.test"]), &["http/1.1"]);
    let target = Upstream::tls(&tls, Script::text("hello").then(Step::Close), Script2::new());
    let watershed = trusting(&authority, &target, NAMED);
    assert_eq!(watershed.get(UP, "/").text(), "hello");
    tls.present(&authority.issue_expired(&["up.test"]), &["http/1.1"]);
    assert_eq!(code(&watershed.get(UP, "/")), "upstream-tls");
    tls.present(&authority.issue(&["up.test"]), &["http/1.1"]);
    assert_eq!(watershed.get(UP, "/").text(), "hello");
}

#[test]
fn a_client_certificate_is_shown_where_one_is_demanded() {
    let authority = Authority::new();
    for protocols in [&["http/1.1"][..], &["h2"]] {
        let identity = authority.issue(&["up.test"]);
        let target = over(&Tls::demanding(&identity, protocols, &authority));
        let with = format!("{NAMED}, certificate = \"client.pem\", key = \"client.key\"");
        let watershed = trusting(&authority, &target, &with);
        assert_eq!(watershed.get(UP, "/").text(), "hello");
        let response = trusting(&authority, &target, NAMED).get(UP, "/");
        // With TLS 1.3 the refusal comes after the handshake.
        let codes = ["upstream-tls", "upstream-reset", "connect"];
        assert!(codes.contains(&code(&response)), "{response:?}");
    }
}

#[test]
fn a_handshake_that_does_not_end_is_given_up() {
    let authority = Authority::new();
    for script in [Script::new().hang(), Script::new().send("HTTP/1.1 400 No\r\n\r\n").hang()] {
        let target = Upstream::http1(script);
        let watershed = trusting(&authority, &target, NAMED);
        let response = watershed.get(UP, "/");
        let codes = ["upstream-tls", "connect", "wall-time"];
        assert!(codes.contains(&code(&response)), "{response:?}");
    }
}

/// Whoever can close a connection could otherwise cut what has no length.
#[test]
fn a_body_that_ends_without_a_word_of_tls_is_cut() {
    let authority = Authority::new();
    let tls = Tls::new(&authority.issue(&["up.test"]), &["http/1.1"]);
    for (step, is_whole) in [(Step::Close, true), (Step::Cut, false)] {
        let script = Script::answer("HTTP/1.1 200 OK\r\n\r\nhello").then(step);
        let target = Upstream::tls(&tls, script, Script2::new());
        let watershed = trusting(&authority, &target, NAMED);
        let response = watershed.get(UP, "/");
        let seen = response.complete && response.text() == "hello";
        assert_eq!(seen, is_whole, "{response:?}");
        assert!(is_whole || !response.complete || code(&response) == "upstream-reset");
    }
}

//! What passes between clients and upstreams beside plain requests: informational responses, `Expect`, fields of one
//! connection, early responses, streams with long silences.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use ::misbehaving::{Script, Step, Upstream};
use bytes::Bytes;

use crate::support::raw2::{self, Raw2};
use crate::support::{
    LAB, ONCE, Site, Watershed, eventually, lab, lab_p3, limits, request, serve_lab, split,
    upstream,
};

const HOST: &str = "api.localhost";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\
                     content-length: 3\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn serve(target: SocketAddr, bounds: &str) -> Watershed {
    let text = upstream("v1", &[target], ONCE) + &limits(bounds) + &split("v1 = 100");
    Site::new().service("api", &text).start()
}

fn upload(method: &str, fields: &str) -> String {
    format!("{method} / HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n")
}

#[test]
fn early_hints_reach_clients_that_know_them() {
    let script = Script::new().read_head().send(HINTS).send(HINTS).send(OK);
    let target = Upstream::http1(script.then(Step::Close));
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    client.send(upload("GET", ""));
    for _ in 0..2 {
        let hints = client.head();
        assert_eq!((hints.status, hints.header("link")), (103, Some("</a.css>")), "{hints:?}");
        for name in ["x-hop", "connection", "content-length"] {
            assert_eq!(hints.header(name), None, "{name}");
        }
    }
    assert_eq!(client.response("GET").text(), "ok");
    assert_eq!(client.get(HOST, "/").status, 103, "the connection goes on");
    let mut old = watershed.http1();
    old.send(format!("GET / HTTP/1.0\r\nhost: {HOST}\r\n\r\n"));
    assert_eq!(old.response("GET").status, 200);
    // h2's client shows no informational responses; they must not break the stream.
    assert_eq!(watershed.http2().get(HOST, "/").text(), "ok");
}

/// The client sends its body only once the target wants it, and is told so once.
#[test]
fn a_client_that_waits_is_told_to_go_on_by_the_target() {
    let target = Upstream::http1(
        Script::new()
            .read_head()
            .pause(Duration::from_millis(50))
            .send("HTTP/1.1 100 Continue\r\n\r\n")
            .read_body()
            .send(OK),
    );
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    for _ in 0..2 {
        client.send(upload("POST", "content-length: 4\r\nexpect: 100-continue\r\n"));
        assert_eq!(client.head().status, 100);
        assert_eq!(target.arrived().last().unwrap().field("expect"), Some("100-continue"));
        client.send("body");
        assert_eq!(client.response("POST").text(), "ok");
        assert_eq!(target.arrived().last().unwrap().body, b"body");
    }
}

/// The body stays where it is, so the connection ends.
#[test]
fn a_target_that_refuses_a_body_unseen_is_heard() {
    let target = Upstream::http1(Script::early(417, "no").close());
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    client.send(upload("POST", "content-length: 4\r\nexpect: 100-continue\r\n"));
    let response = client.response("POST");
    assert_eq!((response.status, response.text().as_str()), (417, "no"));
    client.assert_closed();
}

/// A target that ignores the expectation reads on, and must get the body all the same.
#[test]
fn a_target_that_ignores_the_expectation_gets_the_body() {
    let target = Upstream::http1(Script::new().read_head().read_body().send(OK));
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    client.send(upload("POST", "content-length: 4\r\nexpect: 100-continue\r\n"));
    assert_eq!(client.head().status, 100);
    client.send("body");
    assert_eq!(client.response("POST").text(), "ok");
}

/// The client still sends when the answer comes: it sees the answer, and no failure.
#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let target = Upstream::http1(Script::early(413, "too much").then(Step::EndWriting).hang());
    let watershed = serve(target.address(), "request-body = \"64MiB\"");
    let mut client = watershed.http1();
    client.send(upload("POST", "content-length: 8000000\r\n"));
    let mut writer = client.writer();
    let sending = thread::spawn(move || {
        use std::io::Write as _;
        // It may be cut off, and not before the answer could be read.
        (0..100).all(|_| writer.write_all(&[b'x'; 80_000]).is_ok())
    });
    let response = client.response("POST");
    assert_eq!((response.status, response.text().as_str()), (413, "too much"));
    sending.join().unwrap();

    let client = watershed.http2();
    let mut exchange = client.open(request("POST", HOST, "/"), true);
    exchange.upload.send_data(Bytes::from(vec![b'x'; 60_000]), false).unwrap();
    let response = client.response(exchange.response).unwrap();
    assert_eq!((response.status, response.text().as_str()), (413, "too much"));
    watershed.await_outcomes("4xx", 2);
}

#[test]
fn fields_of_one_connection_stay_on_it() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-hop, keep-alive\r\nx-hop: 1\r\n\
                  keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nproxy-authenticate: Basic\r\n\
                  upgrade: h2c\r\nx-kept: 1\r\n\r\nok";
    let target = Upstream::http1(Script::new().read_head().send(answer));
    let watershed = serve(target.address(), "");
    let fields = [
        "connection: x-mine, te",
        "x-mine: 1",
        "te: trailers, deflate",
        "keep-alive: 5",
        "proxy-authorization: Basic eDp5",
        "proxy-connection: keep-alive",
        "upgrade: h2c",
        "http2-settings: AAMAAABkAAQAAP__",
        "x-kept: 1",
    ];
    let response = watershed.http1().ask("GET", HOST, "/", &fields, b"");
    assert_eq!((response.text().as_str(), response.header("x-kept")), ("ok", Some("1")));
    for name in ["x-hop", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    let seen = target.arrived().last().unwrap();
    assert_eq!((seen.field("x-kept"), seen.field("te")), (Some("1"), Some("trailers")));
    let ours = [
        "x-mine",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "upgrade",
        "http2-settings",
    ];
    for name in ours {
        assert_eq!(seen.field(name), None, "{name}: {seen:?}");
    }
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-host"), Some(HOST));
}

/// RFC 9110, section 7.6.1: the connection's fields may be trailers.
#[test]
fn trailers_of_one_connection_stay_on_it() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: X-Hop\r\ntransfer-encoding: chunked\r\n\r\n\
                  2\r\nok\r\n0\r\nx-hop: 1\r\nx-sum: 7\r\n\r\n";
    let target = Upstream::http1(Script::answer(answer));
    let watershed = serve(target.address(), "");
    for response in [watershed.get(HOST, "/"), watershed.http2().get(HOST, "/")] {
        assert_eq!(response.text(), "ok");
        assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    }
}

/// What backends believe of a head, they might believe of trailers.
#[test]
fn trailers_of_requests_say_nothing_that_belongs_to_the_head() {
    let forged = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x_forwarded_host", "evil.test"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x-request-id", "forged"),
        ("watershed-version", "v2"),
        ("watershed_key", "secret"),
        ("authorization", "Basic eDp5"),
        ("proxy-authorization", "Basic eDp5"),
        ("host", "evil.test"),
        ("content-length", "3"),
        ("content-type", "text/plain"),
        ("expect", "100-continue"),
        ("trailer", "x-a"),
    ];
    let sent = [&forged[..], &[("grpc-status", "0"), ("x-sum", "7")]].concat();
    let kept = [("grpc-status".to_owned(), "0".to_owned()), ("x-sum".to_owned(), "7".to_owned())];
    // The first one fails, so that the second one gets what was kept.
    let http1 = Upstream::scripted(|visit| match visit.connection {
        0 => Script::new().read_head().read_body().reset(),
        _ => Script::echo(),
    });
    let http2 = Upstream::http2_echo();
    for (target, protocol) in [(&http1, ""), (&http2, "protocol = \"h2c\"")] {
        let lines = format!("eject = false\nretry = {{ budget = \"100%\" }}\n{protocol}");
        let text = upstream("v1", &[target.address()], &lines) + &split("v1 = 100");
        let watershed = Site::new().service("api", &text).start();
        let mut client = watershed.http1();
        let lines: String = sent.iter().map(|(name, it)| format!("{name}: {it}\r\n")).collect();
        client.send(upload("PUT", "connection: x-hop\r\ntransfer-encoding: chunked\r\n"));
        client.send(format!("2\r\nhi\r\n0\r\n{lines}x-hop: 1\r\n\r\n"));
        let response = client.response("PUT");
        assert_eq!((response.text().as_str(), &response.trailers[..]), ("hi", &kept[..]));
        assert_eq!(target.arrived().last().unwrap().trailers, kept);

        let mut client = Raw2::connect(watershed.address(), &[]);
        // What HTTP/2 forbids in heads is refused there.
        let trailers = raw2::head(raw2::END_STREAM, 1, &sent);
        let data = raw2::frame(raw2::DATA, 0, 1, "hi");
        client.send([raw2::head(0, 1, &raw2::pseudo("PUT", HOST, "/")), data, trailers].concat());
        client.until("the end", |frame| frame.stream == 1 && frame.ends_stream());
        assert_eq!(target.arrived().last().unwrap().trailers, kept);
    }
    let watershed = serve_lab();
    let mut client = watershed.http1();
    let lines: String = sent.iter().map(|(name, it)| format!("{name}: {it}\r\n")).collect();
    client.send(format!(
        "POST /echo HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{lines}\r\n"
    ));
    assert_eq!(client.response("POST").trailers, kept);
}

#[test]
fn lengths_of_bodies_that_are_not_sent_are_kept() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n";
    for (method, answer, status) in [
        ("HEAD", head, 200),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\netag: \"a\"\r\n\r\n", 304),
    ] {
        let target = Upstream::http1(Script::new().read_head().send(answer));
        let watershed = serve(target.address(), "");
        let mut client = watershed.http1();
        for _ in 0..2 {
            let response = client.ask(method, HOST, "/", &[], b"");
            assert_eq!(
                (response.status, response.header("content-length")),
                (status, Some("1234"))
            );
        }
        let client = watershed.http2();
        let exchange = client.open(request(method, HOST, "/"), false);
        let response = client.response(exchange.response).unwrap();
        assert_eq!((response.status, response.header("content-length")), (status, Some("1234")));
    }
    let target = Upstream::http1(Script::new().read_head().send("HTTP/1.1 204 No Content\r\n\r\n"));
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    for _ in 0..2 {
        assert_eq!(client.ask("DELETE", HOST, "/", &[], b"").status, 204);
    }
}

/// Events come seconds apart, longer than anything else may take.
#[test]
fn streams_of_events_may_be_silent() {
    let pause = Duration::from_millis(1_500);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let script = Script::new()
        .read_head()
        .send(head)
        .send("9\r\ndata: 1\n\n\r\n")
        .pause(pause)
        .send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    let target = Upstream::http1(script);
    let patient = "wall-time = \"500ms\"\nidle-time = \"none\"";
    let watershed = serve(target.address(), patient);
    let mut client = watershed.http1();
    client.send(upload("GET", ""));
    let mut response = client.head();
    assert!(client.chunk(&mut response), "the first event comes at once");
    assert!(client.chunk(&mut response) && !response.complete);
    assert!(client.chunk(&mut response));
    assert_eq!((response.text().as_str(), response.complete), ("data: 1\n\ndata: 2\n\n", true));

    let impatient = serve(target.address(), "wall-time = \"10s\"\nidle-time = \"200ms\"");
    let response = impatient.get(HOST, "/");
    assert!(!response.complete, "{response:?}");
    impatient.await_outcomes("wall-time", 1);
}

/// The same for components of both releases of WASI.
#[test]
fn components_may_be_silent_too() {
    for version in [lab, lab_p3] {
        let serve =
            |bounds: &str| Site::new().service("lab", &(version("v1") + &limits(bounds))).start();
        let path = "/slow-body?chunks=2&ms=900";
        let patient = serve("wall-time = \"300ms\"\nidle-time = \"none\"");
        let response = patient.get(LAB, path);
        assert!(response.complete, "{response:?}");
        let impatient = serve("wall-time = \"10s\"\nidle-time = \"300ms\"");
        assert!(!impatient.get(LAB, path).complete);
        impatient.await_outcomes("wall-time", 1);
        impatient.log_line(&["paused for longer than its idle time"]);
    }
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let target = Upstream::http1(
        Script::new().read_head().read_body().pause(Duration::from_millis(300)).send(OK),
    );
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    client.send(upload("POST", "content-length: 4\r\n"));
    client.send("body");
    client.end_writing();
    assert_eq!(client.response("POST").text(), "ok");
}

/// A target is let go of when its client leaves.
#[test]
fn a_client_that_leaves_frees_the_target() {
    let target = Upstream::http1(Script::new().read_head().hang());
    let watershed = serve(target.address(), "");
    // Of one that has already sent more, nothing else is to be expected than that it leaves (Mesh-LLM/mesh-llm#1448).
    for (before, more) in ["", "GET / HTTP/1.1\r\n"].into_iter().enumerate() {
        let mut client = watershed.http1();
        client.send(upload("GET", "") + more);
        eventually("the request", || target.arrived().requests() == before + 1);
        client.reset();
        eventually("the end of the connection", || target.arrived().open() == 0);
    }
    watershed.await_outcomes("client-gone", 2);
}

/// Clients were lost that look for a name as their server spells it (http-party/node-http-proxy#40, mitmproxy#5).
#[test]
fn fields_of_responses_are_spelled_as_their_server_spells_them() {
    let answer = "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-CamelCase: A  b\r\nx-lower:1\r\n\
                  X-Wide: \t 2 \t\r\nX-Empty:\r\nX-Twice: 1\r\nx-twice: 2\r\nDate: never\r\n\
                  Connection: X-Hop\r\nx-hop: 1\r\n\r\nok";
    let target = Upstream::http1(Script::answer(answer).close());
    let watershed = serve(target.address(), "");
    let mut client = watershed.http1();
    client.send(upload("GET", "connection: close\r\n"));
    let text = client.everything();
    let (fields, ours) = text.split_once("watershed-version: v1\r\n").expect("the version");
    assert_eq!(
        fields,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-CamelCase: A  b\r\nx-lower: 1\r\nX-Wide: 2\r\n\
         X-Empty: \r\nX-Twice: 1\r\nx-twice: 2\r\n"
    );
    assert!(
        ours.starts_with("Date: ") && ours.ends_with("\r\nConnection: close\r\n\r\nok"),
        "{ours}"
    );
    let response = watershed.http2().get(HOST, "/");
    let twice = response.headers.iter().filter(|(name, _)| name == "x-twice").count();
    assert_eq!((response.header("x-camelcase"), twice), (Some("A  b"), 2));
    assert_eq!(response.header("x-hop"), None);
}

/// Lines that are passed on as they came could carry what ends a line elsewhere (apache/trafficserver#12195, #13624),
/// or hide a name behind a space (tinyproxy/tinyproxy#623).
#[test]
fn lines_that_others_read_in_another_way_are_not_passed_on() {
    for line in [
        "x-a: 1\r",
        "x-a: \r",
        "x-a: 1\r \r",
        "x-a: 1\r\t",
        "x-a: \r\rx",
        "x-a : 1",
        "x-a: 1\0",
        " x: 1",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{line}\r\n\r\nok");
        let target = Upstream::http1(Script::answer(answer).close());
        let watershed = serve(target.address(), "");
        let response = watershed.get(HOST, "/");
        assert_eq!(
            response.header("watershed-error"),
            Some("upstream-protocol"),
            "{line:?}: {response:?}"
        );
    }
}

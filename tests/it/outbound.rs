//! What guests reach: nothing but what is listed, by whatever way it is written and wherever its name leads; over the
//! network and inside of the process, with both bodies streaming, and within limits.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use ::misbehaving::{Authority, Script, Script2, Step, Tls, Upstream, refusing, silent};

use crate::bodies::{ROOMY, assert_echoed, noise, post};
use crate::support::{
    GREETER, LAB, LABS, Response, Site, Watershed, eventually, greeter, lab, lab_p3, limits,
};

const MIB: usize = 1 << 20;

/// A lab that may reach these, with more lines about it.
fn reaching(lab: fn(&str) -> String, entries: &[&str], lines: &str) -> String {
    format!("{}outbound = {entries:?}\n{}", lab("v1"), limits(lines))
}

fn serve(lab: fn(&str) -> String, entries: &[&str], lines: &str) -> Watershed {
    Site::new().service("lab", &reaching(lab, entries, lines)).start()
}

fn fetch(watershed: &Watershed, url: &str) -> Response {
    watershed.get(LAB, &format!("/fetch?url={url}"))
}

#[track_caller]
fn assert_refused(watershed: &Watershed, url: &str, error: &str) {
    let response = fetch(watershed, url);
    assert_eq!(response.status, 502, "{url}: {}", response.text());
    assert!(response.text().contains(error), "{url}: {}", response.text());
}

fn outcomes(watershed: &Watershed, outcome: &str) -> f64 {
    watershed.metric("watershed_outbound_requests_total", &[("outcome", outcome)])
}

#[test]
fn a_guest_reaches_what_is_listed_and_nothing_else() {
    let upstream = Upstream::http1(Script::text("here"));
    let (port, other) = (upstream.address().port(), Upstream::http1(Script::text("there")));
    for lab in LABS {
        let watershed = serve(lab, &[&format!("http://127.0.0.1:{port}")], "");
        for url in ["http://127.0.0.1", "http://2130706433", "http://127.1", "http://0x7f.0.0.1"] {
            assert_eq!(fetch(&watershed, &format!("{url}:{port}/x?y=1")).text(), "here", "{url}");
        }
        for url in [
            format!("http://127.0.0.1:{}/", other.address().port()),
            format!("https://127.0.0.1:{port}/"),
            format!("http://127.0.0.2:{port}/"),
            format!("http://localhost:{port}/"),
            format!("http://[::1]:{port}/"),
            "http://169.254.169.254/latest/meta-data/".to_owned(),
        ] {
            assert_refused(&watershed, &url, "HttpRequestDenied");
        }
        assert_eq!(upstream.arrived().all().last().unwrap().target, "/x?y=1");
        assert_eq!(other.arrived().connections(), 0);
        assert!((outcomes(&watershed, "denied") - 6.0).abs() < 0.5);
        assert!((outcomes(&watershed, "answered") - 4.0).abs() < 0.5);
        let status = watershed.status();
        let calls = &status["environments"][0]["services"][0]["versions"][0]["outbound"];
        let counts = json!({ "answered": 4, "refused": 6, "failed": 0, "in_flight": 0 });
        assert_eq!(*calls, counts);
        let admin = watershed.admin_address().to_string();
        let shown = watershed.site.run(&["status", "lab", "--admin", &admin]);
        let shown = shown.stdout;
        let line = "v1 made 10 calls: 4 answered, 6 refused, 0 failed; 0 in flight";
        assert!(shown.contains(line), "{shown}");
        let wanted = format!("outbound = [\\\"http://127.0.0.1:{}\\\"]", other.address().port());
        let plain = wanted.replace('\\', "");
        eventually("the line to add", || {
            watershed.stderr().contains(&wanted) || watershed.stderr().contains(&plain)
        });
    }
}

#[test]
fn a_name_leads_to_this_machine_only_where_it_is_localhost() {
    let upstream = Upstream::http1(Script::text("here"));
    let port = upstream.address().port();
    let entries = [format!("http://localhost:{port}"), format!("http://*.localhost:{port}")];
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let watershed = serve(lab, &entries, "");
    assert_eq!(fetch(&watershed, &format!("http://LocalHost.:{port}/")).text(), "here");
    // Resolvers know every name below `localhost` as this machine (RFC 6761), or none.
    let url = format!("http://a.localhost:{port}/");
    let text = fetch(&watershed, &url).text();
    assert!(text.contains("DestinationIpProhibited") || text.contains("DnsError"), "{text}");
    assert_refused(&watershed, &format!("http://a.b.localhost:{port}/"), "HttpRequestDenied");
}

/// Sends a body through `/fetch`, and takes what comes back meanwhile.
fn post_through(watershed: &Watershed, url: &str, sent: &[u8]) -> Response {
    let length = format!("content-length: {}", sent.len());
    let write = |stream: &mut TcpStream| stream.write_all(sent).unwrap();
    let path = format!("/fetch?url={url}");
    post(&mut watershed.http1(), (&path, &length), write, |client| client.response("POST"))
}

#[test]
fn bodies_stream_both_ways_and_connections_are_kept() {
    let upstream = Upstream::http1(Script::echo());
    let sent = noise(8 * MIB + 7);
    let entry = format!("http://{}", upstream.address());
    let watershed = serve(lab_p3, &[&entry], ROOMY);
    for _ in 0..3 {
        assert_echoed(&post_through(&watershed, &format!("{entry}/echo"), &sent), &sent);
    }
    assert_eq!(upstream.arrived().connections(), 1, "one connection is kept");
}

/// The lab of 0.2 sends all of a body before it looks at the answer.
#[test]
fn a_body_goes_up_and_a_body_comes_down() {
    let sent = noise(8 * MIB + 7);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", sent.len());
    let upstream = Upstream::http1(Script::answer([head.as_bytes(), &sent].concat()));
    let entry = format!("http://{}", upstream.address());
    for lab in LABS {
        let watershed = serve(lab, &[&entry], ROOMY);
        let before = upstream.arrived().connections();
        assert_echoed(&post_through(&watershed, &entry, &sent), &sent);
        assert_eq!(upstream.arrived().all().last().unwrap().length, sent.len());
        // Without a body, a call is sent without one.
        assert_echoed(&fetch(&watershed, &entry), &sent);
        let last = upstream.arrived().all().pop().unwrap();
        assert_eq!((last.field("transfer-encoding"), last.field("content-length")), (None, None));
        assert_eq!(last.field("host"), Some(upstream.address().to_string().as_str()));
        assert_eq!(upstream.arrived().connections() - before, 1, "one connection is kept");
    }
}

#[test]
fn trailers_pass_both_ways() {
    let upstream = Upstream::http1(Script::echo());
    for lab in LABS {
        let entry = format!("http://{}", upstream.address());
        let watershed = serve(lab, &[&entry], "");
        let mut client = watershed.http1();
        client.send(format!(
            "POST /fetch?url={entry}/ HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
        ));
        client.send("3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n");
        let response = client.response("POST");
        assert_eq!(response.text(), "abc");
        assert_eq!(response.trailers, [("x-sum".to_owned(), "3".to_owned())]);
    }
}

#[test]
fn versions_share_no_connection() {
    let upstream = Upstream::http1(Script::text("here"));
    let entry = format!("http://{}", upstream.address());
    let both = reaching(lab, &[&entry], "") + &reaching(lab, &[&entry], "").replace("v1", "v2");
    let watershed = Site::new()
        .service(
            "lab",
            &(both + "\n[traffic]\nsplit = { v1 = 100 }\noverride = { header = true }\n"),
        )
        .start();
    let mut client = watershed.http1();
    for version in ["v1", "v2", "v1", "v2"] {
        let wish = format!("watershed-version: {version}");
        let path = format!("/fetch?url={entry}/");
        assert_eq!(client.ask("GET", LAB, &path, &[&wish], b"").text(), "here");
    }
    assert_eq!(upstream.arrived().connections(), 2);
}

#[test]
fn what_goes_wrong_is_an_error_that_the_guest_sees() {
    let (refusing, _kept) = refusing();
    let (silent, _kept_too) = silent();
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let broken = Upstream::http1(Script::new().read_head().send(half).close());
    let garbage = Upstream::http1(Script::answer("SSH-2.0-OpenSSH\r\n\r\n"));
    let hanging = Upstream::http1(Script::new().read_head().then(Step::Hang));
    let entries = [refusing, silent, broken.address(), garbage.address(), hanging.address()]
        .map(|address| format!("http://{address}"));
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let watershed = serve(lab, &[&entries[..], &["http://nonsense.invalid"]].concat(), "");
    assert_refused(&watershed, entries[0], "ConnectionRefused");
    assert_refused(&watershed, entries[3], "HttpProtocolError");
    assert_refused(&watershed, "http://nonsense.invalid/", "DnsError");
    let began = Instant::now();
    let path = format!("/fetch?first=300&url={}/", entries[4]);
    assert!(watershed.get(LAB, &path).text().contains("ConnectionReadTimeout"));
    assert!(began.elapsed() < Duration::from_secs(5));
    // A response that broke off is never a whole one; it is a 502 where nothing of it had been sent yet.
    let mut client = watershed.http1();
    let path = format!("/fetch?url={}/", entries[2]);
    client.send(format!("GET {path} HTTP/1.1\r\nhost: {LAB}\r\nconnection: close\r\n\r\n"));
    let text = client.everything();
    assert!(text.starts_with("HTTP/1.1 502") || !text.ends_with("\r\n0\r\n\r\n"), "{text}");
    watershed.assert_serves(LAB, "/count");
}

#[test]
fn a_request_makes_as_many_calls_as_it_may() {
    let upstream = Upstream::http1(Script::text("here"));
    let entry = format!("http://{}", upstream.address());
    let watershed = serve(lab, &[&entry], "outbound-requests = 3\ninstance-reuse = 10");
    for _ in 0..2 {
        assert_eq!(watershed.get(LAB, &format!("/fetch?times=3&url={entry}")).text(), "here");
    }
    let response = watershed.get(LAB, &format!("/fetch?times=4&url={entry}"));
    assert!(response.text().contains("ConnectionLimitReached"), "{}", response.text());
    assert_eq!(upstream.arrived().requests(), 9);
    watershed.log_line(&["outbound-requests"]);
}

#[test]
fn a_version_has_as_many_calls_in_flight_as_it_may() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha";
    let slow = Upstream::scripted(|visit| match visit.connection {
        0 => Script::new().read_head().send(HEAD).then(Step::Hang),
        _ => Script::text("here"),
    });
    let entry = format!("http://{}", slow.address());
    let watershed = serve(lab, &[&entry], "outbound-concurrency = 1");
    let mut first = watershed.http1();
    first.send(format!("GET /fetch?url={entry}/ HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    assert_eq!(first.head().status, 200);
    assert_refused(&watershed, &entry, "ConnectionLimitReached");
    // A body that nobody reads any more gives its place back, and its connection ends.
    first.reset();
    eventually("a free place", || fetch(&watershed, &entry).text() == "here");
    eventually("the end of the first connection", || slow.arrived().open() <= 1);
}

#[test]
fn a_call_to_a_service_of_the_process_needs_no_socket() {
    for lab in LABS {
        let watershed = Site::new()
            .service("lab", &reaching(lab, &["service:greeter"], ""))
            .service("greeter", &greeter("v1"))
            .start();
        let response = fetch(&watershed, &format!("http://{GREETER}/"));
        assert_eq!(response.text(), "Hello from v1!\n");
        assert_eq!(
            fetch(&watershed, &format!("https://{GREETER}:8443/x")).text(),
            "Hello from v1!\n"
        );
        let labels = [("service", "greeter"), ("outcome", "2xx")];
        watershed.await_metric("watershed_requests_total", &labels, 2.0);
        assert!((outcomes(&watershed, "answered") - 2.0).abs() < 0.5);
        // Its own service is not listed.
        assert_refused(&watershed, &format!("http://{LAB}/count"), "HttpRequestDenied");
        watershed.log_line(&["service:default/lab"]);
    }
}

#[test]
fn a_call_inside_of_the_process_streams_and_fails_as_any_other() {
    let sent = noise(8 * MIB + 7);
    for pair in [(LABS[0], LABS[1]), (LABS[1], LABS[0])] {
        let watershed = Site::new()
            .service("lab", &reaching(pair.0, &["service:other"], ROOMY))
            .service("other", &(pair.1("v1") + &limits(ROOMY)))
            .start();
        let read = post_through(&watershed, "http://other.localhost/read", &sent);
        assert_eq!(read.text(), format!("read {} bytes\n", sent.len()));
        let big = fetch(&watershed, "http://other.localhost/big?mib=8");
        assert_eq!((big.body.len(), big.complete), (8 * MIB, true));
        let response = fetch(&watershed, "http://other.localhost/trap");
        assert_eq!(response.status, 500);
        let labels = [("service", "other"), ("outcome", "trap")];
        watershed.await_metric("watershed_requests_total", &labels, 1.0);
        let mut client = watershed.http1();
        client.send(format!(
            "GET /fetch?url=http://other.localhost/late-trap HTTP/1.1\r\nhost: {LAB}\r\nconnection: close\r\n\r\n"
        ));
        let text = client.everything();
        assert!(text.contains("partial") && !text.ends_with("\r\n0\r\n\r\n"), "{text}");
        watershed.assert_serves(LAB, "/count");
    }
}

#[test]
fn services_that_call_each_other_for_ever_are_cut_off() {
    let watershed =
        Site::new().service("lab", &reaching(lab, &["service:lab"], "concurrency = 64")).start();
    // Each call makes the same call again: the URL is the rest of the query.
    let once = format!("http://{LAB}/fetch?url=");
    let url = once.repeat(20) + &format!("http://{LAB}/count");
    let response = fetch(&watershed, &url);
    assert_eq!(
        (response.status, response.json()["type"].as_str()),
        (508, Some("urn:watershed:error:loop"))
    );
    watershed.await_outcomes("loop", 1);
    // One call less is no loop.
    let url = once.repeat(14) + &format!("http://{LAB}/count");
    assert_eq!(fetch(&watershed, &url).text(), "1\n");
}

#[test]
fn a_lane_travels_with_calls_to_our_own_services() {
    let policy =
        "\n[traffic]\nsplit = { v1 = 100 }\npropagate = true\noverride = { header = true }\n";
    let lab = reaching(lab, &["service:greeter"], "")
        + &reaching(lab, &["service:greeter"], "").replace("v1", "v2");
    let greeters = greeter("v1") + &greeter("v2");
    let watershed = Site::new()
        .service("lab", &(lab + policy))
        .service("greeter", &(greeters + policy))
        .start();
    let mut client = watershed.http1();
    let path = format!("/fetch?url=http://{GREETER}/");
    assert_eq!(client.get(LAB, &path).text(), "Hello from v1!\n");
    let wish = ["watershed-version: v2", "x-request-id: chain-1"];
    assert_eq!(client.ask("GET", LAB, &path, &wish, b"").text(), "Hello from v2!\n");
}

#[test]
fn a_request_id_travels_and_the_key_to_a_lane_goes_to_no_stranger() {
    let upstream = Upstream::http1(Script::text("here"));
    let entry = format!("http://{}", upstream.address());
    let watershed = serve(lab_p3, &[&entry], "");
    let path = format!("/fetch?url={entry}/");
    watershed.http1().ask("GET", LAB, &path, &["x-request-id: chain-2"], b"");
    let all = upstream.arrived().all();
    assert_eq!(all.last().unwrap().field("x-request-id"), Some("chain-2"));
}

#[test]
fn both_bodies_pass_at_once_inside_of_the_process() {
    let sent = noise(8 * MIB + 7);
    let watershed = Site::new()
        .service("lab", &reaching(lab_p3, &["service:other"], ROOMY))
        .service("other", &(lab("v1") + &limits(ROOMY)))
        .start();
    assert_echoed(&post_through(&watershed, "http://other.localhost/echo", &sent), &sent);
}

#[test]
fn a_component_that_could_call_and_may_not_is_warned_of() {
    let entries = ["service:nobody"];
    let site = Site::new()
        .service("lab", &(lab("v1") + &reaching(lab_p3, &entries, "").replace("v1", "v2")))
        .service("other", &lab_p3("v1"));
    let checked = site.run(&["check", "--no-compile"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for words in [
        "the component of v1 of lab imports wasi:http/outgoing-handler@0.2",
        "the component of v1 of other imports wasi:http/client@0.3",
        "v2 of lab may call `service:nobody`, which no file declares",
    ] {
        assert!(checked.stdout.contains(words), "{words}: {}", checked.stdout);
    }
    assert!(!checked.stdout.contains("v2 of lab imports"), "{}", checked.stdout);
}

#[test]
fn calls_over_tls_trust_the_roots_of_the_system_and_the_name_that_was_asked() {
    let authority = Authority::new();
    let tls = |name: &str| Tls::new(&authority.issue(&[name]), &["h2", "http/1.1"]);
    let right = Upstream::tls(&tls("localhost"), Script::text("one"), Script2::new().serve("two"));
    let wrong = Upstream::tls(&tls("other.test"), Script::text("one"), Script2::new().serve("two"));
    let origins = [right.address().port(), wrong.address().port()];
    let origins = origins.map(|port| format!("https://localhost:{port}"));
    let entries: Vec<&str> = origins.iter().map(String::as_str).collect();
    let site = Site::new().service("lab", &reaching(lab, &entries, ""));
    site.write("ca.pem", authority.pem());
    let ca = site.path("ca.pem");
    let watershed = site.variable("SSL_CERT_FILE", ca).start();
    for _ in 0..3 {
        assert_eq!(fetch(&watershed, &origins[0]).text(), "two");
    }
    assert_eq!(right.arrived().connections(), 1);
    assert_refused(&watershed, &origins[1], "Tls");
    assert_eq!(wrong.arrived().requests(), 0);
}

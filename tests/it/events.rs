//! The stream of events: what is told, how soon, and what becomes of clients that do not listen.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{
    Backend, DEADLINE, Events, GREETER, Http1, Site, Watershed, assert_admin_problem, eventually,
    greeter, one_version, split, upstream, within,
};

/// As many as there may be.
const STREAMS: usize = 32;
/// How often a comment is sent.
const COMMENTS: Duration = Duration::from_secs(10);

fn serve() -> Watershed {
    let site = Site::new().service("greeter", &(greeter("v1") + &split("v1 = 100")));
    site.service("other", &one_version("v1")).start()
}

#[test]
fn a_stream_says_hello_and_then_what_changes() {
    let watershed = serve();
    let mut events = Events::open(watershed.admin_address());
    assert_eq!(events.header("cache-control"), Some("no-store"));
    assert_eq!(events.header("x-accel-buffering"), Some("no"));
    let hello = events.hello();
    assert_eq!(hello["generation"], watershed.generation());
    assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(hello["process"].as_str().unwrap().len(), 12);
    let mut again = Events::open(watershed.admin_address());
    assert_eq!(again.hello()["process"], hello["process"]);
    // The second version is created, and becomes normal: each is a publish or one for both.
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 90, v2 = 10");
    watershed.site.write("services/greeter.toml", text);
    let (change, _) = events.change_of(Some("greeter"));
    assert_eq!(change["environment"], "default");
    assert!(change["generation"].as_u64() > hello["generation"].as_u64(), "{change}");
    eventually("v2 is normal, and so is told", || {
        watershed.version("greeter", "v2")["status"] == "normal"
    });
    while watershed.generation() > events_generation(&mut again) {}
}

/// The generation of the next change.
fn events_generation(events: &mut Events) -> u64 {
    let (change, _) = events.change_of(Some("greeter"));
    change["generation"].as_u64().unwrap()
}

/// A publish is told right after it is served.
#[test]
fn a_change_is_told_at_once() {
    let watershed = serve();
    let mut events = Events::open(watershed.admin_address());
    events.hello();
    let started = Instant::now();
    watershed
        .site
        .write("services/greeter.toml", greeter("v1") + "\n[traffic]\nsplit = { v1 = 0 }\n");
    let reload = watershed.admin_post("/api/v1/reload");
    let published = started.elapsed();
    assert_eq!(reload.status, 200, "{reload:?}");
    let (_, after) = events.change_of(Some("greeter"));
    assert!(after < published + Duration::from_secs(5), "{after:?} after {published:?}");
}

#[test]
fn wrong_files_edited_comments_and_their_correction_are_told() {
    let watershed = serve();
    let mut events = Events::open(watershed.admin_address());
    let generation = events.hello()["generation"].clone();
    let good = one_version("v1");
    let digest = |watershed: &Watershed| watershed.service("other")["file_digest"].clone();
    let before = digest(&watershed);
    assert!(before.as_str().unwrap().starts_with("sha256:"), "{before}");
    watershed.site.write("services/other.toml", format!("# checked by ann\n{good}"));
    events.change_of(Some("other"));
    let commented = digest(&watershed);
    assert_ne!(before, commented);
    watershed.site.write("services/other.toml", format!("{good}\nnonsense"));
    let (change, _) = events.change_of(Some("other"));
    assert_eq!(change["generation"], generation, "nothing is published");
    assert_ne!(digest(&watershed), commented, "of what is there, right or wrong");
    watershed.site.write("services/other.toml", &good);
    events.change_of(Some("other"));
    eventually("what was read first", || digest(&watershed) == before);
    // A wrong main file is not of one service.
    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", format!("{main}\nnonsense"));
    events.change_of(None);
    watershed.site.write("watershed.toml", main);
    events.change_of(None);
}

/// Whether anybody looks or not, health alone is no publish.
#[test]
fn the_health_of_targets_is_told() {
    let backend = Backend::start("one");
    let checked = "[versions.upstream.health]\npath = \"/healthz\"\ninterval = \"100ms\"";
    let text = upstream("v1", &[backend.address()], checked) + &split("v1 = 100");
    let watershed = Site::new().service("api", &text).start();
    let mut events = Events::open(watershed.admin_address());
    let hello = events.hello();
    for (status, health) in [(500, "failing"), (200, "ok")] {
        backend.answer_checks(status);
        let (change, _) = events.change_of(Some("api"));
        assert_eq!(change["generation"], hello["generation"]);
        let services = watershed.admin("/api/v1/services").json();
        assert_eq!(services["services"][0]["health"], health, "{services}");
    }
}

/// Open streams kept servers from ending (tokio-rs/axum#2673).
#[test]
fn a_process_that_drains_says_so_last() {
    for server in ["", "drain-delay = \"300ms\""] {
        let site = Site::new().server(server).service("greeter", &one_version("v1"));
        let mut watershed = site.start();
        let mut events = Events::open(watershed.admin_address());
        let hello = events.hello();
        watershed.signal(Signal::SIGTERM);
        let (name, data) = events.next().expect("an end");
        assert_eq!((name.as_str(), &data["generation"]), ("end", &hello["generation"]));
        assert_eq!(events.next(), None);
        assert!(events.is_complete(), "it breaks off");
        assert!(watershed.wait(DEADLINE).success());
    }
}

/// Dashboards kept the watches of clients that were gone until memory or sockets ran out (argoproj/argo-rollouts#2095,
/// ojuschugh1/sqz#36).
#[test]
fn streams_are_bounded_and_come_back_when_their_clients_go() {
    let watershed = serve();
    let admin = watershed.admin_address();
    let streams: Vec<_> = (0..STREAMS).map(|_| Events::open(admin)).collect();
    let refused = watershed.admin("/api/v1/events");
    assert_admin_problem(&refused, 503, "busy");
    // The listener answers others meanwhile, and for many connections without closing a stream.
    for _ in 0..100 {
        assert_eq!(watershed.admin("/livez").status, 200);
    }
    let mut idle: Vec<_> = (0..64).map(|_| TcpStream::connect(admin).unwrap()).collect();
    assert_eq!(watershed.admin("/livez").status, 200);
    idle.iter_mut().for_each(|idle| drop(idle.write_all(b"GET /livez HTTP/1.1\r\n")));
    drop(idle);
    let mut last = None;
    for (number, mut stream) in streams.into_iter().enumerate() {
        assert!(stream.hello()["generation"].is_number(), "stream {number}");
        last = Some(stream);
    }
    // The first comment to a client that is gone is refused by its machine, the second cannot be sent.
    // Where a place is wanted, nobody waits for the next two comments.
    within(COMMENTS / 2, "a free place", || is_open(admin));
    watershed
        .site
        .write("services/greeter.toml", greeter("v1") + &greeter("v2") + &split("v1 = 1, v2 = 99"));
    last.unwrap().change_of(Some("greeter"));
}

fn is_open(admin: std::net::SocketAddr) -> bool {
    let mut client = Http1::connect(admin);
    client.send("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.head().status == 200
}

/// A client that connects and never reads costs nothing but its place, and holds up neither publishes nor the end.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let mut watershed = serve();
    let mut silent = TcpStream::connect(watershed.admin_address()).unwrap();
    silent.write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut events = Events::open(watershed.admin_address());
    events.hello();
    for share in 1..=5 {
        let text =
            greeter("v1") + &greeter("v2") + &split(&format!("v1 = {share}, v2 = {}", 100 - share));
        watershed.site.write("services/greeter.toml", text);
        assert_eq!(watershed.admin_post("/api/v1/reload").status, 200);
        events.change_of(Some("greeter"));
    }
    watershed.assert_serves(GREETER, "/");
    watershed.signal(Signal::SIGTERM);
    assert!(watershed.wait(DEADLINE).success());
    drop(silent);
}

#[test]
fn a_stream_takes_no_parameters_and_no_other_method() {
    let watershed = serve();
    let refused = watershed.admin("/api/v1/events?service=greeter");
    assert_admin_problem(&refused, 400, "unknown-parameter");
    assert_admin_problem(&watershed.admin_post("/api/v1/events"), 405, "method-not-allowed");
    // Heads alone take no place for longer than their answer.
    for _ in 0..2 * STREAMS {
        let head = Http1::connect(watershed.admin_address()).ask(
            "HEAD",
            "localhost",
            "/api/v1/events",
            &[],
            b"",
        );
        assert!(matches!(head.status, 200 | 503), "{head:?}");
    }
    within(3 * COMMENTS, "the places are free again", || is_open(watershed.admin_address()));
}

/// HTTP/1.0 knows no chunks: what comes until the connection closes is the stream.
#[test]
fn a_client_of_http_1_0_is_streamed_to_as_well() {
    let watershed = serve();
    let mut old = TcpStream::connect(watershed.admin_address()).unwrap();
    old.set_read_timeout(Some(DEADLINE)).unwrap();
    old.write_all(b"GET /api/v1/events HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
    let mut read = String::new();
    let mut buffer = [0; 1024];
    while !read.contains("event: hello\ndata: ") {
        let count = old.read(&mut buffer).unwrap();
        assert!(count > 0, "{read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    assert!(!read.contains("chunked"), "{read}");
}

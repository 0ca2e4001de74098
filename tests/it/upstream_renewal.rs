//! What changes while requests run over HTTP/2 and TLS: connections that end in good order, and certificates.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::misbehaving::{Authority, Script, Script2, Tls, Upstream};

use crate::support::{Site, StopOnDrop, UP, Watershed, eventually, upstream};

const CLIENTS: usize = 8;

/// Does something while clients ask. Every response is the target's, and whole. Returns how many there were.
fn while_asked(watershed: &Watershed, act: impl FnOnce()) -> usize {
    let running = AtomicBool::new(true);
    let ask = || {
        let (mut client, mut count) = (watershed.http1(), 0);
        while running.load(Ordering::Relaxed) {
            let response = client.get(UP, "/");
            assert_eq!(
                (response.text().as_str(), response.complete),
                ("hello", true),
                "{response:?}"
            );
            count += 1;
        }
        count
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        let stop = StopOnDrop(&running);
        act();
        drop(stop);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

/// nginx #1431, Envoy #36450: a target that ends its connections in good order fails nobody, however many requests a
/// GOAWAY leaves out, and even where no retries are left.
#[test]
fn goaways_under_load_fail_no_request() {
    let target = Upstream::http2(|_| {
        let answer = |script: Script2, _| {
            script.read_request().read_body().head(200, &[]).last_data("hello")
        };
        // It has read requests by then that it does not answer.
        (0..20).fold(Script2::new(), answer).go_away(0).close()
    });
    let version =
        upstream("v1", &[target.address()], "protocol = \"h2c\"\nretry = { attempts = 0 }");
    let watershed = Site::new().service("up", &version).start();
    let asked = while_asked(&watershed, || {
        let began = Instant::now();
        eventually("fifty connections that ended", || target.arrived().connections() > 50);
        thread::sleep(Duration::from_secs(2).saturating_sub(began.elapsed()));
    });
    assert!(asked > 500, "{asked}");
}

/// Two files are never renewed at once: between the two, what was served goes on.
#[test]
fn a_key_that_is_renewed_before_its_certificate_fails_no_request() {
    let authority = Authority::new();
    let tls = Tls::demanding(&authority.issue(&["up.test"]), &["h2"], &authority);
    let target = Upstream::tls(&tls, Script::new(), Script2::new().serve("hello"));
    let lines = "tls = { ca = \"ca.pem\", server-name = \"up.test\", certificate = \"c.pem\", key = \"c.key\" }";
    let site = Site::new().service("up", &upstream("v1", &[target.address()], lines));
    let first = authority.issue(&["client.test"]);
    site.write("services/ca.pem", authority.pem());
    site.write("services/c.pem", &first.certificate);
    site.write("services/c.key", &first.key);
    let watershed = site.start();
    let status = || watershed.version("up", "v1")["status"].as_str().unwrap_or("").to_owned();
    assert_eq!(status(), "normal");
    while_asked(&watershed, || {
        for _ in 0..3 {
            let renewed = authority.issue(&["client.test"]);
            let before = target.arrived().connections();
            watershed.site.replace("services/c.key", &renewed.key);
            eventually("the key does not fit", || status() == "error");
            assert_eq!(watershed.version("up", "v1")["error"]["code"], "bad-key");
            watershed.site.replace("services/c.pem", &renewed.certificate);
            eventually("the pair is taken", || status() == "normal");
            eventually("connections show it", || target.arrived().connections() > before);
        }
    });
}

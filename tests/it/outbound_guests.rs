//! Guests of other toolchains, which call out with what their language has: `fetch`, an event loop, a client. `make
//! test-guests` builds them (tests/peers/guests.sh). A test whose guest could not be built says so, and passes.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Upstream};

use crate::support::{Site, eventually, lab, limits};

fn assert_calls(guest: &str, answer: &str) {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/guests");
    let component = built.join(guest).with_extension("wasm");
    if !component.is_file() {
        eprintln!("not tested: {} was not built (tests/peers/guests.sh)", component.display());
        return;
    }
    let upstream = Upstream::http1(Script::text("here"));
    let entry = format!("http://{}", upstream.address());
    let version = format!("[[versions]]\nname = \"v1\"\ncomponent = {component:?}\n");
    // An interpreter takes its time, and here it is compiled by a program that is not optimised.
    let roomy = "memory = \"256MiB\"\ncpu-time = \"10s\"\nwall-time = \"20s\"";
    let text = format!("{version}outbound = [{entry:?}]\n{}", limits(roomy));
    // Compiling an interpreter takes longer than a program may take to start in a test.
    let watershed = Site::new().service("lab", &lab("v1")).start();
    watershed.site.write("services/caller.toml", text);
    let host = "caller.localhost";
    let deadline = Instant::now() + Duration::from_secs(240);
    while [404, 503].contains(&watershed.get(host, "/").status) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200));
    }
    for _ in 0..3 {
        let response = watershed.get(host, &format!("/call?url={entry}/x"));
        assert_eq!((response.status, response.text().as_str()), (200, answer));
    }
    let last = upstream.arrived().all().pop().unwrap();
    assert_eq!((last.target.as_str(), last.field("transfer-encoding")), ("/x", None));
    // What is not listed is an error in each language, and the guest says so in its own way.
    let refused = watershed.get(host, "/call?url=http://127.0.0.1:1/");
    assert!(refused.status >= 500, "{}", refused.text());
    eventually("the refusal", || {
        watershed.metric("watershed_outbound_requests_total", &[("outcome", "denied")]) >= 1.0
    });
}

#[test]
fn rust_calls_with_wstd() {
    assert_calls("wstd", "wstd: here");
}

#[test]
fn rust_calls_with_the_sdk_of_spin() {
    assert_calls("spin", "spin: here");
}

#[test]
fn javascript_calls_with_fetch() {
    assert_calls("js", "js: here");
}

#[test]
fn python_calls_with_its_event_loop() {
    assert_calls("python", "python: here");
}

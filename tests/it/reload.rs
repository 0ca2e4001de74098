//! Edits are served at once, without a restart and without losing a request; bad ones change
//! nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{
    GREETER, Site, StopOnDrop, Watershed, eventually, greeter, lab, limits, split, within,
};

const FILE: &str = "services/greeter.toml";

/// Files that go on changing are read after five seconds nevertheless; a complete edit does not wait for that.
/// `benches/table` measures how soon an edit is served.
const SOON: Duration = Duration::from_secs(5);

fn two_versions(shares: &str) -> String {
    greeter("v1") + &greeter("v2") + &split(shares)
}

fn serve(shares: &str) -> Watershed {
    Site::new().service("greeter", &two_versions(shares)).start()
}

#[track_caller]
fn await_greeting(watershed: &Watershed, limit: Duration, greeting: &str) {
    within(limit, greeting, || watershed.get(GREETER, "/").text() == greeting);
}

fn last_outcome(watershed: &Watershed) -> String {
    watershed.status()["last_reload"]["outcome"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn edits_under_load_fail_no_request() {
    let watershed = serve("v1 = 100, v2 = 0");
    let (running, served) = (AtomicBool::new(true), AtomicUsize::new(0));
    let hammer = || {
        let mut client = watershed.http1();
        while running.load(Ordering::Relaxed) {
            let response = client.get(GREETER, "/");
            assert_eq!((response.status, response.complete), (200, true), "{response:?}");
            served.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(hammer);
        }
        let _stop = StopOnDrop(&running);
        for (shares, greeting) in [
            ("v1 = 0, v2 = 100", "Hello from v2!\n"),
            ("v1 = 100, v2 = 0", "Hello from v1!\n"),
            ("v1 = 0, v2 = 100", "Hello from v2!\n"),
        ] {
            watershed.site.write(FILE, two_versions(shares));
            await_greeting(&watershed, SOON, greeting);
        }
    });
    assert!(served.into_inner() > 100, "too few requests to say much");
    // A request is counted after its client has the response.
    eventually("every request counted as a success", || {
        let counted = |labels: &[_]| watershed.metric("watershed_requests_total", labels);
        (counted(&[]) - counted(&[("outcome", "2xx")])).abs() < 0.5
    });
}

#[test]
fn a_request_in_flight_survives_the_end_of_its_service() {
    let watershed = Site::new()
        .service("lab", &lab("v1"))
        .service("greeter", &two_versions("v1 = 100, v2 = 0"))
        .start();
    let mut client = watershed.http1();
    client.send("GET /slow-body?chunks=10&ms=150 HTTP/1.1\r\nhost: lab.localhost\r\n\r\n");
    let mut response = client.head();
    std::fs::remove_file(watershed.site.path("services/lab.toml")).unwrap();
    eventually("404", || watershed.get("lab.localhost", "/count").status == 404);
    while !response.complete {
        assert!(client.chunk(&mut response), "{response:?}");
    }
    assert_eq!(response.text().lines().last(), Some("chunk 10 of 10"));
}

#[test]
fn a_bad_edit_changes_nothing_and_is_reported() {
    let watershed = serve("v1 = 100, v2 = 0");
    let generation = watershed.generation();
    let bad = greeter("v1") + &greeter("v2") + "[traffic]\nsplit = { v1 = 60, v2 = 39 }\n";
    let line = 1 + bad.lines().position(|line| line.starts_with("split")).unwrap();
    watershed.site.write(FILE, &bad);
    eventually("rejected", || last_outcome(&watershed) == "rejected");

    let status = watershed.status();
    assert_eq!(status["generation"], generation);
    let problem = &status["last_reload"]["problems"][0];
    assert!(problem["file"].as_str().unwrap().ends_with(FILE), "{problem:#}");
    assert_eq!(
        (problem["line"].as_u64(), problem["column"].as_u64()),
        (Some(line as u64), Some(9))
    );
    assert_eq!(problem["source"], "split = { v1 = 60, v2 = 39 }");
    assert!(problem["message"].as_str().unwrap().contains("99"), "{problem:#}");
    assert!(!problem["help"].as_str().unwrap().is_empty(), "{problem:#}");
    let place = format!("greeter.toml:{line}:9");
    let report = status["last_reload"]["report"].as_str().unwrap();
    assert!(report.contains(&place) && report.contains("v2 = 39"), "{report}");
    watershed.log_line(&[&place]);
    watershed.await_metric("watershed_reloads_total", &[("outcome", "rejected")], 1.0);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!(watershed.admin("/readyz").status, 200);

    watershed.site.write(FILE, two_versions("v1 = 0, v2 = 100"));
    await_greeting(&watershed, SOON, "Hello from v2!\n");
    assert_eq!(last_outcome(&watershed), "published");
    assert!(watershed.status()["last_reload"]["problems"].is_null());
}

#[test]
fn a_bad_edit_that_is_taken_back_is_forgotten() {
    let watershed = serve("v1 = 100, v2 = 0");
    let generation = watershed.generation();
    watershed.site.write(FILE, "nonsense");
    eventually("rejected", || last_outcome(&watershed) == "rejected");
    watershed.site.write(FILE, two_versions("v1 = 100, v2 = 0"));
    eventually("not rejected", || last_outcome(&watershed) != "rejected");
    assert_eq!(watershed.generation(), generation, "nothing was different");
}

#[test]
fn unchanged_versions_are_not_made_again() {
    let watershed = Site::new()
        .service("greeter", &two_versions("v1 = 100, v2 = 0"))
        .service("lab", &lab("v1"))
        .start();
    let made = || watershed.stderr().matches("version is normal").count();
    eventually("all are made", || made() == 3);
    watershed.site.write(FILE, two_versions("v1 = 0, v2 = 100"));
    await_greeting(&watershed, SOON, "Hello from v2!\n");
    assert_eq!(made(), 3, "a split needs no new version");
    let changed = two_versions("v1 = 0, v2 = 100").replace("VERSION = \"v2\"", "VERSION = \"two\"");
    watershed.site.write(FILE, changed);
    await_greeting(&watershed, SOON, "Hello from two!\n");
    eventually("v2 only", || made() == 4);
}

#[test]
fn a_change_of_limits_and_of_exposure_is_served() {
    let site = Site::new().server("expose = \"none\"").service("lab", &lab("v1"));
    let watershed = site.start();
    assert_eq!(watershed.get("lab.localhost", "/sleep?ms=100").status, 200);
    watershed.site.write("services/lab.toml", lab("v1") + &limits("wall-time = \"50ms\""));
    eventually("504", || watershed.get("lab.localhost", "/sleep?ms=100").status == 504);
    let main = watershed.site.read("watershed.toml").replace("\"none\"", "\"version\"");
    watershed.site.write("watershed.toml", main);
    eventually("the header", || {
        watershed.get("lab.localhost", "/count").header("watershed-version") == Some("v1")
    });
}

#[test]
fn what_needs_a_restart_is_said_and_the_rest_is_served() {
    let watershed = serve("v1 = 100, v2 = 0");
    let main = watershed.site.read("watershed.toml");
    let changed = main.replace(
        "listen = [\"127.0.0.1:0\"]",
        "listen = [\"127.0.0.1:1\"]\nthreads = 3\nwatch = \"poll:1h\"",
    );
    watershed.site.write("watershed.toml", changed);
    eventually("needs-restart", || last_outcome(&watershed) == "needs-restart");
    let keys = watershed.status()["last_reload"]["restart_needed_for"].clone();
    assert_eq!(keys, serde_json::json!(["server.listen", "server.threads", "server.watch"]));
    watershed.log_line(&["restart", "server.listen"]);
    watershed.site.write(FILE, two_versions("v1 = 0, v2 = 100"));
    await_greeting(&watershed, SOON, "Hello from v2!\n");
    assert_eq!(last_outcome(&watershed), "needs-restart", "it still does");
    watershed.site.write("watershed.toml", main);
    eventually("published", || last_outcome(&watershed) == "published");
}

//! Shares, the latest version, and services that no version can serve.

use std::thread;

use crate::support::{GREETER, Site, Watershed, assert_problem, greeter, lab, limits, split};

/// A component that does not exist.
const MISSING: &str = "\n[[versions]]\nname = \"broken\"\ncomponent = \"missing.wasm\"\n";

/// How many of `count` requests v2 answers, over one connection.
fn answered_by_v2(watershed: &Watershed, count: usize) -> usize {
    let mut client = watershed.http1();
    let answers = (0..count).map(|_| {
        let response = client.get(GREETER, "/");
        assert_eq!(response.status, 200, "{response:?}");
        let version = response.header("watershed-version").unwrap().to_owned();
        assert_eq!(response.text(), format!("Hello from {version}!\n"));
        version
    });
    answers.filter(|version| version == "v2").count()
}

/// The count of v2 is binomial with n = 10,000 and p = 0.1: mean 1,000, standard deviation 30. It
/// is more than 6.1 standard deviations away once in 10⁹ runs.
#[test]
fn ten_thousand_requests_are_split_as_declared() {
    let service = greeter("v1") + &greeter("v2") + &split("v1 = 90, v2 = 10");
    let watershed = Site::new().service("greeter", &service).start();
    let v2: usize = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..4).map(|_| scope.spawn(|| answered_by_v2(&watershed, 2_500))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!((817..=1_183).contains(&v2), "{v2}");
    let v2 = u32::try_from(v2).unwrap();
    for (version, count) in [("v1", 10_000 - v2), ("v2", v2)] {
        let labels = [
            ("environment", "default"),
            ("service", "greeter"),
            ("version", version),
            ("decision", "random"),
            ("outcome", "2xx"),
        ];
        watershed.await_metric("watershed_requests_total", &labels, count.into());
    }
}

#[test]
fn shares_have_two_decimals() {
    let service = greeter("v1") + &greeter("v2") + &split("v1 = 99.99, v2 = 0.01");
    let watershed = Site::new().service("greeter", &service).start();
    assert_eq!(watershed.version("greeter", "v1")["share"], 99.99);
    assert_eq!(watershed.version("greeter", "v2")["share"], 0.01);
    watershed.assert_serves(GREETER, "/");
}

#[test]
fn a_version_without_a_share_gets_nothing() {
    let service = greeter("v1") + &greeter("v2") + &split("v1 = 0, v2 = 100");
    let watershed = Site::new().service("greeter", &service).start();
    assert_eq!(answered_by_v2(&watershed, 200), 200);
}

#[test]
fn the_latest_version_gets_everything() {
    let service = greeter("v1") + &greeter("v2") + "[traffic]\nlatest = true\n";
    let watershed =
        Site::new().server("expose = \"decision\"").service("greeter", &service).start();
    let response = watershed.get(GREETER, "/");
    assert_eq!(response.text(), "Hello from v2!\n");
    assert_eq!(response.header("watershed-decision"), Some("latest"));
    assert_eq!(watershed.version("greeter", "v2")["share"], 100.0);
    assert_eq!(watershed.version("greeter", "v1")["share"], 0.0);
}

#[test]
fn a_later_version_that_is_broken_is_passed_over() {
    let service = greeter("v1") + &greeter("v2") + MISSING + "[traffic]\nlatest = true\n";
    let watershed = Site::new().service("greeter", &service).start();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    assert_eq!(watershed.version("greeter", "broken")["status"], "error");
    assert_eq!(watershed.admin("/readyz").status, 200);
}

#[test]
fn a_service_without_shares_is_offline() {
    let watershed = Site::new()
        .service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 0, v2 = 0")))
        .service("other", &greeter("v1"))
        .start();
    assert_problem(&watershed.get(GREETER, "/"), 503, "offline");
    watershed.await_metric(
        "watershed_requests_total",
        &[("service", "greeter"), ("outcome", "offline")],
        1.0,
    );
    watershed.assert_serves("other.localhost", "/");
    assert_eq!(watershed.admin("/readyz").status, 200, "offline is as declared");
}

#[test]
fn hosts_are_found_by_name_and_by_wildcard() {
    let domains = "domains = [\"hello.example.com\", \"*.example.org\"]\n";
    let watershed = Site::new().service("greeter", &(domains.to_owned() + &greeter("v1"))).start();
    let mut client = watershed.http1();
    for host in [
        "greeter.localhost",
        "greeter.localhost:8080",
        "GREETER.LocalHost",
        "greeter.localhost.",
        "hello.example.com",
        "a.example.org",
    ] {
        assert_eq!(client.get(host, "/").status, 200, "{host}");
    }
    for host in ["example.org", "a.b.example.org", "greeter", "localhost", "x.greeter.localhost"] {
        assert_problem(&client.get(host, "/"), 404, "no-service");
    }
    watershed.await_outcomes("no-service", 5);
    assert_eq!(client.get(GREETER, "/").status, 200);
}

#[test]
fn a_split_that_cannot_be_served_at_the_first_start_is_503_and_not_ready() {
    let watershed = Site::new()
        .service("greeter", &(greeter("v1") + MISSING + &split("v1 = 50, broken = 50")))
        .service("other", &greeter("v1"))
        .start();
    for _ in 0..5 {
        assert_problem(&watershed.get(GREETER, "/"), 503, "no-version");
    }
    watershed.await_outcomes("no-version", 5);
    watershed.assert_serves("other.localhost", "/");
    let ready = watershed.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("greeter"), "{}", ready.text());
    let held = watershed.service("greeter")["held"].as_str().unwrap().to_owned();
    assert!(held.contains("broken") && held.contains("50 %"), "{held}");
}

#[test]
fn a_reload_to_a_split_that_cannot_be_served_keeps_the_last_good_one() {
    let watershed = Site::new()
        .service("greeter", &(greeter("v1") + &split("v1 = 100")))
        .service("lab", &(lab("v1") + &limits("memory = \"64MiB\"")))
        .start();
    let wanted = greeter("v1") + &greeter("v2") + MISSING + &split("v2 = 50, broken = 50");
    watershed.site.write("services/greeter.toml", &wanted);
    crate::support::eventually("held", || watershed.service("greeter")["held"].is_string());
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!(watershed.version("greeter", "v1")["share"], 100.0);
    assert_eq!(watershed.version("greeter", "broken")["status"], "error");
    assert_eq!(watershed.admin("/readyz").status, 200, "it still serves");
    let good = greeter("v1") + &greeter("v2") + &split("v2 = 100");
    watershed.site.write("services/greeter.toml", &good);
    crate::support::eventually("v2", || watershed.get(GREETER, "/").text() == "Hello from v2!\n");
    assert!(watershed.service("greeter")["held"].is_null());
}

//! `/api/v1/services`: all services in short, in agreement with the status.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{
    Backend, GREETER, Site, Watershed, assert_admin_problem, eventually, greeter, one_version,
    plugin, split, upstream,
};

fn services(watershed: &Watershed) -> Value {
    let answer = watershed.admin("/api/v1/services");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// A service of the overview.
#[track_caller]
fn service(watershed: &Watershed, name: &str) -> Value {
    let all = services(watershed);
    let found = all["services"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.cloned().unwrap_or_else(|| panic!("no {name}: {all:#}"))
}

fn health(watershed: &Watershed, name: &str) -> (String, String) {
    let service = service(watershed, name);
    let text = |member: &str| service[member].as_str().unwrap_or_default().to_owned();
    (text("health"), text("reason"))
}

/// Lists of services were cut off at 100 without a word (traefik/traefik#6917), or too slow from 300 on
/// (traefik/traefik#2693).
#[test]
fn all_of_a_thousand_services_are_listed_at_once() {
    let versions = greeter("v1") + &greeter("v2") + &greeter("v3");
    let text = versions + &split("v1 = 90, v2 = 9, v3 = 1");
    let site = Site::new();
    for number in 0..1_000 {
        site.write(&format!("services/s{number:04}.toml"), &text);
    }
    let watershed = site.start();
    let started = Instant::now();
    let answer = watershed.admin("/api/v1/services");
    let took = started.elapsed();
    eprintln!("1,000 services with 3 versions each: {} bytes in {took:?}", answer.body.len());
    assert_eq!(answer.json()["services"].as_array().unwrap().len(), 1_000);
    assert!(answer.body.len() < 400_000, "{} bytes", answer.body.len());
}

#[test]
fn it_says_in_short_what_the_status_says() {
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 90, v2 = 10");
    let site = Site::new().service("greeter", &text).service("other", &one_version("v1"));
    let watershed = site.start();
    (0..30).for_each(|_| watershed.assert_serves(GREETER, "/"));
    watershed.await_outcomes("2xx", 30);
    let (short, long) = (service(&watershed, "greeter"), watershed.service("greeter"));
    assert_eq!(short["environment"], "default");
    assert_eq!((&short["health"], &short["reason"]), (&json!("ok"), &Value::Null));
    assert_eq!(short["versions"][1], json!({ "name": "v2", "status": "normal", "share": 10.0 }));
    for same in ["name", "url", "in_flight", "error_ratio"] {
        assert_eq!(short[same], long[same], "{same}");
    }
    assert!(short["p99_ms"].as_f64().unwrap() > 0.0, "{short}");
    let all = services(&watershed);
    assert_eq!(all["generation"], watershed.generation());
    let names: Vec<_> = all["services"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["greeter", "other"]);
    let refused = watershed.admin("/api/v1/services?service=greeter");
    assert_admin_problem(&refused, 400, "unknown-parameter");
}

#[test]
fn each_word_for_the_health_of_a_service() {
    let broken = "[[versions]]\nname = \"v2\"\ncomponent = \"/nowhere/app.wasm\"\n";
    let lab = format!("[[versions]]\nname = \"v1\"\ncomponent = {:?}\n", plugin("lab"));
    let site = Site::new()
        .service("ok", &one_version("v1"))
        .service("offline", &(greeter("v1") + &split("v1 = 0")))
        .service("attention", &(greeter("v1") + broken + &split("v1 = 100")))
        .service("nothing", &(broken.to_owned() + &split("v2 = 100")))
        .service("errors", &(lab + &split("v1 = 100")));
    let watershed = site.start();
    assert_eq!(health(&watershed, "ok"), ("ok".into(), String::new()));
    assert_eq!(health(&watershed, "offline"), ("offline".into(), String::new()));
    let why = "v2 is in error: `not-found`".to_owned();
    assert_eq!(health(&watershed, "attention"), ("attention".into(), why));
    let (word, why) = health(&watershed, "nothing");
    assert_eq!(word, "failing");
    assert!(why.starts_with("no version can serve"), "{why}");
    for _ in 0..10 {
        assert_eq!(watershed.get("errors.localhost", "/trap").status, 500);
    }
    eventually("half of the requests failed", || health(&watershed, "errors").0 == "failing");
    assert!(health(&watershed, "errors").1.contains("100 % of the requests"));
    watershed.site.write("services/ok.toml", one_version("v1") + "nonsense");
    eventually("a wrong file", || health(&watershed, "ok").0 == "attention");
    assert!(health(&watershed, "ok").1.starts_with("its file is wrong: "));
}

#[test]
fn a_version_without_healthy_targets_is_marked() {
    let backend = Backend::start("one");
    let checked = "[versions.upstream.health]\npath = \"/healthz\"\ninterval = \"100ms\"";
    let text = upstream("v1", &[backend.address()], checked) + &split("v1 = 100");
    let watershed = Site::new().service("api", &text).start();
    assert_eq!(health(&watershed, "api").0, "ok");
    backend.answer_checks(500);
    eventually("it is unhealthy", || {
        service(&watershed, "api")["versions"][0]["unhealthy"] == true
    });
    let why = "no target of v1 takes requests".to_owned();
    assert_eq!(health(&watershed, "api"), ("failing".into(), why));
}

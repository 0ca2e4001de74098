//! The last hour of each version: exact through edits, and in agreement with the metrics.

use serde_json::Value;

use crate::support::{
    Backend, GREETER, LAB, Site, Watershed, assert_admin_problem, eventually, greeter, lab, split,
    upstream,
};

/// The series of a service in steps of one second.
fn series(watershed: &Watershed, service: &str) -> Value {
    let answer = watershed.admin(&format!("/api/v1/series?service={service}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn version<'a>(series: &'a Value, name: &str) -> &'a Value {
    let versions = series["versions"].as_array().unwrap();
    let found = versions.iter().find(|version| version["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {series}"))
}

fn sum(list: &Value) -> f64 {
    list.as_array().map_or(0.0, |list| list.iter().filter_map(Value::as_f64).sum())
}

/// Waits until the steps of a version add up to this many requests.
#[track_caller]
fn await_requests(watershed: &Watershed, service: &str, name: &str, requests: f64) -> Value {
    eventually(&format!("{requests} requests of {name}"), || {
        let series = series(watershed, service);
        let versions = series["versions"].as_array().unwrap();
        let own = versions.iter().filter(|version| version["name"] == name);
        own.map(|own| sum(&own["requests"])).sum::<f64>() >= requests
    });
    let series = series(watershed, service);
    let own = version(&series, name).clone();
    assert!((sum(&own["requests"]) - requests).abs() < 0.5, "{own}");
    own
}

/// Over an edit that makes a version anew, one that takes it away, and one that brings it back.
#[test]
fn steps_add_up_to_what_was_counted() {
    let split_of = |v1: u32, v2: u32| split(&format!("v1 = {v1}, v2 = {v2}"));
    let both = greeter("v1") + &greeter("v2");
    let site = Site::new().service("greeter", &(both.clone() + &split_of(50, 50)));
    let watershed = site.start();
    let changed =
        format!("{}\n[versions.limits]\nconcurrency = 7\n{}", greeter("v1"), greeter("v2"));
    for text in [
        changed + &split_of(50, 50),
        greeter("v1") + &split("v1 = 100"),
        both.clone() + &split_of(1, 99),
        both + &split_of(99, 1),
    ] {
        (0..50).for_each(|_| watershed.assert_serves(GREETER, "/"));
        watershed.site.write("services/greeter.toml", text);
        assert_eq!(watershed.admin_post("/api/v1/reload").status, 200);
    }
    (0..50).for_each(|_| watershed.assert_serves(GREETER, "/"));
    watershed.await_outcomes("2xx", 250);
    let counted = |name| {
        let labels = [("service", "greeter"), ("version", name)];
        watershed.metric("watershed_requests_total", &labels)
    };
    let requests = ["v1", "v2"].map(|name| {
        let own = await_requests(&watershed, "greeter", name, counted(name));
        assert!(sum(&own["cpu_seconds"]) > 0.0, "{own}");
        assert!(own["memory_bytes"].as_array().unwrap().iter().any(Value::is_u64));
        assert_eq!(sum(&own["failed"]), 0.0);
        assert_eq!(
            own["share"].as_array().unwrap().last().unwrap(),
            if name == "v1" { 99.0 } else { 1.0 }
        );
        sum(&own["requests"])
    });
    assert_eq!(requests.iter().sum::<f64>(), 250.0);
}

#[test]
fn failures_are_told_by_code() {
    let watershed = Site::new().service("lab", &(lab("v1") + &split("v1 = 100"))).start();
    for _ in 0..3 {
        assert_eq!(watershed.get(LAB, "/trap").status, 500);
    }
    (0..4).for_each(|_| watershed.assert_serves(LAB, "/"));
    let own = await_requests(&watershed, "lab", "v1", 7.0);
    assert_eq!(sum(&own["failed"]), 3.0);
    let codes = own["codes"].as_object().unwrap();
    assert_eq!(codes.keys().collect::<Vec<_>>(), ["trap"]);
    assert_eq!(sum(&codes["trap"]), 3.0);
    assert!(sum(&own["p99_ms"]) >= sum(&own["p50_ms"]) && sum(&own["p50_ms"]) > 0.0, "{own}");
}

#[test]
fn all_lists_have_one_length_and_since_leaves_out_what_is_known() {
    let watershed = Site::new()
        .service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 100, v2 = 0")))
        .start();
    watershed.assert_serves(GREETER, "/");
    await_requests(&watershed, "greeter", "v1", 1.0);
    let all = series(&watershed, "greeter");
    assert_eq!(all["step_seconds"], 1);
    assert!(
        all["from"].as_str().unwrap().ends_with(":00Z")
            || all["from"].as_str().unwrap().ends_with(".000Z"),
        "{all}"
    );
    let length = version(&all, "v1")["requests"].as_array().unwrap().len();
    for name in ["v1", "v2"] {
        for list in [
            "requests",
            "failed",
            "p50_ms",
            "p90_ms",
            "p99_ms",
            "cpu_seconds",
            "memory_bytes",
            "share",
        ] {
            assert_eq!(
                version(&all, name)[list].as_array().unwrap().len(),
                length,
                "{name} {list}"
            );
        }
    }
    let now = all["now"].as_str().unwrap();
    let later = watershed.admin(&format!("/api/v1/series?service=greeter&since={now}")).json();
    assert_eq!(sum(&version(&later, "v1")["requests"]), 0.0, "{later}");
    assert!(version(&later, "v1")["requests"].as_array().unwrap().len() < length + 1);
    let tens = watershed.admin("/api/v1/series?service=greeter&step=10").json();
    assert_eq!(tens["step_seconds"], 10);
    for (query, status, code) in [
        ("", 400, "missing-parameter"),
        ("service=greeter&step=2", 400, "bad-parameter"),
        ("service=greeter&since=yesterday", 400, "bad-parameter"),
        ("service=greeter&until=now", 400, "unknown-parameter"),
        ("service=nobody", 404, "unknown-service"),
        ("service=greeter&environment=nowhere", 404, "unknown-environment"),
    ] {
        let refused = watershed.admin(&format!("/api/v1/series?{query}"));
        assert_admin_problem(&refused, status, code);
    }
}

/// An upstream has no guests that use anything, and a version that is gone stays while something is known of it.
#[test]
fn an_upstream_has_no_memory_and_a_version_that_is_gone_stays() {
    let backend = Backend::start("one");
    let one = |name| upstream(name, &[backend.address()], "");
    let both = one("v1") + &one("v2");
    let site = Site::new().service("api", &(both + &split("v1 = 0, v2 = 100")));
    let watershed = site.start();
    (0..5).for_each(|_| watershed.assert_serves("api.localhost", "/"));
    let own = await_requests(&watershed, "api", "v2", 5.0);
    assert!(own["memory_bytes"].as_array().unwrap().iter().all(Value::is_null), "{own}");
    assert_eq!(sum(&own["cpu_seconds"]), 0.0);
    watershed.site.write("services/api.toml", one("v1") + &split("v1 = 100"));
    assert_eq!(watershed.admin_post("/api/v1/reload").status, 200);
    eventually("v2 is gone", || {
        watershed.service("api")["versions"].as_array().unwrap().len() == 1
    });
    let gone = await_requests(&watershed, "api", "v2", 5.0);
    eventually("its share of the last step", || {
        let series = series(&watershed, "api");
        version(&series, "v2")["share"].as_array().unwrap().last() == Some(&0.0.into())
    });
    assert!(sum(&gone["share"]) >= 0.0);
}

//! The admin listener: health, metrics and status.

use std::time::Instant;

use crate::support::{GREETER, Http1, Site, Watershed, eventually, greeter, lab, limits, split};

fn serve() -> Watershed {
    let remarked = greeter("v2") + "remark = \"greets\"\n";
    let domains = "domains = [\"*.example.org\"]\n".to_owned();
    Site::new()
        .service(
            "greeter",
            &(domains + &greeter("v1") + &remarked + &split("v1 = 75.5, v2 = 24.5")),
        )
        .service("lab", &lab("v1"))
        .start()
}

#[test]
fn a_process_is_alive_and_ready() {
    let watershed = serve();
    for (path, text) in [("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let response = watershed.admin(path);
        assert_eq!((response.status, response.text().as_str()), (200, text), "{path}");
    }
    let nonsense = watershed.admin("/nonsense");
    assert_eq!(nonsense.status, 404);
    assert!(nonsense.text().contains("/api/v1/config"), "{nonsense:?}");
    let posted =
        Http1::connect(watershed.admin_address()).ask("POST", "localhost", "/livez", &[], b"");
    assert_eq!(posted.status, 405);
}

#[test]
fn the_status_says_what_is_served() {
    let watershed = serve();
    let status = watershed.status();
    assert!(status["generation"].as_u64().is_some_and(|generation| generation >= 1));
    assert_eq!(status["ready"], true);
    // It is known a moment after the addresses are.
    eventually("the first load", || !watershed.status()["last_reload"].is_null());
    let status = watershed.status();
    assert_eq!(status["last_reload"]["outcome"], "published");
    let at = status["last_reload"]["at"].as_str().unwrap();
    assert!(at.starts_with("20") && at.ends_with('Z') && at.len() == 24, "{at}");
    let environment = &status["environments"][0];
    assert_eq!(environment["name"], "default");
    assert_eq!(environment["services"].as_array().map(Vec::len), Some(2));
    let greeter = watershed.service("greeter");
    let port = watershed.address().port();
    assert_eq!(greeter["url"], format!("http://greeter.localhost:{port}"));
    assert_eq!(greeter["domains"], serde_json::json!(["greeter.localhost", "*.example.org"]));
    let v2 = watershed.version("greeter", "v2");
    assert_eq!((&v2["status"], &v2["share"]), (&"normal".into(), &24.5.into()));
    assert_eq!(v2["remark"], "greets");
    let digest = v2["digest"].as_str().unwrap();
    assert_eq!((digest.len(), digest.starts_with("sha256:")), (71, true), "{digest}");
}

#[test]
fn environments_have_domains_of_their_own() {
    let site = Site::new().service("greeter", &greeter("v1")).tables(
        "[[environments]]\nname = \"test\"\ndomain = \"test.example.com\"\n\
             services = \"services/*.toml\"\n\
             [[environments]]\nname = \"prod\"\ndomain = \"example.com\"\n\
             services = \"services/*.toml\"\n",
    );
    let watershed = site.start();
    for (environment, host) in
        [("test", "greeter.test.example.com"), ("prod", "greeter.example.com")]
    {
        watershed.assert_serves(host, "/");
        let labels = [("environment", environment), ("outcome", "2xx")];
        watershed.await_metric("watershed_requests_total", &labels, 1.0);
    }
    assert_eq!(watershed.get(GREETER, "/").status, 404);
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let watershed = serve();
    for _ in 0..3 {
        watershed.assert_serves("lab.localhost", "/count");
    }
    watershed.get("lab.localhost", "/trap");
    watershed.get("nobody.localhost", "/");
    // A request is counted after its response.
    for (outcome, count) in [("2xx", 3), ("trap", 1), ("no-service", 1)] {
        watershed.await_outcomes(outcome, count);
    }
    watershed.await_metric("watershed_in_flight", &[], 0.0);
    let response = watershed.admin("/metrics");
    let kind = response.header("content-type").unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text();
    for line in [
        "# TYPE watershed_requests_total counter",
        "# TYPE watershed_request_duration_seconds histogram",
        "# TYPE watershed_in_flight gauge",
        "# TYPE watershed_config_generation gauge",
        "# TYPE watershed_reloads_total counter",
        "watershed_requests_total{environment=\"default\",service=\"lab\",version=\"v1\",\
         decision=\"latest\",outcome=\"2xx\"} 3",
        "watershed_requests_total{environment=\"default\",service=\"lab\",version=\"v1\",\
         decision=\"latest\",outcome=\"trap\"} 1",
        "watershed_requests_total{environment=\"\",service=\"\",version=\"\",decision=\"\",\
         outcome=\"no-service\"} 1",
        "watershed_in_flight{environment=\"default\",service=\"lab\",version=\"v1\"} 0",
        "watershed_request_duration_seconds_count{environment=\"default\",service=\"lab\",\
         version=\"v1\"} 4",
        "watershed_reloads_total{outcome=\"published\"} 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    let generation = watershed.metric("watershed_config_generation", &[]);
    assert_eq!(generation, watershed.generation() as f64);
}

#[test]
fn a_duration_is_that_of_the_whole_response() {
    let watershed = serve();
    let started = Instant::now();
    watershed.assert_serves("lab.localhost", "/slow-body?chunks=3&ms=100");
    let labels = [("service", "lab")];
    watershed.await_metric("watershed_request_duration_seconds_count", &labels, 1.0);
    let took = watershed.metric("watershed_request_duration_seconds_sum", &labels);
    assert!((0.3..=started.elapsed().as_secs_f64()).contains(&took), "{took}");
}

/// A new configuration takes the metrics of unchanged versions over.
#[test]
fn counters_go_on_over_a_reload() {
    let watershed = serve();
    watershed.assert_serves("lab.localhost", "/count");
    watershed.await_metric("watershed_requests_total", &[("service", "lab")], 1.0);
    watershed.site.write("services/lab.toml", lab("v1") + &limits("memory = \"48MiB\""));
    crate::support::eventually("the reload", || {
        watershed.metric("watershed_reloads_total", &[("outcome", "published")]) > 1.5
    });
    watershed.assert_serves("lab.localhost", "/count");
    watershed.await_metric("watershed_requests_total", &[("service", "lab")], 2.0);
}

#[test]
fn a_token_opens_what_is_not_for_probes() {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &greeter("v1"));
    site.write("token", "s3cret\n");
    let watershed = site.start();
    let ask = |path: &str, headers: &[&str]| {
        Http1::connect(watershed.admin_address()).ask("GET", "localhost", path, headers, b"")
    };
    for path in ["/metrics", "/api/v1/status", "/api/v1/config"] {
        let denied = ask(path, &[]);
        assert_eq!(denied.status, 401, "{path}");
        assert!(denied.header("www-authenticate").is_some());
        for wrong in
            ["authorization: Bearer s3cre", "authorization: Basic s3cret", "authorization: "]
        {
            assert_eq!(ask(path, &[wrong]).status, 401, "{path} {wrong}");
        }
        assert_eq!(ask(path, &["authorization: Bearer s3cret"]).status, 200, "{path}");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(ask(path, &[]).status, 200, "{path}");
    }
}

#[test]
fn a_token_file_must_hold_a_token() {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin);
    for contents in [None, Some(" \n")] {
        if let Some(contents) = contents {
            site.write("token", contents);
        }
        let finished = site.run(&["run"]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("token"), "{finished:?}");
    }
}

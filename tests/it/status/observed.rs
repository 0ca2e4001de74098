//! What each version did lately: how often it was decided for, with what and how fast, in which window.

use std::thread;

use serde_json::Value;

use super::{serve, status, two};
use crate::support::{GREETER, Site, Watershed, eventually, greeter, lab, limits, split};

#[track_caller]
fn assert_close(value: &Value, expected: f64) {
    let is_close = value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-6);
    assert!(is_close, "{value}, and not {expected}");
}

#[test]
fn a_version_is_told_with_what_it_did_lately() {
    let watershed = serve();
    for path in ["/count", "/count", "/count", "/trap"].repeat(5) {
        watershed.get("lab.localhost", path);
        watershed.get(GREETER, "/");
    }
    watershed.await_metric("watershed_requests_total", &[("service", "lab")], 20.0);
    watershed.await_metric("watershed_requests_total", &[("service", "greeter")], 20.0);
    let v1 = watershed.version("lab", "v1");
    assert_close(&v1["error_ratio"], 0.25);
    assert_close(&v1["observed"]["since_publish"]["share"], 100.0);
    assert_close(&v1["declared_share"], 100.0);
    assert_eq!(v1["in_flight"], 0, "{v1:#}");
    let (p50, p99) = (v1["p50_ms"].as_f64().unwrap(), v1["p99_ms"].as_f64().unwrap());
    assert!(p50 > 0.0 && p50 <= p99 && p99 < 10_000.0, "{v1:#}");
    let shown = status(&watershed, &[]).stdout;
    assert!(shown.contains("services  2: 1 needs a look, 1 fine"), "{shown}");
    assert!(shown.contains("errors: 25 % of the requests of the last minute failed"), "{shown}");
    let (lab, greeter) = (watershed.service("lab"), watershed.service("greeter"));
    assert_eq!((&lab["latest"], &greeter["latest"]), (&true.into(), &false.into()));

    let [v1, v2] = ["v1", "v2"].map(|name| watershed.version("greeter", name));
    assert_close(&v1["observed"]["minute"]["share"], 100.0);
    assert_close(&v2["observed"]["minute"]["share"], 0.0);
    assert_close(&v1["error_ratio"], 0.0);
    assert_eq!((&v2["p50_ms"], &v2["error_ratio"]), (&Value::Null, &Value::Null));
    assert_eq!(greeter["error_ratio"], 0.0, "{greeter:#}");
    assert_eq!(lab["p99_ms"], watershed.version("lab", "v1")["p99_ms"]);
    let status = watershed.status();
    assert_eq!(status["config"], watershed.site.main_file().display().to_string());
    assert_eq!(status["environments"][0]["domain"], "localhost");
}

#[test]
fn requests_are_in_flight_until_they_have_ended() {
    let watershed = serve();
    let in_flight = |count: u64| {
        let service = watershed.service("lab");
        service["in_flight"] == count && service["versions"][0]["in_flight"] == count
    };
    thread::scope(|scope| {
        scope.spawn(|| watershed.get("lab.localhost", "/slow-body?chunks=10&ms=100"));
        eventually("one in flight", || in_flight(1));
    });
    eventually("none in flight", || in_flight(0));
}

/// How often both versions were drawn in a window, and the number of draws.
#[track_caller]
fn drawn(watershed: &Watershed, window: &str) -> ([u64; 2], u64) {
    let observed = ["v1", "v2"].map(|name| watershed.version("greeter", name)["observed"].clone());
    let count = |version: &Value, field| version[window][field].as_u64().unwrap();
    let [of, same] = observed.each_ref().map(|version| count(version, "drawn_of"));
    assert_eq!(of, same, "{observed:?}");
    (observed.map(|version| count(&version, "drawn")), of)
}

/// A fair split is reported as unfair once in a million runs.
#[test]
fn draws_are_told_beside_their_shares() {
    let watershed = Site::new().service("greeter", &two("v1 = 50, v2 = 50")).start();
    let minute = watershed.version("greeter", "v1")["observed"]["minute"].clone();
    assert_eq!((&minute["share"], &minute["too_early"]), (&Value::Null, &true.into()));
    let mut connection = watershed.http1();
    for _ in 0..200 {
        connection.get(GREETER, "/");
    }
    for window in ["minute", "hour", "since_publish"] {
        let ([v1, v2], of) = drawn(&watershed, window);
        assert_eq!((v1 + v2, of), (200, 200), "{window}");
        let told = watershed.version("greeter", "v1")["observed"][window].clone();
        assert_close(&told["drawn_share"], v1 as f64 / 2.0);
        assert_close(&told["share"], v1 as f64 / 2.0);
        assert_eq!(told["beyond_chance"], false, "{told:#}");
        assert!(told["p_value"].as_f64().is_some_and(|p| p <= 1.0 && p > 1e-6), "{told:#}");
    }
    let labels = |window| [("service", "greeter"), ("version", "v1"), ("window", window)];
    let ([v1, _], _) = drawn(&watershed, "since_publish");
    for window in ["minute", "hour", "publish"] {
        let share = watershed.metric("watershed_observed_share_ratio", &labels(window));
        assert_close(&share.into(), v1 as f64 / 200.0);
        assert_close(
            &watershed.metric("watershed_share_beyond_chance", &labels(window)).into(),
            0.0,
        );
    }
    let declared = watershed.metric("watershed_declared_share_ratio", &[("version", "v1")]);
    assert_close(&declared.into(), 0.5);
    let shown = status(&watershed, &[]);
    assert!(!shown.stdout.contains("beyond chance"), "{shown:?}");
}

/// A new remark or a version that nobody gets changes nothing about the draws, and a new share does.
#[test]
fn draws_are_counted_anew_under_other_shares() {
    let watershed = Site::new().service("greeter", &two("v1 = 50, v2 = 50")).start();
    for _ in 0..20 {
        watershed.get(GREETER, "/");
    }
    let remarked =
        |shares: &str| greeter("v1") + "remark = \"greets\"\n" + &greeter("v2") + &split(shares);
    watershed.site.write("services/greeter.toml", remarked("v1 = 50, v2 = 50"));
    eventually("the remark", || watershed.version("greeter", "v1")["remark"] == "greets");
    assert_eq!(drawn(&watershed, "since_publish").1, 20);
    let since = watershed.service("greeter")["traffic_generation"].clone();
    let more = greeter("v0") + &remarked("v1 = 50, v2 = 50");
    watershed.site.write("services/greeter.toml", more);
    eventually("v0", || watershed.service("greeter")["versions"][0]["status"] == "normal");
    assert_eq!(drawn(&watershed, "since_publish").1, 20);
    assert_eq!(watershed.service("greeter")["traffic_generation"], since);
    watershed.site.write("services/greeter.toml", remarked("v1 = 75, v2 = 25"));
    eventually("the shares", || watershed.version("greeter", "v1")["share"] == 75.0);
    for window in ["minute", "hour", "since_publish"] {
        assert_eq!(drawn(&watershed, window), ([0, 0], 0), "{window}");
    }
    watershed.get(GREETER, "/");
    assert_eq!(drawn(&watershed, "since_publish").1, 1);
}

/// Where the newest version takes all traffic, nothing is drawn.
#[test]
fn only_what_is_drawn_is_tested() {
    let watershed = serve();
    watershed.get("lab.localhost", "/count");
    let minute =
        |service, version| watershed.version(service, version)["observed"]["minute"].clone();
    let lab = minute("lab", "v1");
    assert_eq!((&lab["requests"], &lab["drawn"]), (&1.into(), &Value::Null), "{lab:#}");
    assert_eq!(minute("greeter", "v1")["drawn"], 0);
    assert!(minute("greeter", "v2")["drawn"].is_null(), "it has no share");
    assert!(
        !watershed
            .admin("/metrics")
            .text()
            .contains("_share_ratio{environment=\"default\",service=\"lab\"")
    );
}

/// The metrics of the name go on, and the figures of the last minute do not.
#[test]
fn a_version_made_anew_begins_anew() {
    let watershed = serve();
    for _ in 0..3 {
        watershed.get("lab.localhost", "/trap");
    }
    eventually("errors", || watershed.version("lab", "v1")["error_ratio"] == 1.0);
    watershed.site.write("services/lab.toml", lab("v1") + &limits("memory = \"48MiB\""));
    eventually("the edit", || watershed.version("lab", "v1")["p50_ms"].is_null());
    watershed.assert_serves("lab.localhost", "/count");
    let labels = [("service", "lab")];
    watershed.await_metric("watershed_request_duration_seconds_count", &labels, 4.0);
    let v1 = watershed.version("lab", "v1");
    assert_close(&v1["error_ratio"], 0.0);
    assert_eq!(v1["observed"]["since_publish"]["requests"], 1, "{v1:#}");
}

/// Four seconds after a promote, the version before it used to be shown with 92 % of the requests, and a version that
/// was just made with a rate that others were not divided by.
#[test]
fn after_a_promote_requests_count_from_there() {
    let watershed = serve();
    let get = |count: usize| {
        let mut connection = watershed.http1();
        (0..count).for_each(|_| assert_eq!(connection.get(GREETER, "/").status, 200));
    };
    get(300);
    watershed.site.write("services/greeter.toml", two("v1 = 0, v2 = 100"));
    eventually("the promote", || watershed.version("greeter", "v2")["share"] == 100.0);
    get(30);
    let [v1, v2] = ["v1", "v2"].map(|name| watershed.version("greeter", name));
    for window in ["since_publish", "minute"] {
        let told = [&v1, &v2].map(|version| version["observed"][window].clone());
        assert_eq!(told.each_ref().map(|it| &it["requests"]), [0, 30], "{told:?}");
        assert_eq!(told.each_ref().map(|it| &it["share"]), [0.0, 100.0], "{told:?}");
    }
    let seconds = |version: &Value| version["observed"]["minute"]["seconds"].as_f64().unwrap();
    assert!(seconds(&v1) < 60.0, "{v1:#}");
    assert_eq!(v1["p50_ms"], Value::Null, "what ended before the publish does not count: {v1:#}");
    let service = watershed.service("greeter");
    assert_eq!(service["traffic_generation"], service["since_generation"]);
    assert!(service["traffic_since_start"].is_null(), "{service:#}");
    eventually("rates of one denominator", || {
        let service = watershed.service("greeter");
        let v2 = &service["versions"][1];
        let rate = v2["requests_per_second"].as_f64();
        let expected = |rate: f64| (rate - 30.0 / seconds(v2)).abs() < 0.01;
        rate.is_some_and(expected) && service["versions"][0]["requests_per_second"] == 0.0
    });
}

/// A request that an override leads to a version is none of the draws, and counts for what the version had.
#[test]
fn whatever_decides_a_request_it_counts() {
    let service = two("v1 = 100, v2 = 0") + "[traffic.override]\nquery = \"v\"\n";
    let watershed = Site::new().service("greeter", &service).start();
    let mut connection = watershed.http1();
    for number in 0..40 {
        let path = if number % 4 == 0 { "/?v=v2" } else { "/" };
        assert_eq!(connection.get(GREETER, path).status, 200);
    }
    let minute = |name| watershed.version("greeter", name)["observed"]["minute"].clone();
    let (v1, v2) = (minute("v1"), minute("v2"));
    assert_eq!((&v1["requests"], &v2["requests"]), (&30.into(), &10.into()));
    assert_eq!((&v1["share"], &v2["share"]), (&75.0.into(), &25.0.into()));
    assert_eq!(
        (&v1["drawn"], &v1["drawn_of"], &v1["beyond_chance"]),
        (&30.into(), &30.into(), &false.into())
    );
}

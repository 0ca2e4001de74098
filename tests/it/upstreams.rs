//! Versions that are reached over the network, beside components in one service: who gets them, what a reload keeps, and
//! what is told of them. What passes through one is in the tests of bodies, streams and peers.

use serde_json::Value;

use crate::support::{
    Backend, GREETER, Site, Watershed, assert_problem, done, eventually, greeter, split, tell,
};

const FILE: &str = "services/greeter.toml";

fn serve(text: &str) -> Watershed {
    Site::new().server("expose = \"decision\"").service("greeter", text).start()
}

/// A component `v1`, and an upstream `legacy`.
fn both(backend: &Backend, traffic: &str) -> String {
    greeter("v1") + &backend.version("legacy") + traffic
}

/// What so many clients without a key get: the names, sorted, with how many got them.
fn answers(watershed: &Watershed, count: usize) -> Vec<(String, usize)> {
    let mut client = watershed.http1();
    let mut found: Vec<(String, usize)> = Vec::new();
    for _ in 0..count {
        let text = client.get(GREETER, "/").text();
        match found.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => found.push((text, 1)),
        }
    }
    found.sort();
    found
}

fn targets(watershed: &Watershed, version: &str) -> Vec<Value> {
    let document = watershed.version("greeter", version);
    document["upstream"]["targets"].as_array().unwrap_or_else(|| panic!("{document:#}")).clone()
}

/// A split that is drawn in turn is exact.
#[test]
fn a_component_and_an_upstream_have_their_shares() {
    let backend = Backend::start("legacy");
    let traffic = "[traffic]\npick = \"smooth\"\nsplit = { v1 = 70, legacy = 30 }\n";
    let watershed = serve(&both(&backend, traffic));
    let expected = [("Hello from legacy!\n".to_owned(), 30), ("Hello from v1!\n".to_owned(), 70)];
    assert_eq!(answers(&watershed, 100), expected);
    assert_eq!(backend.requests(), 30);
    let response = watershed.http1().ask("GET", GREETER, "/", &[], b"");
    assert!(response.header("watershed-version").is_some(), "{response:?}");
}

#[test]
fn rules_overrides_and_stickiness_lead_to_an_upstream() {
    let backend = Backend::start("legacy");
    let traffic = "[traffic]\nsplit = { v1 = 100 }\n\
                   [traffic.override]\nheader = true\n\
                   [[traffic.rules]]\nname = \"old\"\nmatch = { path = \"/old/*\" }\nversion = \"legacy\"\n";
    let watershed = serve(&both(&backend, traffic));
    let get = |path: &str, header: &str| {
        let response = watershed.http1().ask("GET", GREETER, path, &[header], b"");
        let decision = response.header("watershed-decision").unwrap_or_default().to_owned();
        (response.text(), decision)
    };
    let legacy = "Hello from legacy!\n".to_owned();
    assert_eq!(get("/old/a", "a: b"), (legacy.clone(), "rule:old".to_owned()));
    assert!(backend.last_head().starts_with("GET /old/a HTTP/1.1\r\n"), "{}", backend.last_head());
    assert_eq!(get("/", "watershed-version: legacy"), (legacy, "override".to_owned()));
    assert_eq!(get("/", "a: b").0, "Hello from v1!\n");

    let sticky =
        "[traffic]\nsplit = { v1 = 50, legacy = 50 }\n[traffic.sticky]\nkey = \"header:x-user\"\n";
    watershed.site.replace(FILE, both(&backend, sticky));
    eventually("the split", || watershed.version("greeter", "legacy")["share"] == 50.0);
    let told = |user: &str| {
        let query = format!("/api/v1/explain?service=greeter&header=x-user:{user}");
        watershed.admin(&query).json()["version"].as_str().unwrap().to_owned()
    };
    for user in 0..20 {
        let user = format!("user-{user}");
        let answer = get("/", &format!("x-user: {user}")).0;
        assert_eq!(answer, format!("Hello from {}!\n", told(&user)), "{user}");
    }
}

/// Health is beside the status: a version with nobody behind it is normal, and `reach` closes it as any other.
#[test]
fn a_reach_closes_an_upstream() {
    let backend = Backend::start("legacy");
    let closed = both(&backend, "")
        .replace("name = \"legacy\"", "name = \"legacy\"\nreach = \"override\"")
        + "[traffic]\nlatest = true\n[traffic.override]\nheader = true\n";
    let watershed = serve(&closed);
    assert_eq!(
        watershed.get(GREETER, "/").text(),
        "Hello from v1!\n",
        "it is the latest, and closed"
    );
    let header = ["watershed-version: legacy"];
    let response = watershed.http1().ask("GET", GREETER, "/", &header, b"");
    assert_eq!(response.text(), "Hello from legacy!\n");
}

#[test]
fn a_bad_edit_holds_what_served() {
    let backend = Backend::start("legacy");
    let good = both(&backend, &split("v1 = 0, legacy = 100"));
    let watershed = serve(&good);
    watershed.await_greeting("Hello from legacy!\n");
    let address = backend.address().to_string();
    for (wrong, told) in [
        (good.replace(&address, "127.0.0.1"), "has no port"),
        (good.replace(&format!("[\"{address}\"]"), "[]"), "upstream"),
        (good.replace("legacy\"\n", "legacy\"\nenv = { A = \"b\" }\n"), "env"),
    ] {
        assert_ne!(wrong, good);
        watershed.site.replace(FILE, &wrong);
        eventually("the rejection", || watershed.service("greeter")["rejected"].is_object());
        let report = watershed.service("greeter")["rejected"]["report"].to_string();
        assert!(report.contains(told), "{told:?}: {report}");
        assert_eq!(watershed.get(GREETER, "/").text(), "Hello from legacy!\n");
        watershed.site.replace(FILE, &good);
        eventually("the good file", || watershed.service("greeter")["rejected"].is_null());
    }
    assert!(targets(&watershed, "legacy")[0]["requests"].as_u64().unwrap() >= 4, "counted on");
}

/// Traefik's reload marks every server as up again, and checks of nginx begin anew. Here a target stays as it is, even
/// where the one before it goes: checks by the place in the list gave its health to the next
/// (openresty/lua-resty-upstream-healthcheck#84).
#[test]
fn a_reload_keeps_what_is_known_of_targets() {
    let (mut first, second) = (Backend::start("legacy"), Backend::start("legacy"));
    let upstream = |targets: &str| {
        greeter("v1")
            + &format!(
                "[[versions]]\nname = \"legacy\"\n[versions.upstream]\ntargets = [{targets}]\n"
            )
            + "[versions.upstream.health]\ninterval = \"100ms\"\npath = \"/healthz\"\nhealthy = 1\nunhealthy = 1\n"
            + &split("v1 = 0, legacy = 100")
    };
    let two = upstream(&format!("\"{}\", \"{}\"", first.address(), second.address()));
    let watershed = serve(&two);
    let health = |index: usize| targets(&watershed, "legacy")[index]["health"].clone();
    eventually("two healthy targets", || health(0) == "healthy" && health(1) == "healthy");
    (0..10).for_each(|_| watershed.assert_serves(GREETER, "/"));
    first.stop();
    eventually("one healthy target", || health(0) == "unhealthy");
    let before = targets(&watershed, "legacy");
    let generation = watershed.generation();
    watershed.site.replace(FILE, two.replace("[traffic]", "# noted\n[traffic]\npick = \"smooth\""));
    eventually("another generation", || watershed.generation() > generation);
    let after = targets(&watershed, "legacy");
    assert_eq!(after[0]["health"], "unhealthy", "{after:#?}");
    assert_eq!(after[0]["since"], before[0]["since"]);
    assert_eq!(after[1]["requests"], before[1]["requests"]);
    (0..10).for_each(|_| watershed.assert_serves(GREETER, "/"));

    // The second target is the first one now.
    watershed.site.replace(FILE, upstream(&format!("\"{}\"", second.address())));
    eventually("one target", || targets(&watershed, "legacy").len() == 1);
    let left = targets(&watershed, "legacy");
    assert_eq!(left[0]["health"], "healthy", "{left:#?}");
    assert!(left[0]["requests"].as_u64() >= after[1]["requests"].as_u64(), "{left:#?}");
    watershed.assert_serves(GREETER, "/");
}

/// One address that two versions check in different ways is two facts, as caddy#7870 asks for.
#[test]
fn checks_of_two_versions_do_not_fight_over_an_address() {
    let backend = Backend::start("legacy");
    backend.answer_checks(503);
    let version = |name: &str, path: &str| {
        format!(
            "[[versions]]\nname = \"{name}\"\n[versions.upstream]\ntargets = [\"{}\"]\n\
             [versions.upstream.health]\npath = \"{path}\"\ninterval = \"100ms\"\nunhealthy = 1\n",
            backend.address()
        )
    };
    let text = version("v1", "/healthz") + &version("v2", "/other") + &split("v1 = 0, v2 = 100");
    let watershed = serve(&text);
    eventually("v1 without a target", || watershed.version("greeter", "v1")["unhealthy"] == true);
    assert_eq!(watershed.version("greeter", "v2").get("unhealthy"), None);
    watershed.assert_serves(GREETER, "/");
    assert_eq!(
        watershed.version("greeter", "v1")["status"],
        "normal",
        "its status is another thing"
    );
}

/// The status says what Traefik's says not: that all servers of a service are gone (traefik#6117).
#[test]
fn a_version_without_a_healthy_target_is_told_first() {
    let mut backend = Backend::start("legacy");
    let text = greeter("v1")
        + &format!(
            "[[versions]]\nname = \"legacy\"\n[versions.upstream]\ntargets = [\"{}\"]\n\
             [versions.upstream.health]\ninterval = \"100ms\"\nhealthy = 1\nunhealthy = 1\n",
            backend.address()
        )
        + &split("v1 = 0, legacy = 100");
    let watershed = Site::new().service("greeter", &text).service("other", &greeter("v1")).start();
    watershed.await_greeting("Hello from legacy!\n");
    let generation = watershed.generation();
    backend.stop();
    let legacy = || watershed.version("greeter", "legacy");
    eventually("an unhealthy version", || legacy()["unhealthy"] == true);
    assert_eq!(legacy()["upstream"]["healthy"], 0);
    assert_eq!((legacy()["status"].clone(), watershed.generation()), ("normal".into(), generation));
    assert_problem(&watershed.get(GREETER, "/"), 503, "unhealthy");
    let target = targets(&watershed, "legacy")[0].clone();
    assert!(target["reason"].as_str().is_some_and(|why| why.contains("refused")), "{target:#}");
    let text = done(&watershed, &["status"]);
    assert!(text.contains("services  2: 1 needs a look, 1 fine"), "{text}");
    let told = "version legacy: 1 of 1 target is unhealthy, and 100 % of the requests are for it";
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(told), "{text}");
    let text = done(&watershed, &["status", "greeter"]);
    assert!(text.contains("normal, unhealthy"), "{text}");
    let told = done(&watershed, &["explain", "greeter"]);
    assert!(told.contains("unhealthy: no target of legacy takes requests now"), "{told}");
    assert!(told.contains(&format!("upstream: legacy is {}", backend.address())), "{told}");
    backend.start_again();
    eventually("a healthy version", || legacy().get("unhealthy").is_none());
    watershed.assert_serves(GREETER, "/");
}

/// A name that nobody knows is an error of the version, and holds the edit that gives it traffic.
#[test]
fn an_unknown_name_holds_the_edit() {
    let backend = Backend::start("legacy");
    let good = both(&backend, &split("v1 = 0, legacy = 100"));
    let watershed = serve(&good);
    watershed.await_greeting("Hello from legacy!\n");
    let unknown = good.replace(&backend.address().to_string(), "no-such-host.invalid:80");
    watershed.site.replace(FILE, unknown);
    let error = || watershed.version("greeter", "legacy")["error"].clone();
    eventually("an error", || error().is_object());
    assert_eq!(error()["code"], "unresolved", "{}", error());
    assert!(error()["detail"].as_str().unwrap().contains("no-such-host.invalid"), "{}", error());
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from legacy!\n");
    let text = done(&watershed, &["status", "greeter"]);
    assert!(text.contains("error[unresolved]"), "{text}");
}

/// A process that is killed and started again serves the same of both kinds, and its history goes on.
#[test]
fn a_restart_serves_both_kinds() {
    let backend = Backend::start("legacy");
    let watershed = serve(&both(&backend, &split("v1 = 100, legacy = 0")));
    done(&watershed, &["promote", "greeter", "legacy"]);
    let watershed = watershed.restart();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from legacy!\n");
    done(&watershed, &["rollback", "greeter"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    let watershed = watershed.restart();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!(watershed.version("greeter", "legacy")["status"], "normal");
}

/// Every target has its series, and no more.
#[test]
fn metrics_tell_of_targets() {
    let (first, second) = (Backend::start("legacy"), Backend::start("legacy"));
    let upstream = format!(
        "[[versions]]\nname = \"legacy\"\nupstream = [\"{}\", \"{}\"]\n",
        first.address(),
        second.address()
    );
    let watershed = serve(&(greeter("v1") + &upstream + &split("v1 = 0, legacy = 100")));
    (0..4).for_each(|_| watershed.assert_serves(GREETER, "/"));
    let address = first.address().to_string();
    let labels = [("service", "greeter"), ("version", "legacy"), ("address", &*address)];
    assert!((watershed.metric("watershed_upstream_healthy", &labels) - 1.0).abs() < 0.1);
    assert!((watershed.metric("watershed_upstream_requests_total", &labels) - 2.0).abs() < 0.1);
    let text = watershed.admin("/metrics").text();
    let series = text.lines().filter(|line| line.starts_with("watershed_upstream_requests_total{"));
    assert_eq!(series.count(), 2, "{text}");
    watershed.site.replace(FILE, greeter("v1"));
    eventually("no series of targets", || !watershed.admin("/metrics").text().contains(&address));
}

/// What is asked of a version that does not exist any more is refused as ever.
#[test]
fn the_commands_know_upstreams_by_name() {
    let backend = Backend::start("legacy");
    let watershed = serve(&both(&backend, &split("v1 = 100, legacy = 0")));
    let finished = tell(&watershed, &["promote", "greeter", "legcy"]);
    assert!(finished.stderr.contains("did you mean `legacy`"), "{finished:?}");
}

//! Status documents, and how they are laid out.

mod certificates;
mod reports;
mod rescue;

use super::*;
use serde_json::{Value, json};

const PROCESS: &str = "http://127.0.0.1:9090";

fn document(more: Value) -> StatusDocument {
    let mut document = json!({
        "generation": 7, "ready": true, "config": "/etc/watershed/watershed.toml", "environments": [],
    });
    extend(&mut document, &more);
    serde_json::from_value(document).unwrap()
}

/// What a process says, as it is shown without colours.
fn read(more: Value, columns: usize) -> String {
    let text = page(&document(more), PROCESS, columns).text(false);
    let wide = text.lines().filter(|line| super::super::page::width(line) > columns);
    let wide: Vec<_> = wide.filter(|line| line.split_whitespace().count() > 1).collect();
    assert_eq!(wide, Vec::<&str>::new(), "wider than {columns}, and no single word");
    text
}

fn extend(document: &mut Value, more: &Value) {
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
}

fn version(name: &str, more: Value) -> Value {
    let mut version = json!({
        "name": name, "status": "normal", "share": 0.0, "declared_share": 0.0, "in_flight": 0,
    });
    extend(&mut version, &more);
    version
}

fn service(name: &str, versions: Value, more: Value) -> Value {
    let mut service = json!({
        "name": name, "url": format!("http://{name}.localhost:8080"), "domains": [],
        "file": format!("/etc/watershed/services/{name}.toml"), "latest": false,
        "since_generation": 7, "in_flight": 0, "serving": "declared", "versions": versions,
        "traffic_since": "2026-11-26T01:41:03.123Z", "traffic_generation": 5,
        "traffic_age_seconds": 90.0,
    });
    extend(&mut service, &more);
    service
}

fn serving(services: Value) -> Value {
    json!({ "environments": [{ "name": "default", "domain": "localhost", "services": services }] })
}

/// Requests in a window.
fn window(seconds: f64, requests: u64, of: u64) -> Value {
    let share = (of >= 20).then(|| requests as f64 / of as f64 * 100.0);
    json!({ "seconds": seconds, "requests": requests, "service_requests": of, "share": share,
            "too_early": share.is_none() })
}

fn observed(since_publish: Value, minute: Value) -> Value {
    json!({ "since_publish": since_publish, "minute": minute, "hour": window(0.0, 0, 0) })
}

fn greeter(more: Value) -> Value {
    let versions = json!([
        version(
            "v1",
            json!({
                "share": 90.0, "declared_share": 90.0, "requests_per_second": 1234.4,
                "error_ratio": 0.005, "p50_ms": 0.21, "p99_ms": 12.2, "in_flight": 1003,
                "digest": "sha256:0123456789abcdef",
                "observed": observed(window(90.0, 11_110, 12_345), window(60.0, 897, 1_000)),
            })
        ),
        version(
            "v2",
            json!({
                "share": 10.0, "declared_share": 10.0, "requests_per_second": 12.34, "error_ratio": 0.0,
                "p50_ms": 1_104.0, "p99_ms": 1_104.0, "remark": "greets in French",
                "observed": observed(window(90.0, 1_235, 12_345), window(60.0, 103, 1_000)),
            })
        ),
    ]);
    let figures = json!({ "requests_per_second": 1246.74, "error_ratio": 0.0045, "p99_ms": 12.9 });
    let mut service = service("greeter", versions, figures);
    extend(&mut service, &more);
    service
}

const DETAIL: &str = "\
process   http://127.0.0.1:9090, generation 7
files     /etc/watershed/watershed.toml

greeter   http://greeter.localhost:8080
file      /etc/watershed/services/greeter.toml
traffic   since generation 5, 2026-11-26T01:41:03Z (1 min ago): 12,345 requests

  VERSION  STATUS  SHARE  SINCE PUBLISH  LAST MINUTE  DIGEST
  v1       normal   90 %        90.00 %      89.70 %  0123456789ab
  v2       normal   10 %        10.00 %      10.30 %  -

  VERSION  REQ/S  ERRORS      P50     P99  IN FLIGHT
  v1        1234  0.50 %  0.21 ms   12 ms      1,003
  v2        12.3     0 %   1.10 s  1.10 s          0

  v2: greets in French
";

#[test]
fn one_service_is_shown_with_every_detail() {
    let text = read(serving(json!([greeter(json!({}))])), 80);
    assert_eq!(text, DETAIL, "\n{text}");
}

/// Four seconds after a promote, the versions are told by what requests got since.
#[test]
fn after_a_publish_little_is_known() {
    let promoted = |requests: u64| {
        let since = |requests, of| observed(window(4.2, requests, of), window(4.2, requests, of));
        let v1 = version("v1", json!({ "observed": since(0, requests) }));
        let v2 = version(
            "v2",
            json!({ "share": 100.0, "declared_share": 100.0, "p50_ms": 1.0,
            "p99_ms": 1.0, "error_ratio": 0.25, "observed": since(requests, requests) }),
        );
        let more = json!({ "traffic_age_seconds": 4.2 });
        read(serving(json!([service("greeter", json!([v1, v2]), more)])), 80)
    };
    let few = promoted(19);
    assert!(few.contains("(4 s ago): 19 requests\n"), "{few}");
    assert!(few.contains("  v1       normal    0 %      too early    too early  -\n"), "{few}");
    assert!(few.contains("  v2       too early  25.00 %  1.00 ms  1.00 ms          0\n"), "{few}");
    let enough = promoted(20);
    assert!(
        enough.contains("  v1       normal    0 %         0.00 %       0.00 %  -\n"),
        "{enough}"
    );
    assert!(
        enough.contains("  v2       normal  100 %       100.00 %     100.00 %  -\n"),
        "{enough}"
    );
    let none = promoted(0);
    assert!(none.contains("  v1       normal    0 %              -            -  -\n"), "{none}");
}

const OVERVIEW: &str = "\
process   http://127.0.0.1:9090, generation 7, not ready
files     /etc/watershed/watershed.toml
services  6: 1 serves nothing, 2 need a look, 1 is being made, 1 fine, 1 offline

  restart: `watershed restart` applies server.threads (2 → 4)

needs a look  `watershed status SERVICE` shows all of one
shop  serves nothing
  down: nothing is served, and requests get 503 `no-version`: the split gives v1
    100 %, and v1 cannot become normal
  error[not-found]: version v1: there is no file x.wasm; it gets no requests
    help: build it
api  serves v1 100 %, errors 50.00 %, P99 30.00 s
  held: goes on as it was: the split gives v2 50 %, and v2 cannot become normal
  error[digest-mismatch]: version v1: it was rebuilt; 100 % of the requests
    still go to v1 as it was before
    help: put it back
lab  serves v1 100 %
  rejected: /etc/watershed/services/lab.toml, and it goes on as it was
    error: wrong
     --> lab.toml
    1 more problem: `watershed check` shows it

SERVICE  TRAFFIC           REQ/S  ERRORS    P99
greeter  v1 90 %, v2 10 %   1247  0.45 %  13 ms
  observed in 1 min since the publish: v1 90.00 %, v2 10.00 %
new      nothing             0.0       -      -
  starting: requests get 503 `no-version` until then: v1 gets 100 % once it is
    normal

offline  requests get 503 `offline`
old  since the start of the process or longer, 2026-11-26T01:41:03Z (1 min ago)
";

fn six_services() -> Value {
    let whole = json!({ "share": 100.0, "declared_share": 100.0 });
    let wanted = |status: &str, error: Value| {
        let mut version = json!({ "status": status, "declared_share": 100.0 });
        extend(&mut version, &error);
        json!([self::version("v1", version)])
    };
    let fault = |code: &str, detail: &str, help: &str| json!({ "code": code, "detail": detail, "suggestion": help });
    let missing = fault("not-found", "there is no file x.wasm", "build it");
    let down = "the split gives v1 100 %, and v1 cannot become normal (not-found: there is no file \
                x.wasm; build it)";
    let rebuilt = json!({ "status": "error", "share": 100.0, "declared_share": 50.0,
        "predecessor_serves": true,
        "error": fault("digest-mismatch", "it was rebuilt", "put it back") });
    let held = json!({ "serving": "held", "error_ratio": 0.5, "p99_ms": 30_000.0,
        "held": "the split gives v2 50 %, and v2 cannot become normal" });
    let mut services = serving(json!([
        greeter(json!({})),
        service(
            "old",
            json!([version("v1", json!({}))]),
            json!({ "serving": "offline", "traffic_since_start": true })
        ),
        service("api", json!([version("v1", rebuilt)]), held),
        service("lab", json!([version("v1", whole)]), json!({})),
        service(
            "new",
            wanted("creating", json!({})),
            json!({ "serving": "nothing",
            "requests_per_second": 0.0, "held": "v1 gets 100 % once it is normal" })
        ),
        service(
            "shop",
            wanted("error", json!({ "error": missing })),
            json!({ "serving": "nothing", "held": down })
        ),
    ]));
    extend(
        &mut services,
        &json!({
            "ready": false,
            "rejected": [{ "environment": "default", "serves": "lab", "problems": [],
                "file": "/etc/watershed/services/lab.toml",
                "report": "error: wrong\n --> lab.toml\n\nerror: more" }],
            "last_reload": { "at": 1, "outcome": "needs-restart", "generation": 7,
                "files_read": 1, "restart_needed_for": ["server.threads"],
                "restart_changes": [{ "key": "server.threads", "before": "2", "after": "4" }] },
        }),
    );
    services
}

#[test]
fn what_is_wrong_comes_first() {
    let text = read(six_services(), 80);
    assert_eq!(text, OVERVIEW, "\n{text}");
}

/// Whatever the width, no name is lost that a command takes, and nothing to do.
#[test]
fn a_narrow_terminal_shows_as_much() {
    for columns in [20, 30, 40, 60, 80, 120] {
        let text = read(six_services(), columns);
        let words: Vec<_> = text.split_whitespace().collect();
        let text = words.join(" ");
        for part in [
            "shop serves nothing",
            "help: build it",
            "error[digest-mismatch]:",
            "greeter",
            "v1 90 %, v2 10 %",
            "api",
            "lab",
            "old since the start",
        ] {
            let is_cut = part == "v1 90 %, v2 10 %" && columns == 40;
            assert!(is_cut || text.contains(part), "{columns}: {part}\n{text}");
        }
    }
}

/// Thirty services fit a terminal of forty rows.
#[test]
fn thirty_services_take_a_line_or_two_each() {
    let one = |number: usize| {
        let whole = json!({ "share": 100.0, "declared_share": 100.0 });
        service(&format!("service-{number}"), json!([version("2026-11-26-1", whole)]), json!({}))
    };
    let services: Vec<_> = (0..29).map(one).chain([greeter(json!({}))]).collect();
    let text = read(serving(json!(services)), 80);
    assert!(text.contains("services  30: 30 fine\n"), "{text}");
    assert_eq!(text.lines().count(), 3 + 2 + 30 + 1, "{text}");
}

#[test]
fn services_of_several_environments_are_told_apart() {
    let one = || json!([service("greeter", json!([version("v1", json!({}))]), json!({}))]);
    let text = read(
        json!({ "environments": [
        { "name": "test", "domain": "test.example.com", "services": one() },
        { "name": "prod", "domain": "example.com", "services": one() },
        { "name": "empty", "domain": "empty.test", "services": [] },
    ] }),
        80,
    );
    assert!(text.contains("\ntest/greeter  ") && text.contains("\nprod/greeter  "), "{text}");
    assert!(read(serving(json!([])), 80).ends_with("services  none\n"));
}

/// Whether nothing is served is told by what requests get, not by the declaration.
#[test]
fn what_requests_get_is_told() {
    let of = |serving_word: &str, versions: Value, more: Value| {
        let mut members = json!({ "serving": serving_word });
        extend(&mut members, &more);
        read(serving(json!([service("shop", versions, members)])), 80)
    };
    let normal = || json!([version("v1", json!({}))]);
    let offline = of("offline", normal(), json!({}));
    assert!(
        offline.contains("offline: requests get 503 `offline`; since generation 5"),
        "{offline}"
    );
    let stays = of("offline", normal(), json!({ "held": "v2 is not normal" }));
    let held = "  held: stays offline, and requests get 503 `offline`: v2 is not normal\n";
    assert!(stays.contains(held), "{stays}");
    let empty = of("nothing", json!([]), json!({}));
    let down = "  down: it has no versions, and requests get 503 `no-version`\n    help: watershed \
                deploy shop VERSION --component FILE\n";
    assert!(empty.contains(down), "{empty}");
    let rejected = json!({ "environment": "default", "problems": [], "report": "error: wrong",
        "file": "/etc/watershed/services/new.toml" });
    let text = read(json!({ "rejected": [rejected] }), 80);
    let told = "rejected: /etc/watershed/services/new.toml, and nothing is served from it: its";
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(told), "{text}");
}

fn draws(drawn: u64, of: u64, p_value: f64) -> Value {
    let mut window = window(60.0, drawn, of);
    let share = (of > 0).then(|| drawn as f64 / of as f64 * 100.0);
    extend(
        &mut window,
        &json!({ "drawn": drawn, "drawn_of": of, "drawn_share": share,
        "p_value": p_value, "beyond_chance": p_value < 1e-6 }),
    );
    window
}

/// Of the windows of one version, the one that shows the difference most clearly is shown.
#[test]
fn a_share_beyond_chance_is_marked_and_told() {
    let observed = |minute, hour, since_publish| {
        json!({ "share": 10.0, "declared_share": 10.0, "observed":
            { "minute": minute, "hour": hour, "since_publish": since_publish } })
    };
    let few = || draws(2, 10, 0.5);
    let versions = json!([
        version("v1", observed(few(), few(), draws(400_000, 1_234_567, 0.0))),
        version("v2", observed(few(), draws(534, 4_310, 4.6e-7), draws(600, 5_000, 9e-7))),
        version("v3", observed(draws(0, 0, 1.0), few(), few())),
    ]);
    let text = read(serving(json!([service("greeter", versions, json!({}))])), 100);
    let expected = "
  beyond chance: v1: 32.40 % of 1,234,567 drawn since the publish, declared 10 % (p < 1e-300)

  beyond chance: v2: 12.39 % of 4,310 drawn in the last hour, declared 10 % (p = 5e-7)
";
    assert!(text.ends_with(expected), "{text}");
    for (name, mark) in [("v1", true), ("v2", true), ("v3", false)] {
        let row = text.lines().find(|line| line.starts_with(&format!("  {name}"))).unwrap();
        assert_eq!(row.contains("! "), mark, "{text}");
    }
}

#[test]
fn what_is_wrong_with_the_process_is_told() {
    let problem = json!({ "file": "/etc/watershed/watershed.toml", "line": null, "column": null,
                          "width": null, "source": null, "message": "wrong", "help": "" });
    let warning = json!({ "file": "/s.toml", "line": 7, "column": 1, "width": 1,
                          "source": null, "message": "rule `b` can never match", "help": "" });
    let text = read(
        json!({
            "draining": true, "warnings": [warning], "troubles": ["descriptors are short"],
            "last_reload": { "at": 1, "outcome": "rejected", "generation": 1, "files_read": 0,
                             "problems": [problem], "report": "error: wrong" },
        }),
        120,
    );
    let expected = "\
process   http://127.0.0.1:9090, generation 7, draining
files     /etc/watershed/watershed.toml
services  none

  trouble: descriptors are short
  rejected: /etc/watershed/watershed.toml, and what is served has not changed since; no process can start with it
    error: wrong
  warning: /s.toml:7: rule `b` can never match
";
    assert_eq!(text, expected, "\n{text}");
}

/// A process of another release says less, or more.
#[test]
fn an_older_process_is_understood() {
    let service = json!({ "name": "lab", "url": "http://lab.localhost", "domains": [], "file": "",
        "latest": true, "since_generation": 1, "in_flight": 0, "unknown": "is no matter",
        "versions": [version("v1", json!({ "share": 100.0, "declared_share": 100.0,
            "error_rate": 0.5, "requests_per_second": 1.0 }))] });
    let text = read(serving(json!([service])), 80);
    assert!(text.contains("  v1       normal  100 %              -            -  -\n"), "{text}");
}

//! Status documents, and how they are shown.

use super::*;
use serde_json::json;

/// What a process says, as it is shown without colours.
fn read(document: serde_json::Value) -> String {
    let document: StatusDocument = serde_json::from_value(document).unwrap();
    let text = Text { document: &document, url: "http://127.0.0.1:9090" }.to_string();
    anstream::adapter::strip_str(&text).to_string()
}

fn version(name: &str, more: serde_json::Value) -> serde_json::Value {
    let mut version = json!({
        "name": name, "status": "normal", "share": 0.0, "declared_share": 0.0,
        "requests_per_second": 0.0, "error_rate": 0.0, "in_flight": 0,
    });
    version.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    version
}

const EXPECTED: &str = "\
process  http://127.0.0.1:9090, generation 7, not ready
files    /etc/watershed/watershed.toml

environment default  localhost
  VERSION  STATUS      SHARE  OBSERVED  REQ/S  ERRORS      P50     P99  IN FLIGHT  DIGEST
greeter  http://greeter.localhost:8080
  v1       normal  90 → 50 %   89.71 %   1234  0.50 %  0.21 ms   12 ms          3  0123456789ab
  v2       error   10 → 50 %         -    0.0       -        -       -          0  -
lab  http://lab.localhost:8080
  v1       normal      100 %  100.00 %    0.2     0 %   999 ms  30.0 s          0  -

error[not-found]: version v2 of greeter: there is no file x.wasm
  --> /etc/watershed/services/greeter.toml
  help: build it

held: greeter goes on as it was: v2 is not normal

rejected: /etc/watershed/services/lab.toml, and lab goes on as it was
  error: wrong
   --> lab.toml

environment empty  empty.test
no services

restart to apply server.threads
";

#[test]
fn a_document_reads_as_tables() {
    let document = json!({
        "generation": 7, "ready": false, "config": "/etc/watershed/watershed.toml",
        "environments": [
            { "name": "default", "domain": "localhost", "services": [
                { "name": "greeter", "url": "http://greeter.localhost:8080", "domains": [],
                  "file": "/etc/watershed/services/greeter.toml", "latest": false,
                  "since_generation": 7, "in_flight": 3, "held": "v2 is not normal",
                  "versions": [
                    version("v1", json!({
                        "share": 90.0, "declared_share": 50.0, "observed_share": 89.712,
                        "requests_per_second": 1234.4, "error_rate": 0.005, "p50_ms": 0.21,
                        "p99_ms": 12.2, "in_flight": 3, "digest": "sha256:0123456789abcdef",
                    })),
                    version("v2", json!({
                        "status": "error", "share": 10.0, "declared_share": 50.0,
                        "error": { "code": "not-found", "suggestion": "build it",
                                   "detail": "there is no file x.wasm" },
                    })),
                  ] },
                { "name": "lab", "url": "http://lab.localhost:8080", "domains": [],
                  "file": "/etc/watershed/services/lab.toml", "latest": true,
                  "since_generation": 1, "in_flight": 0, "unknown": "is no matter",
                  "versions": [version("v1", json!({
                    "share": 100.0, "declared_share": 100.0, "observed_share": 100.0,
                    "requests_per_second": 0.2, "p50_ms": 999.0, "p99_ms": 30_000.0,
                  }))] },
            ] },
            { "name": "empty", "domain": "empty.test", "services": [] },
        ],
        "rejected": [{ "environment": "default", "serves": "lab", "problems": [],
            "file": "/etc/watershed/services/lab.toml",
            "report": "error: wrong\n --> lab.toml" }],
        "last_reload": { "at": 1, "outcome": "needs-restart", "generation": 7,
            "files_read": 1, "restart_needed_for": ["server.threads"] },
    });
    let text = read(document);
    assert_eq!(text, EXPECTED, "\n{text}");
}

fn drawn(drawn: u64, of: u64, p_value: f64) -> serde_json::Value {
    let share = (of > 0).then(|| drawn as f64 / of as f64 * 100.0);
    json!({ "drawn": drawn, "of": of, "share": share, "p_value": p_value,
            "beyond_chance": p_value < 1e-6 })
}

/// Of the windows of one version, the one that shows the difference most clearly is shown.
#[test]
fn a_share_beyond_chance_is_marked_and_told() {
    let observed = |minute, hour, since_publish| {
        json!({ "share": 10.0, "declared_share": 10.0, "observed_share": 12.0, "observed":
            { "minute": minute, "hour": hour, "since_publish": since_publish } })
    };
    let few = || drawn(2, 10, 0.5);
    let versions = [
        version("v1", observed(few(), few(), drawn(400_000, 1_234_567, 0.0))),
        version("v2", observed(few(), drawn(534, 4_310, 4.6e-7), drawn(600, 5_000, 9e-7))),
        version("v3", observed(drawn(0, 0, 1.0), few(), few())),
    ];
    let service = json!({ "name": "greeter", "url": "", "domains": [], "file": "", "latest":
        false, "since_generation": 7, "in_flight": 0, "versions": versions });
    let text = read(json!({ "generation": 7, "ready": true, "config": "", "environments":
        [{ "name": "default", "domain": "localhost", "services": [service] }] }));
    let expected = "
beyond chance: greeter v1: 32.40 % of 1,234,567 drawn since the publish, declared 10 % (p < 1e-300)

beyond chance: greeter v2: 12.39 % of 4,310 drawn in the last hour, declared 10 % (p = 5e-7)
";
    assert!(text.ends_with(expected), "{text}");
    for (name, mark) in [("v1", true), ("v2", true), ("v3", false)] {
        let row = text.lines().find(|line| line.starts_with(&format!("  {name}"))).unwrap();
        assert_eq!(row.contains("! 12.00 %"), mark, "{text}");
    }
}

#[test]
fn numbers_are_grouped_by_thousands() {
    let grouped = [0, 999, 1_000, 12_345, 1_000_000].map(grouped);
    assert_eq!(grouped, ["0", "999", "1,000", "12,345", "1,000,000"]);
}

#[test]
fn a_wrong_main_file_is_told() {
    let problem = json!({ "file": "/w.toml", "line": null, "column": null, "width": null,
                          "source": null, "message": "wrong", "help": "" });
    let text = read(json!({
        "generation": 1, "ready": true, "config": "/w.toml", "environments": [],
        "last_reload": { "at": 1, "outcome": "rejected", "generation": 1, "files_read": 0,
                         "problems": [problem], "report": "error: wrong" },
    }));
    let expected = "\nrejected: /w.toml, and nothing changed\n  error: wrong\n";
    assert!(text.ends_with(expected), "{text}");
}
#[test]
fn a_warning_is_a_line() {
    let warning = json!({ "file": "/s.toml", "line": 7, "column": 1, "width": 1,
                          "source": null, "message": "rule `b` can never match", "help": "" });
    let text = read(json!({
        "generation": 1, "ready": true, "config": "/w.toml", "environments": [],
        "warnings": [warning],
    }));
    assert!(text.ends_with("\nwarning: /s.toml:7: rule `b` can never match\n"), "{text}");
}

#[test]
fn what_is_wrong_with_the_process_is_told_last() {
    let text = read(json!({
        "generation": 7, "ready": true, "draining": true, "config": "/etc/watershed.toml",
        "environments": [], "troubles": ["descriptors are short"],
    }));
    let process = "process  http://127.0.0.1:9090, generation 7, draining\n";
    assert!(text.starts_with(process), "{text}");
    assert!(text.ends_with("\ntrouble: descriptors are short\n"), "{text}");
}

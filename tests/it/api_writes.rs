//! What changes a service over the admin API: shares, ways back, deletions and quarantines. Each is the
//! command's change, and says who made it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use serde_json::{Value, json};
use watershed::history::Author;

use crate::support::{
    GREETER, Http1, Response, Site, Watershed, assert_admin_problem, done, eventually, greeter,
    split, while_requested,
};

const FILE: &str = "services/greeter.toml";

fn site() -> Site {
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 100");
    Site::new().server("expose = \"decision\"").service("greeter", &text)
}

fn serve() -> Watershed {
    let watershed = site().start();
    eventually("ready", || watershed.admin("/readyz").status == 200);
    watershed
}

fn post(watershed: &Watershed, action: &str, body: &Value) -> Response {
    watershed.admin_post_json(&format!("/api/v1/services/default/greeter/{action}"), body)
}

/// Posts what must be done.
#[track_caller]
fn made(watershed: &Watershed, action: &str, body: &Value) -> Value {
    let answer = post(watershed, action, body);
    assert_eq!(answer.status, 200, "{action} {body}: {answer:?}");
    answer.json()
}

/// Posts what must be refused, and change nothing.
#[track_caller]
fn refused(watershed: &Watershed, action: &str, body: &Value, status: u16, code: &str) -> Value {
    let (text, generation) = (watershed.site.read(FILE), watershed.generation());
    let answer = post(watershed, action, body);
    assert_eq!(answer.status, status, "{action} {body}: {answer:?}");
    assert_eq!(answer.json()["code"], code, "{action} {body}: {answer:?}");
    assert_eq!(watershed.site.read(FILE), text, "{action} {body}");
    assert_eq!(watershed.generation(), generation, "{action} {body}");
    answer.json()
}

fn shares(answer: &Value) -> Vec<(String, f64, f64)> {
    let shares = answer["shares"].as_array().unwrap().iter();
    let share = |it: &Value| {
        let name = it["version"].as_str().unwrap().to_owned();
        (name, it["before"].as_f64().unwrap(), it["after"].as_f64().unwrap())
    };
    shares.map(share).collect()
}

/// The digest of the file that the process has read.
fn digest(watershed: &Watershed) -> String {
    watershed::config::Digest::of(watershed.site.read(FILE)).to_string()
}

#[test]
fn shares_change_under_traffic_and_no_request_is_lost() {
    let watershed = serve();
    while_requested(
        &watershed,
        |response| response.text().starts_with("Hello from v"),
        || {
            let answer = made(&watershed, "traffic", &json!({"shares": {"v1": 0.01, "v2": 99.99}}));
            let expected = [("v1", 100.0, 0.01), ("v2", 0.0, 99.99)];
            assert_eq!(shares(&answer), expected.map(|(name, a, b)| (name.to_owned(), a, b)));
            assert_eq!(answer["generation"], watershed.generation());
            made(&watershed, "promote", &json!({"version": "v2", "remark": "holds"}));
            watershed.await_greeting("Hello from v2!\n");
            made(&watershed, "rollback", &json!({}));
            made(&watershed, "rollback", &json!({"to": "v1"}));
            watershed.await_greeting("Hello from v1!\n");
        },
    );
    let commands: Vec<_> = watershed.history("greeter").into_iter().map(|it| it.author).collect();
    let by = |command: &str| Author::Command {
        user: "console".to_owned(),
        command: format!("watershed {command}"),
    };
    let expected = [
        by("rollback greeter --to v1"),
        by("rollback greeter"),
        by("promote greeter v2"),
        by("traffic greeter v1=0.01 v2=99.99"),
    ];
    assert_eq!(commands.get(..4), Some(&expected[..]), "{commands:?}");
    assert_eq!(watershed.history("greeter")[2].remark.as_deref(), Some("holds"));
}

/// Numbers that do not add up, and a version that is named twice (knative/client#345), are told of by their sum.
#[test]
fn shares_that_are_not_exactly_100_are_refused() {
    let watershed = serve();
    for (wrong, status, code) in [
        (json!({"v1": 89.99, "v2": 10}), 400, "usage"),
        (json!({"v1": 90.01, "v2": 10}), 400, "usage"),
        (json!({"v1": 0, "v2": 0}), 400, "usage"),
        (json!({}), 400, "usage"),
        (json!({"v1": 33.333, "v2": 66.667}), 400, "bad-body"),
        (json!({"v1": -10, "v2": 110}), 400, "bad-body"),
        (json!({"v1": 1e300}), 400, "bad-body"),
        (json!({"v1": "100"}), 400, "bad-body"),
        (json!({"V1": 100}), 400, "bad-body"),
        (json!({"v3": 100}), 404, "unknown-version"),
    ] {
        refused(&watershed, "traffic", &json!({ "shares": wrong }), status, code);
    }
    let twice = br#"{"shares": {"v1": 50, "v1": 50}}"#;
    let path = "/api/v1/services/default/greeter/traffic";
    let mut client = Http1::connect(watershed.admin_address());
    let answer = client.ask("POST", "localhost", path, &[], twice);
    assert!(
        answer.status == 400 && answer.text().contains("v1 is given a share twice"),
        "{answer:?}"
    );
    refused(
        &watershed,
        "traffic",
        &json!({"shares": {"v1": 100}, "offline": true}),
        400,
        "bad-body",
    );
}

#[test]
fn what_a_path_does_not_know_is_named() {
    let watershed = serve();
    let unknown =
        refused(&watershed, "promote", &json!({"version": "v2", "forced": 1}), 400, "bad-body");
    assert!(unknown["detail"].as_str().unwrap().contains("`forced`"), "{unknown}");
    for action in ["traffic", "promote", "rollback", "delete", "release", "versions"] {
        let nothing = watershed.admin_post(&format!("/api/v1/services/default/greeter/{action}"));
        assert_admin_problem(&nothing, 400, "bad-body");
        let query = format!("/api/v1/services/default/greeter/{action}?force=true");
        assert_admin_problem(&watershed.admin_post(&query), 400, "unknown-parameter");
        let read = watershed.admin(&format!("/api/v1/services/default/greeter/{action}"));
        assert_admin_problem(&read, 405, "method-not-allowed");
    }
    for (place, code) in
        [("default/nothing", "unknown-service"), ("other/greeter", "unknown-environment")]
    {
        let path = format!("/api/v1/services/{place}/promote");
        let answer = watershed.admin_post_json(&path, &json!({"version": "v1"}));
        assert_admin_problem(&answer, 404, code);
    }
    let long = json!({"version": "v1", "remark": "x".repeat(300 << 10)});
    assert_admin_problem(&post(&watershed, "promote", &long), 413, "body-too-long");
}

#[test]
fn a_dry_run_shows_the_change_and_changes_nothing() {
    let watershed = serve();
    made(&watershed, "promote", &json!({"version": "v2"}));
    let (text, generation) = (watershed.site.read(FILE), watershed.generation());
    for (action, body, takes_away) in [
        ("traffic", json!({"shares": {"v1": 10, "v2": 90}}), true),
        ("traffic", json!({"offline": true}), true),
        ("promote", json!({"version": "v2"}), false),
        ("rollback", json!({"bad": true}), true),
        ("delete", json!({"versions": ["v1"]}), true),
        ("release", json!({"version": "v1"}), false),
    ] {
        let mut asked = body.clone();
        asked["dry_run"] = true.into();
        let would = made(&watershed, action, &asked);
        assert_eq!(would["takes_away"], takes_away, "{action} {body}: {would}");
        assert_eq!(would["diff"] == "", !takes_away, "{action} {body}: {would}");
        assert!(would["plan"]["services"].is_array() && would["shares"].is_array(), "{would}");
        assert_eq!(watershed.site.read(FILE), text, "{action} {body}");
        assert_eq!(watershed.generation(), generation, "{action} {body}");
    }
    let would = made(&watershed, "rollback", &json!({"dry_run": true}));
    assert!(would["restores"].is_u64() && would["skipped"].is_array(), "{would}");
}

/// Of two who read, change and write one thing, the second must not undo the first unseen (caddyserver/caddy#4578,
/// hashicorp/consul#1760).
#[test]
fn the_second_of_two_operators_is_told_what_the_first_has_done() {
    let watershed = serve();
    let seen = digest(&watershed);
    made(&watershed, "traffic", &json!({"shares": {"v1": 90, "v2": 10}, "expect": seen}));
    let second = json!({"version": "v2", "expect": seen});
    let told = refused(&watershed, "promote", &second, 409, "file-changed");
    let changed = &told["changed"];
    assert_eq!(changed["file_digest"], digest(&watershed));
    assert_eq!(changed["author"]["command"], "watershed traffic greeter v1=90 v2=10");
    assert_eq!(changed["shares"][1], json!({"version": "v2", "share": 10.0}));
    let seen = changed["file_digest"].clone();
    made(&watershed, "promote", &json!({"version": "v2", "expect": seen}));

    // Somebody edits the file by hand; the process may have read it or not.
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 50, v2 = 50");
    let seen = digest(&watershed);
    watershed.site.replace(FILE, &text);
    let late = post(&watershed, "promote", &json!({"version": "v1", "expect": seen}));
    assert_eq!(
        (late.status, late.json()["code"].as_str()),
        (409, Some("file-changed")),
        "{late:?}"
    );
    assert_eq!(late.json()["changed"]["author"]["kind"], "file-edit", "{late:?}");
    assert_eq!(watershed.site.read(FILE), text);
}

/// Writers that run into each other (argoproj/argo-rollouts#5052, knative/client#240).
#[test]
fn of_many_at_once_who_expect_the_same_file_one_comes_through() {
    let watershed = serve();
    let seen = digest(&watershed);
    let answers: Vec<_> = thread::scope(|scope| {
        let ask = |share: u32| {
            let body = json!({"shares": {"v1": 100 - share, "v2": share}, "expect": seen});
            let watershed = &watershed;
            scope.spawn(move || post(watershed, "traffic", &body))
        };
        let asked: Vec<_> = (1..=8).map(ask).collect();
        asked.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let through: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(through.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|it| matches!(it.status, 200 | 409)), "{answers:?}");
    let share = watershed.version("greeter", "v2")["share"].as_f64().unwrap();
    assert_eq!(shares(&through[0].json())[1].2, share);
}

/// A command and the console at once: neither loses the other's edit, whoever is first.
#[test]
fn a_command_and_a_request_share_one_lock() {
    let watershed = serve();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                post(&watershed, "traffic", &json!({"shares": {"v1": 70, "v2": 30}}));
            }
        });
        for _ in 0..3 {
            crate::support::tell(&watershed, &["traffic", "greeter", "v1=60", "v2=40"]);
        }
    });
    done(&watershed, &["promote", "greeter", "v2"]);
    let v2 = watershed.version("greeter", "v2");
    assert_eq!((&v2["share"], &v2["declared_share"]), (&json!(100.0), &json!(100.0)));
}

#[test]
fn the_history_names_whose_token_it_was() {
    let site = site().admin("listen = \"127.0.0.1:0\"\ntoken-file = \"token\"");
    site.write("token", "operator secret-of-ann ann\nviewer secret-of-bob bob\n");
    let watershed = site.start();
    let ask = |method: &str, path: &str, token: &str, body: &str| {
        let token = format!("authorization: Bearer {token}");
        let mut client = Http1::connect(watershed.admin_address());
        client.ask(method, "localhost", path, &[&token], body.as_bytes())
    };
    let path = "/api/v1/services/default/greeter/promote";
    let body = json!({"version": "v2"}).to_string();
    eventually("v2 is normal", || ask("POST", path, "secret-of-ann", &body).status == 200);
    assert_eq!(ask("POST", path, "secret-of-bob", &body).status, 403);
    let history = ask("GET", "/api/v1/history?service=greeter", "secret-of-bob", "").json();
    let author = &history["records"][0]["author"];
    assert_eq!(
        (&author["user"], &author["command"]),
        (&json!("ann"), &json!("watershed promote greeter v2"))
    );
}

#[test]
fn what_is_quarantined_needs_force_or_a_release() {
    let watershed = serve();
    made(&watershed, "promote", &json!({"version": "v2"}));
    let back = made(&watershed, "rollback", &json!({"bad": true}));
    assert_eq!((&back["outcome"], &back["versions"]), (&json!("rolled-back"), &json!(["v2"])));
    assert_eq!(back["complete"], true, "{back}");
    let promote = json!({"version": "v2"});
    refused(&watershed, "promote", &promote, 422, "version-quarantined");
    let released = made(&watershed, "release", &promote);
    assert_eq!(released["outcome"], "released");
    assert!(!watershed.site.read(FILE).contains("quarantine"));
    assert_eq!(made(&watershed, "release", &promote)["outcome"], "unchanged");
    made(&watershed, "promote", &promote);
    made(&watershed, "rollback", &json!({"to": "v1", "bad": true}));
    made(&watershed, "promote", &json!({"version": "v2", "force": true}));
    refused(&watershed, "release", &json!({"version": "v9"}), 404, "unknown-version");
}

#[test]
fn versions_are_deleted_together_and_never_all() {
    let watershed = serve();
    refused(&watershed, "delete", &json!({"versions": ["v1"]}), 422, "version-has-traffic");
    refused(&watershed, "delete", &json!({"versions": []}), 400, "bad-body");
    refused(&watershed, "delete", &json!({"versions": ["v3"]}), 404, "unknown-version");
    made(&watershed, "traffic", &json!({"offline": true}));
    assert_eq!(watershed.get(GREETER, "/").status, 503);
    refused(&watershed, "delete", &json!({"versions": ["v1", "v2"]}), 422, "only-version");
    let deleted = made(&watershed, "delete", &json!({"versions": ["v1", "v1"]}));
    assert_eq!(deleted["versions"], json!(["v1"]));
    assert!(!watershed.site.read(FILE).contains("\"v1\""));
}

#[test]
fn a_generation_is_gone_back_to_or_refused() {
    let watershed = serve();
    refused(&watershed, "rollback", &json!({"to": 77}), 404, "unknown-generation");
    refused(&watershed, "rollback", &json!({"to": "v 1"}), 400, "bad-body");
    let first = watershed.generation();
    made(&watershed, "promote", &json!({"version": "v2"}));
    let back = made(&watershed, "rollback", &json!({"to": first, "traffic_only": true}));
    assert_eq!(back["restores"], first);
    assert_eq!(made(&watershed, "rollback", &json!({"to": first}))["outcome"], "unchanged");
}

/// Kubernetes mounts ConfigMaps so that an edit of a file is lost.
#[test]
fn the_change_to_make_by_hand_is_told_where_the_file_may_not_be_written() {
    let site = site();
    fs::rename(site.path("services"), site.path("..2026")).unwrap();
    std::os::unix::fs::symlink("..2026", site.path("..data")).unwrap();
    fs::create_dir(site.path("services")).unwrap();
    site.link(FILE, "../..data/greeter.toml");
    let watershed = site.start();
    for body in [json!({"version": "v2"}), json!({"version": "v2", "dry_run": true})] {
        let told = refused(&watershed, "promote", &body, 422, "config-map");
        assert!(
            told["diff"].as_str().unwrap().contains("+ split = { v1 = 0, v2 = 100 }"),
            "{told}"
        );
        let text = told["text"].as_str().unwrap();
        assert!(text.contains("[[versions]]") && text.contains("v2 = 100"), "{told}");
    }
}

#[test]
fn a_directory_that_may_not_be_written_to_is_told_of() {
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere.
        return;
    }
    let watershed = serve();
    let services = watershed.site.path("services");
    fs::set_permissions(&services, fs::Permissions::from_mode(0o555)).unwrap();
    let told = refused(&watershed, "promote", &json!({"version": "v2"}), 422, "not-writable");
    fs::set_permissions(&services, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(told["diff"].as_str().unwrap().contains("v2 = 100"), "{told}");
}

#[test]
fn a_file_that_is_wrong_is_not_edited() {
    let watershed = serve();
    let broken = watershed.site.read(FILE) + "nonsense";
    watershed.site.replace(FILE, &broken);
    let answer = post(&watershed, "promote", &json!({"version": "v2"}));
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (422, Some("invalid-configuration"))
    );
    assert!(!answer.json()["problems"].as_array().unwrap().is_empty(), "{answer:?}");
    assert_eq!(watershed.site.read(FILE), broken);
}

/// A client that leaves does not stop a change half-way.
#[test]
fn a_client_that_goes_away_leaves_no_half_of_a_change() {
    let watershed = serve();
    let body = json!({"version": "v2"}).to_string();
    let head = "POST /api/v1/services/default/greeter/promote HTTP/1.1\r\nhost: localhost\r\n";
    let mut client = Http1::connect(watershed.admin_address());
    client.send(format!("{head}content-length: {}\r\n\r\n{body}", body.len()));
    // The request has come by the time that another one on its way is answered.
    eventually("the promotion", || watershed.site.read(FILE).contains("v2 = 100"));
    client.reset();
    watershed.await_greeting("Hello from v2!\n");
    let newest = watershed.history("greeter").remove(0);
    assert!(matches!(newest.author, Author::Command { .. }), "{newest:?}");
}

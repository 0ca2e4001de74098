//! A rollback brings back environments, limits, rules and components with the shares, and reports what cannot come
//! back.

use std::fs;
use std::net::TcpListener;

use nix::sys::signal::Signal;
use serde_json::Value;
use watershed::config::Digest;
use watershed::history::{Author, History, Record, RecordOutcome, RecordedVersion, Share};

use crate::support::{
    DEADLINE, GREETER, Site, Watershed, done, eventually, greeter, limits, plugin, refused, split,
    while_requested,
};

const FILE: &str = "services/greeter.toml";

/// Changes the file, and waits until the change is served.
#[track_caller]
fn edit(watershed: &Watershed, change: impl FnOnce(String) -> String) {
    let text = watershed.site.read(FILE);
    let changed = change(text.clone());
    assert_ne!(changed, text);
    watershed.site.replace(FILE, &changed);
    let digest = Digest::of(&changed).to_string();
    // A version that is being made may give an earlier edit a record of its own meanwhile.
    let is_served = |record: &Record| {
        let is_creating = record.versions.iter().any(|version| version.status == "creating");
        record.file_digest.as_ref() == Some(&digest) && !is_creating
    };
    eventually("the edit is served", || {
        watershed.history("greeter").first().is_some_and(is_served)
    });
    eventually("nothing is held", || watershed.service("greeter").get("held").is_none());
}

fn both(traffic: &str) -> String {
    format!("# Kept by hand.\n{}{}{}", greeter("v1"), greeter("v2"), split(traffic))
}

fn serve(text: &str) -> Watershed {
    Site::new().server("expose = \"decision\"").service("greeter", text).start()
}

fn newest(watershed: &Watershed) -> u64 {
    watershed.history("greeter")[0].generation
}

/// R11: `promote v1`, edit v1's `env` to something bad, `rollback`.
#[test]
fn an_environment_comes_back_while_requests_run() {
    let watershed = serve(&both("v1 = 0, v2 = 100"));
    done(&watershed, &["promote", "greeter", "v1"]);
    let (good, text) = (newest(&watershed), watershed.site.read(FILE));
    edit(&watershed, |text| text.replace("VERSION = \"v1\"", "VERSION = \"bad\""));
    watershed.await_greeting("Hello from bad!\n");
    let mut said = String::new();
    let any = |response: &crate::support::Response| response.text().starts_with("Hello from ");
    while_requested(&watershed, any, || said = done(&watershed, &["rollback", "greeter"]));
    assert!(
        said.starts_with(&format!("greeter is back at what generation {good} served\n")),
        "{said}"
    );
    assert!(said.contains("with it comes back:\n  v1  env.VERSION `bad` → `v1`\n"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!(watershed.site.read(FILE), text, "comments and order too");
    // Two rollbacks go two steps back, and not to the bad generation.
    done(&watershed, &["rollback", "greeter"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    let history = done(&watershed, &["history", "greeter"]);
    assert!(history.contains("env of v1"), "{history}");
}

/// The same by the number of a generation, with other shares in between.
#[test]
fn a_generation_is_all_that_it_served() {
    let watershed = serve(&both("v1 = 100"));
    let first = newest(&watershed).to_string();
    edit(&watershed, |text| text.replace("VERSION = \"v1\"", "VERSION = \"bad\""));
    done(&watershed, &["promote", "greeter", "v2"]);
    let said = done(&watershed, &["rollback", "greeter", "--to", &first, "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["complete"], &said["restores"]),
        (&true.into(), &first.parse::<u64>().unwrap().into())
    );
    let restored = serde_json::json!({
        "version": "v1", "key": "env.VERSION", "before": "bad", "after": "v1",
    });
    assert_eq!(said["restored"][0], restored);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
}

#[test]
fn the_shares_alone_come_back_and_what_differs_is_told() {
    let watershed = serve(&both("v1 = 100"));
    let first = newest(&watershed);
    edit(&watershed, |text| text.replace("VERSION = \"v1\"", "VERSION = \"bad\""));
    done(&watershed, &["promote", "greeter", "v2"]);
    let to = first.to_string();
    let said = done(&watershed, &["rollback", "greeter", "--to", &to, "--traffic-only"]);
    assert!(
        said.starts_with(&format!("greeter has the shares of generation {first} again\n")),
        "{said}"
    );
    assert!(
        said.contains(
            "without `--traffic-only`, this comes back too:\n  v1  env.VERSION `bad` → `v1`"
        ),
        "{said}"
    );
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from bad!\n");
}

#[test]
fn limits_rules_and_stickiness_come_back() {
    let text = format!("{}{}{}", greeter("v1"), limits("memory = \"128MiB\""), greeter("v2"));
    let watershed = serve(&(text + &split("v1 = 100")));
    let first = newest(&watershed).to_string();
    edit(&watershed, |text| text.replace("128MiB", "64MiB"));
    edit(&watershed, |text| {
        text + "\n[[traffic.rules]]\nname = \"all\"\nversion = \"v2\"\n\n[traffic.sticky]\n\
                key = \"header:x-user\"\n"
    });
    watershed.await_greeting("Hello from v2!\n");
    let said = done(&watershed, &["rollback", "greeter"]);
    for line in ["rule all: taken out", "sticky key header:x-user, mode hash is taken out"] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    let said = done(&watershed, &["rollback", "greeter", "--to", &first]);
    assert!(said.contains("v1  limits.memory 64MiB → 128MiB"), "{said}");
    let config = watershed.admin("/api/v1/config").json().to_string();
    assert!(!config.contains("64MiB"), "{config}");
    let history = done(&watershed, &["history", "greeter", "--json"]);
    for word in ["limits", "rules", "sticky"] {
        assert!(history.contains(&format!("\"key\": \"{word}\"")), "{word}: {history}");
    }
}

#[test]
fn a_component_that_was_overwritten_is_told() {
    let site = Site::new().server("expose = \"decision\"");
    site.write("v1.wasm", fs::read(plugin("greeter")).unwrap());
    let path = site.path("v1.wasm").display().to_string();
    let own = format!(
        "[[versions]]\nname = \"v1\"\ncomponent = {path:?}\nenv = {{ VERSION = \"v1\" }}\n"
    );
    let watershed = site.service("greeter", &(own + &greeter("v2") + &split("v1 = 100"))).start();
    let first = newest(&watershed).to_string();
    let made_of = || watershed.history("greeter")[0].versions[0].digest.clone();
    let before = made_of();
    watershed.site.replace("v1.wasm", fs::read(plugin("lab")).unwrap());
    eventually("the new build is served", || made_of().is_some_and(|now| Some(now) != before));
    let words =
        ["the component of v1 was sha256:", "v1.wasm has the digest sha256:", "--traffic-only"];
    refused(&watershed, &["rollback", "greeter", "--to", &first], &words);
    // The bytes are at another path of the version by now: the bytes are what counts.
    watershed.site.write("again.wasm", fs::read(plugin("greeter")).unwrap());
    edit(&watershed, |text| text.replace("v1.wasm", "again.wasm").replace("\"v1\" }", "\"bad\" }"));
    let said = done(&watershed, &["rollback", "greeter", "--to", &first]);
    assert!(said.contains("is back at what generation"), "{said}");
    assert!(watershed.site.read(FILE).contains("again.wasm"));
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
}

#[test]
fn a_secret_that_was_rotated_is_told() {
    let site = Site::new();
    site.write("services/token", "one");
    let text = both("v1 = 100")
        .replace("VERSION = \"v1\"", "TOKEN = { file = \"token\" }, VERSION = \"v1\"");
    let watershed = site.service("greeter", &text).start();
    let first = newest(&watershed).to_string();
    edit(&watershed, |text| text.replace("VERSION = \"v1\"", "VERSION = \"bad\""));
    let bad = newest(&watershed);
    watershed.site.replace("services/token", "two");
    eventually("the rotation is recorded", || newest(&watershed) > bad);
    let words = ["env.TOKEN of v1 (file ", "another secret now", "--traffic-only"];
    refused(&watershed, &["rollback", "greeter", "--to", &first], &words);
    watershed.site.replace("services/token", "one");
    eventually("the old one is recorded", || newest(&watershed) > bad + 1);
    done(&watershed, &["rollback", "greeter", "--to", &first]);
    watershed.await_greeting("Hello from v1!\n");
    for query in ["", "&texts=true"] {
        let answer = watershed.admin(&format!("/api/v1/history?service=greeter{query}")).text();
        assert!(!answer.contains("\"one") && !answer.contains("\"two"), "{answer}");
        assert_eq!(answer.contains("\"VERSION\":\"bad\""), !query.is_empty(), "{answer}");
    }
}

/// The former version is in error: it does not come back, and the command says what the file said.
#[test]
fn what_cannot_be_served_is_put_back() {
    let site = Site::new();
    site.write("services/token", "one");
    let text = both("v1 = 100")
        .replace("VERSION = \"v1\"", "TOKEN = { file = \"token\" }, VERSION = \"v1\"");
    let watershed = site.service("greeter", &text).start();
    let first = newest(&watershed).to_string();
    edit(&watershed, |text| text.replace("TOKEN = { file = \"token\" }, ", ""));
    fs::remove_file(watershed.site.path("services/token")).unwrap();
    refused(
        &watershed,
        &["rollback", "greeter", "--to", &first],
        &["v1 is in error (secret-unavailable)", "the file is again what it was"],
    );
    eventually("v1 is normal", || watershed.version("greeter", "v1")["status"] == "normal");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
}

#[test]
fn a_version_that_was_cut_off_is_not_gone_back_to() {
    let watershed = serve(&both("v1 = 100"));
    let first = newest(&watershed).to_string();
    done(&watershed, &["promote", "greeter", "v2"]);
    edit(&watershed, |text| text.replacen("name = \"v1\"", "name = \"v1\"\nreach = \"cutoff\"", 1));
    let words = ["v1 has the reach `cutoff` now", "never widens"];
    refused(&watershed, &["rollback", "greeter", "--to", &first], &words);
    refused(&watershed, &["rollback", "greeter"], &words[..1]);
}

#[test]
fn a_deleted_version_is_declared_again() {
    let watershed = serve(&both("v1 = 100"));
    done(&watershed, &["promote", "greeter", "v2"]);
    done(&watershed, &["delete", "greeter", "v1"]);
    let said = done(&watershed, &["rollback", "greeter"]);
    assert!(said.contains("v1  is declared again, from "), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
}

/// The bad environment stays away; the component goes on.
#[test]
fn an_environment_can_be_what_is_bad() {
    let watershed = serve(&both("v1 = 100"));
    edit(&watershed, |text| text.replace("VERSION = \"v1\"", "VERSION = \"bad\""));
    done(&watershed, &["rollback", "greeter", "--bad"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    let component = plugin("greeter").display().to_string();
    let again = [
        "deploy",
        "greeter",
        "v3",
        "--component",
        &component,
        "--env",
        "VERSION=bad",
        "--traffic",
        "all",
    ];
    refused(&watershed, &again, &["quarantined"]);
}

/// A rollback also removes an edit that is not served, and does not report the edit as served.
#[test]
fn an_edit_that_is_held_is_taken_out() {
    let watershed = serve(&both("v1 = 100"));
    let first = newest(&watershed).to_string();
    let text = watershed.site.read(FILE);
    watershed.site.write(
        FILE,
        text.replace("VERSION = \"v1\"", "TOKEN = { file = \"none\" }, VERSION = \"v1\""),
    );
    eventually("it is held", || watershed.service("greeter").get("held").is_some());
    let said = done(&watershed, &["rollback", "greeter", "--to", &first]);
    assert!(said.contains("env.TOKEN"), "{said}");
    assert!(said.contains("the file said something else than what was served ("), "{said}");
    assert_eq!(watershed.site.read(FILE), text);
    eventually("nothing is held", || watershed.service("greeter").get("held").is_none());
}

#[test]
fn without_a_process_the_file_goes_back() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = Site::new().admin(&format!("listen = \"127.0.0.1:{port}\""));
    let watershed = site.service("greeter", &both("v1 = 100")).start();
    let text = watershed.site.read(FILE);
    watershed.signal(Signal::SIGTERM);
    let mut watershed = watershed;
    watershed.wait(DEADLINE);
    watershed.site.write(FILE, text.replace("VERSION = \"v1\"", "VERSION = \"bad\""));
    let finished = watershed.site.run(&["rollback", "greeter", "--yes"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stdout.starts_with("the file of greeter is back at what generation "),
        "{finished:?}"
    );
    assert!(finished.stdout.contains("env.VERSION `bad` → `v1`"), "{finished:?}");
    assert_eq!(watershed.site.read(FILE), text);
}

/// Records that were written before records had more than shares.
#[test]
fn an_older_record_tells_of_shares_only() {
    let site = Site::new().service("greeter", &both("v1 = 100"));
    let version = |name: &str| RecordedVersion {
        name: name.to_owned(),
        status: "normal".to_owned(),
        digest: None,
    };
    let all = |name: &str| vec![Share { version: name.to_owned(), share: 100.0 }];
    let older = Record {
        generation: 1,
        at: 1_700_000_000_000,
        environment: "default".to_owned(),
        service: "greeter".to_owned(),
        author: Author::Start,
        before: Vec::new(),
        after: all("v2"),
        served: None,
        versions: vec![version("v1"), version("v2")],
        remark: None,
        outcome: RecordOutcome::Published,
        restores: None,
        file_digest: None,
    };
    History::open(&site.path("state")).unwrap().record(&[older]).unwrap();
    let watershed = site.start();
    let said = done(&watershed, &["rollback", "greeter"]);
    assert!(said.starts_with("greeter has the shares of generation 1 again\n"), "{said}");
    assert!(said.contains("recorded by an older watershed: shares only"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
}

/// Under `latest = true` an environment is restored in the same form; where shares move, they are written as a split.
#[test]
fn the_latest_version_goes_back_too() {
    let watershed = serve(&format!("{}{}[traffic]\nlatest = true\n", greeter("v1"), greeter("v2")));
    let before = watershed.site.read(FILE);
    edit(&watershed, |text| text.replace("VERSION = \"v2\"", "VERSION = \"bad\""));
    done(&watershed, &["rollback", "greeter"]);
    assert_eq!(watershed.site.read(FILE), before);
    watershed.await_greeting("Hello from v2!\n");
    edit(&watershed, |text| text.replace("[traffic]", &(greeter("v3") + "[traffic]")));
    watershed.await_greeting("Hello from v3!\n");
    let said = done(&watershed, &["rollback", "greeter"]);
    assert!(said.contains("`latest = true` does not come back"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
}

/// Where only shares differ, no version is made anew.
#[test]
fn shares_alone_are_served_at_once() {
    let watershed = serve(&both("v1 = 100"));
    done(&watershed, &["promote", "greeter", "v2"]);
    let made = || watershed.stderr().matches("version is normal").count();
    eventually("both are made", || made() == 2);
    let said = done(&watershed, &["rollback", "greeter"]);
    assert!(!said.contains("with it comes back"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!(made(), 2, "shares need no new version");
}

/// What somebody left by a rollback while no process ran is left too, for the rollbacks before and after the next start.
#[test]
fn a_rollback_while_nobody_serves_counts() {
    let versions = ["v1", "v2", "v3"].map(greeter).concat();
    let mut watershed = serve(&(versions + &split("v1 = 100, v2 = 0, v3 = 0")));
    done(&watershed, &["promote", "greeter", "v2"]);
    done(&watershed, &["promote", "greeter", "v3"]);
    watershed.kill();
    done_offline(&watershed, &["rollback", "greeter"]);
    assert!(watershed.site.read(FILE).contains("v2 = 100"), "{}", watershed.site.read(FILE));
    done_offline(&watershed, &["rollback", "greeter"]);
    assert!(watershed.site.read(FILE).contains("v1 = 100"), "{}", watershed.site.read(FILE));

    done_offline(&watershed, &["promote", "greeter", "v3"]);
    done_offline(&watershed, &["rollback", "greeter", "--remark", "at night"]);
    let watershed = watershed.restart();
    let record = &watershed.history("greeter")[0];
    assert!(record.is_rollback(), "{record:?}");
    assert_eq!(record.remark.as_deref(), Some("at night"));
    done(&watershed, &["rollback", "greeter"]);
    watershed.await_greeting("Hello from v1!\n");
}

#[track_caller]
fn done_offline(watershed: &Watershed, arguments: &[&str]) {
    let said = watershed.site.run(&[arguments, &["--yes"]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// A script that gives a command again, because the answer was lost, must not hear of a failure.
#[test]
fn what_is_served_already_is_done() {
    let mut watershed = serve(&both("v1 = 100, v2 = 0"));
    done(&watershed, &["promote", "greeter", "v2"]);
    done(&watershed, &["rollback", "greeter", "--to", "v1"]);
    let before = newest(&watershed);
    let said = done(&watershed, &["rollback", "greeter", "--to", "v1"]);
    assert!(said.starts_with("v1 100 % is what is served already: nothing to do\n"), "{said}");
    let said = done(&watershed, &["rollback", "greeter", "--to", "v1", "--dry-run"]);
    assert!(said.ends_with("\nnothing to do\n"), "{said}");
    let said = done(&watershed, &["rollback", "greeter", "--to", "v1", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["ok"], &said["outcome"]), (&true.into(), &"unchanged".into()), "{said:#}");
    assert_eq!(newest(&watershed), before);
    watershed.kill();
    done_offline(&watershed, &["rollback", "greeter", "--to", "v1"]);
}

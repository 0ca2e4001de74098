//! The history: what every publish changed, and by whom, as the admin listener shows it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use watershed::history::{Author, Record, RecordOutcome, Share};

use crate::heavy_component::heavy;
use crate::support::{
    Finished, Http1, Site, Watershed, assert_admin_problem, done, eventually, greeter, one_version,
    plugin, split, tell,
};

const FILE: &str = "services/greeter.toml";

/// No change is noticed before a reload is requested.
const ONLY_ASKED: &str = "watch = \"poll:1h\"";

/// Bytes of a component that takes longer to compile than a publish waits.
const LARGE: usize = 600_000;

fn two_versions(shares: &str) -> String {
    greeter("v1") + &greeter("v2") + &split(shares)
}

fn share(version: &str, share: f64) -> Share {
    Share { version: version.to_owned(), share }
}

fn digest_of(site: &Site, name: &str) -> String {
    let digest = Sha256::digest(fs::read(site.path(name)).unwrap());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

fn command() -> Author {
    Author::Command { user: "ada".to_owned(), command: "watershed deploy".to_owned() }
}

/// What a command says after it has changed the greeter's file.
fn attribution(site: &Site) -> Value {
    json!({
        "environment": "default",
        "service": "greeter",
        "user": "ada",
        "command": "watershed deploy",
        "remark": "for the sale",
        "restores": 1,
        "file_digest": digest_of(site, FILE),
    })
}

#[track_caller]
fn reload_by(watershed: &Watershed, attribution: &Value) -> Value {
    let answer = watershed.admin_post_json("/api/v1/reload", attribution);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until a service has this many records, and returns the newest.
#[track_caller]
fn newest(watershed: &Watershed, service: &str, count: usize) -> Record {
    eventually("a record", || watershed.history(service).len() >= count);
    let records = watershed.history(service);
    assert_eq!(records.len(), count, "{records:#?}");
    records.into_iter().next().unwrap()
}

#[test]
fn every_change_is_recorded_with_what_was_and_what_is_served() {
    let watershed = Site::new()
        .service("greeter", &two_versions("v1 = 100, v2 = 0"))
        .service("other", &greeter("v1"))
        .start();
    let first = newest(&watershed, "greeter", 1);
    assert_eq!((&first.author, first.before.len()), (&Author::Start, 0));
    assert_eq!(first.after, [share("v1", 100.0)]);
    assert_eq!(first.file_digest, Some(digest_of(&watershed.site, FILE)));
    let versions = first.versions.iter().map(|it| (it.name.as_str(), it.status.as_str()));
    assert_eq!(versions.collect::<Vec<_>>(), [("v1", "normal"), ("v2", "normal")]);
    let served = watershed.version("greeter", "v1")["digest"].clone();
    assert_eq!(json!(first.versions[0].digest), served);

    watershed.site.write(FILE, two_versions("v1 = 87.5, v2 = 12.5"));
    let second = newest(&watershed, "greeter", 2);
    assert_eq!((&second.author, &second.outcome), (&Author::FileEdit, &RecordOutcome::Published));
    assert_eq!(second.before, first.after);
    assert_eq!(second.after, [share("v1", 87.5), share("v2", 12.5)]);
    assert!(second.generation > first.generation && second.at > 1_700_000_000_000, "{second:?}");
    assert_eq!(second.generation, watershed.generation());
    assert_eq!(second.file_digest, Some(digest_of(&watershed.site, FILE)));

    let missing = "\n[[versions]]\nname = \"v3\"\ncomponent = \"missing.wasm\"\n";
    watershed.site.write(FILE, greeter("v1") + missing + &split("v1 = 0, v3 = 100"));
    let third = newest(&watershed, "greeter", 3);
    assert_eq!(third.after, second.after);
    assert_eq!(third.file_digest, Some(digest_of(&watershed.site, FILE)));
    let RecordOutcome::Held { why } = third.outcome else { panic!("{third:?}") };
    assert!(why.contains("v3"), "{why}");
    assert_eq!(third.versions[1].status, "error");

    fs::remove_file(watershed.site.path(FILE)).unwrap();
    let removal = newest(&watershed, "greeter", 4);
    assert_eq!(removal.before, second.after);
    assert!(removal.after.is_empty() && removal.versions.is_empty(), "{removal:?}");
    assert_eq!(removal.file_digest, None);
    newest(&watershed, "other", 1);
    watershed.await_metric("watershed_history_errors_total", &[], 0.0);
}

/// kubectl lists nothing, and succeeds, where a namespace is misspelled (kubernetes/kubectl#557).
#[test]
fn an_environment_that_never_was_is_told_from_one_without_records() {
    let watershed = Site::new().service("greeter", &one_version("v1")).start();
    newest(&watershed, "greeter", 1);
    let all = |environment| format!("/api/v1/history?all=true&environment={environment}");
    assert_eq!(watershed.admin(&all("default")).status, 200);
    assert_admin_problem(&watershed.admin(&all("prod")), 404, "unknown-environment");
    let offline = Site::new().service("greeter", &one_version("v1"));
    let arguments = ["history", "--all", "--environment", "prod"];
    for finished in [tell(&watershed, &arguments), offline.run(&arguments)] {
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("there is no environment `prod`"), "{finished:?}");
        assert!(finished.stderr.contains("`default` is the only one"), "{finished:?}");
    }
    let known = offline.run(&["history", "--all", "--environment", "default"]);
    assert_eq!((known.code, known.stdout.as_str()), (Some(0), "nothing was published yet\n"));
}

#[test]
fn a_command_is_the_author_of_what_comes_of_it() {
    let site = Site::new().server(ONLY_ASKED).service("greeter", &one_version("v1"));
    let watershed = site.start();
    watershed.site.write(FILE, two_versions("v1 = 10, v2 = 90"));
    watershed.site.write("services/other.toml", greeter("v1"));
    let answer = reload_by(&watershed, &attribution(&watershed.site));
    assert_eq!((&answer["outcome"], &answer["files_read"]), (&"published".into(), &2.into()));
    let record = newest(&watershed, "greeter", 2);
    assert_eq!(record.author, command());
    assert_eq!((record.remark.as_deref(), record.restores), (Some("for the sale"), Some(1)));
    assert_eq!(record.after, [share("v1", 10.0), share("v2", 90.0)]);
    assert_eq!(newest(&watershed, "other", 1).author, Author::FileEdit);

    watershed.site.write(FILE, one_version("v1"));
    assert_eq!(watershed.admin_post("/api/v1/reload").json()["files_read"], 2);
    let record = newest(&watershed, "greeter", 3);
    assert_eq!((record.author, record.remark), (Author::FileEdit, None));
}

/// The edit is one generation, and the version that becomes normal by the edit makes the next.
#[test]
fn a_command_is_the_author_until_its_version_is_normal() {
    let site = Site::new().server(ONLY_ASKED).service("greeter", &one_version("v1"));
    let watershed = site.start();
    watershed.site.write("large.wasm", heavy(&fs::read(plugin("greeter")).unwrap(), LARGE, 1));
    let path = watershed.site.path("large.wasm").display().to_string();
    let large = format!("\n[[versions]]\nname = \"v2\"\ncomponent = {path:?}\n");
    watershed.site.write(FILE, greeter("v1") + &large + &split("v1 = 0, v2 = 100"));
    reload_by(&watershed, &attribution(&watershed.site));
    crate::support::within(std::time::Duration::from_secs(60), "v2", || {
        watershed.version("greeter", "v2")["status"] == "normal"
    });
    let records = watershed.history("greeter");
    assert!((2..=3).contains(&records.len()), "{records:#?}");
    assert_eq!(records[0].after, [share("v2", 100.0)]);
    for record in &records[..records.len() - 1] {
        assert_eq!((&record.author, record.restores), (&command(), Some(1)), "{records:#?}");
    }
    watershed.site.write(FILE, one_version("v1"));
    watershed.admin_post("/api/v1/reload");
    assert_eq!(watershed.history("greeter")[0].author, Author::FileEdit);
}

#[test]
fn a_command_that_comes_after_the_watcher_is_the_author_all_the_same() {
    let watershed = Site::new().service("greeter", &one_version("v1")).start();
    watershed.site.write(FILE, two_versions("v1 = 10, v2 = 90"));
    let edit = newest(&watershed, "greeter", 2);
    assert_eq!(edit.author, Author::FileEdit);
    let other = Value::from(format!("sha256:{:064}", 0));
    let mut attribution = attribution(&watershed.site);
    let digest = std::mem::replace(&mut attribution["file_digest"], other);
    reload_by(&watershed, &attribution);
    assert_eq!(newest(&watershed, "greeter", 2), edit, "it was another edit");
    attribution["file_digest"] = digest;
    assert_eq!(reload_by(&watershed, &attribution)["outcome"], "unchanged");
    let told = newest(&watershed, "greeter", 2);
    assert_eq!((&told.author, told.restores), (&command(), Some(1)));
    assert_eq!((told.generation, &told.after), (edit.generation, &edit.after));

    fs::remove_file(watershed.site.path(FILE)).unwrap();
    assert_eq!(newest(&watershed, "greeter", 3).author, Author::FileEdit);
    reload_by(&watershed, &attribution);
    assert_eq!(newest(&watershed, "greeter", 3).author, command());
}

/// Of an environment that is declared no more, the records are still there, and nobody means them unless they say so.
#[test]
fn a_service_is_looked_for_where_environments_are_declared() {
    let environment = |name: &str| {
        format!(
            "[[environments]]\nname = \"{name}\"\ndomain = \"{name}.test\"\nservices = \"services/*.toml\"\n"
        )
    };
    let site = Site::new().service("greeter", &greeter("v1"));
    let watershed = site.tables(&(environment("prod") + &environment("test"))).start();
    let main = watershed.site.read("watershed.toml");
    watershed.site.replace("watershed.toml", main.replace(&environment("test"), ""));
    let declared = || watershed.status()["environments"].as_array().map_or(0, Vec::len);
    eventually("one is gone", || declared() == 1);
    let shown = done(&watershed, &["history", "greeter", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["environment"], "prod", "{shown:#}");
    let gone = done(&watershed, &["history", "greeter", "--json", "--environment", "test"]);
    assert!(
        gone.contains("\"environment\": \"test\"") || gone.contains("\"environment\":\"test\""),
        "{gone}"
    );

    fs::remove_file(watershed.site.path(FILE)).unwrap();
    done(&watershed, &["rollback", "greeter", "--restore-file"]);
    assert_eq!(watershed.site.read(FILE), greeter("v1"));
}

#[test]
fn a_question_or_an_attribution_that_is_wrong_is_told_why() {
    let site = Site::new().service("greeter", &greeter("v1")).tables(
        "[[environments]]\nname = \"test\"\ndomain = \"test.example.com\"\n\
         services = \"services/*.toml\"\n\
         [[environments]]\nname = \"prod\"\ndomain = \"example.com\"\n\
         services = \"services/*.toml\"\n",
    );
    let watershed = site.start();
    for (query, status, why) in [
        ("", 400, "service"),
        ("?service=greeter", 400, "`prod` and `test`"),
        ("?service=greeter&limit=0", 400, "between 1 and 1000"),
        ("?service=greeter&limit=many", 400, "limit"),
        ("?service=greeter&environment=prod&generation=1", 400, "generation"),
        ("?service=greetre", 404, "no service `greetre`"),
        ("?service=greeter&environment=dev", 404, "the history has it in `prod` and `test`"),
        ("?service=greeter&environment=prod&limit=1", 200, "\"records\":[{"),
        ("?all=true&environment=prod", 200, "\"records\":[{"),
        ("?all=true&environment=dev", 404, "no environment `dev`"),
    ] {
        let answer = watershed.admin(&format!("/api/v1/history{query}"));
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(answer.text().contains(why), "{query}: {}", answer.text());
    }
    let mut right = attribution(&watershed.site);
    right["environment"] = "prod".into();
    let without = |key: &str| {
        let mut wrong = right.clone();
        wrong.as_object_mut().unwrap().remove(key);
        wrong
    };
    let mut stranger = right.clone();
    stranger["who"] = json!("ada");
    for (body, why) in [
        (without("user"), "user"),
        (without("file_digest"), "file_digest"),
        (stranger, "who"),
        (json!([1]), "JSON object"),
    ] {
        let answer = watershed.admin_post_json("/api/v1/reload", &body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    let mut long = right.clone();
    long["remark"] = Value::from("long ".repeat(20_000));
    assert_eq!(watershed.admin_post_json("/api/v1/reload", &long).status, 413);
    reload_by(&watershed, &right);
    assert_eq!(watershed.admin_post("/api/v1/reload").status, 200);
}

#[test]
fn the_history_is_for_those_who_know_the_token() {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &greeter("v1"));
    site.write("token", "s3cret\n");
    let watershed = site.start();
    let ask = |query: &str, headers: &[&str]| {
        let path = format!("/api/v1/history{query}");
        Http1::connect(watershed.admin_address()).ask("GET", "localhost", &path, headers, b"")
    };
    assert_eq!(ask("?service=greeter", &[]).status, 401);
    assert_eq!(ask("", &[]).status, 401, "whoever may not ask is not told how");
    assert_eq!(ask("?service=greeter", &["authorization: Bearer s3cret"]).status, 200);
}

/// Two commands have changed the file in turn, and the first one tells of its edit after the second one has
/// written.
#[test]
fn a_record_names_the_command_whose_text_is_served() {
    let site = Site::new().server(ONLY_ASKED).service("greeter", &two_versions("v1 = 90, v2 = 10"));
    let watershed = site.start();
    let first = attribution(&watershed.site);
    watershed.site.write(FILE, two_versions("v1 = 20, v2 = 80"));
    reload_by(&watershed, &first);
    let record = newest(&watershed, "greeter", 2);
    assert_eq!((record.author, record.after[0].share), (Author::FileEdit, 20.0));
    let mut second = attribution(&watershed.site);
    second["command"] = json!("watershed traffic greeter v1=20 v2=80");
    reload_by(&watershed, &second);
    let Author::Command { command, .. } = newest(&watershed, "greeter", 2).author else {
        panic!("{:#?}", watershed.history("greeter"));
    };
    assert_eq!(command, "watershed traffic greeter v1=20 v2=80");
}

/// Both are told of while one reload runs: its record has the text of the second.
#[test]
fn of_two_commands_in_one_reload_the_last_one_is_named() {
    let site = Site::new().server(ONLY_ASKED).service("greeter", &two_versions("v1 = 90, v2 = 10"));
    let watershed = site.start();
    watershed.site.write(FILE, two_versions("v1 = 50, v2 = 50"));
    let first = attribution(&watershed.site);
    watershed.site.write(FILE, two_versions("v1 = 20, v2 = 80"));
    let mut second = attribution(&watershed.site);
    second["user"] = json!("bob");
    std::thread::scope(|scope| {
        let tell = |attribution: &Value| {
            watershed.admin_post_json("/api/v1/reload", attribution);
        };
        scope.spawn(move || tell(&second));
        scope.spawn(move || tell(&first));
    });
    let record = newest(&watershed, "greeter", 2);
    let Author::Command { user, .. } = &record.author else { panic!("{record:#?}") };
    assert_eq!((user.as_str(), record.after[0].share), ("bob", 20.0));
}

/// One row a record, of all services, from another machine: no file is there.
#[test]
fn the_history_of_all_services_is_one_table() {
    let watershed = Site::new()
        .service("greeter", &two_versions("v1 = 100, v2 = 0"))
        .service("other", &greeter("v1"))
        .start();
    done(&watershed, &["promote", "greeter", "v2", "--remark", "two\nlines\tand \u{1b}[31mred"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let admin = format!("http://{}", watershed.admin_address());
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
        command.current_dir(elsewhere.path()).args(["history", "--admin", &admin]).args(arguments);
        let finished = Finished::of(command);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout
    };
    let table = ask(&["--all"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    let newest = table.lines().nth(1).unwrap();
    for words in
        ["Z  greeter  v1 100 % → v2 100 %", ": promote v2", "two\\nlines\\tand \\u{1b}[31mred"]
    {
        assert!(newest.contains(words), "{table}");
    }
    assert!(table.starts_with("GEN  WHEN (UTC)"), "{table}");
    let json: Value = serde_json::from_str(&ask(&["--all", "--json", "--limit", "2"])).unwrap();
    assert_eq!((json["ok"].as_bool(), json["records"].as_array().unwrap().len()), (Some(true), 2));
    assert_eq!(json["records"][0]["remark"], "two\nlines\tand \u{1b}[31mred");
    assert!(json.get("service").is_none(), "{json:#}");
    assert_eq!(
        ask(&["--all", "--since", "2100-01-01T00:00:00Z"]),
        "nothing was published since then\n"
    );
    assert_eq!(ask(&["greeter", "--since", "1h"]).lines().count(), 3);
}

/// While its records are kept, and whether or not a process runs.
#[test]
fn a_service_that_is_gone_has_a_history() {
    let site = Site::new()
        .service("greeter", &two_versions("v1 = 100, v2 = 0"))
        .service("other", &greeter("v1"));
    let mut watershed = site.start();
    fs::remove_file(watershed.site.path(FILE)).unwrap();
    newest(&watershed, "greeter", 2);
    let history = done(&watershed, &["history", "greeter"]);
    assert!(history.contains("v1 100 % → nothing"), "{history}");
    let unknown = tell(&watershed, &["history", "greter"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("no service `greter`"), "{unknown:?}");
    watershed.kill();
    let finished = watershed.site.run(&["history", "greeter"]);
    assert_eq!((finished.code, finished.stdout), (Some(0), history));
    let finished = watershed.site.run(&["history", "--all"]);
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(0), 4), "{finished:?}");
    let unknown = watershed.site.run(&["history", "greter"]);
    assert!(unknown.stderr.contains("no service `greter`"), "{unknown:?}");
}

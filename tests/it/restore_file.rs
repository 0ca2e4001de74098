//! A file of a service that is broken or gone gets back what it said when it was right last.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{
    Finished, GREETER, Site, Watershed, done, eventually, greeter, refused, split, tell,
};

const FILE: &str = "services/greeter.toml";

fn both(shares: &str) -> String {
    format!("# Kept by hand.\n{}{}{}", greeter("v1"), greeter("v2"), split(shares))
}

fn serve() -> Watershed {
    Site::new()
        .service("greeter", &both("v1 = 0, v2 = 100"))
        .service("other", &both("v1 = 100"))
        .start()
}

/// Writes what is wrong, and waits until the process has seen that.
#[track_caller]
fn break_it(watershed: &Watershed, text: impl AsRef<[u8]>) {
    let is_told = || watershed.status()["rejected"].as_array().is_some_and(|it| !it.is_empty());
    fs::write(watershed.site.path(FILE), text).unwrap();
    eventually("the file is rejected", is_told);
}

/// What is kept beside the file, by its text.
fn aside(site: &Site) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(site.path("services")).unwrap().map(|entry| entry.unwrap());
    let kept = entries
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with(".greeter.toml.broken-"));
    kept.map(|entry| fs::read(entry.path()).unwrap()).collect()
}

const RESTORE: [&str; 3] = ["rollback", "greeter", "--restore-file"];

#[test]
fn a_broken_file_blocks_no_way_out() {
    let watershed = serve();
    let good = watershed.site.read(FILE);
    let broken = good.clone() + "[[broken\n";
    break_it(&watershed, &broken);
    for command in [
        &["rollback", "greeter"][..],
        &["traffic", "greeter", "v1=100"],
        &["promote", "greeter", "v1"],
        &["delete", "greeter", "v1"],
    ] {
        refused(
            &watershed,
            command,
            &[
                "nothing was done: the file of greeter is wrong",
                "rollback greeter --restore-file",
                "[[broken",
            ],
        );
    }
    let said = tell(&watershed, &["rollback", "greeter", "--json"]);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (&json["ok"], &json["error"]["code"]),
        (&false.into(), &"invalid-configuration".into())
    );
    assert!(json["problems"][0]["message"].as_str().unwrap().contains("not TOML"), "{json:#}");

    let dry = tell(&watershed, &[&RESTORE[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, Some(2), "{dry:?}");
    assert!(dry.stdout.contains("\n- [[broken\n"), "{dry:?}");
    assert_eq!((watershed.site.read(FILE), aside(&watershed.site).len()), (broken.clone(), 0));

    let said = done(&watershed, &RESTORE);
    assert!(
        said.starts_with("the file of greeter says again what it said when it was right last"),
        "{said}"
    );
    assert_eq!(watershed.site.read(FILE), good);
    assert_eq!(aside(&watershed.site), [broken.into_bytes()]);
    assert!(watershed.status().get("rejected").is_none());
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    refused(&watershed, &RESTORE, &["is right", "`watershed rollback greeter`"]);
}

/// What nobody is served differently by is kept as well: the text is that of the last load that was right.
#[test]
fn the_text_is_that_of_the_last_good_load_whatever_it_changed() {
    let watershed = serve();
    let commented = watershed.site.read(FILE) + "# The last word.\n";
    watershed.site.replace(FILE, &commented);
    let answer = watershed.admin_post("/api/v1/reload");
    assert_eq!(answer.status, 200, "{answer:?}");
    for broken in [&b""[..], b"\xff\xfe not UTF-8", b"versions = 1\n"] {
        break_it(&watershed, broken);
        done(&watershed, &RESTORE);
        assert_eq!(watershed.site.read(FILE), commented);
        assert!(aside(&watershed.site).contains(&broken.to_vec()));
    }
}

/// The process has ended, or was started again with the broken file.
#[test]
fn the_text_outlives_the_process() {
    let mut watershed = serve();
    let good = watershed.site.read(FILE);
    // The text is kept right after the publish that says that it was right.
    let kept = || watershed.admin("/api/v1/history?service=greeter&limit=1&file=true").json();
    eventually("the text is kept", || kept()["file"].is_object());
    watershed.kill();
    watershed.site.replace(FILE, "[[broken");
    let run = |arguments: &[&str]| watershed.site.run(arguments);
    let Finished { code, stderr, .. } = run(&["rollback", "greeter", "--yes"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--restore-file"), "{stderr}");
    let Finished { code, stdout, stderr } = run(&[&RESTORE[..], &["--yes"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("only the file was edited"), "{stdout}");
    assert_eq!(watershed.site.read(FILE), good);

    watershed.site.replace(FILE, "[[broken");
    let watershed = watershed.restart();
    assert_eq!(watershed.get(GREETER, "/").status, 404, "it was never right for this process");
    done(&watershed, &RESTORE);
    assert_eq!(watershed.site.read(FILE), good);
    watershed.await_greeting("Hello from v2!\n");
}

#[test]
fn a_file_that_is_gone_comes_back() {
    let watershed = serve();
    let good = watershed.site.read(FILE);
    fs::remove_file(watershed.site.path(FILE)).unwrap();
    eventually("it is gone", || watershed.get(GREETER, "/").status == 404);
    let finished = tell(&watershed, &["rollback", "greeter"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for words in ["is gone", "rollback greeter --restore-file"] {
        assert!(finished.stderr.contains(words), "{finished:?}");
    }
    let said = done(&watershed, &RESTORE);
    assert!(said.starts_with("the file of greeter is there again"), "{said}");
    assert_eq!((watershed.site.read(FILE), aside(&watershed.site).len()), (good, 0));
    watershed.await_greeting("Hello from v2!\n");
    // Gone again, and something that is no file has its place.
    fs::remove_file(watershed.site.path(FILE)).unwrap();
    fs::create_dir(watershed.site.path(FILE)).unwrap();
    let finished = tell(&watershed, &RESTORE);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("a directory"), "{finished:?}");
}

#[test]
fn what_is_not_known_is_not_put_back() {
    let site = Site::new().service("greeter", "[[broken").service("other", &both("v1 = 100"));
    let watershed = site.start();
    refused(
        &watershed,
        &["rollback", "greeter"],
        &["nothing was done", "mend it as the report says"],
    );
    refused(&watershed, &RESTORE, &["is not known", "watershed check"]);
    assert!(aside(&watershed.site).is_empty());
}

#[test]
fn a_service_that_does_not_exist_is_told_as_such() {
    let watershed = serve();
    let restore = ["rollback", "greter", "--restore-file"];
    refused(&watershed, &restore, &["there is no service `greter`", "did you mean `greeter`"]);
}

/// What a link should lead to may come back, so the link is not written over; but there is a way out.
#[test]
fn a_link_to_nowhere_says_how_the_file_comes_back() {
    let watershed = serve();
    let good = watershed.site.read(FILE);
    fs::remove_file(watershed.site.path(FILE)).unwrap();
    watershed.site.link(FILE, "nowhere.toml");
    eventually("it is told", || watershed.service("greeter").get("rejected").is_some());
    let finished = tell(&watershed, &RESTORE);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for words in ["this is a link, and there is nothing", "remove the link"] {
        assert!(finished.stderr.contains(words), "{finished:?}");
    }
    fs::remove_file(watershed.site.path(FILE)).unwrap();
    done(&watershed, &RESTORE);
    assert_eq!(watershed.site.read(FILE), good);
}

/// What is served does not depend on a file that is wrong by now, and somebody may want to know who gets what.
#[test]
fn a_broken_file_hides_nothing_of_what_is_served() {
    let watershed = serve();
    let before = done(&watershed, &["explain", "greeter"]);
    break_it(&watershed, "[[broken");
    assert_eq!(done(&watershed, &["explain", "greeter"]), before);
    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", main.replace("[state]", "[stat]"));
    assert_eq!(done(&watershed, &["explain", "greeter"]), before);
}

/// A service that has another name than its file, and another one that has taken its domain since.
#[test]
fn the_name_is_that_of_the_service_and_the_text_must_be_right_beside_others() {
    let named = |name: &str| {
        format!("name = \"{name}\"\ndomains = [\"shop.example.com\"]\n{}", both("v1 = 100"))
    };
    let site = Site::new().service("greeter", &named("shop")).service("other", &both("v1 = 100"));
    let watershed = site.start();
    let good = watershed.site.read(FILE);
    break_it(&watershed, "name = \"shop");
    let restore = ["rollback", "shop", "--restore-file"];
    let finished = tell(&watershed, &["promote", "shop", "v2"]);
    assert!(finished.stderr.contains("rollback shop --restore-file"), "{finished:?}");
    done(&watershed, &restore);
    assert_eq!(watershed.site.read(FILE), good);

    fs::remove_file(watershed.site.path(FILE)).unwrap();
    eventually("it is gone", || watershed.get("shop.example.com", "/").status == 404);
    watershed.site.write("services/third.toml", named("third"));
    eventually("it is served", || watershed.get("shop.example.com", "/").status == 200);
    let finished = tell(&watershed, &restore);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("shop.example.com"), "{finished:?}");
    assert!(!watershed.site.path(FILE).exists());
}

/// Texts may have values in confidence.
#[test]
fn the_text_is_for_its_user_and_for_whoever_asks_for_it() {
    let watershed = serve();
    let state = fs::metadata(watershed.site.path("state/history.redb")).unwrap();
    assert_eq!(state.permissions().mode() & 0o777, 0o600);
    let answer = watershed.admin("/api/v1/history?service=greeter&limit=1").json();
    assert!(answer.get("file").is_none(), "{answer}");
    let answer = watershed.admin("/api/v1/history?service=greeter&limit=1&file=true").json();
    assert_eq!(answer["file"]["text"], watershed.site.read(FILE));
}

/// A broken file in one environment is no reason to refuse what is asked of another, whose files are right.
#[test]
fn a_broken_file_blocks_no_other_environment() {
    let environment = |name: &str, services: &str| {
        format!(
            "[[environments]]\nname = \"{name}\"\ndomain = \"{name}.test\"\nservices = \"{services}/*.toml\"\n"
        )
    };
    let site =
        Site::new().tables(&(environment("prod", "services") + &environment("test", "test")));
    site.write("test/greeter.toml", both("v1 = 100"));
    let watershed = site.service("greeter", &both("v1 = 100")).start();
    let in_prod = ["--environment", "prod"];
    let broken = both("v1 = 100") + "[[broken\n";
    fs::write(watershed.site.path("test/greeter.toml"), &broken).unwrap();
    let is_told = || watershed.status()["rejected"].as_array().is_some_and(|it| it.len() == 1);
    eventually("the file is rejected", is_told);

    done(&watershed, &[&["promote", "greeter", "v2"][..], &in_prod].concat());
    done(&watershed, &[&["rollback", "greeter"][..], &in_prod].concat());
    // Without an environment, nobody knows which is meant.
    let expected = [
        "the file of greeter in test is wrong",
        "`watershed rollback greeter --restore-file --environment test`",
        "`--environment NAME` says which greeter is meant",
    ];
    refused(&watershed, &["promote", "greeter", "v2"], &expected);
    refused(&watershed, &RESTORE, &["add `--environment NAME`: it is in `prod` and `test`"]);

    fs::write(watershed.site.path(FILE), &broken).unwrap();
    let is_told = || watershed.status()["rejected"].as_array().is_some_and(|it| it.len() == 2);
    eventually("both files are rejected", is_told);
    let said = done(&watershed, &[&RESTORE[..], &in_prod].concat());
    assert!(said.starts_with("the file of greeter says again what it said"), "{said}");
}

//! What is wrong with a file of HTTPS is told at the place of the main file that names it: by `check`, a start, the log and
//! the API.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;
use serde_json::Value;

use super::{HOST, Made, PAIR, certificates, has_problem, https, made, put, shows};
use crate::support::{Finished, ONCE, Site, Watershed, eventually, upstream};

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

/// Nothing is compiled, so that any user can serve it.
fn site(lines: &str) -> Site {
    let nowhere = upstream("v1", &["127.0.0.1:1".parse().unwrap()], ONCE);
    let tables = https(&[PAIR]).replacen("]\n", &format!("]\n{lines}\n"), 1);
    let service = format!("domains = [\"{HOST}\"]\n{nowhere}");
    Site::new().server("watch = \"events\"").tables(&tables).service("up", &service)
}

/// The line of the main file that has these words, counted from 1.
fn line_of(site: &Site, words: &str) -> usize {
    site.read("watershed.toml").lines().position(|line| line.contains(words)).unwrap() + 1
}

/// Asserts that a problem is told at a value of the main file.
#[track_caller]
fn assert_at(site: &Site, problem: &Value, key: &str, value: &str, message: &str) {
    let source = format!("{key} = {value:?}");
    let place = |name: &str| usize::try_from(problem[name].as_u64().unwrap_or_default()).unwrap();
    assert_eq!(problem["file"], site.main_file().to_str().unwrap(), "{problem}");
    assert_eq!(problem["source"], *source, "{problem}");
    assert_eq!(place("line"), line_of(site, &source), "{problem}");
    let marked = (place("column"), place("width"));
    assert_eq!(marked, (source.find('"').unwrap() + 1, value.len() + 2), "{problem}");
    let told = problem["message"].as_str().unwrap();
    assert!(told.contains(message) && told.contains(value), "{problem}");
}

fn checked(mut check: Command) -> (Value, Finished) {
    check.arg("--json").env("COLUMNS", "1000");
    let finished = Finished::of(check);
    let found: Value = serde_json::from_str(&finished.stdout).unwrap();
    (found, finished)
}

#[test]
fn what_is_wrong_with_a_file_is_told_where_it_is_named() {
    let (good, other) = (made(HOST, 90), made(HOST, 90));
    let (certificate, key) = PAIR;
    let site = site("ticket-keys = \"tickets.key\"");
    let tickets = "ticket-keys";
    let set = |pair: &Made| {
        put(&site, PAIR, pair);
        site.write("tickets.key", [7; 32]);
    };
    let cases: [(&dyn Fn(), &str, &str, &str); 6] = [
        (&|| fs::remove_file(site.path(key)).unwrap(), "key", key, "is not there"),
        (
            &|| fs::remove_file(site.path(certificate)).unwrap(),
            "certificate",
            certificate,
            "is not there",
        ),
        (&|| site.write(key, &other.key), "key", key, "does not belong to"),
        (
            &|| site.write(certificate, "-----BEGIN CERTIFICATE-----\nMI"),
            "certificate",
            certificate,
            "middle",
        ),
        (&|| site.write("tickets.key", "short"), tickets, "tickets.key", "cannot be used"),
        (
            &|| fs::remove_file(site.path("tickets.key")).unwrap(),
            tickets,
            "tickets.key",
            "cannot be read",
        ),
    ];
    for (spoil, name, value, message) in cases {
        set(&good);
        spoil();
        let (found, _) = checked(site.command(&["check"]));
        assert_eq!(found["problems"].as_array().map(Vec::len), Some(1), "{found:#}");
        assert_at(&site, &found["problems"][0], name, value, message);
    }
    set(&made(HOST, -2));
    let (found, finished) = checked(site.command(&["check"]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let warning = &found["warnings"][0];
    assert_eq!(warning["line"], line_of(&site, "certificate = "), "{warning}");
    assert!(warning["message"].as_str().unwrap().contains("expired 1 day ago"), "{warning}");
    let shown = site.run(&["check"]).stdout;
    assert!(shown.contains("| certificate = \"certs/a.pem\"") && shown.contains("^^^^"), "{shown}");
}

/// A line that moves takes its problem along.
#[test]
fn the_log_and_the_status_name_the_place_too() {
    let good = made(HOST, 90);
    let site = site("");
    put(&site, PAIR, &good);
    let watershed = site.start();
    watershed.site.write(PAIR.1, made(HOST, 90).key);
    eventually("the problem", || has_problem(&watershed));
    let problem = || certificates(&watershed)[0]["problem"].clone();
    assert_at(&watershed.site, &problem(), "key", PAIR.1, "does not belong to");
    watershed.log_line(&["ERROR", "a.key does not belong to", "from before"]);
    let line = line_of(&watershed.site, "key = ");
    watershed.log_line(&[&format!("watershed.toml:{line}:7")]);
    watershed.log_line(&["key = \"certs/a.key\""]);
    let moved = format!("# one\n# two\n{}", watershed.site.read("watershed.toml"));
    watershed.site.replace("watershed.toml", moved);
    eventually("the place has moved", || problem()["line"] == line + 2);
    assert_at(&watershed.site, &problem(), "key", PAIR.1, "does not belong to");
    let reload = watershed.admin_post("/api/v1/reload");
    assert_eq!(reload.status, 422);
    assert_at(&watershed.site, &reload.json()["problems"][0], "key", PAIR.1, "does not belong to");
}

/// Has a command run by a user who may not read what only the owner may.
fn by_nobody(mut command: Command) -> Command {
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Lets that user use everything in the site.
fn give_to_nobody(path: &Path) {
    if geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_to_nobody(&entry.unwrap().path()));
    }
}

/// Takes a file away from that user.
fn deny(site: &Site, file: &str) {
    let path = site.path(file);
    match geteuid().is_root() {
        true => {
            chown(&path, Some(0), Some(0)).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        false => fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap(),
    }
}

/// Whether that user can run the program at all: it may be in somebody's home.
fn is_for_nobody(site: &Site) -> bool {
    let mut version = Command::new(site.command(&[]).get_program());
    version.arg("--version");
    by_nobody(version).output().is_ok_and(|it| it.status.success())
}

/// certbot's keys are for root only at first (icecast-kh#470, openvpn-auth-oauth2#471).
#[test]
fn files_without_permission_are_told_of_and_take_nothing_away() {
    let (old, new) = (made(HOST, 90), made(HOST, 90));
    let site = site("ticket-keys = \"tickets.key\"");
    if !is_for_nobody(&site) {
        eprintln!("not tested: nobody but root may run the program");
        return;
    }
    put(&site, PAIR, &old);
    site.write("tickets.key", [7; 32]);
    fs::create_dir_all(site.path("state")).unwrap();
    give_to_nobody(&site.path(""));
    deny(&site, PAIR.1);
    let (found, finished) = checked(by_nobody(site.command(&["check"])));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let problem = &found["problems"][0];
    assert_at(&site, problem, "key", PAIR.1, "may not be read");
    assert!(problem["help"].as_str().unwrap().contains("let the user"), "{problem}");
    let refused = Finished::of(by_nobody(site.command(&["run"])));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("may not be read"), "{refused:?}");

    give_to_nobody(&site.path(PAIR.1));
    fs::set_permissions(site.path(PAIR.1), fs::Permissions::from_mode(0o600)).unwrap();
    let command = by_nobody(site.command(&["run"]));
    let watershed = Watershed::spawn(site, command);
    assert!(shows(&watershed, &old));
    deny(&watershed.site, PAIR.1);
    deny(&watershed.site, "tickets.key");
    let reload = watershed.admin_post("/api/v1/reload");
    assert_eq!(reload.status, 422, "{reload:?}");
    assert_at(
        &watershed.site,
        &certificates(&watershed)[0]["problem"],
        "key",
        PAIR.1,
        "may not be read",
    );
    let troubles = watershed.status()["troubles"].to_string();
    assert!(troubles.contains("tickets.key"), "{troubles}");
    assert!(shows(&watershed, &old));
    // Renewed, and readable.
    for (file, content) in [(PAIR.0, &new.certificate), (PAIR.1, &new.key)] {
        watershed.site.write("aside", content);
        give_to_nobody(&watershed.site.path("aside"));
        fs::rename(watershed.site.path("aside"), watershed.site.path(file)).unwrap();
    }
    eventually("the new certificate", || shows(&watershed, &new));
    eventually("no problem", || !has_problem(&watershed));
}

//! Names of targets, with an `/etc/hosts` that only the tested process sees.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Upstream};

use crate::support::{Finished, Site, UP, Watershed, eventually, split, tell};

const NAME: &str = "up.watershed.test";

fn site(port: u16) -> Site {
    let version = format!(
        "[[versions]]\nname = \"v1\"\n[versions.upstream]\ntargets = [\"{NAME}:{port}\"]\nresolve = \"1s\"\n"
    );
    Site::new().service("up", &(version + &split("v1 = 100")))
}

/// The command in a mount namespace of its own, in which a file of the site is `/etc/hosts`. `None` where this user may
/// not make one.
fn with_hosts(site: &Site, arguments: &[&str]) -> Option<Command> {
    let may = Command::new("unshare").args(["-m", "true"]).output();
    if !may.is_ok_and(|it| it.status.success()) {
        eprintln!("not tested: no mount namespace can be made here");
        return None;
    }
    let inner = site.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
    command.arg(site.path("hosts")).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(site.path(""));
    Some(command)
}

fn knows(site: &Site, names: &str) {
    // In place: the mounted file is this one.
    fs::write(site.path("hosts"), format!("127.0.0.1 localhost {names}\n")).unwrap();
}

/// Nobody edits anything: the name is found once it is there, and its addresses stay once it is gone.
#[test]
fn a_name_that_is_not_found_is_looked_up_again_and_its_addresses_stay() {
    let target = Upstream::http1(Script::text("hello"));
    let site = site(target.address().port());
    knows(&site, "");
    let Some(command) = with_hosts(&site, &["run"]) else { return };
    let watershed = Watershed::spawn(site, command);
    let version = watershed.version("up", "v1");
    assert_eq!(
        (&version["status"], &version["error"]["code"]),
        (&"error".into(), &"unresolved".into())
    );
    let response = watershed.get(UP, "/");
    assert_eq!((response.status, response.header("watershed-error")), (503, Some("no-version")));
    assert!(!response.text().contains(NAME), "{response:?}");
    knows(&watershed.site, NAME);
    eventually("it is found", || watershed.version("up", "v1")["status"] == "normal");
    assert_eq!(watershed.get(UP, "/").text(), "hello");
    knows(&watershed.site, "");
    let unresolved = || watershed.version("up", "v1")["upstream"]["unresolved"].to_string();
    eventually("it is told that the name is gone", || unresolved().contains(NAME));
    assert_eq!(watershed.get(UP, "/").text(), "hello");
    let told = tell(&watershed, &["status"]);
    assert!(told.stdout.contains("is not found now"), "{told:?}");
    assert!(
        told.stdout.contains("if the process is started anew: nothing of up is served"),
        "{told:?}"
    );
    assert_eq!(watershed.service("up")["after_restart"], serde_json::json!([]));
    knows(&watershed.site, NAME);
    eventually("it is found again", || unresolved() == "null");
    assert_eq!(watershed.stderr().matches("has no address").count(), 0, "the error tells it");
}

/// The resolver of the system cannot be interrupted: an `/etc/hosts` that never ends holds it for ever.
#[test]
fn a_resolver_that_hangs_holds_up_no_command() {
    let site = site(1);
    let made = Command::new("mkfifo").arg(site.path("hosts")).status().unwrap();
    assert!(made.success() && Path::new("/etc/hosts").exists());
    let Some(command) = with_hosts(&site, &["check"]) else { return };
    let began = Instant::now();
    let checked = Finished::of(command);
    assert!(checked.said().contains("the resolver did not answer within 5s"), "{checked:?}");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

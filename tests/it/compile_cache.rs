//! The compile cache: no command or server compiles what another one has compiled.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::thread;
use std::time::SystemTime;

use crate::support::{GREETER, LAB, Site, greeter, lab, plugin};

/// Who serves, where root checks.
const SERVER: u32 = 12_345;

/// The artifacts, with their inode numbers: an artifact that is written again has another number. Numbers are reused,
/// so the birth time of a file counts too.
fn artifacts(site: &Site) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let Ok(entries) = fs::read_dir(site.path("state/compiled")) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap());
    let file = |entry: fs::DirEntry| {
        let found = entry.metadata().unwrap();
        (entry.path(), found.ino(), found.created().ok())
    };
    let mut found: Vec<_> = entries.map(file).collect();
    found.sort();
    found
}

#[track_caller]
fn check(site: &Site) -> String {
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    checked.stderr
}

#[test]
fn a_check_compiles_for_the_next_one_and_for_the_server() {
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab("v1"));
    check(&site);
    let compiled = artifacts(&site);
    assert_eq!(compiled.len(), 2);
    check(&site);
    assert_eq!(artifacts(&site), compiled, "the check has compiled again");
    let watershed = site.start();
    watershed.assert_serves(GREETER, "/");
    watershed.assert_serves(LAB, "/count");
    assert_eq!(artifacts(&watershed.site), compiled, "the server has compiled again");
    check(&watershed.site);
    assert_eq!(artifacts(&watershed.site), compiled, "the check beside it has compiled again");
}

#[test]
fn a_deploy_without_a_process_compiles_for_the_server() {
    let site = Site::new().service("greeter", &greeter("v1"));
    let site = site.admin("listen = \"127.0.0.1:1\"");
    let component = plugin("lab").display().to_string();
    let deployed = site.run(&["deploy", "greeter", "v2", "--component", &component]);
    assert_eq!(deployed.code, Some(0), "{deployed:?}");
    let compiled = artifacts(&site);
    assert_eq!(compiled.len(), 2, "the new one, and the one that goes on serving");
    check(&site);
    assert_eq!(artifacts(&site), compiled, "the check has compiled again");
}

#[test]
fn checks_at_once_leave_whole_artifacts_and_nothing_else() {
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab("v1"));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| check(&site));
        }
    });
    let compiled = artifacts(&site);
    assert_eq!(compiled.len(), 2);
    assert!(compiled.iter().all(|(path, ..)| path.extension().unwrap() == "cwasm"), "{compiled:?}");
    assert!(!check(&site).contains("damaged"));
    assert_eq!(artifacts(&site), compiled);
}

#[test]
fn a_damaged_artifact_is_compiled_again() {
    let site = Site::new().service("greeter", &greeter("v1"));
    check(&site);
    let compiled = artifacts(&site);
    let (path, ..) = &compiled[0];
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    assert!(check(&site).contains("damaged"));
    assert_ne!(artifacts(&site), compiled);
    assert!(!check(&site).contains("damaged"));
}

/// The failure is reported once, and has no other effect.
#[test]
fn a_check_does_without_a_state_directory() {
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab("v1"));
    site.write("state", "a file where a directory should be");
    let said = check(&site);
    assert_eq!(said.matches("no compile cache").count(), 1, "{said}");
}

/// `sudo watershed check` must not create files that the server's user cannot replace, nor run code that this user has
/// written.
#[test]
fn root_leaves_the_cache_of_another_user_alone() {
    let site = Site::new().service("greeter", &greeter("v1"));
    let state = site.path("state");
    fs::create_dir(&state).unwrap();
    if chown(&state, Some(SERVER), None).is_err() {
        // Only root can give a directory to another user, and the rule is about root only.
        return;
    }
    let said = check(&site);
    assert!(said.contains("no compile cache") && said.contains("sudo -u"), "{said}");
    assert!(artifacts(&site).is_empty());
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

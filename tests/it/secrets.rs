//! Values of a guest's environment that come from files and from the process's environment: read when a version is made
//! ready, followed when they change, and shown to the guest alone.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::{LAB, Site, Watershed, eventually, lab, lab_p3, split};

const TOKEN: &str = "TOKEN = { file = \"../secrets/token\" }";
const KEY: &str = "KEY = { from-env = \"APP_KEY\" }";

/// The lab, with these variables.
fn lab_with(name: &str, env: &str) -> String {
    lab(name).replace("env = {", &format!("env = {{ {env}"))
}

fn env_of(watershed: &Watershed) -> String {
    watershed.get(LAB, "/env").text()
}

#[track_caller]
fn await_env(watershed: &Watershed, env: &str) {
    eventually(env, || env_of(watershed) == env);
}

/// The lab with the secret `token`, which says `first`.
fn serve_token() -> Watershed {
    let site = Site::new().service("lab", &lab_with("v1", TOKEN));
    site.write("secrets/token", "first\n");
    let watershed = site.start();
    assert_eq!(env_of(&watershed), "TOKEN=first\n");
    watershed
}

#[test]
fn a_guest_gets_texts_files_and_variables() {
    let env = format!("GREETING = \"Hello\", {TOKEN}, {KEY}");
    let site = Site::new().service("lab", &lab_with("v1", &env)).variable("APP_KEY", "k\n");
    site.write("secrets/token", " t=ö \r\n");
    assert_eq!(env_of(&site.start()), "GREETING=Hello\nKEY=k\n\nTOKEN= t=ö \n");
}

#[test]
fn a_guest_of_wasi_0_3_gets_them_too() {
    let version = lab_p3("v1").replace("VERSION = \"v1\"", "VERSION = { file = \"../version\" }");
    let site = Site::new().service("lab", &version);
    site.write("version", "secret\n");
    let greeting = site.start().get(LAB, "/").text();
    assert!(greeting.contains("secret"), "{greeting}");
}

#[test]
fn a_rotated_file_is_served_and_no_request_fails() {
    let watershed = serve_token();
    let running = AtomicBool::new(true);
    let hammer = || {
        let mut client = watershed.http1();
        while running.load(Ordering::Relaxed) {
            let response = client.get(LAB, "/env");
            assert_eq!((response.status, response.complete), (200, true), "{response:?}");
            assert!(response.text().starts_with("TOKEN="), "{response:?}");
        }
    };
    thread::scope(|scope| {
        scope.spawn(hammer);
        scope.spawn(hammer);
        let _stop = StopOnDrop(&running);
        for round in 0..3 {
            watershed.site.write("secrets/token", format!("in place {round}"));
            await_env(&watershed, &format!("TOKEN=in place {round}\n"));
            watershed.site.replace("secrets/token", format!("by name {round}\n"));
            await_env(&watershed, &format!("TOKEN=by name {round}\n"));
        }
    });
}

/// Lets the clients end even if the test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A mounted Secret: `token → ..data/token`, `..data → ..2026_1`. A rotation swaps `..data` and removes its old target.
#[test]
fn a_kubernetes_secret_is_followed() {
    let site = Site::new().service("lab", &lab_with("v1", TOKEN));
    site.write("secrets/..2026_1/token", "value 1");
    swap_link(&site.path("secrets/..data"), "..2026_1");
    symlink("..data/token", site.path("secrets/token")).unwrap();
    let watershed = site.start();
    assert_eq!(env_of(&watershed), "TOKEN=value 1\n");
    for update in 2..=4 {
        let (old, new) = (update - 1, update);
        watershed.site.write(&format!("secrets/..2026_{new}/token"), format!("value {new}"));
        swap_link(&watershed.site.path("secrets/..data"), &format!("..2026_{new}"));
        fs::remove_dir_all(watershed.site.path(&format!("secrets/..2026_{old}"))).unwrap();
        await_env(&watershed, &format!("TOKEN=value {new}\n"));
    }
}

/// Points a link at another target, atomically.
fn swap_link(link: &Path, target: &str) {
    let aside = link.parent().unwrap().join("aside");
    symlink(target, &aside).unwrap();
    fs::rename(aside, link).unwrap();
}

#[test]
fn only_the_versions_of_a_rotated_secret_are_made_again() {
    let versions = lab_with("v1", TOKEN) + &lab("v2") + &split("v1 = 100, v2 = 0");
    let site = Site::new().service("lab", &versions);
    site.write("secrets/token", "first");
    let watershed = site.start();
    let made = || watershed.stderr().matches("version is normal").count();
    eventually("both are made", || made() == 2);
    watershed.site.write("secrets/token", "second");
    await_env(&watershed, "TOKEN=second\n");
    eventually("v1 is made again", || made() == 3);
    let generation = watershed.generation();
    let looks = || watershed.metric("watershed_reloads_total", &[("outcome", "unchanged")]);
    let before = looks();
    watershed.site.write("secrets/other", "of nobody");
    watershed.site.write("services/lab.toml", versions + "# a comment");
    eventually("a look", || looks() > before + 0.5);
    assert_eq!(watershed.generation(), generation);
    assert_eq!(made(), 3, "v1 only");
}

#[test]
fn a_secret_that_is_lost_is_served_on_and_comes_back() {
    let watershed = serve_token();
    fs::remove_file(watershed.site.path("secrets/token")).unwrap();
    eventually("secret-unavailable", || error_code(&watershed) == "secret-unavailable");
    assert_eq!(env_of(&watershed), "TOKEN=first\n", "what was read is kept");
    let held = watershed.service("lab")["held"].as_str().unwrap_or_default().to_owned();
    let version = watershed.version("lab", "v1");
    assert_eq!(version["share"], 100.0, "{held} {version:#}");
    watershed.site.write("secrets/token", "second");
    await_env(&watershed, "TOKEN=second\n");
    assert_eq!(watershed.version("lab", "v1")["status"], "normal");
}

fn error_code(watershed: &Watershed) -> String {
    let version = watershed.version("lab", "v1");
    version["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// The directory does not exist at the start, either.
#[test]
fn a_secret_that_comes_late_makes_its_version_normal() {
    let watershed = Site::new().service("lab", &lab_with("v1", TOKEN)).start();
    assert_eq!(watershed.get(LAB, "/env").status, 503);
    assert_eq!(watershed.admin("/readyz").status, 503);
    let error = watershed.version("lab", "v1")["error"].clone();
    assert_eq!(error["code"], "secret-unavailable");
    let path = watershed.site.path("secrets/token").display().to_string();
    let detail = error["detail"].as_str().unwrap();
    assert_eq!(detail, format!("`TOKEN` has no value: there is no file {path}"));
    assert!(error["suggestion"].as_str().unwrap().contains("`file`"), "{error:#}");
    watershed.log_line(&["secret-unavailable", "TOKEN", &path]);
    watershed.site.write("secrets/token", "late");
    await_env(&watershed, "TOKEN=late\n");
    assert_eq!(watershed.admin("/readyz").status, 200);
}

/// What `check --json` says of the one version.
fn checked(site: &Site) -> Value {
    let checked = site.run(&["check", "--json"]);
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(findings["problems"], serde_json::json!([]), "{findings:#}");
    assert_eq!(checked.code, Some(i32::from(findings["ok"] == false)), "{checked:?}");
    findings["versions"][0].clone()
}

#[test]
fn a_file_that_is_no_text_is_refused_without_showing_it() {
    let site = Site::new().service("lab", &lab_with("v1", TOKEN));
    let large = vec![b'x'; (64 << 10) + 1];
    for (contents, why) in [
        (&b"hunter2\xff"[..], "is not UTF-8"),
        (b"hunter2\0", "has a NUL character"),
        (&large, "is larger than 64 KiB"),
    ] {
        site.write("secrets/token", contents);
        let version = checked(&site);
        assert_eq!(version["code"], "secret-unavailable", "{version:#}");
        let path = site.path("secrets/token").display().to_string();
        let detail = format!("`TOKEN` has no value: {path} {why}");
        assert_eq!(version["detail"], detail);
    }
    site.write("secrets/token", &large[1..]);
    assert_eq!(checked(&site)["status"], "normal");
}

/// A file that never ends is not read.
#[test]
fn a_secret_must_be_a_regular_file() {
    for path in ["/dev/zero", "/tmp"] {
        let env = format!("TOKEN = {{ file = {path:?} }}");
        let version = checked(&Site::new().service("lab", &lab_with("v1", &env)));
        assert_eq!(version["code"], "secret-unavailable", "{version:#}");
        assert_eq!(
            version["detail"],
            format!("`TOKEN` has no value: {path} is not a regular file")
        );
    }
}

#[test]
fn a_variable_that_is_missing_or_no_text_is_named() {
    let site = Site::new().service("lab", &lab_with("v1", KEY));
    let version = checked(&site);
    assert_eq!(version["code"], "secret-unavailable", "{version:#}");
    let detail =
        "`KEY` has no value: watershed was started without the environment variable APP_KEY";
    assert_eq!(version["detail"], detail);
    let version = checked(&site.variable("APP_KEY", OsStr::from_bytes(b"hunter2\xff")));
    assert_eq!(version["code"], "secret-unavailable", "{version:#}");
    assert_eq!(
        version["detail"],
        "`KEY` has no value: the environment variable APP_KEY is not UTF-8"
    );
}

/// A configuration can be checked on a machine without its secrets: other problems are found there too.
#[test]
fn without_its_secrets_a_configuration_is_checked_all_the_same() {
    let wrong = "[[versions]]\nname = \"v1\"\ncomponent = \"nowhere.wasm\"\n";
    let site = Site::new().service("lab", &lab_with("v1", TOKEN)).service("wrong", wrong);
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for code in ["error[secret-unavailable]: version v1 of service lab", "error[not-found]"] {
        assert!(checked.stdout.contains(code), "{code}\n{}", checked.stdout);
    }
}

/// Everything that Watershed prints in a version's life contains no value.
#[test]
fn nobody_but_the_guest_is_shown_a_value() {
    let env = format!("PLAIN = \"plain-5ecret\", {TOKEN}, {KEY}");
    let site = Site::new()
        .service("lab", &lab_with("v1", &env))
        .variable("APP_KEY", "variable-5ecret")
        .variable("WATERSHED_LOG", "trace,pingora=info,pingora_core=info");
    site.write("secrets/token", "file-5ecret");
    let check = site.run(&["check"]).said() + &site.run(&["check", "--json"]).said();
    let watershed = site.start();
    let told = env_of(&watershed);
    assert_eq!(told.matches("5ecret").count(), 3, "{told}");
    for path in ["/trap", "/panic", "/never", "/hog", "/count"] {
        watershed.get(LAB, path);
    }
    let mut said = check + &everything_said(&watershed);
    watershed.site.write("secrets/token", "second-5ecret");
    eventually("the new value", || env_of(&watershed).contains("second-5ecret"));
    said += &everything_said(&watershed);
    watershed.site.write("secrets/token", "third-5ecret\0");
    eventually("the error", || error_code(&watershed) == "secret-unavailable");
    said += &everything_said(&watershed);
    for part in
        ["secret-unavailable", "TRACE", "watershed_requests_total", "\"generation\"", "env.KEY"]
    {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    let shown = said.lines().find(|line| line.contains("5ecret"));
    assert_eq!(shown, None);
}

fn everything_said(watershed: &Watershed) -> String {
    let (status, metrics) = (watershed.admin("/api/v1/status"), watershed.admin("/metrics"));
    let (readiness, config) = (watershed.admin("/readyz"), watershed.admin("/api/v1/config"));
    let answers = [status, metrics, readiness, config].map(|response| response.text()).concat();
    let process = watershed.admin_address().to_string();
    let plan = watershed.site.run(&["plan", "--json", "--admin", &process]).said();
    answers + &plan + &watershed.stdout() + &watershed.stderr()
}

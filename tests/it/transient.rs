//! Transient errors are no facts about files: what is served stays, and what waits is served once the errors have
//! passed, without another edit.
//!
//! Descriptors run short because the limit of the running process is lowered; a disk that fails is `/proc/self/mem`, a
//! regular file whose first byte cannot be read.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::{
    GREETER, Http1, LAB, Site, Watershed, eventually, greeter, lab, one_version, plugin, split,
    within,
};

const FILE: &str = "services/greeter.toml";
const LATEST: &str = "[traffic]\nlatest = true\n";

/// A file that fails whenever it is read.
const FAILING: &str = "/proc/self/mem";

/// How long after an error has passed before what waited is tried again, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 + 10);

impl Watershed {
    /// Lets the process open no more files, or as many as before.
    fn set_descriptors(&self, count: Option<u64>) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        let before = getrlimit(Resource::Nofile);
        let current = count.or(before.current);
        prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum: before.maximum }).unwrap();
    }

    fn unread(&self) -> f64 {
        self.metric("watershed_config_unread_files", &[])
    }
}

/// A component of this name in the site, and the text of a version with it.
fn with_component(text: &str, plugin_name: &str, site: &Site, name: &str) -> String {
    let original = plugin(plugin_name).display().to_string();
    text.replace(&original, &site.path(name).display().to_string())
}

#[test]
fn an_edit_while_descriptors_are_short_is_served_once_there_are_some() {
    let watershed = Site::new().service("greeter", &one_version("v1")).start();
    let (mut client, mut admin) =
        (Http1::connect(watershed.address()), Http1::connect(watershed.admin_address()));
    assert_eq!(client.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!(admin.get("localhost", "/readyz").status, 200);
    let generation = watershed.generation();
    watershed.set_descriptors(Some(3));
    watershed.site.write(FILE, one_version("v2"));
    watershed.log_line(&["it is tried again:", "cannot be read for now", "LimitNOFILE"]);
    // Several tries later.
    eventually("the report", || {
        let status = admin.get("localhost", "/api/v1/status").json();
        status["last_reload"]["outcome"] == "postponed"
    });
    thread::sleep(Duration::from_millis(500));
    assert_eq!(client.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!(admin.get("localhost", "/readyz").status, 200);
    let metrics = admin.get("localhost", "/metrics").text();
    assert!(metrics.contains("watershed_config_rejected_files 0"), "{metrics}");
    assert!(metrics.contains("watershed_config_unread_files 1"), "{metrics}");

    watershed.set_descriptors(None);
    within(LONGEST_PAUSE, "the edit", || client.get(GREETER, "/").text() == "Hello from v2!\n");
    assert_eq!(watershed.generation(), generation + 1, "tries publish nothing");
    watershed.log_line(&["everything can be read again"]);
    let log = watershed.stderr();
    assert_eq!(log.matches("it is tried again:").count(), 1, "{log}");
    assert!(!log.contains("rejected"), "{log}");
    watershed.await_metric("watershed_config_unread_files", &[], 0.0);
}

#[test]
fn a_component_and_a_secret_replaced_while_descriptors_are_short_are_served() {
    let site = Site::new();
    site.write("bin/copy.wasm", fs::read(plugin("lab")).unwrap());
    site.write("token", "first");
    let of_copy = with_component(&lab("v1"), "lab", &site, "bin/copy.wasm");
    let of_secret = lab("v1").replace("env = {", "env = { TOKEN = { file = \"../token\" }");
    let watershed = site.service("greeter", &of_copy).service("lab", &of_secret).start();
    assert_eq!(watershed.get(LAB, "/env").text(), "TOKEN=first\n");
    watershed.set_descriptors(Some(3));
    watershed.site.replace("bin/copy.wasm", fs::read(plugin("greeter")).unwrap());
    watershed.site.replace("token", "second");
    watershed.log_line(&["it is tried again:"]);
    watershed.set_descriptors(None);
    within(LONGEST_PAUSE, "the component", || watershed.get(GREETER, "/").text() == "Hello!\n");
    within(LONGEST_PAUSE, "the secret", || watershed.get(LAB, "/env").text() == "TOKEN=second\n");
    let log = watershed.stderr();
    assert!(!log.contains(" ERROR "), "{log}");
}

#[test]
fn a_file_on_a_disk_that_fails_is_served_as_it_was_and_not_called_wrong() {
    let watershed = Site::new()
        .service("greeter", &one_version("v1"))
        .service("other", &one_version("v1"))
        .start();
    watershed.site.link(FILE, FAILING);
    let unread = || watershed.service("greeter")["rejected"]["problems"][0].clone();
    eventually("the report", || unread()["is_transient"] == true);
    assert!(unread()["help"].as_str().unwrap().contains("dmesg"), "{}", unread());
    watershed.await_metric("watershed_config_rejected_files", &[], 0.0);
    watershed.await_metric("watershed_config_unread_files", &[], 1.0);
    // The other services go on.
    watershed.site.write("services/other.toml", one_version("v2"));
    eventually("the other's edit", || {
        watershed.get("other.localhost", "/").text() == "Hello from v2!\n"
    });
    watershed.await_greeting("Hello from v1!\n");
    let generation = watershed.generation();
    let reloads = watershed.metric("watershed_reloads_total", &[]);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(watershed.generation(), generation);
    assert!(watershed.metric("watershed_reloads_total", &[]) < reloads + 0.5, "tries count once");
    fs::remove_file(watershed.site.path(FILE)).unwrap();
    watershed.site.write(FILE, one_version("v3"));
    watershed.await_greeting("Hello from v3!\n");
    watershed.await_metric("watershed_config_unread_files", &[], 0.0);
}

#[test]
fn latest_stays_with_a_version_whose_component_cannot_be_read_for_a_moment() {
    let site = Site::new();
    site.write("bin/copy.wasm", fs::read(plugin("greeter")).unwrap());
    let copy = with_component(&greeter("v2"), "greeter", &site, "bin/copy.wasm");
    let text = greeter("v1") + &copy + LATEST;
    let watershed = site.service("greeter", &text).start();
    watershed.await_greeting("Hello from v2!\n");
    watershed.site.link("bin/copy.wasm", FAILING);
    eventually("a try", || watershed.unread() > 0.5);
    let generation = watershed.generation();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    assert_eq!(watershed.generation(), generation, "tries publish nothing");
    assert_ne!(watershed.version("greeter", "v2")["status"], "error");
    assert_eq!(watershed.admin("/readyz").status, 200);
    watershed.log_line(&["it is tried again:", "v2 of greeter", "dmesg"]);
    watershed.site.replace("bin/copy.wasm", fs::read(plugin("lab")).unwrap());
    eventually("the component", || watershed.get(GREETER, "/count").text() == "1\n");
}

/// A version that was never normal says why, and what to do; it is tried again.
#[test]
fn a_new_version_that_cannot_be_read_for_a_moment_says_so_and_becomes_normal() {
    let site = Site::new();
    fs::create_dir(site.path("bin")).unwrap();
    symlink(FAILING, site.path("bin/copy.wasm")).unwrap();
    let copy = with_component(&greeter("v2"), "greeter", &site, "bin/copy.wasm");
    let shares = split("v1 = 100, v2 = 0");
    let watershed = site.service("greeter", &(greeter("v1") + &copy + &shares)).start();
    let error = || watershed.version("greeter", "v2")["error"].clone();
    eventually("the error", || error()["code"] == "unreadable");
    assert!(error()["suggestion"].as_str().unwrap().contains("tried again by itself"));
    let generation = watershed.generation();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(watershed.generation(), generation, "tries publish nothing");
    assert_eq!(watershed.stderr().matches("it is tried again:").count(), 1);
    watershed.site.replace("bin/copy.wasm", fs::read(plugin("greeter")).unwrap());
    eventually("v2", || watershed.version("greeter", "v2")["status"] == "normal");
}

/// A main file that is wrong for good is reported once, and files that wait do not wait for it.
#[test]
fn a_wrong_main_file_is_told_once_while_a_version_is_tried_again() {
    let site = Site::new();
    site.write("bin/copy.wasm", fs::read(plugin("greeter")).unwrap());
    let copy = with_component(&greeter("v1"), "greeter", &site, "bin/copy.wasm");
    let watershed = site.service("greeter", &copy).start();
    watershed.await_greeting("Hello from v1!\n");
    watershed.site.link("bin/copy.wasm", FAILING);
    eventually("a try", || watershed.unread() > 0.5);
    watershed.site.replace("watershed.toml", "nonsense");
    watershed.log_line(&["configuration rejected"]);
    // On a busy machine, one edit may be noticed in two parts.
    thread::sleep(Duration::from_millis(500));
    let told = || watershed.stderr().matches("configuration rejected").count();
    let (before, reloads) = (told(), watershed.metric("watershed_reloads_total", &[]));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(told(), before, "tries tell nothing");
    assert!(watershed.metric("watershed_reloads_total", &[]) < reloads + 1.5);
    watershed.await_greeting("Hello from v1!\n");
}

#[test]
fn who_might_override_still_may_while_the_secret_cannot_be_read() {
    let overrides = "\n[traffic.override]\nheader = true\nsecret = { file = \"../secret\" }\n";
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 100, v2 = 0") + overrides;
    let site = Site::new();
    site.write("secret", "open");
    let watershed = site.service("greeter", &text).start();
    let ask = |secret: &str| {
        let key = format!("watershed-key: {secret}");
        watershed.http1().ask("GET", GREETER, "/", &["watershed-version: v2", &key], b"").text()
    };
    assert_eq!(ask("open"), "Hello from v2!\n");
    watershed.site.link("secret", FAILING);
    eventually("a try", || watershed.unread() > 0.5);
    assert_eq!(ask("open"), "Hello from v2!\n");
    assert!(watershed.service("greeter")["warning"].is_null());
    watershed.site.replace("secret", "other");
    eventually("the new secret", || ask("other") == "Hello from v2!\n");
    assert_ne!(ask("open"), "Hello from v2!\n");
}

#[test]
fn a_reload_that_is_asked_for_tries_versions_in_error_anew() {
    let digest = format!("digest = \"sha256:{}\"\n", "0".repeat(64));
    let text = greeter("v1") + &greeter("v2") + &digest + &split("v1 = 100, v2 = 0");
    let watershed = Site::new().service("greeter", &text).start();
    let tries = || watershed.stderr().matches(" ERROR ").count();
    eventually("the error", || tries() == 1);
    watershed.admin_post("/api/v1/reload");
    eventually("another try", || tries() == 2);
    watershed.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("a third one", || tries() == 3);
}

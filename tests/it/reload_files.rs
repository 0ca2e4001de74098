//! Every way in which files change on real machines is noticed, by events and by polling, and irrelevant changes are
//! not.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{
    GREETER, Site, StopOnDrop, Watershed, eventually, greeter, one_version, plugin, within,
};

const FILE: &str = "services/greeter.toml";

/// Turns each function into two tests: one for each way of noticing changes.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {
        mod events {
            $(#[test] fn $name() { super::$name("events"); })*
        }
        mod poll {
            $(#[test] fn $name() { super::$name("poll:200ms"); })*
        }
    };
}

both_ways! {
    a_file_written_in_place_is_seen,
    a_file_renamed_over_another_is_seen_again_and_again,
    an_edit_by_sed_is_seen,
    an_edit_by_vim_is_seen,
    the_checkout_of_a_branch_is_seen,
    the_main_file_is_followed,
    services_appear_and_disappear,
    a_file_in_a_new_directory_is_seen,
    a_new_component_file_is_served,
    a_component_that_is_removed_is_served_on_and_comes_back,
    a_component_behind_a_link_to_a_directory_is_followed,
    a_kubernetes_volume_is_followed,
    a_directory_that_takes_anothers_place_is_followed,
    a_directory_that_is_removed_and_made_again_is_followed,
    a_configuration_behind_a_link_to_a_directory_is_followed,
    what_does_not_matter_makes_no_generation,
    what_no_configuration_leads_to_makes_no_reload,
    a_log_that_grows_beside_the_files_holds_no_edit_up,
}

fn site(watch: &str) -> Site {
    Site::new().server(&format!("watch = {watch:?}"))
}

fn serve(watch: &str, name: &str) -> Watershed {
    site(watch).service("greeter", &one_version(name)).start()
}

fn a_file_written_in_place_is_seen(watch: &str) {
    let watershed = serve(watch, "v1");
    for name in ["v2", "v3"] {
        watershed.site.write(FILE, one_version(name));
        watershed.await_greeting(&format!("Hello from {name}!\n"));
    }
}

/// Runs a command in the site's directory.
#[track_caller]
fn run(site: &Site, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(site.path("."));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn an_edit_by_sed_is_seen(watch: &str) {
    let watershed = serve(watch, "v1");
    run(&watershed.site, "sed", &["-i", "s/v1/v2/g", FILE]);
    watershed.await_greeting("Hello from v2!\n");
}

/// Vim renames the old file to a backup, and removes the backup when the new file is written.
fn an_edit_by_vim_is_seen(watch: &str) {
    let watershed = serve(watch, "v1");
    let backup = watershed.site.path("services/greeter.toml~");
    for name in ["v2", "v3"] {
        fs::rename(watershed.site.path(FILE), &backup).unwrap();
        watershed.site.write(FILE, one_version(name));
        fs::remove_file(&backup).unwrap();
        watershed.await_greeting(&format!("Hello from {name}!\n"));
    }
}

fn the_checkout_of_a_branch_is_seen(watch: &str) {
    let site = site(watch).service("greeter", &one_version("v1")).service("old", &greeter("v1"));
    let commit = |branch: &str| {
        run(&site, "git", &["checkout", "-q", "-b", branch]);
        run(&site, "git", &["add", "-A", "services"]);
        let author = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        run(&site, "git", &[&author[..], &["commit", "-q", "-m", branch]].concat());
    };
    run(&site, "git", &["init", "-q"]);
    commit("before");
    site.write(FILE, one_version("v2"));
    site.write("services/new.toml", greeter("v1"));
    fs::remove_file(site.path("services/old.toml")).unwrap();
    commit("after");
    run(&site, "git", &["checkout", "-q", "before"]);
    let watershed = site.start();
    for (branch, name, exists, is_gone) in
        [("after", "v2", "new", "old"), ("before", "v1", "old", "new")]
    {
        run(&watershed.site, "git", &["checkout", "-q", branch]);
        watershed.await_greeting(&format!("Hello from {name}!\n"));
        let status = |name: &str| watershed.get(&format!("{name}.localhost"), "/").status;
        eventually(branch, || (status(exists), status(is_gone)) == (200, 404));
    }
}

fn a_file_in_a_new_directory_is_seen(watch: &str) {
    let site = site(watch).tables(
        "[[environments]]\nname = \"default\"\ndomain = \"localhost\"\n\
         services = \"services/*/*.toml\"",
    );
    site.write("services/a/greeter.toml", one_version("v1"));
    let watershed = site.start();
    watershed.await_greeting("Hello from v1!\n");
    let loads = || watershed.metric("watershed_reloads_total", &[]);
    let before = loads();
    fs::create_dir(watershed.site.path("services/b")).unwrap();
    eventually("a look at the empty directory", || loads() > before + 0.5);
    watershed.site.write("services/b/shop.toml", greeter("v7"));
    eventually("the new service", || watershed.get("shop.localhost", "/").status == 200);
}

#[test]
fn polling_reloads_nothing_when_nothing_changes() {
    let watershed = serve("poll:100ms", "v1");
    let loads = || watershed.metric("watershed_reloads_total", &[]);
    // A file that is newly followed counts as changed once.
    eventually("the look at what is followed", || loads() > 1.5);
    let (loaded, generation) = (loads(), watershed.generation());
    // It takes time to see that nothing happens: many looks.
    thread::sleep(Duration::from_secs(2));
    assert_eq!((loads(), watershed.generation()), (loaded, generation));
    watershed.site.write(FILE, one_version("v2"));
    watershed.await_greeting("Hello from v2!\n");
    watershed.await_metric("watershed_reloads_total", &[], loaded + 1.0);
}

fn a_file_renamed_over_another_is_seen_again_and_again(watch: &str) {
    let watershed = serve(watch, "v1");
    for name in ["v2", "v3", "v4"] {
        watershed.site.replace(FILE, one_version(name));
        watershed.await_greeting(&format!("Hello from {name}!\n"));
    }
}

fn the_main_file_is_followed(watch: &str) {
    let watershed = serve(watch, "v1");
    let main = watershed.site.read("watershed.toml");
    let environment = "[[environments]]\nname = \"default\"\ndomain = \"example.com\"\n";
    watershed
        .site
        .replace("watershed.toml", main + environment + "services = \"services/*.toml\"\n");
    eventually("the new domain", || watershed.get("greeter.example.com", "/").status == 200);
    assert_eq!(watershed.get(GREETER, "/").status, 404);
}

fn services_appear_and_disappear(watch: &str) {
    let watershed = serve(watch, "v1");
    assert_eq!(watershed.get("shop.localhost", "/").status, 404);
    watershed.site.write("services/shop.toml", greeter("v7"));
    eventually("the new service", || {
        watershed.get("shop.localhost", "/").text() == "Hello from v7!\n"
    });
    fs::remove_file(watershed.site.path("services/shop.toml")).unwrap();
    eventually("its end", || watershed.get("shop.localhost", "/").status == 404);
    watershed.assert_serves(GREETER, "/");
}

/// A service with its own copy of the component, so that a test can change the copy.
fn serve_copy(watch: &str, component: &str) -> Watershed {
    let site = site(watch);
    site.write(component, fs::read(plugin("lab")).unwrap());
    let path = site.path(component).display().to_string();
    let text = format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n");
    let watershed = site.service("greeter", &text).start();
    assert_eq!(watershed.get(GREETER, "/count").text(), "1\n");
    watershed
}

fn a_new_component_file_is_served(watch: &str) {
    let greets = fs::read(plugin("greeter")).unwrap();
    let in_place: fn(&Site, &[u8]) = |site, bytes| site.write("bin/copy.wasm", bytes);
    let renamed: fn(&Site, &[u8]) = |site, bytes| site.replace("bin/copy.wasm", bytes);
    for change in [in_place, renamed] {
        let watershed = serve_copy(watch, "bin/copy.wasm");
        let before = watershed.version("greeter", "v1")["digest"].clone();
        change(&watershed.site, &greets);
        watershed.await_greeting("Hello!\n");
        assert_ne!(watershed.version("greeter", "v1")["digest"], before);
    }
}

fn a_component_that_is_removed_is_served_on_and_comes_back(watch: &str) {
    let watershed = serve_copy(watch, "bin/copy.wasm");
    fs::remove_file(watershed.site.path("bin/copy.wasm")).unwrap();
    eventually("not-found", || {
        watershed.version("greeter", "v1")["error"]["code"] == "not-found"
            || watershed.service("greeter")["held"].is_string()
    });
    assert_eq!(watershed.get(GREETER, "/count").text(), "1\n", "what was loaded is kept");
    watershed.site.write("bin/copy.wasm", fs::read(plugin("greeter")).unwrap());
    watershed.await_greeting("Hello!\n");
}

/// Builds that publish their output by a link: `bin/current → release-2`.
fn a_component_behind_a_link_to_a_directory_is_followed(watch: &str) {
    let site = site(watch);
    site.write("bin/release-1/app.wasm", fs::read(plugin("lab")).unwrap());
    site.write("bin/release-2/app.wasm", fs::read(plugin("greeter")).unwrap());
    site.link("bin/current", "release-1");
    let path = site.path("bin/current/app.wasm").display().to_string();
    let text = format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n");
    let watershed = site.service("greeter", &text).start();
    assert_eq!(watershed.get(GREETER, "/count").text(), "1\n");
    watershed.site.link("bin/current", "release-2");
    watershed.await_greeting("Hello!\n");
}

/// A ConfigMap: `greeter.toml → ..data/greeter.toml`, `..data → ..2026_1`. An update swaps `..data` and removes its old
/// target.
fn a_kubernetes_volume_is_followed(watch: &str) {
    let site = site(watch);
    site.write("services/..2026_1/greeter.toml", one_version("v1"));
    site.link("services/..data", "..2026_1");
    symlink("..data/greeter.toml", site.path(FILE)).unwrap();
    let watershed = site.start();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    for update in 2..=4 {
        let (old, new) = (update - 1, update);
        watershed
            .site
            .write(&format!("services/..2026_{new}/greeter.toml"), one_version(&format!("v{new}")));
        watershed.site.link("services/..data", &format!("..2026_{new}"));
        fs::remove_dir_all(watershed.site.path(&format!("services/..2026_{old}"))).unwrap();
        watershed.await_greeting(&format!("Hello from v{new}!\n"));
    }
}

fn a_directory_that_takes_anothers_place_is_followed(watch: &str) {
    let watershed = serve(watch, "v1");
    watershed.site.write("next/greeter.toml", one_version("v2"));
    let path = |name| watershed.site.path(name);
    fs::rename(path("services"), path("previous")).unwrap();
    fs::rename(path("next"), path("services")).unwrap();
    watershed.await_greeting("Hello from v2!\n");
    watershed.site.write(FILE, one_version("v3"));
    watershed.await_greeting("Hello from v3!\n");
}

fn a_directory_that_is_removed_and_made_again_is_followed(watch: &str) {
    let watershed = serve(watch, "v1");
    fs::remove_dir_all(watershed.site.path("services")).unwrap();
    eventually("a report", || watershed.status()["last_reload"]["outcome"] == "rejected");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    watershed.site.write(FILE, one_version("v2"));
    watershed.await_greeting("Hello from v2!\n");
}

/// A release tool that swaps the link above everything: `site → release-2`.
fn a_configuration_behind_a_link_to_a_directory_is_followed(watch: &str) {
    let site = site(watch);
    let main = site.read("watershed.toml");
    for (release, name) in [("release-1", "v1"), ("release-2", "v2")] {
        site.write(&format!("{release}/watershed.toml"), &main);
        site.write(&format!("{release}/services/greeter.toml"), one_version(name));
    }
    site.link("current", "release-1");
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    command.arg("--config").arg(site.path("current/watershed.toml"));
    let watershed = Watershed::spawn(site, command);
    eventually("v1", || watershed.get(GREETER, "/").text() == "Hello from v1!\n");
    watershed.site.link("current", "release-2");
    watershed.await_greeting("Hello from v2!\n");
}

fn what_does_not_matter_makes_no_generation(watch: &str) {
    let watershed = serve(watch, "v1");
    let generation = watershed.generation();
    let unchanged = || watershed.metric("watershed_reloads_total", &[("outcome", "unchanged")]);
    for (name, contents) in [(FILE, one_version("v1") + "# a comment\n"), (FILE, one_version("v1"))]
    {
        let before = unchanged();
        watershed.site.write(name, contents);
        eventually(&format!("a look at {name}"), || unchanged() > before + 0.5);
    }
    assert_eq!(watershed.generation(), generation);
    assert_eq!(watershed.stderr().matches("version is normal").count(), 1);
}

fn loads(watershed: &Watershed) -> f64 {
    watershed.metric("watershed_reloads_total", &[])
}

fn what_no_configuration_leads_to_makes_no_reload(watch: &str) {
    let watershed = serve(watch, "v1");
    // A file that was not followed before the start counts as changed.
    let mut before = loads(&watershed);
    eventually("the first look", || {
        let known = std::mem::replace(&mut before, loads(&watershed));
        thread::sleep(Duration::from_secs(1));
        known > loads(&watershed) - 0.5
    });
    let before = loads(&watershed);
    for name in ["log", "watershed.toml~", "services/app.log", "services/.greeter.toml.swp"] {
        watershed.site.write(name, "hello");
        watershed.site.replace(name, "hello again");
    }
    thread::sleep(Duration::from_secs(1));
    assert!(loads(&watershed) < before + 0.5, "{} loads", loads(&watershed) - before);
    watershed.site.replace(FILE, one_version("v2"));
    watershed.await_greeting("Hello from v2!\n");
}

/// Otherwise each of ten edits would wait five seconds for the end of a write that does not end.
fn a_log_that_grows_beside_the_files_holds_no_edit_up(watch: &str) {
    let watershed = serve(watch, "v1");
    let mut logs = ["log", "services/app.log"]
        .map(|name| fs::File::create(watershed.site.path(name)).unwrap());
    let running = AtomicBool::new(true);
    thread::scope(|scope| {
        let _stop = StopOnDrop(&running);
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                logs.iter_mut().for_each(|log| log.write_all(b"GET / 200\n").unwrap());
                thread::sleep(Duration::from_millis(20));
            }
        });
        within(Duration::from_secs(30), "ten edits", || {
            for edit in 0..10 {
                watershed.site.replace(FILE, one_version(&format!("v{edit}")));
                watershed.await_greeting(&format!("Hello from v{edit}!\n"));
            }
            true
        });
    });
}

/// Reading a file is no change. If it were, each reload would cause the next one, because reloads read files.
#[test]
fn reading_files_makes_no_reload() {
    let watershed = serve("events", "v1");
    let loads = || watershed.metric("watershed_reloads_total", &[]);
    let before = loads();
    for _ in 0..20 {
        watershed.site.read(FILE);
        watershed.site.read("watershed.toml");
    }
    watershed.site.replace(FILE, one_version("v2"));
    watershed.await_greeting("Hello from v2!\n");
    assert!(loads() <= before + 2.5, "{} loads for one edit", loads() - before);
}

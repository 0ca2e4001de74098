//! Every way in which files change on real machines is seen, and what does not matter is not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{GREETER, Site, Watershed, eventually, greeter, plugin, split};

const FILE: &str = "services/greeter.toml";

fn one_version(name: &str) -> String {
    greeter(name) + &split(&format!("{name} = 100"))
}

fn serve(name: &str) -> Watershed {
    Site::new().service("greeter", &one_version(name)).start()
}

#[track_caller]
fn await_greeting(watershed: &Watershed, greeting: &str) {
    eventually(greeting, || watershed.get(GREETER, "/").text() == greeting);
}

#[test]
fn a_file_renamed_over_another_is_seen_again_and_again() {
    let watershed = serve("v1");
    for name in ["v2", "v3", "v4"] {
        watershed.site.replace(FILE, one_version(name));
        await_greeting(&watershed, &format!("Hello from {name}!\n"));
    }
}

#[test]
fn the_main_file_is_followed() {
    let watershed = serve("v1");
    let main = watershed.site.read("watershed.toml");
    let environment = "[[environments]]\nname = \"default\"\ndomain = \"example.com\"\n";
    watershed
        .site
        .replace("watershed.toml", main + environment + "services = \"services/*.toml\"\n");
    eventually("the new domain", || watershed.get("greeter.example.com", "/").status == 200);
    assert_eq!(watershed.get(GREETER, "/").status, 404);
}

#[test]
fn services_appear_and_disappear() {
    let watershed = serve("v1");
    assert_eq!(watershed.get("shop.localhost", "/").status, 404);
    watershed.site.write("services/shop.toml", greeter("v7"));
    eventually("the new service", || {
        watershed.get("shop.localhost", "/").text() == "Hello from v7!\n"
    });
    fs::remove_file(watershed.site.path("services/shop.toml")).unwrap();
    eventually("its end", || watershed.get("shop.localhost", "/").status == 404);
    watershed.assert_serves(GREETER, "/");
}

/// A service whose component is a copy of its own, so that a test can change it.
fn serve_copy(component: &str) -> Watershed {
    let site = Site::new();
    site.write(component, fs::read(plugin("lab")).unwrap());
    let path = site.path(component).display().to_string();
    let text = format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n");
    let watershed = site.service("greeter", &text).start();
    assert_eq!(watershed.get(GREETER, "/count").text(), "1\n");
    watershed
}

#[test]
fn a_new_component_file_is_served() {
    let greets = fs::read(plugin("greeter")).unwrap();
    let in_place: fn(&Site, &[u8]) = |site, bytes| site.write("bin/copy.wasm", bytes);
    let renamed: fn(&Site, &[u8]) = |site, bytes| site.replace("bin/copy.wasm", bytes);
    for change in [in_place, renamed] {
        let watershed = serve_copy("bin/copy.wasm");
        let before = watershed.version("greeter", "v1")["digest"].clone();
        change(&watershed.site, &greets);
        await_greeting(&watershed, "Hello!\n");
        assert_ne!(watershed.version("greeter", "v1")["digest"], before);
    }
}

#[test]
fn a_component_that_is_removed_is_served_on_and_comes_back() {
    let watershed = serve_copy("bin/copy.wasm");
    fs::remove_file(watershed.site.path("bin/copy.wasm")).unwrap();
    eventually("not-found", || {
        watershed.version("greeter", "v1")["error"]["code"] == "not-found"
            || watershed.service("greeter")["held"].is_string()
    });
    assert_eq!(watershed.get(GREETER, "/count").text(), "1\n", "what was loaded is kept");
    watershed.site.write("bin/copy.wasm", fs::read(plugin("greeter")).unwrap());
    await_greeting(&watershed, "Hello!\n");
}

/// Builds that name what they made by a link: `bin/current → release-2`.
#[test]
fn a_component_behind_a_link_to_a_directory_is_followed() {
    let site = Site::new();
    site.write("bin/release-1/app.wasm", fs::read(plugin("lab")).unwrap());
    site.write("bin/release-2/app.wasm", fs::read(plugin("greeter")).unwrap());
    swap_link(&site.path("bin/current"), "release-1");
    let path = site.path("bin/current/app.wasm").display().to_string();
    let text = format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n");
    let watershed = site.service("greeter", &text).start();
    assert_eq!(watershed.get(GREETER, "/count").text(), "1\n");
    swap_link(&watershed.site.path("bin/current"), "release-2");
    await_greeting(&watershed, "Hello!\n");
}

/// Points a link at another target, atomically.
fn swap_link(link: &Path, target: &str) {
    let aside = link.parent().unwrap().join("aside");
    symlink(target, &aside).unwrap();
    fs::rename(aside, link).unwrap();
}

/// A ConfigMap: `greeter.toml → ..data/greeter.toml`, `..data → ..2026_1`, and an update swaps
/// `..data` and removes what it pointed at.
#[test]
fn a_kubernetes_volume_is_followed() {
    let site = Site::new();
    site.write("services/..2026_1/greeter.toml", one_version("v1"));
    swap_link(&site.path("services/..data"), "..2026_1");
    symlink("..data/greeter.toml", site.path(FILE)).unwrap();
    let watershed = site.start();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    for update in 2..=4 {
        let (old, new) = (update - 1, update);
        watershed
            .site
            .write(&format!("services/..2026_{new}/greeter.toml"), one_version(&format!("v{new}")));
        swap_link(&watershed.site.path("services/..data"), &format!("..2026_{new}"));
        fs::remove_dir_all(watershed.site.path(&format!("services/..2026_{old}"))).unwrap();
        await_greeting(&watershed, &format!("Hello from v{new}!\n"));
    }
}

#[test]
fn a_directory_that_takes_anothers_place_is_followed() {
    let watershed = serve("v1");
    watershed.site.write("next/greeter.toml", one_version("v2"));
    let path = |name| watershed.site.path(name);
    fs::rename(path("services"), path("previous")).unwrap();
    fs::rename(path("next"), path("services")).unwrap();
    await_greeting(&watershed, "Hello from v2!\n");
    watershed.site.write(FILE, one_version("v3"));
    await_greeting(&watershed, "Hello from v3!\n");
}

#[test]
fn a_directory_that_is_removed_and_made_again_is_followed() {
    let watershed = serve("v1");
    fs::remove_dir_all(watershed.site.path("services")).unwrap();
    eventually("a report", || watershed.status()["last_reload"]["outcome"] == "rejected");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    watershed.site.write(FILE, one_version("v2"));
    await_greeting(&watershed, "Hello from v2!\n");
}

/// A release tool that swaps the link above everything: `site → release-2`.
#[test]
fn a_configuration_behind_a_link_to_a_directory_is_followed() {
    let site = Site::new();
    let main = site.read("watershed.toml");
    for (release, name) in [("release-1", "v1"), ("release-2", "v2")] {
        site.write(&format!("{release}/watershed.toml"), &main);
        site.write(&format!("{release}/services/greeter.toml"), one_version(name));
    }
    swap_link(&site.path("current"), "release-1");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_watershed"));
    command.arg("--config").arg(site.path("current/watershed.toml"));
    let watershed = Watershed::spawn(site, command);
    eventually("v1", || watershed.get(GREETER, "/").text() == "Hello from v1!\n");
    swap_link(&watershed.site.path("current"), "release-2");
    await_greeting(&watershed, "Hello from v2!\n");
}

#[test]
fn what_does_not_matter_makes_no_generation() {
    let watershed = serve("v1");
    let generation = watershed.generation();
    let unchanged = || watershed.metric("watershed_reloads_total", &[("outcome", "unchanged")]);
    for (name, contents) in [
        ("services/notes.txt", "hello".to_owned()),
        ("services/.greeter.toml.swp", "nonsense".to_owned()),
        (FILE, one_version("v1") + "# a comment\n"),
        (FILE, one_version("v1")),
    ] {
        let before = unchanged();
        watershed.site.write(name, contents);
        eventually(&format!("a look at {name}"), || unchanged() > before + 0.5);
    }
    assert_eq!(watershed.generation(), generation);
    assert_eq!(watershed.stderr().matches("version is normal").count(), 1);
}

/// Reading a file is no change; to answer it with a reload, which reads files, would never end.
#[test]
fn reading_files_makes_no_reload() {
    let watershed = serve("v1");
    let loads = || watershed.metric("watershed_reloads_total", &[]);
    let before = loads();
    for _ in 0..20 {
        watershed.site.read(FILE);
        watershed.site.read("watershed.toml");
    }
    watershed.site.replace(FILE, one_version("v2"));
    await_greeting(&watershed, "Hello from v2!\n");
    assert!(loads() <= before + 2.5, "{} loads for one edit", loads() - before);
}

//! The store of components: `deploy` copies what it declares, so that the next build is no outage at the next restart,
//! and copies go when nothing needs them. And what a version is served from whose file is gone or changed.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{
    GREETER, Site, Watershed, done, eventually, greeter, one_version, plugin, split, tell,
};

/// A process that serves a greeter, and a build of another beside it.
fn serve() -> Watershed {
    let watershed = Site::new().service("greeter", &one_version("v1")).start();
    build(&watershed.site, "greeter");
    watershed
}

/// What a build leaves: one of the shipped components, at the path that every build has.
fn build(site: &Site, component: &str) {
    site.write("build/app.wasm", fs::read(plugin(component)).unwrap());
}

fn deploy<'a>(version: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["deploy", "greeter", version, "--component", "build/app.wasm"], more].concat()
}

/// The files of the store, unfinished ones too.
fn copies(site: &Site) -> Vec<String> {
    let files = fs::read_dir(site.path("components/greeter")).into_iter().flatten();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn copy(site: &Site, version: &str) -> PathBuf {
    let names = copies(site);
    let own = names.iter().find(|name| name.starts_with(&format!("{version}-")));
    let own = own.unwrap_or_else(|| panic!("no copy of {version} in {names:?}"));
    site.path("components/greeter").join(own)
}

fn text(site: &Site) -> String {
    site.read("services/greeter.toml")
}

#[test]
fn a_deployed_version_outlives_the_next_build() {
    let watershed = serve();
    done(&watershed, &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all"]));
    let file = text(&watershed.site);
    assert!(file.contains("component = \"../components/greeter/r1-"), "{file}");
    build(&watershed.site, "lab");
    let watershed = watershed.restart();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
    assert!(watershed.version("greeter", "r1").get("substitute").is_none());
    // The same content under the same name is copied once, in whatever environment.
    let before = fs::metadata(copy(&watershed.site, "r1")).unwrap().modified().unwrap();
    let there = copy(&watershed.site, "r1").display().to_string();
    done(&watershed, &["deploy", "greeter", "r2", "--component", &there]);
    assert_eq!(copies(&watershed.site).len(), 1, "it lies in the store already");
    done(&watershed, &["delete", "greeter", "r2"]);
    let after = fs::metadata(copy(&watershed.site, "r1")).unwrap().modified().unwrap();
    assert_eq!(before, after);
}

/// A text without its line ends.
fn unfolded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first sentence: a rebuild becomes an outage at the next restart.
#[test]
fn a_rebuild_of_a_component_in_place_is_no_outage() {
    let watershed = serve();
    let in_place = ["--env", "VERSION=r1", "--traffic", "all", "--in-place"];
    done(&watershed, &deploy("r1", &in_place));
    assert!(text(&watershed.site).contains("component = \"../build/app.wasm\""));
    assert!(copies(&watershed.site).is_empty());
    build(&watershed.site, "lab");
    let substitute =
        |watershed: &Watershed| watershed.version("greeter", "r1")["substitute"].clone();
    eventually("the status tells of the new build", || substitute(&watershed).is_object());
    let found = substitute(&watershed);
    assert_eq!((&found["code"], &found["from"]), (&"digest-mismatch".into(), &"cache".into()));
    assert_eq!(found["outlives_process"], true);
    assert_eq!(watershed.version("greeter", "r1")["status"], "normal");
    assert!(watershed.service("greeter").get("after_restart").is_none());
    let said = unfolded(&done(&watershed, &["status", "greeter"]));
    assert!(said.contains("file[digest-mismatch]: version r1:"), "{said}");
    assert!(said.contains("after a restart too, from the compile cache"), "{said}");
    for arguments in [&["check"][..], &["check", "--no-compile"]] {
        let checked = watershed.site.run(arguments);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let warning = "a start serves the declared component from the compile cache";
        assert!(checked.stdout.contains(warning), "{checked:?}");
    }
    let plan = tell(&watershed, &["plan"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(
        plan.stdout.contains("nothing to do") && plan.stdout.contains("warning: r1"),
        "{plan:?}"
    );
    // It is served after the restart indeed, and the log says so.
    let watershed = watershed.restart();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
    assert!(watershed.stderr().contains("is not made from its file"), "{}", watershed.stderr());
    // The file that was meant comes back, and the note goes.
    build(&watershed.site, "greeter");
    eventually("nothing is to be told", || substitute(&watershed).is_null());
    fs::remove_file(watershed.site.path("build/app.wasm")).unwrap();
    eventually("the file is gone", || substitute(&watershed)["code"] == "not-found");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
}

/// Without the cache too, as long as any copy in the store has the digest.
#[test]
fn the_store_serves_what_the_cache_does_not_have() {
    let watershed = serve();
    done(&watershed, &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all", "--in-place"]));
    // A copy that another version has.
    done(&watershed, &deploy("r2", &[]));
    build(&watershed.site, "lab");
    let mut watershed = watershed;
    watershed.kill();
    let site = std::mem::replace(&mut watershed.site, Site::new());
    fs::remove_dir_all(site.path("state/compiled")).unwrap();
    // Offline commands agree.
    let checked = site.run(&["check", "--no-compile"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("from the store"), "{checked:?}");
    let watershed = site.start();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
    assert_eq!(watershed.version("greeter", "r1")["substitute"]["from"], "store");
}

/// What is served stays served, and the status says what a restart would make of it.
#[test]
fn what_only_memory_has_is_told_before_the_restart() {
    let watershed = serve();
    done(&watershed, &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all", "--in-place"]));
    build(&watershed.site, "lab");
    eventually("the cache has it", || {
        watershed.version("greeter", "r1")["substitute"]["from"] == "cache"
    });
    fs::remove_dir_all(watershed.site.path("state/compiled")).unwrap();
    // `v1` of the same component is normal, and its file is there.
    let service = watershed.service("greeter");
    assert_eq!(service["after_restart"], serde_json::json!([]), "{service}");
    let said = unfolded(&done(&watershed, &["status", "greeter"]));
    assert!(said.contains("cannot be made after a restart"), "{said}");
    assert!(
        said.contains("if the process is started anew: nothing of greeter is served"),
        "{said}"
    );
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
    let checked = watershed.site.run(&["check", "--no-compile"]);
    assert!(checked.stdout.contains("requests get 503 `no-version`"), "{checked:?}");
    let watershed = watershed.restart();
    assert_eq!(watershed.get(GREETER, "/").status, 503);
}

/// Where the component is may change after the version was made.
#[test]
fn the_status_says_where_the_component_is_now() {
    let watershed = serve();
    done(&watershed, &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all", "--in-place"]));
    done(&watershed, &deploy("r2", &[]));
    build(&watershed.site, "lab");
    let from = || watershed.version("greeter", "r1")["substitute"]["from"].clone();
    eventually("the store has it", || from() == "store");
    fs::remove_file(copy(&watershed.site, "r2")).unwrap();
    assert_eq!(from(), "cache");
    assert!(watershed.service("greeter").get("after_restart").is_none());
    fs::remove_dir_all(watershed.site.path("state/compiled")).unwrap();
    assert_eq!(from(), "memory");
    assert_eq!(watershed.service("greeter")["after_restart"], serde_json::json!([]));
    // A reload changes nothing: the process has it. A process that starts has not.
    let plan = tell(&watershed, &["plan"]);
    assert!(plan.stdout.contains("serves the declared component from its memory"), "{plan:?}");
    assert!(!plan.stdout.contains("would be held"), "{plan:?}");
}

/// A version that was kept although it failed is not compiled by every reload.
#[test]
fn a_plan_compiles_nothing_that_was_tried_already() {
    let watershed = serve();
    watershed.site.write("build/app.wasm", b"no component");
    let failed = tell(&watershed, &deploy("r1", &["--keep-failed"]));
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let status = unfolded(&done(&watershed, &["status", "greeter"]));
    assert!(status.contains("declared at "), "{status}");
    let plan = tell(&watershed, &["plan"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.stdout.contains("in error now") && plan.stdout.contains("nothing to do"));
}

#[test]
fn a_held_service_and_a_broken_file_say_what_a_restart_would_serve() {
    let watershed = serve();
    let broken = "\n[[versions]]\nname = \"v2\"\ncomponent = \"missing.wasm\"\n";
    let file = greeter("v1") + broken + &split("v1 = 10, v2 = 90");
    watershed.site.write("services/greeter.toml", &file);
    eventually("the edit is held", || watershed.service("greeter").get("held").is_some());
    assert_eq!(watershed.service("greeter")["after_restart"], serde_json::json!([]));
    watershed.site.write("services/greeter.toml", "[traffic]\nsplit = { v1 = 99 }\n");
    eventually("the file is rejected", || watershed.service("greeter").get("rejected").is_some());
    assert_eq!(watershed.service("greeter")["after_restart"], serde_json::json!([]));
    watershed.site.write("services/greeter.toml", one_version("v1"));
    eventually("all is as it was", || watershed.service("greeter").get("after_restart").is_none());
}

/// Reported of helm: a failed first release blocks every later one under its name.
#[test]
fn a_failed_deploy_leaves_nothing_and_the_history_tells_why() {
    let watershed = serve();
    let before = text(&watershed.site);
    watershed.site.write("build/app.wasm", "not a component");
    let failed = tell(&watershed, &deploy("r1", &["--traffic", "all", "--remark", "try"]));
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for words in ["in error (not-a-component)", "taken out of the file again", "--keep-failed"] {
        assert!(failed.stderr.contains(words), "{words}: {failed:?}");
    }
    assert_eq!(text(&watershed.site), before);
    assert!(copies(&watershed.site).is_empty(), "{:?}", copies(&watershed.site));
    let history = done(&watershed, &["history", "greeter"]);
    assert!(history.contains("r1 failed (not-a-component): it is not a WebAssembly"), "{history}");
    for (arguments, code) in [(&["check"][..], 0), (&["plan"], 0)] {
        let finished = tell_files(&watershed, arguments);
        assert_eq!(finished, Some(code), "{arguments:?}");
    }
    // The same name, with a component that works.
    build(&watershed.site, "greeter");
    done(&watershed, &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all"]));
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
    // A replacement that fails leaves what was there, and no copy of its own.
    let (before, kept) = (text(&watershed.site), copies(&watershed.site));
    watershed.site.write("build/app.wasm", "worse");
    let failed = tell(&watershed, &deploy("r1", &["--replace"]));
    assert!(failed.stderr.contains("r1 is again what it was"), "{failed:?}");
    assert_eq!((text(&watershed.site), copies(&watershed.site)), (before, kept));
    // Somebody may want to look at it.
    let failed = tell(&watershed, &deploy("r2", &["--keep-failed"]));
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert_eq!(watershed.version("greeter", "r2")["status"], "error");
    copy(&watershed.site, "r2");
    let said = done(&watershed, &["delete", "greeter", "r2"]);
    assert!(said.contains("deleted ") && said.contains("components/greeter/r2-"), "{said}");
    assert_eq!(copies(&watershed.site).len(), 1, "nothing ever went to r2");
}

fn tell_files(watershed: &Watershed, arguments: &[&str]) -> Option<i32> {
    match arguments {
        ["plan"] => tell(watershed, arguments).code,
        _ => watershed.site.run(arguments).code,
    }
}

#[test]
fn a_new_service_that_fails_leaves_no_copy_and_no_file() {
    let watershed = serve();
    watershed.site.write("build/app.wasm", "not a component");
    let create = ["deploy", "shop", "v1", "--component", "build/app.wasm", "--new-service"];
    let failed = tell(&watershed, &create);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(!watershed.site.path("services/shop.toml").exists());
    let left = fs::read_dir(watershed.site.path("components/shop")).unwrap().count();
    assert_eq!(left, 0);
    // Nor does one whose file would be wrong.
    build(&watershed.site, "greeter");
    let taken = [&create[..], &["--domain", "greeter.localhost"]].concat();
    let failed = tell(&watershed, &taken);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert_eq!(fs::read_dir(watershed.site.path("components/shop")).unwrap().count(), 0);
}

/// A copy stays as long as a rollback may need it, and comes back with its version.
#[test]
fn a_deleted_version_that_served_comes_back_from_its_copy() {
    let watershed = serve();
    done(&watershed, &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all"]));
    build(&watershed.site, "lab");
    done(&watershed, &["promote", "greeter", "v1"]);
    let said = done(&watershed, &["delete", "greeter", "r1", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["copies"][0]["deleted"], false, "{said}");
    let why = said["copies"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("generation ") && why.contains("a rollback may go back"), "{why}");
    done(&watershed, &["rollback", "greeter"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
    // A version that nobody was served by takes its copy along.
    done(&watershed, &deploy("r2", &[]));
    assert_eq!(copies(&watershed.site).len(), 2);
    done(&watershed, &["delete", "greeter", "--keep", "1"]);
    assert_eq!(copies(&watershed.site).len(), 1);
}

#[test]
fn a_replaced_version_comes_back_from_the_copy_that_it_had() {
    let watershed = serve();
    done(
        &watershed,
        &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all", "--remark", "one"]),
    );
    build(&watershed.site, "lab");
    done(&watershed, &deploy("r1", &["--replace"]));
    let file = text(&watershed.site);
    assert!(file.contains("remark = \"one\"") && file.contains("VERSION = \"r1\""), "{file}");
    assert_eq!(copies(&watershed.site).len(), 2, "the old one served");
    done(&watershed, &["rollback", "greeter"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
}

/// Reported of a registry: bytes that were never compared with the digest in their name are served for ever.
#[test]
fn a_file_with_another_content_in_the_place_of_a_copy_is_told() {
    let watershed = serve();
    done(&watershed, &deploy("r1", &[]));
    let place = copy(&watershed.site, "r1");
    done(&watershed, &["delete", "greeter", "r1"]);
    fs::write(&place, "something else").unwrap();
    let refused = tell(&watershed, &deploy("r1", &[]));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not the component that its name says"), "{refused:?}");
    assert_eq!(fs::read_to_string(&place).unwrap(), "something else");
    assert!(!text(&watershed.site).contains("r1"));
}

/// Two environments have a service of one name, and so one directory of copies.
#[test]
fn a_copy_that_another_environment_names_stays() {
    let environments = "[[environments]]\nname = \"one\"\ndomain = \"one.localhost\"\nservices = \"one/*.toml\"\n\
                        [[environments]]\nname = \"two\"\ndomain = \"two.localhost\"\nservices = \"two/*.toml\"\n";
    let site = Site::new().tables(environments);
    site.write("one/greeter.toml", one_version("v1"));
    site.write("two/greeter.toml", one_version("v1"));
    let watershed = site.start();
    build(&watershed.site, "greeter");
    for environment in ["one", "two"] {
        done(&watershed, &deploy("r1", &["--environment", environment]));
    }
    assert_eq!(copies(&watershed.site).len(), 1);
    // Of two services with one name it is said which one is meant.
    let checked = watershed.site.run(&["check"]).stdout;
    assert!(checked.contains("one/greeter r1: normal\n"), "{checked}");
    assert!(checked.contains("two/greeter r1: normal\n"), "{checked}");
    watershed.log_line(&["version is normal", "environment=two", "service=greeter"]);
    watershed.log_line(&["published", "two/greeter"]);
    let said = done(&watershed, &["delete", "greeter", "r1", "--environment", "one"]);
    assert!(said.contains("stays: r1 of two/greeter names it"), "{said}");
    let said = done(&watershed, &["delete", "greeter", "r1", "--environment", "two"]);
    assert!(said.contains("deleted "), "{said}");
    assert!(copies(&watershed.site).is_empty());
}

/// A glob that leads to everything below the main file's directory finds no service in the store.
#[test]
fn the_store_is_no_place_of_services() {
    let environments = "[components]\ndirectory = \"services\"\n[[environments]]\nname = \"one\"\n\
                        domain = \"localhost\"\nservices = \"services/*/*\"\n";
    let site = Site::new().tables(environments);
    site.write("services/greeter/greeter.toml", one_version("v1"));
    let watershed = site.start();
    build(&watershed.site, "greeter");
    done(&watershed, &deploy("r1", &["--env", "VERSION=r1", "--traffic", "all"]));
    assert!(watershed.site.read("services/greeter/greeter.toml").contains("component = \"r1-"));
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from r1!\n");
    assert_eq!(watershed.site.run(&["check", "--no-compile"]).code, Some(0));
    assert!(watershed.status().get("rejected").is_none());
}

#[test]
fn commands_that_are_refused_copy_nothing() {
    let watershed = serve();
    for (arguments, why) in [
        (deploy("v1", &[]), "a version v1 already"),
        (deploy("v9", &["--replace"]), "no version v9"),
        (deploy("r1", &["--traffic", "10", "--environment", "none"]), "no environment"),
    ] {
        let refused = tell(&watershed, &arguments);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert!(!watershed.site.path("components").exists());
    }
    // A store that cannot be written to says so, and nothing is edited.
    watershed.site.write("components", "a file");
    let before = text(&watershed.site);
    let refused = tell(&watershed, &deploy("r1", &[]));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for words in ["components", "[components] directory"] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(text(&watershed.site), before);
    done(&watershed, &deploy("r1", &["--in-place"]));
}

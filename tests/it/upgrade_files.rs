//! The upgrade commands where no process runs: they edit the files, and a later process serves what the files say.

use std::net::TcpListener;

use serde_json::Value;
use watershed::config::Digest;

use crate::support::{Finished, GREETER, Site, agreed, greeter, lab, one_version, plugin, split};

/// A site whose admin port is known and free, so that the commands look for a process there.
fn site() -> Site {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Site::new().admin(&format!("listen = \"127.0.0.1:{port}\""))
}

#[track_caller]
fn done(site: &Site, arguments: &[&str]) -> String {
    let finished = site.run(&agreed(arguments));
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished.stdout
}

#[test]
fn the_files_are_enough() {
    let site = site().service("greeter", &one_version("v1"));
    let component = plugin("greeter").display().to_string();
    let deploy = ["deploy", "greeter", "v2", "--component", &component, "--env", "VERSION=v2"];
    let said = done(&site, &[&deploy[..], &["--traffic", "25"]].concat());
    assert!(said.contains("v2 of greeter is declared") && said.contains("100 % → 75 %"), "{said}");
    assert!(said.contains("no process answers at 127.0.0.1:"), "{said}");
    done(&site, &["promote", "greeter", "v2"]);
    let refused = site.run(&["rollback", "greeter"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(done(&site, &["history", "greeter"]).contains("nothing was published"));
    let watershed = site.start();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    // The process is found at the files' address.
    let said = done(&watershed.site, &["traffic", "greeter", "v1=100"]);
    assert!(said.contains(" is served at http://127.0.0.1:"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
}

/// A service under `latest = true` whose last version cannot serve: quarantined, missing, or no component at all, which
/// only a trial shows.
fn bad_latest() -> [Site; 3] {
    let bytes = std::fs::read(plugin("lab")).unwrap();
    let digest = Digest::of(&bytes);
    let entry = format!("\n[[quarantine]]\ndigest = \"{digest}\"\nversion = \"v2\"\n");
    let broken = |path: &str| format!("\n[[versions]]\nname = \"v2\"\ncomponent = \"{path}\"\n");
    let texts = [lab("v2") + &entry, broken("missing.wasm"), broken("text.wasm")];
    texts.map(|text| {
        let site = site().service("greeter", &(greeter("v1") + &text));
        site.write("services/text.wasm", "not a component");
        site
    })
}

/// The written shares of the others are those that would be served, not the declared ones that could not.
#[test]
fn a_deployment_leaves_the_traffic_to_what_would_serve() {
    for site in bad_latest() {
        let component = plugin("greeter").display().to_string();
        let deploy = ["deploy", "greeter", "v3", "--component", &component, "--env", "VERSION=v3"];
        let said = done(&site, &deploy);
        let file = site.read("services/greeter.toml");
        assert!(file.contains("v1 = 100, v2 = 0, v3 = 0"), "{said}\n{file}");
        assert!(said.contains("v1    100 %\n"), "{said}");
        let watershed = site.start();
        assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    }
    for site in bad_latest() {
        let component = plugin("greeter").display().to_string();
        let deploy = ["deploy", "greeter", "v3", "--component", &component, "--traffic", "10"];
        done(&site, &deploy);
        let file = site.read("services/greeter.toml");
        assert!(file.contains("v1 = 90, v2 = 0, v3 = 10"), "{file}");
    }
}

#[test]
fn the_version_that_would_serve_is_not_deleted() {
    for site in bad_latest() {
        let refused = site.run(&["delete", "greeter", "v1"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("v1 of greeter has 100 % of the traffic"), "{refused:?}");
        done(&site, &["delete", "greeter", "v2"]);
        let watershed = site.start();
        assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    }
}

#[test]
fn nothing_gets_traffic_that_could_not_serve_it() {
    for (site, why) in bad_latest().iter().zip(["quarantined", "not-found", "not-a-component"]) {
        let before = site.read("services/greeter.toml");
        for command in
            [&["promote", "greeter", "v2"][..], &["traffic", "greeter", "v1=90", "v2=10"]]
        {
            let refused = site.run(command);
            assert_eq!(refused.code, Some(1), "{command:?}: {refused:?}");
            assert!(refused.stderr.contains(why), "{command:?}: {refused:?}");
        }
        assert_eq!(site.read("services/greeter.toml"), before);
    }
    // A split that waits for the version is not overwritten by what no process serves.
    let broken = "\n[[versions]]\nname = \"v2\"\ncomponent = \"missing.wasm\"\n";
    let site = site().service("greeter", &(greeter("v1") + broken + &split("v1 = 90, v2 = 10")));
    let component = plugin("greeter").display().to_string();
    let refused =
        site.run(&["deploy", "greeter", "v3", "--component", &component, "--traffic", "10"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("v2 of greeter is in error (not-found)"), "{refused:?}");
}

/// `explain`, `plan` and `check` say what a start does.
#[test]
fn what_would_not_be_served_is_told() {
    for (number, site) in bad_latest().iter().enumerate() {
        let is_known = number < 2;
        let said = done(site, &["explain", "greeter", "--offline"]);
        assert_eq!(said.contains("v1 (latest)"), is_known, "{said}");
        let plan = site.run(&["plan", "--from", &Site::new().main_file().display().to_string()]);
        let is_split = |line: &str| line.split_whitespace().eq(["split", "v1", "100", "%"]);
        assert_eq!(plan.stdout.lines().any(is_split), is_known, "{plan:?}");
        let checked = site.run(&["check", "--no-compile", "--json"]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
        // One of the components could call others, and may not.
        let warnings = findings["warnings"].as_array().unwrap().iter();
        let is_other = |it: &&Value| !it["message"].as_str().unwrap().contains("may reach nothing");
        assert_eq!(warnings.filter(is_other).count(), usize::from(is_known));
        let checked = site.run(&["check"]);
        assert_eq!(checked.code, Some(i32::from(number > 0)), "{checked:?}");
        for part in
            ["warning: v2 of greeter cannot be the latest, since it is", "a start serves v1 100 %"]
        {
            assert!(checked.stdout.contains(part), "{part}: {checked:?}");
        }
    }
    let bad = greeter("v1") + "\n[[versions]]\nname = \"v2\"\ncomponent = \"missing.wasm\"\n";
    let rule = "[[traffic.rules]]\nname = \"beta\"\nversion = \"v2\"\n";
    let site = site().service("greeter", &(bad + &split("v1 = 90, v2 = 10") + rule));
    let checked = site.run(&["check", "--no-compile"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for part in [
        "warning: v2 of greeter has 10 % of the split, and is in error (not-found: ",
        "a start serves nothing of greeter, and requests get 503 `no-version`",
        "warning: rule `beta` of greeter leads to v2, which is in error (not-found: ",
    ] {
        assert!(checked.stdout.contains(part), "{part}: {checked:?}");
    }
}

#[test]
fn the_history_outlives_the_process() {
    let site = site().service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 100")));
    let watershed = site.start();
    done(&watershed.site, &["promote", "greeter", "v2"]);
    let Finished { stdout: alive, .. } = watershed.site.run(&["history", "greeter", "--json"]);
    watershed.signal(nix::sys::signal::Signal::SIGKILL);
    let mut watershed = watershed;
    watershed.wait(crate::support::DEADLINE);
    let dead = done(&watershed.site, &["history", "greeter", "--json"]);
    assert_eq!(dead, alive);
    let said = done(&watershed.site, &["rollback", "greeter"]);
    assert!(said.contains("is back at what generation"), "{said}");
}

#[test]
fn a_process_that_serves_other_files_is_not_asked() {
    let served = site().service("greeter", &one_version("v1")).start();
    let admin = served.admin_address();
    let other = Site::new()
        .admin(&format!("listen = \"{admin}\""))
        .service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 100")));
    let finished = other.run(&["promote", "greeter", "v2", "--yes"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("serves") && finished.stderr.contains("--config"),
        "{finished:?}"
    );
}

#[test]
fn a_wrong_file_is_told_and_not_edited() {
    let site = site().service("greeter", &(greeter("v1") + &split("v1 = 99")));
    let before = site.read("services/greeter.toml");
    let finished = site.run(&["promote", "greeter", "v1", "--yes"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("the shares add up to 99"), "{finished:?}");
    assert_eq!(site.read("services/greeter.toml"), before);
}

/// As Kubernetes mounts files: what is written there is gone at the next update.
#[test]
fn a_config_map_is_not_edited() {
    let site = site();
    std::fs::remove_dir(site.path("services")).unwrap();
    site.write("..2026_01_01/greeter.toml", greeter("v1") + &greeter("v2") + &split("v1 = 100"));
    site.link("..data", "..2026_01_01");
    std::fs::create_dir(site.path("services")).unwrap();
    site.link("services/greeter.toml", "../..data/greeter.toml");
    let finished = site.run(&["promote", "greeter", "v2", "--yes"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("ConfigMap"), "{finished:?}");
    assert!(site.read("services/greeter.toml").contains("v1 = 100"));
}

#[test]
fn an_answer_for_scripts() {
    let site = site().service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 100")));
    let said = done(&site, &["traffic", "greeter", "v1=90", "v2=10", "--json"]);
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document["ok"], true);
    assert_eq!(document["service"], "greeter");
    assert_eq!(document["generation"], Value::Null);
    assert_eq!(document["shares"][1]["version"], "v2");
    assert_eq!(document["shares"][1]["after"], 10.0);
}

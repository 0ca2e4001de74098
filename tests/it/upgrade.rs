//! An upgrade from the command line, with a process that serves: deploy, traffic, promote, rollback,
//! delete. What the commands do where no process runs is in `upgrade_files`.

use serde_json::Value;

use crate::support::{
    GREETER, Site, Watershed, done, eventually, greeter, one_version, plugin, refused, split, tell,
    while_requested,
};

fn component(name: &str) -> String {
    plugin(name).display().to_string()
}

/// Deploys a greeter.
fn deploy<'a>(version: &'a str, component: &'a str, env: &'a str) -> Vec<&'a str> {
    vec!["deploy", "greeter", version, "--component", component, "--env", env]
}

fn share(watershed: &Watershed, version: &str) -> f64 {
    watershed.version("greeter", version)["share"].as_f64().unwrap()
}

fn serve(text: &str) -> Watershed {
    Site::new().server("expose = \"decision\"").service("greeter", text).start()
}

/// Deploy without traffic, 10 %, 50 %, all, and back, with requests running, none of which fails.
#[test]
fn the_whole_story_loses_no_request() {
    let file = format!("# Kept by hand.\n{}# Who gets what.\n{}", greeter("v1"), split("v1 = 100"));
    let watershed = serve(&file);
    let greeter = component("greeter");
    let right = |response: &crate::support::Response| response.text().starts_with("Hello from v");
    while_requested(&watershed, right, || {
        let said = done(&watershed, &deploy("v2", &greeter, "VERSION=v2"));
        assert!(said.starts_with("v2 of greeter is normal\n"), "{said}");
        assert!(share(&watershed, "v1") > 99.9 && share(&watershed, "v2") < 0.1);
        let said = done(&watershed, &["traffic", "greeter", "v1=90", "v2=10"]);
        assert!(said.contains("100 % → 90 %") && said.contains("0 % → 10 %"), "{said}");
        done(&watershed, &["traffic", "greeter", "v1=50", "v2=50"]);
        done(&watershed, &["promote", "greeter", "v2"]);
        assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
        let said = done(&watershed, &["rollback", "greeter"]);
        assert!(said.starts_with("greeter is back at what generation "), "{said}");
        assert!((share(&watershed, "v1") - 50.0).abs() < 0.01);
        done(&watershed, &["rollback", "greeter", "--to", "v1"]);
        assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    });
    let text = watershed.site.read("services/greeter.toml");
    assert!(text.starts_with("# Kept by hand.\n") && text.contains("# Who gets what.\n"), "{text}");
    assert_eq!(watershed.site.run(&["check"]).code, Some(0), "{text}");

    let history = done(&watershed, &["history", "greeter", "--json"]);
    let history: Value = serde_json::from_str(&history).unwrap();
    let commands: Vec<&str> = history["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|record| record["author"]["command"].as_str())
        .collect();
    for command in [
        "watershed deploy greeter v2 --traffic hold",
        "watershed traffic greeter v1=90 v2=10",
        "watershed promote greeter v2",
        "watershed rollback greeter",
        "watershed rollback greeter --to v1",
    ] {
        assert!(commands.contains(&command), "{command} is not in {commands:?}");
    }
}

#[test]
fn a_rollback_is_served_at_once() {
    let watershed = serve(&(greeter("v1") + &greeter("v2") + &split("v1 = 100")));
    done(&watershed, &["promote", "greeter", "v2"]);
    let mut client = watershed.http1();
    assert_eq!(client.get(GREETER, "/").text(), "Hello from v2!\n");
    done(&watershed, &["rollback", "greeter"]);
    // The commands follow each other without a pause.
    assert_eq!(client.get(GREETER, "/").text(), "Hello from v1!\n");
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let watershed = serve(&(greeter("v1") + &greeter("v2") + &split("v1 = 90, v2 = 10")));
    let greeter = component("greeter");
    refused(&watershed, &deploy("v2", &greeter, "A=b"), &["a version v2 already", "--replace"]);
    refused(&watershed, &deploy("v3", "/no/such.wasm", "A=b"), &["there is no file /no/such.wasm"]);
    for elsewhere in ["https://example.org/a.wasm", "ghcr.io/me/app:1", "me/app:latest"] {
        let told = [elsewhere, "a component is a file", "and give its path"];
        refused(&watershed, &deploy("v3", elsewhere, "A=b"), &told);
    }
    refused(&watershed, &deploy("v3", "/", "A=b"), &["/ is a directory", "the component in it"]);
    for (shares, told) in
        [(&["v1=90", "v2=9"][..], "99, not 100: 1 % is missing"), (&["v1=0"], "--offline")]
    {
        let finished = tell(&watershed, &[&["traffic", "greeter"], shares].concat());
        assert_eq!(finished.code, Some(64), "{finished:?}");
        assert!(finished.stderr.contains(told), "{finished:?}");
    }
    refused(&watershed, &["traffic", "greeter", "v1=90", "v3=10"], &["no version v3"]);
    refused(&watershed, &["promote", "greeter", "v22"], &["no version v22", "did you mean `v2`"]);
    refused(&watershed, &["promote", "greter", "v2"], &["did you mean `greeter`"]);
    refused(&watershed, &["delete", "greeter", "v2"], &["10 % of the traffic"]);
    refused(&watershed, &["rollback", "greeter"], &["nothing of greeter before", "--to"]);
    refused(&watershed, &["rollback", "greeter", "--to", "999"], &["generation 999"]);
    refused(&watershed, &["history", "greeter", "--environment", "prod"], &["prod"]);
    for wrong in [
        &["traffic", "greeter", "v1"][..],
        &["traffic", "greeter", "v1=101"],
        &["traffic", "greeter", "v1=100", "--offline"],
        &["traffic", "greeter"],
        &["delete", "greeter"],
        &["deploy", "greeter", "v3"],
    ] {
        assert_eq!(tell(&watershed, wrong).code, Some(64), "{wrong:?}");
    }
}

#[test]
fn a_version_that_cannot_become_normal_gets_nothing() {
    let watershed = serve(&one_version("v1"));
    watershed.site.write("bad.wasm", "not a component");
    let bad = watershed.site.path("bad.wasm").display().to_string();
    let finished = tell(
        &watershed,
        &["deploy", "greeter", "v2", "--component", &bad, "--traffic", "all", "--keep-failed"],
    );
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for words in ["not-a-component", "help: build for", "the traffic is as it was"] {
        assert!(finished.stderr.contains(words), "{finished:?}");
    }
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    refused(&watershed, &["promote", "greeter", "v2"], &["in error (not-a-component)"]);
    done(&watershed, &["delete", "greeter", "v2"]);
    assert!(!watershed.site.read("services/greeter.toml").contains("v2"));
}

#[test]
fn a_full_upgrade_moves_everything_at_once() {
    let watershed = serve(&one_version("v1"));
    let greeter = component("greeter");
    let mut arguments = deploy("v2", &greeter, "VERSION=v2");
    arguments.extend(["--traffic", "all", "--remark", "a full upgrade"]);
    let said = done(&watershed, &arguments);
    assert!(said.contains("100 % → 0 %"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    let mut arguments = deploy("v3", &greeter, "VERSION=v3");
    arguments.extend(["--traffic", "12.5"]);
    done(&watershed, &arguments);
    assert!((share(&watershed, "v2") - 87.5).abs() < 0.001);
    assert!((share(&watershed, "v3") - 12.5).abs() < 0.001);
}

/// Under `latest = true`, a version that waits must not get all traffic by itself.
#[test]
fn a_version_on_hold_waits_also_where_the_latest_one_serves() {
    let watershed = serve(&(greeter("v1") + "[traffic]\nlatest = true\n"));
    let greeter = component("greeter");
    done(&watershed, &deploy("v2", &greeter, "VERSION=v2"));
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    let text = watershed.site.read("services/greeter.toml");
    assert!(!text.contains("latest"), "{text}");
}

#[test]
fn a_version_is_replaced_or_put_back() {
    let watershed = serve(&one_version("v1"));
    let greeter = component("greeter");
    let mut replace = deploy("v1", &greeter, "VERSION=again");
    replace.push("--replace");
    done(&watershed, &replace);
    watershed.await_greeting("Hello from again!\n");
    let before = watershed.site.read("services/greeter.toml");
    watershed.site.write("bad.wasm", "not a component");
    let bad = watershed.site.path("bad.wasm").display().to_string();
    let finished = tell(&watershed, &["deploy", "greeter", "v1", "--component", &bad, "--replace"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("v1 is again what it was"), "{finished:?}");
    assert_eq!(watershed.site.read("services/greeter.toml"), before);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from again!\n");
    eventually("v1 is normal", || watershed.version("greeter", "v1")["status"] == "normal");
}

#[test]
fn a_new_service_serves_its_first_version() {
    let watershed = serve(&one_version("v1"));
    let greeter = component("greeter");
    let create = [
        "deploy",
        "shop",
        "v1",
        "--component",
        &greeter,
        "--env",
        "VERSION=shop",
        "--new-service",
        "--domain",
        "shop.example.com",
    ];
    done(&watershed, &create);
    for host in ["shop.localhost", "shop.example.com"] {
        assert_eq!(watershed.get(host, "/").text(), "Hello from shop!\n", "{host}");
    }
    let again = tell(&watershed, &create);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("there is a service shop"), "{again:?}");
    let taken = tell(
        &watershed,
        &[
            "deploy",
            "other",
            "v1",
            "--component",
            &greeter,
            "--new-service",
            "--domain",
            "shop.example.com",
        ],
    );
    assert_eq!(taken.code, Some(1), "{taken:?}");
    assert!(!watershed.site.path("services/other.toml").exists());
    watershed.site.write("bad.wasm", "not a component");
    let bad = watershed.site.path("bad.wasm").display().to_string();
    let wrong = tell(&watershed, &["deploy", "other", "v1", "--component", &bad, "--new-service"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.stderr.contains("not-a-component"), "{wrong:?}");
    assert!(wrong.stderr.contains("nothing was changed"), "{wrong:?}");
    assert!(!watershed.site.path("services/other.toml").exists());
    assert_eq!(watershed.get("other.localhost", "/").status, 404);
}

/// Known by the digest of its component, under whatever name it comes again.
#[test]
fn what_was_rolled_back_from_as_bad_stays_away() {
    let watershed = serve(&one_version("v1"));
    let lab = component("lab");
    done(&watershed, &["deploy", "greeter", "v2", "--component", &lab, "--traffic", "all"]);
    let said = done(&watershed, &["rollback", "greeter", "--bad"]);
    assert!(said.contains("v2 is quarantined"), "{said}");
    refused(&watershed, &["promote", "greeter", "v2"], &["quarantined", "--force"]);
    let copy = watershed.site.path("renamed.wasm");
    std::fs::copy(plugin("lab"), &copy).unwrap();
    let copy = copy.display().to_string();
    let renamed = ["deploy", "greeter", "v3", "--component", &copy, "--traffic", "50"];
    refused(&watershed, &renamed, &["v3 of greeter is quarantined"]);
    // Nor by hand.
    let text = watershed.site.read("services/greeter.toml");
    watershed
        .site
        .write("services/greeter.toml", text.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100"));
    eventually("the edit is held", || {
        watershed.service("greeter")["held"].as_str().is_some_and(|why| why.contains("quarantined"))
    });
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    watershed.site.write("services/greeter.toml", text);
    eventually("nothing is held", || watershed.service("greeter").get("held").is_none());
    done(&watershed, &["promote", "greeter", "v2", "--force"]);
    assert!(!watershed.site.read("services/greeter.toml").contains("quarantine"));
    assert!(share(&watershed, "v2") > 99.9);
}

/// Two versions of one component differ in their environment: the one that goes on serving is not bad.
#[test]
fn a_component_that_goes_on_serving_is_not_what_is_bad() {
    let watershed = serve(&(greeter("v1") + &greeter("v2") + &split("v1 = 100")));
    done(&watershed, &["promote", "greeter", "v2"]);
    done(&watershed, &["rollback", "greeter", "--bad"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    refused(&watershed, &["promote", "greeter", "v2"], &["v2 of greeter is quarantined"]);
    let greeter = component("greeter");
    let mut renamed = deploy("v3", &greeter, "VERSION=v2");
    renamed.extend(["--traffic", "all"]);
    refused(&watershed, &renamed, &["v3 of greeter is quarantined"]);
    done(&watershed, &["traffic", "greeter", "v1=100", "--remark", "as it is"]);
}

#[test]
fn old_versions_are_deleted_and_those_with_traffic_are_kept() {
    let text: String = (1..=5).map(|number| greeter(&format!("v{number}"))).collect();
    let watershed = serve(&(text + &split("v1 = 90, v5 = 10")));
    let said = done(&watershed, &["delete", "greeter", "--keep", "3"]);
    assert!(said.starts_with("deleted from greeter: v2, v3\n"), "{said}");
    let said = done(&watershed, &["delete", "greeter", "--keep", "3"]);
    assert!(said.starts_with("nothing to delete\n"), "{said}");
    done(&watershed, &["delete", "greeter", "v4"]);
    let text = watershed.site.read("services/greeter.toml");
    assert_eq!(text.matches("[[versions]]").count(), 2, "{text}");
    let only = serve(&one_version("v1"));
    refused(&only, &["delete", "greeter", "v1"], &["the only version"]);
}

#[test]
fn a_service_goes_offline_and_comes_back() {
    let watershed = serve(&one_version("v1"));
    done(&watershed, &["traffic", "greeter", "--offline"]);
    assert_eq!(watershed.get(GREETER, "/").status, 503);
    done(&watershed, &["promote", "greeter", "v1"]);
    assert_eq!(watershed.get(GREETER, "/").status, 200);
}

/// What another editor wrote in between is never overwritten.
#[test]
fn commands_at_once_all_count() {
    let watershed = serve(&one_version("v1"));
    let greeter = component("greeter");
    let names: Vec<String> = (2..=6).map(|number| format!("v{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let (watershed, greeter) = (&watershed, &greeter);
            scope.spawn(move || {
                let deploy = ["deploy", "greeter", name, "--component", greeter];
                // A command that looked at the file before another one wrote it is refused; its user gives it again.
                eventually(name, || tell(watershed, &deploy).code == Some(0));
            });
        }
    });
    let text = watershed.site.read("services/greeter.toml");
    for name in &names {
        assert_eq!(text.matches(&format!("name = \"{name}\"")).count(), 1, "{text}");
        assert_eq!(watershed.version("greeter", name)["status"], "normal");
    }
}

#[test]
fn what_is_told_in_confidence_is_not_in_the_history() {
    let watershed = serve(&one_version("v1"));
    let greeter = component("greeter");
    done(&watershed, &deploy("v2", &greeter, "TOKEN=5ecret"));
    for command in [&["history", "greeter"][..], &["history", "greeter", "--json"], &["status"]] {
        assert!(!done(&watershed, command).contains("5ecret"), "{command:?}");
    }
    assert!(!watershed.stderr().contains("5ecret"));
}

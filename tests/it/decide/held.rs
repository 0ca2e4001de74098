//! Which version a request gets while what the files declare cannot be served: versions are being made,
//! missing or closed, or the main file is wrong.

use std::collections::BTreeSet;

use super::{FILE, OVERRIDE, ask, assert_decides, decision, edit, serve_text};
use crate::compiling::{COMPILED, large};
use crate::support::{
    GREETER, Site, Watershed, assert_problem, eventually, greeter, plugin, split, within,
};

const MISSING: &str = "\n[[versions]]\nname = \"v3\"\ncomponent = \"missing.wasm\"\n";

/// A service that gives half to each of two versions, however that is decided.
fn halves(pick: &str) -> String {
    greeter("v1")
        + &greeter("v2")
        + &split("v1 = 50, v2 = 50")
        + pick
        + r#"
[[traffic.rules]]
name = "half"
match = { path = "/half" }
split = { v1 = 50, v2 = 50 }

[[traffic.rules]]
name = "all"
match = { path = "/all" }
version = "v2"

[traffic.sticky]
key = "header:x-user"
mode = "pin"

[traffic.override]
header = true
"#
}

/// The same, which waits for a version that is not there, and closes one.
fn held(reach: &str) -> String {
    let second = greeter("v2") + reach;
    greeter("v1")
        + &second
        + MISSING
        + &split("v1 = 50, v3 = 50")
        + "[traffic.override]\nheader = true\n"
}

/// Every request of many kinds, and the versions that they get.
fn versions_of_all(watershed: &Watershed) -> BTreeSet<String> {
    let mut client = watershed.http1();
    let paths = ["/", "/half", "/all"].into_iter();
    let requests = paths.flat_map(|path| (0..30).map(move |user| (path, user)));
    let versions = requests.flat_map(|(path, user)| {
        let user = format!("x-user: {user}");
        let users = [&[user.as_str()][..], &[]];
        users.map(|headers| decision(&client.ask("GET", GREETER, path, headers, b"")).0)
    });
    versions.collect()
}

/// A version made of a component that compiles for seconds, which greets otherwise.
fn compiling(watershed: &Watershed, version: &str) -> String {
    watershed.site.write("large.wasm", large());
    let small = plugin("greeter").display().to_string();
    let env = format!("VERSION = \"{version}\", GREETING = \"Bonjour\"");
    greeter(version)
        .replace(&small, &watershed.site.path("large.wasm").display().to_string())
        .replace(&format!("VERSION = \"{version}\""), &env)
}

fn is_being_made(watershed: &Watershed) -> bool {
    let service = watershed.service("greeter");
    let versions = service["versions"].as_array();
    versions.unwrap().iter().any(|version| version["status"] == "creating")
}

#[test]
fn a_version_that_is_made_anew_is_had_as_it_was_until_then() {
    let rule = "\n[[traffic.rules]]\nname = \"team\"\nmatch = { header = { x-team = \"core\" } }\nversion = \"v2\"\n";
    let pin = "\n[traffic.sticky]\nkey = \"header:x-user\"\nmode = \"pin\"\nttl = \"1h\"\n";
    let shares = |shares: &str| split(shares) + rule + pin + OVERRIDE;
    let watershed = serve_text(&(greeter("v1") + &greeter("v2") + &shares("v1 = 0, v2 = 100")));
    assert_decides(&watershed, "/", &["x-user: ann"], "v2", "sticky");
    edit(&watershed, &(greeter("v1") + &greeter("v2") + &shares("v1 = 100, v2 = 0")));
    assert_decides(&watershed, "/", &["x-user: ann"], "v2", "sticky");
    let anew = greeter("v1") + &compiling(&watershed, "v2") + &shares("v1 = 100, v2 = 0");
    watershed.site.replace(FILE, anew);
    eventually("it is made", || is_being_made(&watershed));
    assert_decides(&watershed, "/", &["x-team: core"], "v2", "rule:team");
    assert_decides(&watershed, "/", &["x-user: ann"], "v2", "sticky");
    assert_decides(&watershed, "/?v=v2", &[], "v2", "override");
    assert_decides(&watershed, "/", &["x-user: bob"], "v1", "sticky");
    assert!(is_being_made(&watershed), "it was made too soon to tell");
    within(COMPILED, "the new one", || {
        ask(&watershed, GREETER, "/", &["x-team: core"]).text() == "Bonjour from v2!\n"
    });
    for headers in ["x-user: ann", "watershed-version: v2"] {
        assert_eq!(ask(&watershed, GREETER, "/", &[headers]).text(), "Bonjour from v2!\n");
    }
}

#[test]
fn a_service_that_is_held_still_closes_what_is_closed() {
    let first = |reach: &str| {
        greeter("v1") + &greeter("v2").replace("name =", &format!("reach = \"{reach}\"\nname ="))
    };
    let wishes = "\n[traffic.override]\nheader = true\nsecret = { file = \"../secrets/key\" }\n";
    let site = Site::new()
        .server("expose = \"decision\"")
        .service("greeter", &(first("live") + &split("v1 = 100") + wishes));
    site.write("secrets/key", "first\n");
    let watershed = site.start();
    let (wants, first_key) = ("watershed-version: v2", "watershed-key: first");
    assert_decides(&watershed, "/", &[wants, first_key], "v2", "override");
    // Its shares wait for a version that is being made.
    let third = compiling(&watershed, "v3");
    let held = |reach: &str| first(reach) + &third + &split("v3 = 100") + wishes;
    watershed.site.replace(FILE, held("live"));
    eventually("it is held", || is_being_made(&watershed));
    assert_decides(&watershed, "/", &[wants, first_key], "v2", "override");
    assert_decides(&watershed, "/", &[], "v1", "random");
    watershed.site.replace("secrets/key", "second\n");
    let second_key = "watershed-key: second";
    eventually("the other secret", || {
        decision(&ask(&watershed, GREETER, "/", &[wants, second_key])).1 == "override"
    });
    assert_decides(&watershed, "/", &[wants, first_key], "v1", "override-denied");
    watershed.site.replace(FILE, held("cutoff"));
    eventually("it is cut off", || {
        decision(&ask(&watershed, GREETER, "/", &[wants, second_key])).1 == "override-denied"
    });
    assert!(is_being_made(&watershed), "it was made too soon to tell");
    within(COMPILED, "the version that it waited for", || {
        ask(&watershed, GREETER, "/", &[]).text() == "Bonjour from v3!\n"
    });
}

#[test]
fn what_is_closed_is_closed_also_while_the_service_is_held() {
    for pick in ["", "pick = \"smooth\"\n"] {
        let watershed = serve_text(&halves(pick));
        assert_eq!(versions_of_all(&watershed).len(), 2);
        edit(&watershed, &held(""));
        assert_eq!(versions_of_all(&watershed).len(), 2, "held, and as it was");
        for reach in ["pinned", "override", "cutoff"] {
            edit(&watershed, &held(&format!("reach = \"{reach}\"\n")));
            let pinned = versions_of_all(&watershed);
            assert_eq!(pinned.len(), if reach == "pinned" { 2 } else { 1 }, "{reach}: {pinned:?}");
            // Those who are pinned to it have keys.
            for _ in 0..30 {
                assert_decides(&watershed, "/", &[], "v1", "random");
                assert_decides(&watershed, "/half", &[], "v1", "rule:half");
                assert_decides(&watershed, "/all", &[], "v1", "random");
            }
            let wanted = ["watershed-version: v2"];
            let answer = ask(&watershed, GREETER, "/", &wanted);
            let is_granted = answer.header("watershed-decision") == Some("override");
            assert_eq!(is_granted, reach != "cutoff");
            assert_eq!(watershed.version("greeter", "v1")["share"], 100.0);
        }
        let why = watershed.service("greeter")["held"].as_str().unwrap().to_owned();
        assert!(why.contains("v3 cannot become normal"), "{why}");
    }
}

#[test]
fn where_all_is_closed_nobody_is_served() {
    let watershed = serve_text(&(greeter("v1") + &split("v1 = 100")));
    let closed = greeter("v1") + "reach = \"cutoff\"\n" + MISSING + &split("v3 = 100");
    edit(&watershed, &closed);
    assert_problem(&watershed.get(GREETER, "/"), 503, "no-version");
    let why = watershed.service("greeter")["held"].as_str().unwrap().to_owned();
    assert!(
        why.contains("v1 is cut off, so that nothing of what was served before is left"),
        "{why}"
    );
    assert_eq!(watershed.admin("/readyz").status, 503);
    edit(&watershed, &(greeter("v1") + &split("v1 = 100")));
    assert_decides(&watershed, "/", &[], "v1", "random");
}

/// What a service's file closes does not wait until somebody has mended the main file.
#[test]
fn what_is_closed_is_closed_beside_a_main_file_that_is_wrong() {
    for is_readable in [true, false] {
        let watershed = serve_text(&halves(""));
        let main = watershed.site.read("watershed.toml");
        let wrong = main.replace("[server]", "[server]\nthreads = -1");
        let wrong = if is_readable { wrong } else { format!("[server\n{main}") };
        watershed.site.replace("watershed.toml", wrong);
        eventually("the refusal", || watershed.status()["last_reload"]["outcome"] == "rejected");
        let closed = halves("").replace("v1 = 50, v2 = 50", "v1 = 100, v2 = 0");
        let (first, rest) = closed.split_once("name = \"v2\"\n").unwrap();
        edit(&watershed, &format!("{first}name = \"v2\"\nreach = \"cutoff\"\n{rest}"));
        assert_eq!(versions_of_all(&watershed), ["v1".to_owned()].into());
        watershed.site.replace("watershed.toml", &main);
        eventually("the mended file", || watershed.service("greeter")["held"].is_null());
        assert_eq!(versions_of_all(&watershed), ["v1".to_owned()].into());
    }
}

//! Versions that cannot become normal: each has a code, a detail and a suggestion, in the status and in `watershed
//! check`.

use std::fs;

use serde_json::Value;

use crate::support::{Site, Watershed, greeter, lab, lab_p3, limits, plugin};

/// A broken version of each kind: the service's name, which is the expected code, and its file.
fn broken_site() -> Site {
    let site = Site::new().service("fine", &greeter("v1"));
    let component = |name: &str, bytes: &[u8]| {
        site.write(name, bytes);
        format!("[[versions]]\nname = \"v1\"\ncomponent = \"../{name}\"\n")
    };
    let missing = "[[versions]]\nname = \"v1\"\ncomponent = \"nowhere.wasm\"\n".to_owned();
    let digest = greeter("v1") + &format!("digest = \"sha256:{}\"\n", "0".repeat(64));
    let small = |lab: String| lab + &limits("memory = \"64KiB\"");
    let mut damaged = fs::read(plugin("greeter")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let services = [
        ("not-found", missing),
        ("digest-mismatch", digest),
        ("not-a-component--text", component("text.wasm", b"(component)")),
        ("not-a-component--module", component("module.wasm", b"\0asm\x01\0\0\0")),
        ("not-a-component--empty", component("empty.wasm", b"")),
        ("unsupported-world", component("bare.wasm", b"\0asm\x0d\0\x01\0")),
        ("compile-failed", component("damaged.wasm", &damaged)),
        ("memory-too-small", small(lab("v1"))),
        ("memory-too-small--p3", small(lab_p3("v1"))),
    ];
    for (case, text) in services {
        site.write(&format!("services/{}.toml", case.replace("--", "-")), text);
    }
    site
}

/// Each broken service, and its code.
const BROKEN: [(&str, &str); 9] = [
    ("not-found", "not-found"),
    ("digest-mismatch", "digest-mismatch"),
    ("not-a-component-text", "not-a-component"),
    ("not-a-component-module", "not-a-component"),
    ("not-a-component-empty", "not-a-component"),
    ("unsupported-world", "unsupported-world"),
    ("compile-failed", "compile-failed"),
    ("memory-too-small", "memory-too-small"),
    ("memory-too-small-p3", "memory-too-small"),
];

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key}: {value:#}"))
}

#[test]
fn the_status_says_what_is_wrong_with_a_version_and_what_to_do() {
    let watershed = broken_site().start();
    for (service, code) in BROKEN {
        let version = watershed.version(service, "v1");
        assert_eq!(version["status"], "error", "{service}: {version:#}");
        assert_eq!(version["share"], 0.0);
        let error = &version["error"];
        assert_eq!(error["code"], code, "{service}: {error:#}");
        assert!(text(error, "detail").len() > 10, "{error:#}");
        assert!(text(error, "suggestion").len() > 10, "{error:#}");
        watershed.log_line(&[service, code]);
        assert_eq!(watershed.get(&format!("{service}.localhost"), "/").status, 503, "{service}");
    }
    watershed.assert_serves("fine.localhost", "/");
    let stdout = watershed.stdout();
    assert!(stdout.contains("v1 0 % error not-found"), "{stdout}");
    assert!(stdout.contains("v1 100 % normal"), "{stdout}");
}

#[test]
fn check_says_the_same_of_all_at_once() {
    let site = broken_site();
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for (service, code) in BROKEN {
        let title = format!("error[{code}]: version v1 of service {service}: ");
        assert!(checked.stdout.contains(&title), "{title}\n{}", checked.stdout);
    }
    assert_eq!(checked.stdout.matches("error[").count(), BROKEN.len(), "{}", checked.stdout);
    assert!(checked.stdout.matches("= help: ").count() >= BROKEN.len(), "{}", checked.stdout);
    let neither = "it exports nothing, and neither wasi:http/incoming-handler@0.2 nor \
                   wasi:http/handler@0.3";
    assert!(checked.stdout.contains(neither), "{}", checked.stdout);
    let sum = "is not good: 9 of 10 versions in error";
    assert!(checked.stdout.contains(sum), "{}", checked.stdout);
    assert!(checked.stdout.contains("fine v1: normal"), "{}", checked.stdout);
}

/// A problem in one file does not hide what is wrong with a component that another one names.
#[test]
fn check_looks_on_behind_a_file_that_is_wrong() {
    let site = broken_site();
    site.write("services/sum.toml", format!("{}[traffic]\nsplit = {{ v1 = 99 }}\n", greeter("v1")));
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for part in [
        "the shares add up to 99",
        "error[not-found]",
        "1 problem in 1 file, 9 of 11 versions in error",
    ] {
        assert!(checked.stdout.contains(part), "{part}\n{}", checked.stdout);
    }
}

/// Whoever looks for a missing component looks for the line that names it.
#[test]
fn a_wrong_component_is_told_with_its_line() {
    let text = "# the shop\n[[versions]]\nname = \"v1\"\ncomponent = \"nowhere.wasm\"\n";
    let site = Site::new().service("shop", text).service("fine", &greeter("v1"));
    let checked = site.run(&["check"]);
    for part in ["shop.toml:4:13", "4 | component = \"nowhere.wasm\"", "^^^^^^^^^^^^^^"] {
        assert!(checked.stdout.contains(part), "{part}\n{}", checked.stdout);
    }
    let checked = site.run(&["check", "--json"]);
    let findings: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    let versions = findings["versions"].as_array().unwrap();
    let shop = versions.iter().find(|version| version["service"] == "shop").unwrap();
    assert_eq!(shop["line"], 4, "{findings:#}");
    let watershed = site.start();
    watershed.log_line(&["shop", "not-found", "shop.toml:4"]);
    // The line moves with the file.
    let other = text.replace("nowhere", "elsewhere");
    watershed.site.write("services/shop.toml", format!("\n\n{other}"));
    watershed.log_line(&["shop", "elsewhere.wasm", "shop.toml:6"]);
}

/// A module as a compiler for `wasm32-wasip1` makes it, as far as anybody looks at it.
#[test]
fn a_module_for_wasi_0_1_is_told_how_it_becomes_a_component() {
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x1c\x01\x16".to_vec();
    module.extend(b"wasi_snapshot_preview1\x01f\0\0");
    let text = "[[versions]]\nname = \"v1\"\ncomponent = \"old.wasm\"\n";
    let site = Site::new().service("old", text);
    site.write("services/old.wasm", module);
    let checked = site.run(&["check"]);
    for part in [
        "error[not-a-component]",
        "core module for WASI 0.1",
        "wasm-tools component new",
        "--adapt",
    ] {
        assert!(checked.stdout.contains(part), "{part}\n{}", checked.stdout);
    }
}

/// A file that never ends is not read.
#[test]
fn a_component_must_be_a_regular_file() {
    let site = Site::new();
    for (name, path) in [("device", "/dev/zero"), ("directory", "/tmp")] {
        let text = format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n");
        site.write(&format!("services/{name}.toml"), text);
    }
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for told in ["/dev/zero is not a regular file", "/tmp is a directory"] {
        let is_error = |line: &&str| line.starts_with("error[") && line.contains(told);
        assert_eq!(checked.stdout.lines().filter(is_error).count(), 1, "{}", checked.stdout);
    }
}

#[test]
fn check_says_it_in_json() {
    let checked = broken_site().run(&["check", "--json"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(findings["ok"], false);
    assert_eq!(findings["problems"], serde_json::json!([]));
    let versions = findings["versions"].as_array().unwrap();
    assert_eq!(versions.len(), BROKEN.len() + 1);
    for (service, code) in BROKEN {
        let version = versions.iter().find(|version| version["service"] == service).unwrap();
        assert_eq!(version["code"], code, "{version:#}");
        assert!(!text(version, "detail").is_empty() && !text(version, "suggestion").is_empty());
        assert!(text(version, "file").ends_with(".toml"), "{version:#}");
    }
}

#[test]
fn a_digest_that_matches_is_accepted_and_shown() {
    let watershed = Site::new().service("greeter", &greeter("v1")).start();
    let digest = watershed.version("greeter", "v1")["digest"].as_str().unwrap().to_owned();
    let service = greeter("v1") + &format!("digest = \"{digest}\"\n");
    let checked = Site::new().service("greeter", &service).run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn a_broken_version_is_mended_by_its_file() {
    let site = Site::new();
    let path = site.path("late.wasm").display().to_string();
    let text = format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n");
    let watershed: Watershed = site.service("late", &text).start();
    assert_eq!(watershed.get("late.localhost", "/").status, 503);
    assert_eq!(watershed.admin("/readyz").status, 503);
    watershed.site.write("late.wasm", fs::read(plugin("greeter")).unwrap());
    crate::support::eventually("normal", || watershed.get("late.localhost", "/").status == 200);
    assert_eq!(watershed.admin("/readyz").status, 200);
}

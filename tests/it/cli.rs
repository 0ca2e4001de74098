//! The command line: `run`, `check`, `schema`, and their errors.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Finished, Site, Watershed, greeter, lab, split};

/// A file or directory of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn watershed(arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    command.args(arguments);
    Finished::of(command)
}

#[test]
fn help_names_every_command() {
    let help = watershed(&["--help"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    for word in
        ["Usage: watershed", "run", "check", "plan", "schema", "--config", "config/watershed.toml"]
    {
        assert!(help.stdout.contains(word), "{word}\n{}", help.stdout);
    }
}

#[test]
fn version_is_the_packages() {
    let version = watershed(&["--version"]);
    assert_eq!(version.code, Some(0), "{version:?}");
    assert_eq!(version.stdout, format!("watershed {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let unknown = watershed(&["chekc"]);
    assert_eq!(unknown.code, Some(64), "{unknown:?}");
    assert!(unknown.stderr.contains("check"), "{unknown:?}");
}

#[test]
fn run_is_the_default_and_says_what_it_serves() {
    let site = Site::new()
        .service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 90, v2 = 10")))
        .service("lab", &lab("v1"));
    let command = site.command(&[]);
    let watershed = Watershed::spawn(site, command);
    let port = watershed.address().port();
    let stdout = watershed.stdout();
    let greeter = stdout.lines().find(|line| line.contains("greeter")).unwrap();
    assert!(greeter.starts_with(&format!("http://greeter.localhost:{port} ")), "{stdout}");
    assert!(greeter.ends_with("v1 90 % normal, v2 10 % normal"), "{stdout}");
    let lab = stdout.lines().find(|line| line.contains("lab")).unwrap();
    assert!(lab.ends_with("v1 100 % normal"), "{stdout}");
    watershed.assert_serves("lab.localhost", "/count");
}

#[test]
fn check_passes_what_is_good() {
    let site = Site::new().service("greeter", &(greeter("v1") + &split("v1 = 100")));
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("greeter v1: normal"), "{checked:?}");
    let checked = site.run(&["check", "--json"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(findings["ok"], true);
    assert_eq!(findings["versions"][0]["status"], "normal");
}

#[test]
fn check_warns_of_what_can_hardly_be_meant_and_passes_it() {
    let rule = |name| format!("[[traffic.rules]]\nname = \"{name}\"\nversion = \"v1\"\n");
    let site = Site::new().service("greeter", &(greeter("v1") + &rule("a") + &rule("b")));
    let checked = site.run(&["check", "--no-compile"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("warning: rule `b` can never match"), "{checked:?}");
    let checked = site.run(&["check", "--no-compile", "--json"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!((&findings["ok"], &findings["problems"]), (&true.into(), &serde_json::json!([])));
    assert!(findings["warnings"][0]["line"].is_u64(), "{findings:#}");
}

#[test]
fn check_without_compiling_looks_at_the_files_only() {
    let missing = "[[versions]]\nname = \"v1\"\ncomponent = \"missing.wasm\"\n";
    let site = Site::new().service("greeter", missing);
    assert_eq!(site.run(&["check"]).code, Some(1));
    let checked = site.run(&["check", "--no-compile"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("1 version, not compiled"), "{checked:?}");
    let checked = site.run(&["check", "--no-compile", "--json"]);
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!((&findings["ok"], &findings["declared"]), (&true.into(), &1.into()));
    site.write("services/greeter.toml", "nonsense");
    assert_eq!(site.run(&["check", "--no-compile"]).code, Some(1));
}

#[test]
fn check_prints_every_problem_of_every_file() {
    let directory = repository("tests/config/invalid/many-at-once");
    let expected = fs::read_to_string(directory.join("expected.txt")).unwrap();
    // A check puts what it compiles into the cache of the state directory.
    let site = Site::new();
    for file in ["watershed.toml", "services/a.toml", "services/b.toml", "services/c.toml"] {
        site.write(file, fs::read(directory.join(file)).unwrap());
    }
    let main = site.main_file().display().to_string();
    let checked = watershed(&["check", "--config", &main]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let titles = expected.lines().filter(|line| line.starts_with("error: "));
    let mut count = 0;
    for title in titles {
        let title = title.split(", in ").next().unwrap();
        assert!(checked.said().contains(title), "{title}\n{}", checked.said());
        count += 1;
    }
    assert!(count > 10);
    let checked = watershed(&["check", "--json", "--config", &main]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(findings["ok"], false);
    let problems = findings["problems"].as_array().unwrap();
    assert_eq!(problems.len(), count);
    assert!(problems.iter().all(|problem| problem["line"].is_u64() && problem["help"].is_string()));
}

#[test]
fn every_shipped_configuration_passes_check() {
    let main = repository("config/watershed.toml").display().to_string();
    let checked = watershed(&["check", "--config", &main]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("greeter v2: normal"), "{checked:?}");
    assert!(checked.stdout.contains("lab v1: normal"), "{checked:?}");
}

/// `cargo run -- schema watershed > config/schema/watershed.json`, and the same for `service`.
#[test]
fn the_committed_schemas_are_those_of_the_code() {
    for name in ["watershed", "service"] {
        let printed = watershed(&["schema", name]);
        assert_eq!(printed.code, Some(0), "{printed:?}");
        let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
        let path = repository(&format!("config/schema/{name}.json"));
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
        assert!(printed == committed, "write {} anew: watershed schema {name}", path.display());
    }
    let both: Value = serde_json::from_str(&watershed(&["schema"]).stdout).unwrap();
    assert!(both["watershed"].is_object() && both["service"].is_object());
}

#[test]
fn shipped_files_name_their_schemas() {
    let mut files = vec![repository("config/watershed.toml")];
    let services = fs::read_dir(repository("config/services")).unwrap();
    files.extend(services.map(|file| file.unwrap().path()));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let schema = text.lines().next().and_then(|line| line.strip_prefix("#:schema "));
        let schema = file.parent().unwrap().join(schema.unwrap());
        assert!(schema.is_file(), "{} names {}", file.display(), schema.display());
    }
}

#[test]
fn an_address_in_use_ends_the_start_with_its_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = format!("listen = [\"{address}\"]");
    let admin = format!("listen = \"{address}\"");
    let sites = [
        (Site::new().server(&listen), "server.listen"),
        (Site::new().admin(&admin), "admin.listen"),
    ];
    for (site, key) in sites {
        let finished = site.run(&["run"]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        for part in [&address.to_string(), key, "in use"] {
            assert!(finished.stderr.contains(part), "{part}: {finished:?}");
        }
        assert_eq!(finished.stdout, "", "it said that it serves");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    for command in ["run", "check", "plan"] {
        let finished = watershed(&[command, "--config", "/nowhere/watershed.toml"]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let said = finished.said();
        assert!(said.contains("/nowhere/watershed.toml"), "{said}");
        assert!(said.contains("error: ") && said.contains("help: "), "{said}");
    }
}

#[test]
fn a_wrong_configuration_is_not_served() {
    let site = Site::new().service("greeter", &(greeter("v1") + &split("v1 = 99")));
    let finished = site.run(&["run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("greeter.toml:"), "{finished:?}");
    assert_eq!(finished.stdout, "");
}

/// 2 would say that something would change (`plan`, `--dry-run`), so a script could not tell a typing error from that.
#[test]
fn wrong_usage_has_a_code_of_its_own() {
    for wrong in
        [&["--nonsense"][..], &["env"], &["status", "--limit"], &["plan", "x"], &["history"]]
    {
        let finished = watershed(wrong);
        assert_eq!(finished.code, Some(64), "{finished:?}");
        assert_eq!(finished.stdout, "", "{finished:?}");
    }
    for asked in [&["-h"][..], &["-V"], &["help", "env"], &["status", "--help"]] {
        let finished = watershed(asked);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    }
}

#[test]
fn wrong_usage_names_what_is_meant_and_nothing_else() {
    for (wrong, told) in [
        (&["start"][..], "'run'"),
        (&["list"], "'status'"),
        (&["validate"], "'check'"),
        (&["promote", "greeter", "v1.2"], "a name has 1 to 63 of the characters a-z, 0-9 and `-`"),
        (&["promote", "Greeter", "v1"], "a name has 1 to 63 of the characters a-z, 0-9 and `-`"),
    ] {
        let finished = watershed(wrong);
        assert!(finished.stderr.contains(told), "{finished:?}");
    }
    // Nobody who types an option means it as the name of a service.
    for option in ["--format", "-w"] {
        let finished = watershed(&["status", option]);
        assert!(!finished.stderr.contains("-- -"), "{finished:?}");
    }
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut help = Command::new(env!("CARGO_BIN_EXE_watershed"));
    let finished = help.arg("--help").stdout(full()).output().unwrap();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(String::from_utf8_lossy(&finished.stderr).contains("standard output"), "{finished:?}");
}

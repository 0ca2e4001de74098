//! `watershed init` writes a configuration that serves, and touches nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Finished, Site};

const FILES: [&str; 5] = [
    "components/greeter.wasm",
    "schema/watershed.json",
    "schema/service.json",
    "services/greeter.toml",
    "watershed.toml",
];

/// Runs a command in a directory.
fn watershed_in(directory: &TempDir, arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    command.args(arguments).current_dir(directory.path());
    Finished::of(command)
}

#[track_caller]
fn initialised(arguments: &[&str]) -> (TempDir, Finished) {
    let directory = tempfile::tempdir().unwrap();
    let finished = watershed_in(&directory, arguments);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    (directory, finished)
}

/// Every file below a directory, by its path in it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// The error of an `init` that must have changed nothing.
#[track_caller]
fn refused(directory: &TempDir, arguments: &[&str], words: &[&str]) {
    let before: Vec<_> = files(directory.path());
    let finished = watershed_in(directory, arguments);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.stdout, "", "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not in {finished:?}");
    }
    assert_eq!(files(directory.path()), before, "{finished:?}");
}

#[test]
fn it_says_what_it_wrote_and_what_to_do_next() {
    let (directory, finished) = initialised(&["init", "demo"]);
    for file in FILES {
        assert!(finished.stdout.contains(&format!("wrote demo/{file}\n")), "{finished:?}");
        assert!(directory.path().join("demo").join(file).is_file(), "{file}");
    }
    assert_eq!(files(directory.path()).len(), FILES.len());
    assert!(
        finished.stdout.contains("serve it:  watershed run --config demo/watershed.toml\n"),
        "{finished:?}"
    );
}

#[test]
fn what_it_wrote_passes_check_and_names_its_schemas() {
    let (directory, _) = initialised(&["init", "demo"]);
    let checked = watershed_in(&directory, &["check", "--config", "demo/watershed.toml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("greeter v2: normal"), "{checked:?}");
    assert!(!checked.said().contains("warning"), "{checked:?}");
    for file in ["watershed.toml", "services/greeter.toml"] {
        let file = directory.path().join("demo").join(file);
        let text = fs::read_to_string(&file).unwrap();
        let schema = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
        let schema = fs::read(file.with_file_name("").join(schema)).unwrap();
        assert!(serde_json::from_slice::<Value>(&schema).unwrap()["properties"].is_object());
    }
}

/// `spin new` had a template whose result did not start (spinframework/spin#1022).
#[test]
fn what_it_wrote_is_served() {
    let (directory, _) = initialised(&["init", "demo"]);
    let site = Site::new();
    for file in FILES {
        let text = fs::read(directory.path().join("demo").join(file)).unwrap();
        site.write(file, text);
    }
    let main = site.read("watershed.toml");
    let any_port = main.replace(":8080", ":0").replace(":9090", ":0");
    site.write("watershed.toml", any_port);
    let watershed = site.start();
    let response = watershed.get("greeter.localhost", "/");
    let greetings = ["Hello from v1!", "Bonjour from v2!"];
    assert!(greetings.contains(&response.text().trim_end()), "{response:?}");
    assert_eq!(response.header("watershed-decision"), Some("random"));
}

/// The lines that the comments suggest: each begins with `#` and no space.
#[test]
fn the_keys_in_its_comments_are_right() {
    let (directory, _) = initialised(&["init", "demo"]);
    for file in ["watershed.toml", "services/greeter.toml"] {
        let path = directory.path().join("demo").join(file);
        let text = fs::read_to_string(&path).unwrap();
        let tried: Vec<_> = text.lines().map(uncommented).collect();
        assert!(tried.iter().zip(text.lines()).filter(|(one, other)| *one != other).count() > 2);
        fs::write(&path, tried.join("\n")).unwrap();
    }
    let checked = watershed_in(&directory, &["check", "--config", "demo/watershed.toml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!checked.said().contains("warning"), "{checked:?}");
}

fn uncommented(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(key) if !key.starts_with([':', ' ']) && !key.is_empty() => key,
        _ => line,
    }
}

#[test]
fn without_a_directory_it_writes_where_the_program_looks() {
    let (directory, finished) = initialised(&["init"]);
    assert!(directory.path().join("config/watershed.toml").is_file(), "{finished:?}");
    let checked = watershed_in(&directory, &["check", "--no-compile"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let (directory, _) = initialised(&["init", "--config", "my site/main.toml"]);
    assert!(directory.path().join("my site/main.toml").is_file());
    let (_, finished) = initialised(&["init", "a b"]);
    assert!(finished.stdout.contains("--config 'a b/watershed.toml'"), "{finished:?}");
    let (directory, _) = initialised(&["init", "."]);
    assert!(directory.path().join("watershed.toml").is_file());
}

#[test]
fn json_says_the_same() {
    let (_, finished) = initialised(&["init", "demo", "--json"]);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["ok"], true);
    assert_eq!(document["config"], "demo/watershed.toml");
    assert_eq!(document["written"].as_array().unwrap().len(), FILES.len());
    assert_eq!(document["run"], "watershed run --config demo/watershed.toml");
}

/// `dab init` and others destroyed a configuration (Azure/data-api-builder#737); another `init` did nothing and exited
/// with 0 (vinceAmstoutz/symfony-security-auditor#204).
#[test]
fn nothing_that_exists_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("demo/services")).unwrap();
    fs::write(directory.path().join("demo/services/greeter.toml"), "# mine\n").unwrap();
    symlink("/nowhere", directory.path().join("demo/watershed.toml")).unwrap();
    let words =
        ["demo/services/greeter.toml", "demo/watershed.toml", "nothing was written", "help:"];
    refused(&directory, &["init", "demo"], &words);
    let mine = fs::read_to_string(directory.path().join("demo/services/greeter.toml")).unwrap();
    assert_eq!(mine, "# mine\n");
}

#[test]
fn other_files_of_the_directory_stay_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("notes"), "mine").unwrap();
    let finished = watershed_in(&directory, &["init", "."]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(fs::read_to_string(directory.path().join("notes")).unwrap(), "mine");
    let hidden = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with('.');
    assert!(!files(directory.path()).iter().any(hidden), "nothing is left aside");
}

/// What a kill may leave: some of the files, each complete.
#[test]
fn a_half_written_configuration_is_completed() {
    let (directory, _) = initialised(&["init", "demo"]);
    let demo = directory.path().join("demo");
    fs::remove_file(demo.join("watershed.toml")).unwrap();
    fs::remove_file(demo.join("schema/service.json")).unwrap();
    let finished = watershed_in(&directory, &["init", "demo"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout.matches("wrote ").count(), 2, "{finished:?}");
    let finished = watershed_in(&directory, &["init", "demo"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.starts_with("demo/watershed.toml is there already\n"), "{finished:?}");
}

#[test]
fn several_at_once_do_not_take_files_from_one_another() {
    let directory = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let inits = [(); 6].map(|()| scope.spawn(|| watershed_in(&directory, &["init", "demo"])));
        for init in inits {
            let finished = init.join().unwrap();
            assert_eq!(finished.code, Some(0), "{finished:?}");
        }
    });
    assert_eq!(files(directory.path()).len(), FILES.len());
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("demo"), "").unwrap();
    let words = ["demo/components/greeter.wasm", "a file is where a directory should be"];
    refused(&directory, &["init", "demo"], &words);
    fs::remove_file(directory.path().join("demo")).unwrap();
    fs::create_dir(directory.path().join("demo")).unwrap();
    fs::write(directory.path().join("demo/services"), "").unwrap();
    refused(&directory, &["init", "demo"], &["demo/services", "choose another directory"]);
    fs::remove_file(directory.path().join("demo/services")).unwrap();
    symlink("/nowhere", directory.path().join("demo/services")).unwrap();
    refused(&directory, &["init", "demo"], &["demo/services", "something is in its way"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    // Even root may not write there.
    refused(&directory, &["init", "/proc/demo"], &["cannot write /proc/demo/", "help: "]);
    let null = "/dev/null/demo";
    refused(&directory, &["init", null], &[null, "a file is where a directory should be"]);
}

/// A file size limit stands in for a full disk: the component does not fit, the smaller files would.
#[test]
fn where_there_is_no_room_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" init demo";
    command.args(["-c", script, env!("CARGO_BIN_EXE_watershed")]).current_dir(directory.path());
    let finished = Finished::of(command);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for word in ["demo/components/greeter.wasm", "make room", "nothing was left behind"] {
        assert!(finished.stderr.contains(word), "{word:?} is not in {finished:?}");
    }
    assert!(!directory.path().join("demo").exists(), "{finished:?}");
}

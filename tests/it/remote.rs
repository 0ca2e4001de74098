//! Commands on another machine than the process: by `--admin URL` alone, without any file of the configuration.

use std::path::Path;
use std::process::Command;

use crate::support::{Finished, Site, Watershed, one_version};

/// A process that wants a token, and an empty directory to ask it from, with the token beside.
fn serve() -> (Watershed, tempfile::TempDir) {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &one_version("v1"));
    site.write("token", "s3cret\n");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("token"), "s3cret\n").unwrap();
    (site.start(), elsewhere)
}

fn run(watershed: &Watershed, directory: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    let admin = format!("http://{}", watershed.admin_address());
    command.args(arguments).args(["--admin", &admin]).current_dir(directory);
    Finished::of(command)
}

/// Argo's command was of no use without a local kubeconfig, whatever server it was given
/// (argoproj/argo-workflows#3383); kubectl never got a flag for a token's file (kubernetes/kubernetes#94560).
#[test]
fn what_is_only_asked_needs_no_files() {
    let (watershed, elsewhere) = serve();
    for (command, says) in [
        (&["status"][..], "greeter"),
        (&["status", "greeter"], "v1"),
        (&["status", "--json"], "\"generation\""),
        (&["history", "greeter"], "start"),
        (&["history", "greeter", "--json"], "\"records\""),
        (&["explain", "greeter", "--path", "/x"], "greeter, by generation "),
        (&["explain", "greeter", "--json"], "\"decision\""),
    ] {
        let asked = [command, &["--token-file", "token"]].concat();
        let finished = run(&watershed, elsewhere.path(), &asked);
        assert_eq!(finished.code, Some(0), "{command:?}: {finished:?}");
        assert!(finished.stdout.contains(says), "{command:?}: {finished:?}");
        let denied = run(&watershed, elsewhere.path(), command);
        assert_eq!(denied.code, Some(1), "{denied:?}");
        assert!(denied.said().contains("--token-file FILE"), "{denied:?}");
    }
    std::fs::write(elsewhere.path().join("other"), "wrong").unwrap();
    for (file, says) in [("other", "does not take the token in other"), ("none", "cannot read")] {
        let finished = run(&watershed, elsewhere.path(), &["status", "--token-file", file]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains(says), "{finished:?}");
    }
    for command in ["history", "explain"] {
        let unknown = [command, "greter", "--token-file", "token"];
        let finished = run(&watershed, elsewhere.path(), &unknown);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("there is no service `greter`"), "{finished:?}");
    }
}

#[test]
fn what_needs_files_says_which_and_where() {
    let (watershed, elsewhere) = serve();
    for command in [
        &["traffic", "greeter", "v1=100", "--yes"][..],
        &["promote", "greeter", "v1", "--yes"],
        &["rollback", "greeter", "--yes"],
        &["rollback", "greeter", "--restore-file", "--yes"],
        &["delete", "greeter", "v1", "--yes"],
        &["plan"],
    ] {
        let asked = [command, &["--token-file", "token"]].concat();
        let finished = run(&watershed, elsewhere.path(), &asked);
        assert_eq!(finished.code, Some(1), "{command:?}: {finished:?}");
        let main = watershed.site.main_file().display().to_string();
        for part in ["config/watershed.toml is not on this machine", &main, "on the machine of"] {
            assert!(finished.stderr.contains(part), "{command:?}: {part}: {finished:?}");
        }
    }
}

/// Files that another process serves, or nobody.
#[test]
fn files_of_another_configuration_are_not_edited() {
    let (watershed, elsewhere) = serve();
    let other = Site::new().service("greeter", &one_version("v1"));
    let file = other.read("services/greeter.toml");
    let config = other.main_file().display().to_string();
    let edit = ["traffic", "greeter", "--offline", "--yes", "--token-file", "token"];
    let finished = run(&watershed, elsewhere.path(), &[&edit[..], &["--config", &config]].concat());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("nothing was written"), "{finished:?}");
    assert!(finished.stderr.contains("does not read"), "{finished:?}");
    assert_eq!(other.read("services/greeter.toml"), file);
    // A question is about the process, whatever files are here.
    let asked = ["explain", "greeter", "--token-file", "token", "--config", &config];
    let finished = run(&watershed, elsewhere.path(), &asked);
    assert!(finished.stdout.contains("by generation"), "{finished:?}");
}

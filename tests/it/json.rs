//! `--json` of every command: one object of one shape on standard output and nothing on standard error, whatever came of
//! the command, as `watershed schema output` describes it.

mod schema;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::support::{Chain, Finished, Site, Watershed, greeter, one_version, plugin, split, tell};
use schema::Schema;

/// The members that are percentages of traffic.
const SHARES: [&str; 7] =
    ["share", "declared_share", "drawn_share", "moves", "before", "after", "from"];

/// The members that are times.
const TIMES: [&str; 3] = ["at", "traffic_since", "rolled_back_at"];

/// The schema, and the commands that were compared with it.
struct Commands {
    schema: Schema,
    seen: std::cell::RefCell<BTreeSet<String>>,
}

impl Commands {
    fn new() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
        command.args(["schema", "output"]);
        let schema = Schema::new(&Finished::of(command).stdout);
        Self { schema, seen: Default::default() }
    }

    /// The one object that a command has printed.
    #[track_caller]
    fn object(&self, command: &str, finished: &Finished) -> Value {
        assert_eq!(finished.stderr, "", "{finished:?}");
        let value: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("{error}: {finished:?}"));
        self.schema.assert_fits(command, &value);
        assert_well_kept("", &value);
        self.seen.borrow_mut().insert(command.to_owned());
        value
    }

    #[track_caller]
    fn done(&self, finished: &Finished, command: &str, code: i32) -> Value {
        assert_eq!(finished.code, Some(code), "{finished:?}");
        let object = self.object(command, finished);
        assert_eq!(object["ok"], true, "{object:#}");
        object
    }

    #[track_caller]
    fn refused(&self, finished: &Finished, command: &str, code: &str) -> Value {
        let object = self.object(command, finished);
        assert_eq!((&object["ok"], object["error"]["code"].as_str()), (&false.into(), Some(code)));
        let exit = if code == "usage" { 64 } else { 1 };
        assert_eq!(finished.code, Some(exit), "{finished:?}");
        let message = object["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("help:"), "{message}");
        object
    }
}

/// Percentages have two decimals at most, and times are RFC 3339 in UTC with milliseconds.
#[track_caller]
fn assert_well_kept(name: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| assert_well_kept(name, value));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_well_kept(name, item)),
        Value::Number(number) if SHARES.contains(&name) => {
            let text = number.to_string();
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            assert!(decimals <= 2 && !text.contains('e'), "{name} is {text}");
            assert!((0.0..=100.0).contains(&number.as_f64().unwrap()), "{name} is {text}");
        }
        Value::String(text) if TIMES.contains(&name) => {
            assert!(text.len() == 24 && text.ends_with('Z') && text.contains('T'), "{text}");
        }
        _ => {}
    }
}

fn with_json<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--json"]].concat()
}

/// Runs a command against a process, which need not be asked about anything.
fn ask(watershed: &Watershed, arguments: &[&str]) -> Finished {
    tell(watershed, &with_json(arguments))
}

const STICKY: &str = "\n[traffic.sticky]\nkey = \"header:x-user\"\n";

fn serve() -> Watershed {
    let shop = greeter("v1") + &greeter("v2") + &split("v1 = 33.33, v2 = 66.67") + STICKY;
    Site::new().service("greeter", &shop).start()
}

#[test]
fn every_command_that_is_done_says_so_in_one_shape() {
    let commands = Commands::new();
    let watershed = serve();
    let site = &watershed.site;
    let greeter = plugin("greeter").display().to_string();
    let deploy = ["deploy", "greeter", "v3", "--component", &greeter, "--traffic", "10"];
    let shown = ask(&watershed, &[&deploy[..], &["--dry-run"]].concat());
    commands.done(&shown, "deploy", 2);
    let deployed = commands.done(&ask(&watershed, &deploy), "deploy", 0);
    let share = |object: &Value, version: &str| {
        let shares = object["shares"].as_array().unwrap();
        shares.iter().find(|it| it["version"] == version).unwrap()["after"].to_string()
    };
    assert_eq!((share(&deployed, "v1"), share(&deployed, "v3")), ("30.0".into(), "10.0".into()));
    let set = ["traffic", "greeter", "v1=33.34", "v2=66.66"];
    let set = commands.done(&ask(&watershed, &set), "traffic", 0);
    assert_eq!(share(&set, "v1"), "33.34");
    commands.done(&ask(&watershed, &["promote", "greeter", "v2"]), "promote", 0);
    let back = commands.done(&ask(&watershed, &["rollback", "greeter"]), "rollback", 0);
    assert_eq!(share(&back, "v1"), "33.34");
    commands.done(&ask(&watershed, &["delete", "greeter", "v3"]), "delete", 0);
    let history = commands.done(&ask(&watershed, &["history", "greeter"]), "history", 0);
    let at = history["records"][0]["at"].as_str().unwrap();
    assert!(at.starts_with("20"), "{history:#}");
    commands.done(&ask(&watershed, &["status"]), "status", 0);
    let explain = ["explain", "greeter", "--header", "x-user:ann"];
    commands.done(&ask(&watershed, &explain), "explain", 0);
    let ramp = ["explain", "greeter", "--key", "ann", "--ramp", "v2=0..100"];
    commands.done(&ask(&watershed, &ramp), "explain", 0);
    let none = commands.done(&ask(&watershed, &["plan"]), "plan", 0);
    assert_eq!(none["changes"], false);
    commands.done(&site.run(&["check", "--no-compile", "--json"]), "check", 0);
    let environments = commands.done(&site.run(&["env", "list", "--json"]), "env", 0);
    assert_eq!(environments["environments"][0]["services"], 1);
    commands.done(&site.run(&["init", "demo", "--json"]), "init", 0);
    let chain = Chain::from(watershed);
    let restarted = commands.done(&ask(&chain.watershed, &["restart"]), "restart", 0);
    assert_eq!(restarted["pid"], chain.follow());
    let seen = commands.seen.borrow();
    let seen: BTreeSet<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(seen, commands.schema.commands());
}

#[test]
fn every_command_that_is_refused_says_so_in_one_shape() {
    let commands = Commands::new();
    let watershed = serve();
    let component = plugin("greeter").display().to_string();
    watershed.site.write("bad.wasm", "not a component");
    let bad = watershed.site.path("bad.wasm").display().to_string();
    let refused = |arguments: &[&str], code: &str| {
        commands.refused(&ask(&watershed, arguments), arguments[0], code)
    };
    refused(&["deploy", "greeter", "v1", "--component", &component], "version-exists");
    let missing =
        refused(&["deploy", "greeter", "v3", "--component", "no.wasm"], "invalid-component");
    assert_eq!(missing["fault"]["code"], "not-found");
    let wrong = refused(&["deploy", "greeter", "v3", "--component", &bad], "version-in-error");
    assert_eq!(wrong["fault"]["code"], "not-a-component", "{wrong:#}");
    refused(&["traffic", "greeter", "v1=50", "v9=50"], "unknown-version");
    refused(&["traffic", "greeter", "v1=50"], "usage");
    let unsaid = ["traffic", "greeter", "--offline", "--json", "--admin"];
    let admin = format!("http://{}", watershed.admin_address());
    let unsaid = watershed.site.run(&[&unsaid[..], &[&admin]].concat());
    commands.refused(&unsaid, "traffic", "nobody-to-ask");
    refused(&["promote", "greter", "v2"], "unknown-service");
    // The process's own word, and not that it refuses.
    refused(&["explain", "greter"], "unknown-service");
    refused(&["rollback", "greeter"], "nothing-before");
    refused(&["rollback", "greeter", "--to", "99"], "unknown-generation");
    refused(&["delete", "greeter", "v1"], "version-has-traffic");
    refused(&["history", "greter"], "unknown-service");
    refused(&["status", "--environment", "prod"], "unknown-environment");
    refused(&["status", "greter"], "unknown-service");
    refused(&["explain", "greeter", "--client", "me"], "usage");
    refused(&["explain", "greeter", "--ramp", "v2"], "usage");
}

/// Text on standard error breaks whoever reads both streams as one (garrytan/gbrain#693, linode/linode-cli#643).
#[test]
fn what_is_told_of_targets_is_in_the_object() {
    let (commands, watershed) = (Commands::new(), serve());
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let deploy = ["deploy", "greeter", "v3", "--upstream", &gone];
    let dry = ask(&watershed, &[&deploy[..], &["--dry-run"]].concat());
    let planned = commands.done(&dry, "deploy", 2);
    let warning = planned["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.starts_with(&gone), "{planned:#}");
    let deployed = commands.done(&ask(&watershed, &deploy), "deploy", 0);
    assert_eq!(deployed["warnings"].as_array().map(Vec::len), Some(1), "{deployed:#}");
    let taking = ["deploy", "greeter", "v4", "--upstream", &gone, "--traffic", "10"];
    let refused = commands.refused(&ask(&watershed, &taking), "deploy", "version-unhealthy");
    let silent = refused["silent"][0].as_str().unwrap();
    assert!(silent.starts_with(&gone) && silent.contains("Connection refused"), "{refused:#}");
    // People are warned.
    let told = tell(&watershed, &taking).stderr;
    assert!(told.starts_with(&format!("warning: {gone} does not answer")), "{told}");
}

/// A script that asks before it acts needs what a person is shown.
#[test]
fn a_dry_rollback_says_where_it_goes_and_what_it_passes_over() {
    let (commands, watershed) = (Commands::new(), serve());
    for (command, arguments) in [
        ("traffic", &["traffic", "greeter", "v1=50", "v2=50"][..]),
        ("promote", &["promote", "greeter", "v2"]),
        ("rollback", &["rollback", "greeter"]),
    ] {
        commands.done(&ask(&watershed, arguments), command, 0);
    }
    let dry = ask(&watershed, &["rollback", "greeter", "--dry-run"]);
    let planned = commands.done(&dry, "rollback", 2);
    assert!(planned["restores"].is_u64(), "{planned:#}");
    assert!(planned["skipped"].is_array(), "{planned:#}");
    let named = ["rollback", "greeter", "--to", "v1", "--bad", "--dry-run"];
    let planned = commands.done(&ask(&watershed, &named), "rollback", 2);
    assert_eq!(planned["restores"], Value::Null);
    assert_eq!(planned["quarantines"], serde_json::json!(["v2"]), "{planned:#}");
}

#[test]
fn what_a_broken_file_would_get_back_has_the_shape_too() {
    let (commands, watershed) = (Commands::new(), serve());
    watershed.site.write("services/greeter.toml", "[[broken\n");
    let arguments = ["rollback", "greeter", "--restore-file", "--dry-run"];
    let planned = commands.done(&ask(&watershed, &arguments), "rollback", 2);
    assert_eq!(planned["outcome"], "would-restore-file");
    assert_eq!(planned["changes"], true);
    assert!(planned["change"].as_str().unwrap().contains("- [[broken\n"), "{planned:#}");
}

#[test]
fn files_that_are_wrong_are_told_with_their_place_by_every_command() {
    let commands = Commands::new();
    let wrong = one_version("v1") + "x = 1\n";
    let site = Site::new().service("greeter", &wrong);
    let file = site.path("services/greeter.toml").display().to_string();
    for (command, arguments) in [
        ("check", &["check"][..]),
        ("plan", &["plan"]),
        ("traffic", &["traffic", "greeter", "v1=100"]),
        ("rollback", &["rollback", "greeter"]),
        ("history", &["history", "greeter"]),
        ("explain", &["explain", "greeter", "--offline"]),
    ] {
        let refused =
            commands.refused(&site.run(&with_json(arguments)), command, "invalid-configuration");
        let place = &refused["error"]["place"];
        assert_eq!(
            (place["file"].as_str(), place["line"].is_u64()),
            (Some(&*file), true),
            "{place}"
        );
        assert_eq!(refused["problems"][0]["file"], place["file"]);
        let (message, of_file) = (&refused["error"]["message"], &refused["problems"][0]["message"]);
        let is_told =
            message == of_file || message == "nothing was done: the file of greeter is wrong";
        assert!(is_told && of_file.is_string(), "{refused:#}");
    }
    // The environments are those of the main file.
    commands.done(&site.run(&["env", "list", "--json"]), "env", 0);
    site.write("watershed.toml", "[server]\nx = 1\n");
    commands.refused(&site.run(&["env", "list", "--json"]), "env", "invalid-configuration");
    site.write("bad.wasm", "text");
    let gone = Site::new().service(
        "greeter",
        "[[versions]]\nname = \"v1\"\ncomponent = \"gone.wasm\"\n[traffic]\nsplit = { v1 = 100 }\n",
    );
    let refused = commands.refused(&gone.run(&["check", "--json"]), "check", "version-in-error");
    assert_eq!(refused["versions"][0]["code"], "not-found");
    let main = gone.main_file().display().to_string();
    let planned = gone.run(&["plan", "--from", &main, "--json"]);
    let planned = commands.refused(&planned, "plan", "version-in-error");
    let file = gone.path("services/greeter.toml").display().to_string();
    for error in [&refused["error"], &planned["error"]] {
        let place = &error["place"];
        assert_eq!(
            (place["file"].as_str(), place["line"].as_u64()),
            (Some(&*file), Some(3)),
            "{error}"
        );
        assert!(error["help"].as_str().unwrap().contains("`component`"), "{error}");
    }
}

#[test]
fn without_a_process_every_command_that_needs_one_says_so() {
    let commands = Commands::new();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::new().service("greeter", &one_version("v1"));
    let admin = format!("http://{gone}");
    for (command, arguments) in [
        ("status", &["status"][..]),
        ("plan", &["plan"]),
        ("history", &["history", "greeter"]),
        ("explain", &["explain", "greeter"]),
        ("promote", &["promote", "greeter", "v1", "--yes"]),
    ] {
        let arguments = [arguments, &["--json", "--admin", &admin]].concat();
        let refused = commands.refused(&site.run(&arguments), command, "no-process");
        assert!(refused["error"]["help"].is_string(), "{refused:#}");
    }
    site.run(&["init", "demo"]);
    site.write("demo/services/greeter.toml", "# mine\n");
    let refused = commands.refused(&site.run(&["init", "demo", "--json"]), "init", "file-exists");
    assert_eq!(refused["files"].as_array().map(Vec::len), Some(1), "{refused:#}");
    assert!(!refused["error"]["message"].as_str().unwrap().ends_with(':'), "{refused:#}");
}

/// Kubectl, helm and others print text where a flag is wrong, even if JSON was asked for.
#[test]
fn a_wrong_command_line_is_told_in_the_same_shape() {
    let commands = Commands::new();
    let site = Site::new();
    for arguments in
        [&["delet"][..], &["delete"], &["delete", "a", "b", "--no"], &["traffic", "a", "v1=x"]]
    {
        let finished = site.run(&with_json(arguments));
        let refused = commands.refused(&finished, "delete", "usage");
        let message = refused["error"]["message"].as_str().unwrap();
        let text = site.run(arguments).stderr;
        let first = text.lines().next().unwrap();
        assert!(
            first.starts_with(&format!("error: {}", message.split(':').next().unwrap())),
            "{text}"
        );
    }
    // What is asked for is shown, and is no error.
    let help = site.run(&["delete", "--help", "--json"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    assert!(help.stdout.starts_with("Take versions"), "{help:?}");
}

/// The text and the object say the same: both are made of the same parts.
#[test]
fn a_terminal_is_told_what_a_script_is_told() {
    let watershed = serve();
    for arguments in
        [&["promote", "greeter", "v22"][..], &["delete", "greeter", "v1"], &["status", "greter"]]
    {
        let object: Value = serde_json::from_str(&ask(&watershed, arguments).stdout).unwrap();
        let error = |member: &str| object["error"][member].as_str().unwrap().to_owned();
        let text = format!("error: {}\n  help: {}\n", error("message"), error("help"));
        assert_eq!(tell(&watershed, arguments).stderr, text);
    }
}

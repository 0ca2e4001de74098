//! What takes traffic away is asked about at a terminal, refused without one, and shown by `--dry-run`.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{
    AtTerminal, Finished, GREETER, Site, Streams, Watershed, done, greeter, lab, plugin, split,
};

const FILE: &str = "services/greeter.toml";
const PROMOTE: [&str; 3] = ["promote", "greeter", "v2"];

fn serve() -> Watershed {
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 100");
    Site::new().server("expose = \"decision\"").service("greeter", &text).start()
}

/// A command against a process, as it is typed.
fn command(watershed: &Watershed, arguments: &[&str]) -> Command {
    let admin = format!("http://{}", watershed.admin_address());
    watershed.site.command(&[arguments, &["--admin", &admin]].concat())
}

fn run(watershed: &Watershed, arguments: &[&str]) -> Finished {
    Finished::of(command(watershed, arguments))
}

fn component() -> String {
    plugin("greeter").display().to_string()
}

/// Runs what is typed, and expects that nothing has changed.
#[track_caller]
fn unchanged(watershed: &Watershed, what: &str, run: impl FnOnce() -> Finished) -> Finished {
    let (text, history) = (watershed.site.read(FILE), watershed.history("greeter").len());
    let finished = run();
    assert_eq!(watershed.site.read(FILE), text, "{what}: {finished:?}");
    assert_eq!(watershed.history("greeter").len(), history, "{what}: {finished:?}");
    finished
}

/// All that takes traffic away from v2, which has it, or from the way to get some.
fn takes_away(component: &str) -> [Vec<&str>; 8] {
    [
        vec!["promote", "greeter", "v1"],
        vec!["traffic", "greeter", "v1=50", "v2=50"],
        vec!["traffic", "greeter", "--offline"],
        vec!["rollback", "greeter"],
        vec!["rollback", "greeter", "--bad"],
        vec!["delete", "greeter", "v1"],
        vec!["deploy", "greeter", "v3", "--component", component, "--traffic", "10"],
        vec!["deploy", "greeter", "v2", "--component", component, "--replace", "--env", "A=b"],
    ]
}

#[test]
fn without_a_terminal_nothing_is_taken_away_unasked() {
    let watershed = serve();
    done(&watershed, &PROMOTE);
    let component = component();
    for arguments in takes_away(&component) {
        for json in [false, true] {
            let mut arguments = arguments.clone();
            arguments.extend(json.then_some("--json"));
            let finished =
                unchanged(&watershed, &arguments.join(" "), || run(&watershed, &arguments));
            assert_eq!(finished.code, Some(1), "{arguments:?}: {finished:?}");
            let said = finished.said();
            assert!(said.contains("nothing was done"), "{arguments:?}: {finished:?}");
            assert!(said.contains("`--yes`"), "{arguments:?}: {finished:?}");
        }
    }
    // Nobody's answer, as of `yes |` and `echo n |`.
    for answer in ["y\n", "n\n"] {
        let finished = unchanged(&watershed, answer, || {
            let mut command = command(&watershed, &["rollback", "greeter"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // The command may be gone by now.
            child.stdin.take().unwrap().write_all(answer.as_bytes()).ok();
            let output = child.wait_with_output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            let (stdout, stderr) = (text(output.stdout), text(output.stderr));
            Finished { code: output.status.code(), stdout, stderr }
        });
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("standard input is not a terminal"), "{finished:?}");
    }
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
}

#[test]
fn what_takes_nothing_away_is_done_unasked() {
    let watershed = serve();
    let component = component();
    for arguments in [
        &["traffic", "greeter", "v1=100", "--remark", "as it is"][..],
        &["promote", "greeter", "v1"],
        &["deploy", "greeter", "v3", "--component", &component, "--env", "VERSION=v3"],
        &["deploy", "greeter", "v3", "--component", &component, "--replace"],
        &["delete", "greeter", "--keep", "3"],
    ] {
        let finished = run(&watershed, arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    }
    done(&watershed, &["traffic", "greeter", "--offline"]);
    assert_eq!(run(&watershed, &["promote", "greeter", "v1"]).code, Some(0));
}

/// A version without a share gets requests by a rule.
#[test]
fn what_a_rule_leads_to_has_traffic() {
    let rule =
        "[[traffic.rules]]\nname = \"beta\"\nversion = \"v2\"\nmatch = { path = \"/beta\" }\n";
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 100") + rule;
    let watershed = Site::new().service("greeter", &text).start();
    let component = component();
    let replace =
        ["deploy", "greeter", "v2", "--component", &component, "--replace", "--env", "A=b"];
    let finished = unchanged(&watershed, "replace", || run(&watershed, &replace));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("`--yes`"), "{finished:?}");
}

#[test]
fn at_a_terminal_only_a_yes_acts() {
    let watershed = serve();
    // The last one is the end of the input.
    for answer in ["n\r", "\r", "yep\r", "\u{4}"] {
        unchanged(&watershed, answer, || {
            let mut typed = AtTerminal::start(command(&watershed, &PROMOTE), Streams::ALL);
            typed.answer(answer);
            let (finished, shown) = typed.end();
            assert_eq!(finished.code, Some(1), "{answer:?}: {shown}");
            assert!(shown.contains("v1 100 % → 0 %"), "{answer:?}: {shown}");
            assert!(shown.contains("since the answer was not yes"), "{answer:?}: {shown}");
            finished
        });
    }
    let mut typed = AtTerminal::start(command(&watershed, &PROMOTE), Streams::ALL);
    typed.answer("y\r");
    let (finished, shown) = typed.end();
    assert_eq!(finished.code, Some(0), "{shown}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");

    let mut typed = AtTerminal::start(command(&watershed, &["rollback", "greeter"]), Streams::ALL);
    typed.answer("YES\r");
    let (finished, shown) = typed.end();
    assert_eq!(finished.code, Some(0), "{shown}");
    assert!(shown.contains("back to what generation"), "{shown}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
}

/// Standard output may be a file or a pipe: it holds the result and nothing else.
#[test]
fn the_question_goes_to_the_terminal_that_is_there() {
    let watershed = serve();
    let json = [&PROMOTE[..], &["--json"]].concat();
    let piped = Streams { stdout: false, ..Streams::ALL };
    let mut typed = AtTerminal::start(command(&watershed, &json), piped);
    typed.answer("y\r");
    let (finished, shown) = typed.end();
    assert_eq!(finished.code, Some(0), "{finished:?} {shown}");
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["ok"], true, "{finished:?}");
    assert!(shown.contains("v1 100 % → 0 %"), "{shown}");

    // Errors go to a file, and the question to the terminal all the same.
    let logged = Streams { stderr: false, ..Streams::ALL };
    let back = ["promote", "greeter", "v1"];
    let mut typed = AtTerminal::start(command(&watershed, &back), logged);
    typed.answer("n\r");
    let (finished, shown) = typed.end();
    assert_eq!(finished.code, Some(1), "{finished:?} {shown}");
    assert!(finished.stderr.contains("since the answer was not yes"), "{finished:?}");

    // Neither can be read, or what is typed cannot.
    let blind = Streams { stdout: false, ..logged };
    let mute = Streams { stdin: false, ..Streams::ALL };
    for (streams, why) in [(blind, "standard error is not"), (mute, "standard input is not")] {
        unchanged(&watershed, why, || {
            let (finished, shown) = AtTerminal::start(command(&watershed, &back), streams).end();
            assert_eq!(finished.code, Some(1), "{finished:?} {shown}");
            assert!((finished.said() + &shown).contains(why), "{finished:?} {shown}");
            finished
        });
    }
}

/// Whoever is asked may go for a coffee. A yes is to what was shown, and to nothing else.
#[test]
fn a_yes_to_what_has_changed_since_is_none() {
    let watershed = serve();
    let mut typed = AtTerminal::start(
        command(&watershed, &["traffic", "greeter", "v1=50", "v2=50"]),
        Streams::ALL,
    );
    crate::support::eventually("a question", || typed.shown().ends_with("[y/N] "));
    done(&watershed, &PROMOTE);
    let text = watershed.site.read(FILE);
    typed.answer("y\r");
    let (finished, shown) = typed.end();
    assert_eq!(finished.code, Some(1), "{shown}");
    assert!(shown.contains("was changed by somebody else meanwhile"), "{shown}");
    assert_eq!(watershed.site.read(FILE), text);
}

#[test]
fn a_dry_run_shows_and_does_nothing() {
    let watershed = serve();
    done(&watershed, &PROMOTE);
    let component = component();
    for arguments in takes_away(&component) {
        // A yes makes no difference to it.
        for more in [&["--dry-run"][..], &["--dry-run", "--yes"]] {
            let arguments = [&arguments[..], more].concat();
            let finished =
                unchanged(&watershed, &arguments.join(" "), || run(&watershed, &arguments));
            assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
            assert!(finished.stdout.contains("~ service default/greeter"), "{finished:?}");
            assert!(finished.stdout.ends_with("1 service changes\n"), "{finished:?}");
        }
    }
    let said = run(&watershed, &["promote", "greeter", "v1", "--dry-run"]).stdout;
    assert!(said.contains("after   watershed promote greeter v1\n"), "{said}");
    assert!(said.contains("v2 100 % → 0 %") && said.contains("unreachable  v2"), "{said}");

    let new = ["deploy", "shop", "v1", "--component", &component, "--new-service", "--dry-run"];
    let finished = run(&watershed, &new);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stdout.contains("+ service default/shop"), "{finished:?}");
    assert!(!watershed.site.path("services/shop.toml").exists());
}

/// As helm's: a plan that shows what is told in confidence.
#[test]
fn a_dry_run_tells_no_secret() {
    let watershed = serve();
    let component = component();
    let deploy = ["deploy", "greeter", "v3", "--component", &component, "--env", "TOKEN=5ecret"];
    for more in [&["--dry-run"][..], &["--dry-run", "--json"]] {
        let finished = run(&watershed, &[&deploy[..], more].concat());
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(!finished.said().contains("5ecret"), "{finished:?}");
    }
}

/// A script may run under a terminal that nobody looks at.
#[test]
fn a_yes_beforehand_is_not_asked_again_at_a_terminal() {
    let watershed = serve();
    let agreed = [&PROMOTE[..], &["--yes"]].concat();
    let (finished, shown) = AtTerminal::start(command(&watershed, &agreed), Streams::ALL).end();
    assert_eq!(finished.code, Some(0), "{shown}");
    assert!(!shown.contains("[y/N]"), "{shown}");
}

#[test]
fn init_shows_what_it_would_write() {
    let site = Site::new();
    let init = |more: &[&str]| site.run(&[&["init", "demo"], more].concat());
    let finished = init(&["--dry-run"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stdout.contains("would write demo/watershed.toml\n"), "{finished:?}");
    assert!(!site.path("demo").exists());
    assert_eq!(init(&["--yes"]).code, Some(0));
    let finished = init(&["--dry-run", "--json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["missing"], serde_json::json!([]));
}

/// What is said beside the shares is so.
#[test]
fn what_was_not_done_is_not_told_as_done() {
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 100, v2 = 0");
    let site = Site::new().service("greeter", &text);
    for arguments in [&["delete", "greeter", "--keep", "3"][..], &["traffic", "greeter", "v1=100"]]
    {
        let finished = site.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        assert!(!finished.stdout.contains("edited"), "{arguments:?}: {finished:?}");
        let finished = site.run(&[arguments, &["--json"]].concat());
        let document: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(document["outcome"], "unchanged", "{arguments:?}: {document:#}");
    }
    let finished = site.run(&["traffic", "greeter", "v1=50", "v2=50", "--yes"]);
    assert!(finished.stdout.contains("only the file was edited"), "{finished:?}");
    // A file that is wrong may declare what is asked for.
    site.write("services/shop.toml", "[");
    let finished = site.run(&["promote", "lab", "v1"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(!finished.stderr.contains("the only one"), "{finished:?}");
    assert!(finished.stderr.contains("shop.toml` is wrong, and may declare it"), "{finished:?}");
}

/// A wrong command line is answered with what is missing, in the order in which it is written.
#[test]
fn usage_names_both_ways() {
    let site = Site::new();
    for (command, usage) in [
        ("delete", "Usage: watershed delete [OPTIONS] <SERVICE> <VERSION | --keep <N>>"),
        (
            "traffic",
            "Usage: watershed traffic [OPTIONS] <SERVICE> <VERSION=PERCENT... | --offline>",
        ),
    ] {
        let finished = site.run(&[command, "greeter"]);
        assert_eq!(finished.code, Some(64), "{finished:?}");
        assert!(finished.stderr.contains(usage), "{finished:?}");
    }
}

#[test]
fn the_exit_code_of_a_dry_run_tells_a_script_what_would_come_of_it() {
    let watershed = serve();
    let component = component();
    let missing = watershed.site.path("missing.wasm").display().to_string();
    for (code, arguments) in [
        (0, &["traffic", "greeter", "v1=100"][..]),
        (0, &["promote", "greeter", "v1"]),
        (0, &["delete", "greeter", "--keep", "2"]),
        (2, &["deploy", "greeter", "v3", "--component", &component]),
        (1, &["deploy", "greeter", "v2", "--component", &component]),
        (1, &["deploy", "greeter", "v3", "--component", &missing]),
        (1, &["promote", "greeter", "v9"]),
        (1, &["delete", "greeter", "v1"]),
        (1, &["rollback", "greeter"]),
    ] {
        let arguments = [arguments, &["--dry-run"]].concat();
        let finished = unchanged(&watershed, &arguments.join(" "), || run(&watershed, &arguments));
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:?}");
    }
    let json = ["promote", "greeter", "v2", "--dry-run", "--json"];
    let finished = unchanged(&watershed, "json", || run(&watershed, &json));
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((&document["ok"], &document["changes"]), (&true.into(), &true.into()));
    assert_eq!(document["services"][0]["shares"][0]["after"], 0.0, "{document:#}");
}

/// Without a process, the comparison is with what a start would serve by the files.
#[test]
fn files_alone_are_enough_for_a_dry_run() {
    let text = greeter("v1") + &greeter("v2") + &split("v1 = 100");
    let site = Site::new().service("greeter", &text);
    let finished = site.run(&["promote", "greeter", "v2", "--dry-run"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stdout.contains("v1 100 % → 0 %"), "{finished:?}");
    let finished = site.run(&["promote", "greeter", "v2"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(site.read(FILE), text);
}

/// A preview is about one service, and what another one is made of is compiled already.
#[test]
fn what_another_service_is_made_of_is_not_to_be_compiled() {
    let lab = lab("v1");
    let watershed = Site::new()
        .service("greeter", &(greeter("v1") + &split("v1 = 100")))
        .service("lab", &lab)
        .start();
    let served = watershed.admin("/api/v1/config?environment=default&service=lab").json();
    let names: Vec<_> = served["environments"][0]["services"].as_array().unwrap().iter().collect();
    assert_eq!((names.len(), &names[0]["name"]), (1, &"lab".into()), "{served:#}");
    for (component, compilations) in [("lab", 0), ("greeter", 0), ("custom", 1)] {
        let component = match component {
            "custom" => {
                // A custom section makes it another component that does the same.
                let mut bytes = std::fs::read(plugin("greeter")).unwrap();
                bytes.extend([0, 2, 1, b'x']);
                watershed.site.write("custom.wasm", bytes);
                watershed.site.path("custom.wasm")
            }
            plugin => self::plugin(plugin),
        };
        let component = component.display().to_string();
        let deploy = ["deploy", "greeter", "v2", "--component", &component, "--dry-run", "--json"];
        let shown = run(&watershed, &deploy);
        assert_eq!(shown.code, Some(2), "{shown:?}");
        let plan: Value = serde_json::from_str(&shown.stdout).unwrap();
        let compile = plan["compile"].as_array().map_or(0, Vec::len);
        assert_eq!(compile, compilations, "{component}: {plan:#}");
    }
}

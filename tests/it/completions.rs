//! What shells and packages get: completions in real shells, and manual pages.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Finished, Site, greeter, one_version, split, tell};

/// How long a person waits for the Tab key, on a busy machine: the program gives up after a second.
const TAB: Duration = Duration::from_secs(8);

/// A site whose admin port is known and free, so that completions look for a process there.
fn site() -> Site {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Site::new()
        .admin(&format!("listen = \"127.0.0.1:{port}\""))
        .service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 100")))
        .service("shop", &one_version("v7"))
}

/// A shell that finds the program by its name, without a user's startup files.
fn shell(name: &str, home: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_watershed")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new(name);
    shell.env("PATH", format!("{}:{path}", program.display())).env("HOME", home);
    shell.env("ZDOTDIR", home).current_dir(home).stdin(Stdio::null());
    shell
}

/// Whether a shell is there. Bash must be; the others are tried where they are.
fn has(name: &str) -> bool {
    Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// What bash offers at the end of a line.
fn bash(site: &Site, line: &str) -> Vec<String> {
    let main = site.main_file().display().to_string();
    let line = format!("watershed --config {main} {line}");
    // Bash splits a line into words as its own completion does.
    let script = r#"
        source <(watershed completions bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() COMP_TYPE=9 rest=$1
        while [[ $rest ]]; do
            rest=${rest#"${rest%%[! ]*}"}
            if [[ $rest == [=:]* ]]; then word=${rest%%[!=:]*}; else word=${rest%%[ =:]*}; fi
            COMP_WORDS+=("$word"); rest=${rest#"$word"}
        done
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _watershed watershed "$word" ''
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = shell("bash", &site.path(""));
    let finished = Finished::of({
        bash.args(["--norc", "-c", script, "bash", &line]);
        bash
    });
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{line}: {finished:?}");
    finished.stdout.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_shell_completes_services_versions_and_shares() {
    let site = site();
    assert_eq!(bash(&site, "traffic gr"), ["greeter"]);
    assert_eq!(bash(&site, "promote greeter v"), ["v1", "v2"]);
    assert_eq!(bash(&site, "promote shop v"), ["v7"]);
    assert!(bash(&site, "rollb").contains(&"rollback".to_owned()));
    assert_eq!(bash(&site, "status --environment d"), ["default"]);
    assert_eq!(bash(&site, "traffic greeter v"), ["v1=", "v2="]);
    assert_eq!(bash(&site, "traffic greeter v1=90 v"), ["v2="]);
    // Bash replaces what is after the `=` alone (clap-rs/clap#6280, #6403).
    assert_eq!(bash(&site, "traffic greeter v1=90 v2="), ["10"]);
    assert_eq!(bash(&site, "deploy greeter v3 --traffic h"), ["hold"]);
    assert_eq!(bash(&site, "deploy greeter v3 --traffic=a"), ["all"]);
    assert_eq!(bash(&site, "explain greeter --ramp v2"), ["v2=0..100"]);
    assert!(bash(&site, "history greeter --admin ")[0].starts_with("http://127.0.0.1:"));
}

/// Of a process, and where none runs of the state directory.
#[test]
fn a_shell_completes_what_a_rollback_may_go_back_to() {
    let mut watershed = site().start();
    assert_eq!(tell(&watershed, &["promote", "greeter", "v2"]).code, Some(0));
    let admin = format!("http://{}", watershed.admin_address());
    for (kind, options) in [("of a process", format!("--admin {admin} ")), ("files", String::new())]
    {
        let offered = bash(&watershed.site, &format!("{options}rollback greeter --to "));
        assert!(offered.starts_with(&["v1".to_owned(), "v2".to_owned()]), "{kind}: {offered:?}");
        let generations: Vec<u64> = offered[2..].iter().map(|it| it.parse().unwrap()).collect();
        assert!(generations.len() == 2 && generations[0] > generations[1], "{kind}: {offered:?}");
        watershed.kill();
    }
}

/// A broken file, no files, and a process that takes a connection and says nothing, for which others wait without end
/// (kubernetes/kubectl#1247, evanlucas/fish-kubectl-completions#1).
#[test]
fn what_is_broken_offers_less_and_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("--admin http://{}", silent.local_addr().unwrap());
    let site = site();
    let started = Instant::now();
    assert_eq!(bash(&site, &format!("rollback {admin} greeter --to v")), ["v1", "v2"]);
    assert!(started.elapsed() < TAB, "{:?}", started.elapsed());
    site.write("services/greeter.toml", "nonsense");

    assert!(bash(&site, "status g").contains(&"greeter".to_owned()));
    assert_eq!(bash(&site, "promote greeter v"), Vec::<String>::new());
    site.write("watershed.toml", "nonsense");
    assert_eq!(bash(&site, "rollback greeter --to v"), Vec::<String>::new());
    fs::remove_file(site.main_file()).unwrap();
    assert_eq!(bash(&site, "rollback greeter --to v"), Vec::<String>::new());
    assert!(bash(&site, "rollb").contains(&"rollback".to_owned()));
}

/// Before compinit, after it and without it (openclaw/openclaw#14289, VibiumDev/vibium#201), and as a file in `fpath`
/// (adaszko/complgen#38). A compinit that comes later forgets what was registered (wting/autojump#137).
#[test]
fn zsh_completes_however_the_script_gets_there() {
    if !has("zsh") {
        return;
    }
    let ways = [
        "source <(watershed completions zsh)",
        "source <(watershed completions zsh); autoload -Uz compinit; compinit -u",
        "autoload -Uz compinit; compinit -u; source <(watershed completions zsh)",
        "mkdir -p ~/f; watershed completions zsh > ~/f/_watershed; fpath=(~/f $fpath)
         autoload -Uz compinit; compinit -u",
    ];
    for way in ways {
        let site = site();
        site.write(".zshrc", format!("PS1='> '\n{way}\n"));
        let main = site.main_file().display().to_string();
        for (line, completed) in [
            ("traffic gree", "greeter"),
            ("promote shop ", "v7"),
            ("deploy greeter v3 --traffic ho", "hold"),
            ("traffic greeter v1=90 v2=", "v2=10"),
        ] {
            let typed = format!("watershed --config {main} {line}");
            let screen = zsh(&site.path(""), &typed, completed);
            assert!(screen.contains(completed), "{way}\n{typed}: {screen}");
            assert!(!screen.contains("not found"), "{way}: {screen}");
        }
    }
}

/// What an interactive zsh shows after a line and the Tab key: until it is what is awaited, or for eight seconds.
fn zsh(home: &Path, line: &str, awaited: &str) -> String {
    let script = r#"
        zmodload zsh/zpty
        zpty z "TERM=dumb zsh -d -i"
        zpty -r -m z seen '*> *' && zpty -w -n z "$1"$'\t'
        all= started=$SECONDS
        # What is typed is shown at once; then what the Tab key adds.
        while (( SECONDS - started < 8 )); do
            zpty -r -t z part && all+=$part || sleep 0.05
            [[ $all == *$2* ]] && break
        done
        print -r -- "$seen$all"
        zpty -d z"#;
    let mut zsh = shell("zsh", home);
    let finished = Finished::of({
        zsh.args(["-f", "-c", script, "zsh", line, awaited]);
        zsh
    });
    finished.said()
}

#[test]
fn fish_completes() {
    if !has("fish") {
        return;
    }
    let site = site();
    let main = site.main_file().display().to_string();
    let fish = |line: &str| {
        let script = format!(
            "watershed completions fish | source; complete -C 'watershed --config {main} {line}'"
        );
        let mut fish = shell("fish", &site.path(""));
        let finished = Finished::of({
            fish.args(["--no-config", "-c", &script]);
            fish
        });
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        let lines = finished.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(fish("traffic gr"), ["greeter"]);
    assert_eq!(fish("promote greeter v"), ["v1", "v2"]);
    assert_eq!(fish("traffic greeter v1=90 v2="), ["v2=10"]);
    assert_eq!(fish("deploy greeter v3 --traffic a"), ["all"]);
}

#[test]
fn scripts_and_manuals_for_packages() {
    let site = site();
    for shell in ["bash", "zsh", "fish"] {
        let finished = site.run(&["completions", shell]);
        assert!(finished.stdout.contains("WATERSHED_COMPLETE"), "{finished:?}");
    }
    assert_eq!(site.run(&["completions", "cmd"]).code, Some(64));
    assert!(site.run(&["man"]).stdout.contains(".TH watershed 1 \"\""));
    let pages = site.path("man").display().to_string();
    for _ in 0..2 {
        assert_eq!(site.run(&["man", &pages]).code, Some(0), "the second time over the first");
    }
    for page in ["watershed.1", "watershed-deploy.1", "watershed-env-list.1"] {
        let text = site.read(&format!("man/{page}"));
        assert!(text.contains(".SH EXAMPLES\n.nf\n\\&watershed "), "{page}: {text}");
    }
    assert!(!site.path("man/watershed-compile.1").exists());
    let taken = site.main_file().display().to_string();
    let finished = site.run(&["man", &taken]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(&format!("cannot write {taken}: ")), "{finished:?}");
}

/// The lines of examples must not be joined (clap-rs/clap#6087).
#[test]
fn a_manual_page_shows_examples_as_the_help_does() {
    if !has("groff") {
        return;
    }
    let site = site();
    let directory = site.path("man").display().to_string();
    assert_eq!(site.run(&["man", &directory]).code, Some(0));
    for page in fs::read_dir(&directory).unwrap() {
        let page = page.unwrap().path();
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        let words: Vec<_> = match name.as_str() {
            "watershed" => vec!["--help"],
            "watershed-env-list" => vec!["env", "list", "--help"],
            name => vec![name.strip_prefix("watershed-").unwrap(), "--help"],
        };
        let help = site.run(&words).stdout;
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-P-c", "-P-b", "-P-u", "-ww", "-rLL=100n"]).arg(&page);
        let shown = Finished::of(groff);
        assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
        let examples = help.split("Examples:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        for line in examples.lines() {
            let found = shown.stdout.lines().any(|shown| shown.trim() == line.trim());
            assert!(found, "{name}: {line:?} is not in\n{}", shown.stdout);
        }
    }
}

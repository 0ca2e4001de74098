//! Holds the code to the rooms of ARCHITECTURE.md: which room may use which, and which library each may
//! name. It reads the text of `src/`, so that an arrow in the wrong direction is a failed test with
//! a file and a line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, in reading order, and those that each may use beside itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("code", &[]),
    ("plural", &[]),
    ("secret", &[]),
    ("transient", &[]),
    ("descriptors", &[]),
    ("systemd", &[]),
    ("restart", &[]),
    ("config", &["plural", "transient"]),
    ("routing", &["secret"]),
    ("api", &["code", "config"]),
    ("edit", &["config"]),
    ("source", &["code", "config", "edit", "transient"]),
    ("certificates", &["config", "plural", "source", "transient"]),
    ("policy", &["api", "code", "config", "routing"]),
    ("telemetry", &[]),
    ("log", &["plural", "telemetry"]),
    ("chunked", &[]),
    ("exchange", &[]),
    ("timer", &[]),
    ("runtime", &["exchange", "plural", "transient"]),
    ("upstream", &["certificates", "chunked", "config", "exchange", "timer", "transient"]),
    ("outbound", &["config", "exchange", "runtime", "telemetry", "upstream"]),
    (
        "versions",
        &[
            "api",
            "config",
            "outbound",
            "policy",
            "routing",
            "runtime",
            "source",
            "telemetry",
            "transient",
            "upstream",
        ],
    ),
    ("history", &["api", "code"]),
    ("transport", &["chunked", "descriptors", "timer"]),
    (
        "reload",
        &[
            "certificates",
            "code",
            "config",
            "history",
            "plural",
            "source",
            "telemetry",
            "transient",
            "transport",
            "versions",
        ],
    ),
    ("rollout", &["api", "code", "config", "edit", "history", "plural", "policy", "source"]),
    ("plan", &["api", "config", "policy"]),
    (
        "delivery",
        &[
            "api", "code", "config", "edit", "history", "plan", "rollout", "source", "upstream",
            "versions",
        ],
    ),
    (
        "proxy",
        &[
            "config",
            "exchange",
            "outbound",
            "routing",
            "runtime",
            "telemetry",
            "timer",
            "transport",
            "upstream",
            "versions",
        ],
    ),
    (
        "admin",
        &[
            "api",
            "certificates",
            "code",
            "config",
            "delivery",
            "descriptors",
            "edit",
            "history",
            "plan",
            "policy",
            "reload",
            "restart",
            "rollout",
            "secret",
            "source",
            "telemetry",
            "transport",
            "upstream",
            "versions",
        ],
    ),
];

/// Rooms that connect the others, and so may use everything.
const COMPOSITION: [&str; 4] = ["server", "cli", "main", "lib"];

/// Libraries that only some rooms may name, by how their crates begin.
const LIBRARIES: [(&str, &[&str]); 20] = [
    ("mimalloc", &["main"]),
    ("libmimalloc", &["runtime"]),
    ("subtle", &["secret"]),
    ("wasmtime", &["runtime"]),
    ("pingora", &["transport", "proxy", "server"]),
    ("h2", &["proxy", "upstream"]),
    ("rustls", &["certificates", "transport", "upstream"]),
    ("ring", &["transport"]),
    ("yasna", &["certificates"]),
    ("tokio_rustls", &["transport", "upstream"]),
    ("axum", &["admin"]),
    ("flate2", &["admin"]),
    ("notify", &["source"]),
    ("prometheus_client", &["telemetry"]),
    ("ureq", &["cli"]),
    ("redb", &["history"]),
    ("toml_edit", &["edit"]),
    ("similar", &["edit"]),
    ("pathdiff", &["edit"]),
    ("comfy_table", &["cli"]),
];

/// Libraries that a leaf may not name.
const FORBIDDEN: [(&str, &[&str]); 2] =
    [("config", &["tokio", "pingora", "wasmtime"]), ("routing", &["tokio", "pingora", "wasmtime"])];

/// Rooms that work on texts and values only, and how code would reach the file system past them.
const WITHOUT_FILES: [&str; 5] = ["config", "edit", "routing", "policy", "plan"];
const FILES: [&str; 9] = [
    "std::fs",
    "fs::",
    "File::",
    "rustix::",
    ".metadata()",
    ".symlink_metadata()",
    ".canonicalize()",
    ".read_dir()",
    ".exists()",
];

/// The files outside of `runtime` that may name it. All others ask a `versions::Backend`, so that a
/// version is not taken for a component again.
const KNOW_GUESTS: [&str; 20] = [
    "cli.rs",
    "cli/compile.rs",
    "cli/trial.rs",
    "outbound.rs",
    "outbound/body.rs",
    "outbound/call.rs",
    "outbound/egress.rs",
    "proxy/exchange.rs",
    "proxy/execute.rs",
    "proxy/execute/attempt.rs",
    "proxy/execute/verdict.rs",
    "proxy/failure.rs",
    "proxy/local.rs",
    "server.rs",
    "versions/backend.rs",
    "versions/guest.rs",
    "versions/guest/error.rs",
    "versions/guest/program_cache.rs",
    "versions/prepare.rs",
    "versions/secrets.rs",
];

/// A line of code, without its comment and without the contents of strings.
struct Line {
    file: PathBuf,
    number: usize,
    room: String,
    /// How many modules deep it is: 1 in `reload.rs`, 2 in `reload/watch.rs`.
    depth: usize,
    code: String,
}

impl Line {
    fn place(&self) -> String {
        format!("{}:{}: {}", self.file.display(), self.number, self.code.trim())
    }
}

fn source() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut lines = Vec::new();
    for file in rust_files(&root) {
        let within = file.strip_prefix(&root).unwrap().with_extension("");
        let mut modules: Vec<_> =
            within.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        modules.retain(|module| module != "mod");
        let text = fs::read_to_string(&file).unwrap();
        lines.extend(text.lines().enumerate().map(|(index, line)| Line {
            file: file.clone(),
            number: index + 1,
            room: modules[0].clone(),
            depth: modules.len(),
            code: code_of(line),
        }));
    }
    assert!(lines.len() > 1_000, "src/ is not where it was");
    lines
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Good enough for rustfmt's output: no block comments, and strings that end on their line.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut in_string = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_string => {
                characters.next();
            }
            '"' => in_string = !in_string,
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if in_string => {}
            other => code.push(other),
        }
    }
    code
}

/// Whether a character can be part of a name.
fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The names that follow `crate::` from this line on, groups over several lines included.
fn rooms_named(lines: &[Line], index: usize) -> Vec<String> {
    let code = &lines[index].code;
    let mut named = Vec::new();
    for (position, _) in code.match_indices("crate::") {
        if code[..position].ends_with(is_name) {
            continue;
        }
        let rest = &code[position + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(group_members(group, &lines[index + 1..])),
            None => named.push(rest.chars().take_while(|character| is_name(*character)).collect()),
        }
    }
    named
}

/// The first name of each member of `use crate::{a, b::{c, d}}`.
fn group_members(first: &str, following: &[Line]) -> Vec<String> {
    let mut text = first.to_owned();
    for line in following.iter().take_while(|line| line.number > 1) {
        if text.contains(';') {
            break;
        }
        text.push_str(&line.code);
    }
    let mut members = vec![String::new()];
    let (mut depth, mut within_name) = (0, true);
    for character in text.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(String::new());
                within_name = true;
            }
            ':' => within_name = false,
            other if depth == 0 && within_name && is_name(other) => {
                members.last_mut().unwrap().push(other);
            }
            _ => {}
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

fn assert_none(what: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{what}:\n{}", violations.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let known =
        |room: &str| COMPOSITION.contains(&room) || ROOMS.iter().any(|(known, _)| *known == room);
    let strangers: Vec<_> =
        source().iter().filter(|line| !known(&line.room)).map(|line| line.file.clone()).collect();
    assert_eq!(strangers, Vec::<PathBuf>::new(), "say in ROOMS what they may use");
}

#[test]
fn rooms_use_only_the_rooms_that_the_layout_allows() {
    let lines = source();
    let mut violations = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((room, allowed)) = ROOMS.iter().find(|(room, _)| *room == line.room) else {
            continue;
        };
        for used in rooms_named(&lines, index) {
            // Tests of the reloader make versions themselves, so that they can say when each is ready.
            let is_stand_in = line.file.ends_with("reload/tests.rs") && used == "runtime";
            if used != *room && !allowed.contains(&used.as_str()) && !is_stand_in {
                violations.push(format!("{}\n    {room} may not use {used}", line.place()));
            }
        }
    }
    assert_none("arrows in the wrong direction", &violations);
}

/// `super::` from the top of a room is another way to say `crate::`.
#[test]
fn no_room_is_left_by_super() {
    let leaves = |line: &&Line| {
        // Indented code may be in an inline module, which is one deeper.
        let depth = line.depth + usize::from(line.code.starts_with(' '));
        let composition = COMPOSITION.contains(&line.room.as_str());
        !composition && line.code.contains(&"super::".repeat(depth))
    };
    let violations: Vec<_> = source().iter().filter(leaves).map(Line::place).collect();
    assert_none("say `crate::` to leave a room", &violations);
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut violations = Vec::new();
    for line in source() {
        for (library, rooms) in LIBRARIES {
            if names(&line.code, library) && !rooms.contains(&line.room.as_str()) {
                violations.push(format!("{}\n    {library} is for {rooms:?}", line.place()));
            }
        }
        for (room, libraries) in FORBIDDEN {
            let named = libraries.iter().find(|library| names(&line.code, library));
            if let Some(library) = named.filter(|_| line.room == room) {
                violations
                    .push(format!("{}\n    {room} is a leaf without {library}", line.place()));
            }
        }
    }
    assert_none("libraries outside of their rooms", &violations);
}

#[test]
fn rooms_of_texts_know_no_file_system() {
    let reaches = |line: &&Line| {
        let is_bound = WITHOUT_FILES.contains(&line.room.as_str());
        is_bound && FILES.iter().any(|files| line.code.contains(files))
    };
    let violations: Vec<_> = source().iter().filter(reaches).map(Line::place).collect();
    assert_none("`source` reads files, and gives these rooms texts", &violations);
}

#[test]
fn only_a_few_files_know_that_a_backend_is_a_guest() {
    let lines = source();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names_it = |(index, line): &(usize, &Line)| {
        line.room != "runtime" && rooms_named(&lines, *index).iter().any(|room| room == "runtime")
    };
    let named = lines.iter().enumerate().filter(names_it).map(|(_, line)| &line.file);
    let files = named.map(|file| file.strip_prefix(&root).unwrap().to_str().unwrap());
    let files: BTreeSet<_> = files.filter(|file| !file.ends_with("tests.rs")).collect();
    assert_eq!(files, BTreeSet::from(KNOW_GUESTS), "ask a `Backend`, or say here why not");
}

/// These macros panic where the reader has left, and wait where it does not read.
#[test]
fn nothing_is_printed_by_macros() {
    let prints = |line: &&Line| line.code.contains("print!(") || line.code.contains("println!(");
    let violations: Vec<_> = source().iter().filter(prints).map(Line::place).collect();
    assert_none("log it, or write it and look at what comes of that", &violations);
}

/// Whether code has a path that begins with a crate of this name or prefix: `wasmtime_wasi::p2`.
fn names(code: &str, library: &str) -> bool {
    code.match_indices(library).any(|(position, _)| {
        let before = &code[..position];
        let after = code[position + library.len()..].trim_start_matches(is_name);
        !before.ends_with(is_name) && !before.ends_with("::") && after.starts_with("::")
    })
}

#[test]
fn the_scan_sees_what_it_is_for() {
    let line = |code: &str| Line {
        file: PathBuf::from("x.rs"),
        number: 2,
        room: "config".to_owned(),
        depth: 1,
        code: code_of(code),
    };
    let named = |code: &[&str]| {
        let lines: Vec<_> = code.iter().map(|code| line(code)).collect();
        rooms_named(&lines, 0)
    };
    assert_eq!(named(&["use crate::proxy::Gateway;"]), ["proxy"]);
    assert_eq!(named(&["use crate::{config, server::{A, b}};"]), ["config", "server"]);
    assert_eq!(
        named(&["use crate::{", "    config::Config,", "    reload,", "};"]),
        ["config", "reload"]
    );
    assert_eq!(named(&["let x = crate::admin::f(crate::cli::g);"]), ["admin", "cli"]);
    assert_eq!(
        named(&["// see crate::proxy", "let text = \"crate::proxy\";"]),
        <[&str; 0]>::default()
    );
    assert!(names("use wasmtime_wasi::WasiCtx;", "wasmtime"));
    assert!(!names("self::wasmtime::x", "wasmtime") && !names("let wasmtime = 1;", "wasmtime"));
}

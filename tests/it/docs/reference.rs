//! The pages list exactly what exists: keys, codes, metrics, paths, commands, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::StatusCode;
use regex::Regex;
use serde_json::Value;
use watershed::code::ErrorCode;

use super::blocks::{Block, blocks};
use super::pages::RUN;
use super::{blesses, repository};
use crate::support::{Finished, GREETER, Site, greeter, one_version, split};

/// The pages of the documentation.
const PAGES: [&str; 16] = [
    "README.md",
    "docs/traffic.md",
    "docs/upgrades.md",
    "docs/upstreams.md",
    "docs/tls.md",
    "docs/configuration.md",
    "docs/guests.md",
    "docs/operations.md",
    "docs/deploy.md",
    "docs/hygiene.md",
    "docs/hygiene-http2.md",
    "docs/scripts.md",
    "docs/api.md",
    "docs/performance.md",
    "docs/console.md",
    "docs/restart.md",
];

/// The other documents for people.
const OTHERS: [&str; 4] =
    ["ARCHITECTURE.md", "CHANGELOG.md", "benches/README.md", "plugins/README.md"];

fn read(name: &str) -> String {
    let path = repository(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every match of the first group of a pattern.
fn found(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn files(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        match path.is_dir() {
            true => all.extend(files(&path, extensions)),
            false if extensions.contains(&extension.as_str()) => all.push(path),
            false => {}
        }
    }
    all
}

/// The text of the file below `src/` that contains these words.
fn source_with(words: &str) -> String {
    let sources = files(&repository("src"), &["rs"]);
    let mut texts = sources.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.find(|text| text.contains(words)).unwrap_or_else(|| panic!("src/ is without {words:?}"))
}

/// The part of a page under a heading.
fn section(page: &str, heading: &str) -> String {
    let text = read(page);
    let start = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{page}: {heading}"));
    let rest = &text[start + heading.len() + 2..];
    let level = heading.split(' ').next().unwrap();
    rest.split(&format!("\n{level} ")).next().unwrap().to_owned()
}

#[test]
fn the_readme_is_one_screen_or_three() {
    assert!(read("README.md").lines().count() <= 150);
}

/// A checker that skips unknown blocks covers less and less, as with clap's documentation (clap-rs/clap#3260). So every
/// block has a language of this list, and few blocks are not run, each for a reason that the page has.
#[test]
fn blocks_that_are_not_run_are_few_and_have_a_reason() {
    let mut not_run = 0;
    for page in PAGES.iter().chain(&OTHERS) {
        let text = read(page);
        let lines: Vec<_> = text.lines().collect();
        for Block { language, start, lines: block } in blocks(&text) {
            let names_a_file = block.first().is_some_and(|line| line.starts_with("# "));
            match language.as_str() {
                "console" => assert!(RUN.contains(page), "{page}:{start} is not run"),
                "toml" if names_a_file => assert!(RUN.contains(page), "{page}:{start} is not run"),
                "mermaid" | "text" => {}
                "sh" | "ini" | "toml" => {
                    let before = start.checked_sub(2).map_or("", |at| lines[at].trim());
                    assert!(before.starts_with("<!-- not run: "), "{page}:{start}: no reason");
                    not_run += 1;
                }
                other => panic!("{page}:{start}: a block of {other:?}"),
            }
        }
    }
    assert!(not_run <= 8, "{not_run} blocks that no test runs");
    for page in files(&repository("docs"), &["md"]) {
        let name = format!("docs/{}", page.file_name().unwrap().to_string_lossy());
        assert!(PAGES.contains(&name.as_str()), "no test looks at {name}");
    }
}

#[test]
fn every_failure_is_in_the_table_of_failures() {
    let source = read("src/proxy/failure.rs");
    let answer = Regex::new(r#"answer\(\s*StatusCode::(\w+),\s*"([a-z-]+)""#).unwrap();
    let known: BTreeSet<_> = answer
        .captures_iter(&source)
        .map(|found| (found[2].to_owned(), found[1].to_owned()))
        .collect();
    assert!(known.len() > 15, "{known:?}");
    let table = section("docs/operations.md", "## Failures of requests");
    let row = Regex::new(r"(?m)^\| `([a-z-]+)` \| (\d{3}) \|").unwrap();
    let reason = |code: &str| {
        let status: StatusCode = code.parse().unwrap();
        status.canonical_reason().unwrap().to_uppercase().replace(' ', "_")
    };
    let told: BTreeSet<_> =
        row.captures_iter(&table).map(|found| (found[1].to_owned(), reason(&found[2]))).collect();
    assert_eq!(told, known);
}

#[test]
fn every_code_of_a_version_is_in_the_table_of_codes() {
    let source = source_with("pub enum StatusCode");
    let known = found(r#"Self::\w+ => "([a-z]+(?:-[a-z]+)*)","#, &source);
    let words = ["creating", "normal", "error"].map(str::to_owned);
    let known: BTreeSet<_> = known.into_iter().filter(|code| !words.contains(code)).collect();
    assert!(known.len() > 10, "{known:?}");
    let table = section("docs/operations.md", "## Versions in error");
    assert_eq!(found(r"(?m)^\| `([a-z-]+)` \|", &table), known);
}

/// The table is written from the list that the program has.
pub fn every_error_code_is_in_the_table() {
    let (page, heading) = ("docs/scripts.md", "## Codes of errors");
    let row = |code: &ErrorCode| format!("| `{}` | {} |\n", code.as_str(), code.meaning());
    let rows: String = ErrorCode::ALL.iter().map(row).collect();
    let told = section(page, heading);
    let table: String = told
        .lines()
        .filter(|line| line.starts_with("| `"))
        .fold(String::new(), |table, line| table + line + "\n");
    if blesses() {
        fs::write(repository(page), read(page).replace(&table, &rows)).unwrap();
    } else {
        assert_eq!(table, rows, "WATERSHED_BLESS=1 writes the table anew");
    }
}

/// Traefik documented metrics that nothing sets, and had others that no page lists (traefik/traefik#8752, #10928).
#[test]
fn every_metric_is_in_the_table_of_metrics() {
    let page = section("docs/operations.md", "## Metrics");
    let told = found(r"(?m)^\| `((?:watershed|process)_[a-z0-9_]+)` \|", &page);
    let site = Site::new()
        .service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 50, v2 = 50")))
        .service("wrong", "nonsense")
        .service("other", &one_version("v1"));
    let watershed = site.start();
    watershed.assert_serves(GREETER, "/");
    let text = watershed.admin("/metrics").text();
    let shown = found(r"(?m)^# TYPE (\w+) \w+$", &text);
    assert!(shown.len() > 10, "{text}");
    assert_eq!(shown.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
    let sources = files(&repository("src/telemetry"), &["rs"]);
    let mut source: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    source.push_str(&read("src/telemetry.rs"));
    for metric in told {
        let stem = metric.trim_start_matches("watershed_").trim_start_matches("process_");
        let stem = ["_total", "_seconds", "_bytes", "_ratio"]
            .iter()
            .fold(stem, |stem, suffix| stem.trim_end_matches(suffix));
        assert!(source.contains(&format!("\"{stem}\"")), "nothing registers {metric}");
    }
}

#[test]
fn every_path_of_the_admin_listener_is_told() {
    let mut sources = vec![repository("src/admin.rs"), repository("src/api.rs")];
    sources.extend(["src/admin", "src/api"].iter().flat_map(|it| files(&repository(it), &["rs"])));
    let source: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let paths = found(r#""(/(?:livez|readyz|metrics|api/v1/[a-z/]+))""#, &source);
    assert!(paths.len() > 6, "{paths:?}");
    let page = section("docs/operations.md", "## The admin listener");
    for path in paths {
        assert!(page.contains(&format!("{path}`")), "{path} is not in the page");
    }
}

#[test]
fn every_command_is_told() {
    let help = help(&[]);
    let commands = found(r"(?m)^  ([a-z]+) ", help.split("Options:").next().unwrap());
    assert!(commands.len() > 12, "{help}");
    let pages: String = PAGES.iter().map(|page| read(page)).collect();
    for command in commands.iter().filter(|command| *command != "help") {
        assert!(pages.contains(&format!("watershed {command}")), "no page has {command}");
    }
}

fn help(command: &[&str]) -> String {
    let mut help = Command::new(env!("CARGO_BIN_EXE_watershed"));
    let finished = Finished::of({
        help.args(command).arg("--help");
        help
    });
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

/// All help texts in one file, so that a change of one is seen in review.
#[test]
fn the_help_texts_are_those_that_were_read() {
    let commands = found(r"(?m)^  ([a-z]+) ", help(&[]).split("Options:").next().unwrap());
    let mut text = help(&[]);
    for command in commands.iter().filter(|command| *command != "help") {
        text.push_str(&format!("\n---- watershed {command}\n\n{}", help(&[command])));
        if command == "env" {
            text.push_str(&format!("\n---- watershed env list\n\n{}", help(&["env", "list"])));
        }
    }
    golden("tests/it/help.txt", &text);
}

#[track_caller]
fn golden(name: &str, text: &str) {
    if blesses() {
        fs::write(repository(name), text).unwrap();
    }
    let known = fs::read_to_string(repository(name)).unwrap_or_default();
    let differs = known.lines().zip(text.lines()).position(|(one, other)| one != other);
    let shown = differs.map(|line| (line + 1, text.lines().nth(line)));
    assert!(known == text, "{name} differs at {shown:?}; WATERSHED_BLESS=1 writes it anew");
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    for page in PAGES.iter().chain(&OTHERS) {
        for found in link.captures_iter(&read(page)) {
            let (path, anchor) = found[1].split_once('#').unwrap_or((&found[1], ""));
            if path.contains("://") {
                continue;
            }
            let target = match path {
                "" => repository(page),
                path => repository(page).parent().unwrap().join(path),
            };
            assert!(target.exists(), "{page}: {}", &found[1]);
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let anchors: Vec<_> =
                    text.lines().filter(|line| line.starts_with('#')).map(anchor_of).collect();
                assert!(anchors.contains(&anchor.to_owned()), "{page}: {}: {anchors:?}", &found[1]);
            }
        }
    }
}

/// A heading's anchor, as GitHub makes it.
fn anchor_of(heading: &str) -> String {
    let kept = |character: &char| character.is_alphanumeric() || " -_".contains(*character);
    let text: String = heading.trim_start_matches('#').trim().chars().filter(kept).collect();
    text.to_lowercase().replace(' ', "-")
}

#[test]
fn every_room_has_its_place_in_the_architecture() {
    let rooms = found(r"(?m)^pub mod (\w+);", &read("src/lib.rs"));
    assert!(rooms.len() > 15, "{rooms:?}");
    let page = read("ARCHITECTURE.md");
    let headings: String = page.lines().filter(|line| line.starts_with("### ")).collect();
    for room in rooms {
        assert!(headings.contains(&format!("`{room}`")), "no heading for {room}");
    }
}

/// Documents cite no page that the project does not contain.
#[test]
fn nothing_cites_a_page_that_the_project_does_not_have() {
    let outside = [concat!("DESIGN", ".md"), concat!("STYLE", ".md"), concat!("../", "shared")];
    let mut all: Vec<_> = PAGES.iter().chain(&OTHERS).map(|page| repository(page)).collect();
    for directory in ["src", "tests", "benches", "plugins", "fuzz"] {
        all.extend(files(&repository(directory), &["rs", "md", "toml", "sh"]));
    }
    for path in all.iter().filter(|path| !path.iter().any(|part| part == "target")) {
        let text = fs::read_to_string(path).unwrap_or_default();
        for word in outside {
            assert!(!text.contains(word), "{} cites {word}", path.display());
        }
    }
}

/// Every key that a page shows is a key.
#[test]
fn the_keys_of_examples_are_in_the_schemas() {
    let schemas = ["watershed", "service"].map(|name| {
        serde_json::from_str::<Value>(&read(&format!("config/schema/{name}.json"))).unwrap()
    });
    for page in PAGES {
        for block in blocks(&read(page)).iter().filter(|block| block.language == "toml") {
            let text = block.lines.join("\n");
            let table: toml::Value = toml::from_str(&text)
                .unwrap_or_else(|error| panic!("{page}:{}: {error}\n{text}", block.start));
            let unknown = schemas.each_ref().map(|schema| unknown(schema, &table, ""));
            assert!(
                unknown.iter().any(Option::is_none),
                "{page}:{}: no such key: {unknown:?}",
                block.start
            );
        }
    }
}

/// The first key of a value that its schema does not have.
fn unknown(schema: &Value, value: &toml::Value, path: &str) -> Option<String> {
    // An example may show a table of the last item of an array, as `[versions.limits]`.
    let schema = schema.get("items").unwrap_or(schema);
    match value {
        toml::Value::Table(table) => table.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            let known = schema["properties"].get(key).or_else(|| {
                let others = schema.get("additionalProperties")?;
                others.is_object().then_some(others)
            });
            let known = known.or_else(|| schema.get("anyOf").map(|_| schema));
            known.map_or(Some(path.clone()), |schema| unknown(schema, value, &path))
        }),
        toml::Value::Array(items) => items.iter().find_map(|item| unknown(schema, item, path)),
        _ => None,
    }
}

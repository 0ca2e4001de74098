//! The tables of HTTP/2 in `docs/hygiene-http2.md`, which are written from the cases.

use std::fs;
use std::path::PathBuf;

use super::case::Case;

/// What is longer is cut in a table.
const LONGEST: usize = 90;

#[test]
fn the_page_tells_of_every_case() {
    let begin = "<!-- http2: written by WATERSHED_BLESS=1 -->\n";
    let end = "<!-- http2: end -->\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/hygiene-http2.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(begin).unwrap();
    let (told, after) = rest.split_once(end).unwrap();
    let tables = tables(&Case::all());
    if std::env::var_os("WATERSHED_BLESS").is_some() {
        fs::write(&path, [before, begin, &tables, end, after].concat()).unwrap();
    } else {
        assert!(told == tables, "docs/hygiene-http2.md: WATERSHED_BLESS=1 writes the tables anew");
    }
}

fn tables(cases: &[Case]) -> String {
    let mut text = String::new();
    let mut group = "";
    for case in cases {
        if case.group != group {
            group = &case.group;
            let head = "| case | what is sent | by | answer |\n| --- | --- | --- | --- |\n";
            text.push_str(&format!("\n### HTTP/2: {}\n\n{head}", group.to_lowercase()));
        }
        let Case { about, sent, rule, answer, .. } = case;
        text.push_str(&format!("| {about} | {} | {rule} | {answer} |\n", code(&sent.join(" · "))));
    }
    text + "\n"
}

/// A text as code in a cell of a table.
fn code(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST).collect();
    let mark = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{mark}`", cut.replace('|', "\\|"))
}

/// Each limit of the page names the test that goes beyond it.
#[test]
fn the_tests_that_the_page_names_are_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/hygiene-http2.md")).unwrap();
    let tests: String = ["http2_floods.rs", "http2_stalls.rs"]
        .map(|name| fs::read_to_string(root.join("tests/it").join(name)).unwrap())
        .concat();
    let (_, limits) = page.split_once("| test |\n").unwrap();
    let (limits, _) = limits.split_once("\n\n").unwrap();
    for row in limits.lines().skip(1) {
        let name = row.trim_end_matches(" |").rsplit("| ").next().unwrap().trim_matches('`');
        assert!(tests.contains(&format!("fn {name}()")), "{row}");
    }
}

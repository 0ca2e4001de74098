//! The tables of `docs/hygiene.md`, which are written from the cases.

use std::fs;

use super::case::Case;
use super::repository;

const PAGE: &str = "docs/hygiene.md";
/// What is longer is cut in a table.
const LONGEST: usize = 90;

#[test]
fn the_page_tells_of_every_case() {
    let begin = "<!-- http1: written by WATERSHED_BLESS=1 -->\n";
    let end = "<!-- http1: end -->\n";
    let page = fs::read_to_string(repository(PAGE)).unwrap();
    let (before, rest) = page.split_once(begin).unwrap();
    let (told, after) = rest.split_once(end).unwrap();
    let tables = tables(&Case::all());
    if std::env::var_os("WATERSHED_BLESS").is_some() {
        fs::write(repository(PAGE), [before, begin, &tables, end, after].concat()).unwrap();
    } else {
        assert!(told == tables, "{PAGE}: WATERSHED_BLESS=1 writes the tables anew");
    }
}

fn tables(cases: &[Case]) -> String {
    let mut text = String::new();
    let mut group = "";
    for case in cases {
        if case.group != group {
            group = &case.group;
            text.push_str(&format!(
                "\n### {group}\n\n| case | what is sent | by | answer | an upstream gets |\n\
                 | --- | --- | --- | --- | --- |\n"
            ));
        }
        text.push_str(&row(case));
    }
    text + "\n"
}

fn row(case: &Case) -> String {
    let Case { about, sent, body, rule, .. } = case;
    let sent = [sent.as_str(), body].join(if body.is_empty() { "" } else { r"\r\n\r\n" });
    let mut answer: Vec<_> = case.status.iter().map(u16::to_string).collect();
    if case.closes() {
        answer.push("closed".to_owned());
    }
    let seen: Vec<_> = case.seen.iter().map(|seen| code(seen)).collect();
    let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
    format!("| {about} | {} | {rule} | {} | {seen} |\n", code(&sent), answer.join(", "))
}

/// A text as code in a cell of a table.
fn code(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST).collect();
    let mark = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{mark}`", cut.replace('|', "\\|"))
}

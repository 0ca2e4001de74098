//! Runs the pages.

use std::fs;
use std::sync::LazyLock;

use regex::Regex;

use super::blocks::{Block, Step, blocks};
use super::keys::every_key_is_in_the_tables;
use super::likeness::{Generations, difference};
use super::reference::every_error_code_is_in_the_table;
use super::session::Session;
use super::{blesses, repository};
use crate::support::{DEADLINE, within};

/// A command that goes on until it is ended.
static SERVES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(make run|watershed( run)?( --config \S+)?)( +#.*)?$").unwrap());

/// A page that is being run.
struct Page {
    name: &'static str,
    session: Session,
    generations: Generations,
}

impl Page {
    /// Runs a page's blocks. If the output differs from the page, the test fails, or the page is written anew.
    #[track_caller]
    fn run(name: &'static str) {
        let path = repository(name);
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut page = Self { name, session: Session::new(), generations: Generations::default() };
        let mut replaced = Vec::new();
        let blocks = blocks(&text);
        assert!(blocks.iter().any(|block| block.language == "console"), "{name} shows nothing");
        for block in &blocks {
            match block.language.as_str() {
                "console" => replaced.push((block, page.block(block))),
                "toml" => page.file(block),
                _ => {}
            }
        }
        if blesses() {
            for (block, new) in replaced.into_iter().rev() {
                let old = &lines[block.start..block.start + block.lines.len()];
                let indent = old.first().map_or(0, |line| line.len() - line.trim_start().len());
                let new = new.into_iter().map(|line| format!("{:indent$}{line}", ""));
                let new: Vec<_> = new.map(|line| line.trim_end().to_owned()).collect();
                lines.splice(block.start..block.start + block.lines.len(), new);
            }
            fs::write(path, lines.join("\n") + "\n").unwrap();
        }
    }

    /// Writes a block to the file that its first line names.
    fn file(&mut self, block: &Block) {
        let Some(name) = block.lines.first().and_then(|line| line.strip_prefix("# ")) else {
            return;
        };
        if let Some(path) = name.strip_prefix("in ") {
            return self.session.assert_in(path, &block.lines[1..]);
        }
        let (adds, path) = match name.strip_prefix("add to ") {
            Some(path) => (true, path),
            None => (false, name),
        };
        if path.ends_with(".toml") && !path.contains(' ') {
            self.session.write(path, &(block.lines.join("\n") + "\n"), adds);
            self.session.read_edits();
        }
    }

    /// Runs a block, and returns its lines as they were printed.
    #[track_caller]
    fn block(&mut self, block: &Block) -> Vec<String> {
        let mut lines = Vec::new();
        for step in block.steps() {
            let printed = match SERVES.is_match(&step.command) {
                true => self.serve(&step),
                false => self.step(&step),
            };
            let differs = difference(step.output(), &printed, &mut self.generations);
            // Output that is alike leaves the page's lines as they are.
            let output = if differs.is_none() { step.output() } else { &printed };
            lines.extend(step.with_output(output));
            if let Some(differs) = differs.filter(|_| !blesses()) {
                panic!(
                    "{}:{}: $ {}\n{differs}\n--- all that it printed\n{}\n--- the log\n{}",
                    self.name,
                    block.start,
                    step.command,
                    printed.join("\n"),
                    self.session.log().join("\n")
                );
            }
        }
        lines
    }

    fn serve(&mut self, step: &Step) -> Vec<String> {
        let wanted = step.output().to_vec();
        let is_told = |lines: &[String]| match blesses() {
            true => lines.iter().any(|line| line.starts_with("http://")),
            false => part(lines, &wanted).is_some(),
        };
        let said = self.session.serve(&step.command, is_told);
        part(&said, &wanted).unwrap_or(said)
    }

    /// Runs a command. Expected lines that it does not print itself must appear in the log.
    fn step(&mut self, step: &Step) -> Vec<String> {
        let before = self.session.log().len();
        let command = self.generations.translate(&step.command);
        let mut printed = self.session.run(&command);
        if command.contains("sed -i") {
            self.session.read_edits();
        }
        if command.contains("http.server") {
            self.session.await_service();
        }
        let rest = step.output().get(printed.len()..).unwrap_or_default();
        if !rest.is_empty() && rest[0].contains("Z  INFO ") | rest[0].contains("Z ERROR ") {
            let log = || self.session.log().split_off(before);
            if !blesses() {
                within(DEADLINE, &format!("{rest:?} in the log"), || part(&log(), rest).is_some());
            }
            printed.extend(part(&log(), rest).unwrap_or_else(log));
        }
        printed
    }
}

/// The first lines in a row that match these.
fn part(lines: &[String], wanted: &[String]) -> Option<Vec<String>> {
    let mut parts = lines.windows(wanted.len().max(1));
    let is_like =
        |part: &&[String]| difference(wanted, part, &mut Generations::default()).is_none();
    parts.find(is_like).map(<[String]>::to_vec)
}

/// The pages that are run, each by a test of its own.
pub const RUN: [&str; 10] = [
    "README.md",
    "docs/traffic.md",
    "docs/upgrades.md",
    "docs/configuration.md",
    "docs/guests.md",
    "docs/operations.md",
    "docs/scripts.md",
    "docs/upstreams.md",
    "docs/api.md",
    "docs/tls.md",
];

#[test]
fn readme() {
    Page::run(RUN[0]);
}

#[test]
fn traffic() {
    Page::run(RUN[1]);
}

#[test]
fn upgrades() {
    Page::run(RUN[2]);
}

#[test]
fn configuration() {
    // One after the other, since both may write the page.
    every_key_is_in_the_tables();
    Page::run(RUN[3]);
}

#[test]
fn guests() {
    Page::run(RUN[4]);
}

#[test]
fn operations() {
    Page::run(RUN[5]);
}

#[test]
fn upstreams() {
    Page::run(RUN[7]);
}

#[test]
fn scripts() {
    // One after the other, since both may write the page.
    every_error_code_is_in_the_table();
    Page::run(RUN[6]);
}

#[test]
fn tls() {
    Page::run(RUN[9]);
}

#[test]
fn api() {
    Page::run(RUN[8]);
}

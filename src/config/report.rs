//! Everything that is wrong with a configuration, as a [`Report`]. `check` prints it as text or JSON, and a refused
//! reload keeps it for the status API.

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, Title};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every problem of a configuration: the main file's first, then by file and line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Report {
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, where it is, and what to do about it. A warning has the same form and refuses nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Absolute.
    pub file: PathBuf,
    /// Counts from 1. None when the file as a whole is the problem.
    pub line: Option<usize>,
    /// In characters, counted from 1.
    pub column: Option<usize>,
    /// How many characters are marked, from the column on.
    pub width: Option<usize>,
    /// The line itself, unless it is too long to be shown.
    pub source: Option<String>,
    pub message: String,
    /// What to do.
    pub help: String,
    /// Whether the problem may pass by itself: the file could not be read, so its content is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_transient: bool,
}

impl Problem {
    /// A problem of a file as a whole.
    pub fn of_file(
        file: impl Into<PathBuf>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            width: None,
            source: None,
            message: message.into(),
            help: help.into(),
            is_transient: false,
        }
    }

    /// The file and the line, as compilers write them.
    pub fn place(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}", self.file.display())
    }

    /// The problem for people, as an error with a code that scripts know too.
    pub fn with_code(&self, code: &str) -> String {
        let title = Level::ERROR.primary_title(&self.message).id(code);
        self.render(&Renderer::plain(), title)
    }

    fn render(&self, renderer: &Renderer, title: Title<'_>) -> String {
        let path = short_path(&self.file).display().to_string();
        let mut group = match &self.source {
            Some(source) => title.element(self.snippet(source, path)),
            None => title.element(self.origin(path)),
        };
        if !self.help.is_empty() {
            group = group.element(Level::HELP.message(&self.help));
        }
        renderer.render(&[group] as &[Group<'_>])
    }

    fn snippet<'a>(
        &self,
        source: &'a str,
        path: String,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let mark = AnnotationKind::Primary.span(self.marked(source));
        Snippet::source(source).line_start(self.line.unwrap_or(1)).path(path).annotation(mark)
    }

    fn origin(&self, path: String) -> Origin<'static> {
        let mut origin = Origin::path(path);
        if let Some(line) = self.line {
            origin = origin.line(line);
        }
        if let Some(column) = self.column {
            origin = origin.char_column(column);
        }
        origin
    }

    /// The marked characters as bytes of the source line.
    fn marked(&self, source: &str) -> Range<usize> {
        let first = self.column.map_or(0, |column| column.saturating_sub(1));
        let start = byte_of(source, first);
        let end = byte_of(source, first + self.width.unwrap_or(1));
        start..end
    }
}

fn byte_of(text: &str, character: usize) -> usize {
    let found = text.char_indices().nth(character);
    found.map_or(text.len(), |(byte, _)| byte)
}

impl Report {
    /// Puts the problems in order, and drops duplicates, as from a file that two environments share.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        // The order in which files were read is the order of their first problems.
        let mut files = HashMap::new();
        for problem in &problems {
            let next = files.len();
            files.entry(problem.file.clone()).or_insert(next);
        }
        problems.sort_by_cached_key(|problem| (files.get(&problem.file), problem.clone()));
        problems.dedup();
        Self { problems }
    }
}

impl Report {
    /// Whether every problem may pass by itself, so nothing is known to be wrong.
    pub fn is_transient(&self) -> bool {
        self.problems.iter().all(|problem| problem.is_transient)
    }

    /// Whether some problem may pass by itself.
    pub fn may_pass(&self) -> bool {
        self.problems.iter().any(|problem| problem.is_transient)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, &self.problems, &Level::ERROR)
    }
}

/// Warnings for people: what is right and yet can hardly be meant.
#[derive(Clone, Copy, Debug)]
pub struct Warnings<'a>(pub &'a [Problem]);

impl fmt::Display for Warnings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, self.0, &Level::WARNING)
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, problems: &[Problem], level: &Level<'_>) -> fmt::Result {
    let renderer = Renderer::plain();
    for (index, problem) in problems.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n\n" };
        write!(
            f,
            "{gap}{}",
            problem.render(&renderer, level.clone().primary_title(&problem.message))
        )?;
    }
    Ok(())
}

/// The path as a person would write it: relative to the current directory where that is shorter.
pub(crate) fn short_path(path: &Path) -> &Path {
    let relative = env::current_dir().ok().and_then(|directory| {
        let rest = path.strip_prefix(directory).ok()?;
        (rest != Path::new("")).then_some(rest)
    });
    relative.unwrap_or(path)
}

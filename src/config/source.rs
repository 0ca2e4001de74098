//! A file's text and the way from a place in it to the line and column that a person looks for.
//! Also the collector that `document` and `validate` put their findings into.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::document::Lost;
use super::report::Problem;

/// A file that was read.
pub struct Source {
    /// Absolute.
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// What paths in the file are relative to.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Counts from 1.
    pub fn line_of(&self, byte: usize) -> usize {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        before.matches('\n').count() + 1
    }

    /// What a person sees of a place.
    pub fn spot(&self, span: Range<usize>) -> Spot {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        let (before, after) = self.text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let head = self.text.get(line_start..start).unwrap_or_default();
        let tail = first_line(after);
        let marked = first_line(self.text.get(start..end).unwrap_or_default());
        Spot {
            file: self.path.clone(),
            line: Some(self.line_of(start)),
            column: Some(head.chars().count() + 1),
            width: Some(marked.chars().count().max(1)),
            source: Some(format!("{head}{tail}")),
        }
    }
}

/// A place in a file as a person sees it, which outlives the file's text; only the file where the
/// file as a whole is meant.
#[derive(Clone, Debug)]
pub struct Spot {
    pub file: PathBuf,
    pub line: Option<usize>,
    column: Option<usize>,
    width: Option<usize>,
    source: Option<String>,
}

impl Spot {
    /// A file as a whole.
    pub fn of_file(file: &Path) -> Self {
        Self { file: file.to_owned(), line: None, column: None, width: None, source: None }
    }

    /// What is wrong here.
    pub fn problem(self, complaint: Complaint) -> Problem {
        let Self { file, line, column, width, source } = self;
        let Complaint { message, help } = complaint;
        Problem { file, line, column, width, source, message, help }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What is wrong and what to do, before it is known where.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    pub message: String,
    pub help: String,
}

impl Complaint {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// Collects the problems of one file.
pub struct Findings<'a> {
    pub source: &'a Source,
    pub lost: &'a [Lost],
    pub problems: &'a mut Vec<Problem>,
}

impl Findings<'_> {
    /// A problem at a place in the file.
    pub fn add(&mut self, span: Range<usize>, complaint: Complaint) {
        self.problems.push(self.source.spot(span).problem(complaint));
    }

    /// A problem of the file as a whole.
    pub fn add_to_file(&mut self, complaint: Complaint) {
        self.problems.push(Spot::of_file(&self.source.path).problem(complaint));
    }

    /// The value, or nothing and a problem.
    pub fn check<T>(&mut self, span: Range<usize>, result: Result<T, Complaint>) -> Option<T> {
        result.map_err(|complaint| self.add(span, complaint)).ok()
    }

    /// Reports a key that its table must have, unless the key is there and already reported for its
    /// shape.
    pub fn add_missing(&mut self, table: Range<usize>, key: &str, complaint: Complaint) {
        if !self.has_lost(Some(&table), key) {
            self.add(table, complaint);
        }
    }

    /// Whether the key of a table, or of the root, was dropped because of its shape.
    pub fn has_lost(&self, table: Option<&Range<usize>>, key: &str) -> bool {
        let matches = |lost: &Lost| lost.table.as_ref() == table && lost.key == key;
        self.lost.iter().any(matches)
    }

    /// Whether anything directly in a table was dropped because of its shape.
    pub fn has_lost_any(&self, table: &Range<usize>) -> bool {
        self.lost.iter().any(|lost| lost.table.as_ref() == Some(table))
    }
}

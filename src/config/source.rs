//! A file's text, and the way from a place in it to the line and column that a person looks for. Also the collector
//! into which `document` and `validate` put their findings.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::read::Lost;
use super::report::Problem;
use crate::plural::many;
use crate::transient::advice;

/// How many problems of one file are reported; the rest wait for the next run.
pub const PROBLEMS_MAX: usize = 100;

/// The longest line, in bytes, that is shown with a problem. Nobody writes longer lines by hand, and every problem on
/// such a line would carry a copy.
pub const LINE_MAX: usize = 4096;

/// How many characters of a sentence are kept at its start and at its end. What is in between was quoted from the file.
const SENTENCE_ENDS: (usize, usize) = (600, 200);

/// A file that was read.
pub struct Source {
    /// Absolute.
    pub path: PathBuf,
    pub text: String,
    /// The offsets at which lines start, without the first line.
    lines: Vec<usize>,
}

impl Source {
    /// The text without its byte order mark: an editor counts columns without the mark.
    pub fn new(path: &Path, mut text: String) -> Self {
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let lines = text.match_indices('\n').map(|(newline, _)| newline + 1).collect();
        Self { path: path.to_owned(), text, lines }
    }

    /// The directory from which relative paths in the file start.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Counts from 1.
    pub fn line_of(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte) + 1
    }

    /// Where the line of a place starts, in bytes.
    pub fn line_start(&self, byte: usize) -> usize {
        let before = self.line_of(byte).checked_sub(2);
        before.and_then(|before| self.lines.get(before)).copied().unwrap_or(0)
    }

    /// The line of a place, and the place's offset in that line, in bytes. A place between the two bytes of a line's
    /// end counts as the line's end.
    pub fn line(&self, byte: usize) -> (&str, usize) {
        let (number, start) = (self.line_of(byte), self.line_start(byte));
        let end = self.lines.get(number - 1).copied().unwrap_or(self.text.len());
        let line = first_line(self.text.get(start..end).unwrap_or_default());
        (line, line.floor_char_boundary(byte.saturating_sub(start)))
    }

    /// The place as a person sees it.
    pub fn spot(&self, span: Range<usize>) -> Spot {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        let (line, at) = self.line(start);
        // Up to the line's end, whose two bytes may be on both sides of the span's end.
        let until = line.floor_char_boundary(at + (end - start));
        let marked = line.get(at..until).unwrap_or_default();
        Spot {
            file: self.path.clone(),
            line: Some(self.line_of(start)),
            column: line.get(..at).map(|before| before.chars().count() + 1),
            width: Some(marked.chars().count().max(1)),
            source: (line.len() <= LINE_MAX).then(|| line.to_owned()),
        }
    }
}

/// A place in a file as a person sees it, which outlives the file's text. Without a line, the file as a whole is meant.
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

    /// The problem at this place.
    pub fn problem(self, complaint: Complaint) -> Problem {
        let Self { file, line, column, width, source } = self;
        let Complaint { message, help, is_transient } = complaint;
        Problem { file, line, column, width, source, message, help, is_transient }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What is wrong and what to do, before the place is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    pub message: String,
    pub help: String,
    /// Whether the problem may pass by itself.
    pub is_transient: bool,
}

impl Complaint {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (shortened(message.into()), shortened(help.into()));
        Self { message, help, is_transient: false }
    }

    /// A transient error kept something from being known; with what to do about the error.
    pub fn transient(message: impl Into<String>, error: &io::Error) -> Self {
        Self { is_transient: true, ..Self::new(message, advice(error)) }
    }
}

fn shortened(sentence: String) -> String {
    let (first, last) = SENTENCE_ENDS;
    let start = sentence.char_indices().nth(first);
    let end = sentence.char_indices().nth_back(last.saturating_sub(1));
    match (start, end) {
        (Some((start, _)), Some((end, _))) if start < end => {
            let (start, end) = (sentence.get(..start), sentence.get(end..));
            format!("{} … {}", start.unwrap_or_default(), end.unwrap_or_default())
        }
        _ => sentence,
    }
}

/// Collects the problems of one file.
pub struct Findings<'a> {
    pub source: &'a Source,
    pub lost: &'a [Lost],
    pub problems: &'a mut Vec<Problem>,
    /// What is right and yet can hardly be meant.
    pub warnings: Vec<Problem>,
}

impl Findings<'_> {
    /// Adds a problem at a place in the file, if it is new and there is room for it.
    pub fn add(&mut self, span: Range<usize>, complaint: Complaint) {
        if self.is_full() {
            return;
        }
        let problem = self.source.spot(span).problem(complaint);
        // Two environments may share the file.
        if self.reported().any(|known| *known == problem) {
            return;
        }
        if self.reported().count() == PROBLEMS_MAX {
            self.add_rest();
        } else {
            self.problems.push(problem);
        }
    }

    /// Warns of a place in the file, if there is room for it.
    pub fn warn(&mut self, span: Range<usize>, complaint: Complaint) {
        if self.warnings.len() < PROBLEMS_MAX {
            self.warnings.push(self.source.spot(span).problem(complaint));
        }
    }

    /// The warnings so far, in the order of the text.
    pub fn take_warnings(&mut self) -> Vec<Problem> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort();
        warnings
    }

    /// Whether this file has so many problems that no more will be reported.
    pub fn is_full(&self) -> bool {
        self.reported().count() > PROBLEMS_MAX
    }

    /// Says that there are more problems than are reported.
    pub fn add_rest(&mut self) {
        let count = self.reported().filter(|problem| problem.line.is_some()).count();
        let message = format!("there are more than {} in this file", many(count, "problem"));
        let help = "correct these; the next run shows the others";
        self.add_to_file(Complaint::new(message, help));
    }

    /// The problems of this file so far. Files are checked one after the other.
    fn reported(&self) -> impl Iterator<Item = &Problem> {
        let path = self.source.path.as_os_str();
        let latest = self.problems.iter().rev();
        latest.take_while(move |problem| problem.file.as_os_str() == path)
    }

    /// A problem of the file as a whole.
    pub fn add_to_file(&mut self, complaint: Complaint) {
        self.problems.push(Spot::of_file(&self.source.path).problem(complaint));
    }

    /// The value; or `None`, with a problem added.
    pub fn check<T>(&mut self, span: Range<usize>, result: Result<T, Complaint>) -> Option<T> {
        result.map_err(|complaint| self.add(span, complaint)).ok()
    }

    /// Reports a missing key that its table must have, unless it was reported for its type already.
    pub fn add_missing(&mut self, table: Range<usize>, key: &str, complaint: Complaint) {
        if !self.has_lost(Some(&table), key) {
            self.add(table, complaint);
        }
    }

    /// Whether a key of a table, or of the top of the file, is in the file and was left out of `raw`.
    pub fn has_lost(&self, table: Option<&Range<usize>>, key: &str) -> bool {
        let matches =
            |lost: &Lost| lost.table.as_ref() == table && lost.key.as_deref() == Some(key);
        self.lost.iter().any(matches)
    }

    /// Whether anything directly in a table or an array was left out of `raw`.
    pub fn has_lost_any(&self, table: &Range<usize>) -> bool {
        self.lost.iter().any(|lost| lost.table.as_ref() == Some(table))
    }
}

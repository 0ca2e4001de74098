//! From the text of one file to the structs of `raw`: parsed once, read once. Everything that is wrong on the way is a
//! problem with its place: `syntax` reports what is not TOML, and `read` what does not fit. `source` uses it for each
//! file.

use std::path::Path;

use toml::de::DeTable;

use super::read::{self, FromValue, Lost, Misfits, Words};
use super::report::Problem;
use super::source::{Findings, Source};
use super::syntax;

/// A file as it is written.
pub struct Document<T> {
    pub source: Source,
    pub raw: T,
    /// Values that are in the file and missing in `raw`, because they do not fit.
    pub lost: Vec<Lost>,
}

/// Reads a text into its struct. The struct may be incomplete if `problems` grew.
///
/// A text without any key is a problem, with `if_empty` as its help: an editor may have emptied the file to write it
/// anew, and an empty file is not meant meanwhile.
pub fn of<T: FromValue>(
    source: Source,
    if_empty: &str,
    problems: &mut Vec<Problem>,
) -> Option<Document<T>> {
    let table = parse(&source, problems)?;
    if table.is_empty() {
        problems.push(Problem::of_file(&source.path, "the file declares nothing", if_empty));
        return None;
    }
    let (raw, lost) = fit(table, &source, problems)?;
    Some(Document { source, raw, lost })
}

/// Why a text is not TOML; empty if it is.
pub fn syntax_of(path: &Path, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    parse(&Source::new(path, text.to_owned()), &mut problems);
    problems
}

fn parse<'a>(source: &'a Source, problems: &mut Vec<Problem>) -> Option<DeTable<'a>> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    let mut findings = Findings { source, lost: &[], problems, warnings: Vec::new() };
    for (span, complaint) in syntax::explain(source, &errors) {
        findings.add(span, complaint);
    }
    errors.is_empty().then(|| root.into_inner())
}

fn fit<T: FromValue>(
    table: DeTable<'_>,
    source: &Source,
    problems: &mut Vec<Problem>,
) -> Option<(T, Vec<Lost>)> {
    let mut misfits = Misfits::default();
    let raw = read::file(table, &mut misfits);
    let (words, mut findings) =
        (Words::of(source), Findings { source, lost: &[], problems, warnings: Vec::new() });
    for misfit in &misfits.found {
        findings.add(misfit.span.clone(), words.say(misfit));
    }
    Some((raw?, misfits.lost))
}

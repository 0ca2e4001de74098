//! Reads the text of one file into its raw shape. serde stops at the first thing that does not fit, so what
//! does not fit is reported, cut out of the parsed document, and the rest is tried again: one run
//! finds every problem of the file.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::report::Problem;
use super::shape::{self, Homes, Misfit};
use super::source::{Findings, PROBLEMS_MAX, Source};
use super::syntax::{self, Place};

/// How many bytes are taken into their shape before the misfits that are left have to wait for the
/// next run: each misfit is found by trying the whole file again.
const TRIED_MAX: usize = 32 << 20;

/// A file in its raw shape.
pub struct Document<T> {
    pub source: Source,
    pub raw: T,
    pub lost: Vec<Lost>,
}

/// A key that was cut out because of its shape. Nobody should complain that it is missing.
pub struct Lost {
    /// Where its table is; none for the root.
    pub table: Option<Range<usize>>,
    pub key: String,
}

/// Reads a text into its shape. What is returned may be incomplete if `problems` grew. A text without
/// any key is a problem, with `if_empty` as its help: who empties a file to write it anew, and takes
/// his time, does not mean what is in it until then.
pub fn of<T: DeserializeOwned>(
    source: Source,
    if_empty: &str,
    problems: &mut Vec<Problem>,
) -> Option<Document<T>> {
    let root = parse(&source, problems)?;
    if root.get_ref().is_empty() {
        problems.push(Problem::of_file(&source.path, "the file declares nothing", if_empty));
        return None;
    }
    let (raw, lost) = fit(root.clone(), &source, problems)?;
    Some(Document { source, raw, lost })
}

/// Why a text is not TOML; nothing if it is.
pub fn syntax(path: &Path, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    parse(&Source::new(path, text.to_owned()), &mut problems);
    problems
}

fn parse<'a>(source: &'a Source, problems: &mut Vec<Problem>) -> Option<Spanned<DeTable<'a>>> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    let mut findings = Findings { source, lost: &[], problems };
    let mut lines = HashSet::new();
    for error in originals(&errors) {
        let span = error.span().unwrap_or(0..0);
        // What follows an error on its line is mostly its echo.
        if lines.insert(source.line_of(span.start)) {
            let token = source.text.get(span.clone()).unwrap_or_default();
            let (before, after) = source.around(span.start);
            let complaint = syntax::explain(error.message(), Place { before, after, token });
            findings.add(span, complaint);
        }
    }
    errors.is_empty().then_some(root)
}

/// Errors without those that may only come from others: after a broken header, the parser takes
/// what follows for a part of the table before, and after an open array, for its items.
fn originals(errors: &[toml::de::Error]) -> impl Iterator<Item = &toml::de::Error> {
    let is_echo = |error: &toml::de::Error| error.message() == "duplicate key";
    let only_echoes = errors.iter().all(is_echo);
    let originals = errors.iter().filter(move |error| only_echoes || !is_echo(error));
    let mut latest = "";
    originals.filter(move |error| {
        let before = std::mem::replace(&mut latest, error.message());
        !(latest.starts_with("missing comma between array") && before == latest)
    })
}

fn fit<T: DeserializeOwned>(
    mut root: Spanned<DeTable<'_>>,
    source: &Source,
    problems: &mut Vec<Problem>,
) -> Option<(T, Vec<Lost>)> {
    let mut lost = Vec::new();
    let mut findings = Findings { source, lost: &[], problems };
    let homes = Homes::default();
    let tries = TRIED_MAX / source.text.len().max(1);
    for left in (0..=tries.clamp(1, PROBLEMS_MAX)).rev() {
        let error = match T::deserialize(Deserializer::from(root.clone())) {
            Ok(raw) => return Some((raw, lost)),
            Err(_) if left == 0 => break,
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        let cut = cut_from_table(root.get_mut(), None, &span);
        let written = source.text.get(span.clone()).unwrap_or_default();
        let misfit = cut.as_ref().map_or(Misfit::Root, |cut| cut.misfit(written));
        let (complaint, meant) = shape::explain(error.message(), misfit, &homes);
        findings.add(span, complaint);
        let Cut { table, path, .. } = cut?;
        let names = path.into_iter().next_back().into_iter().chain(meant);
        lost.extend(names.map(|key| Lost { table: table.clone(), key }));
    }
    findings.add_rest();
    None
}

/// What was cut out of a document.
struct Cut {
    /// Where the table is that it stood in; none for the root.
    table: Option<Range<usize>>,
    /// The keys that lead to it.
    path: Vec<String>,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Key,
    Value,
    Item,
}

impl Cut {
    fn misfit<'a>(&'a self, written: &'a str) -> Misfit<'a> {
        match (self.what, self.path.split_last()) {
            (What::Key, Some((key, table))) => Misfit::Key { table, key },
            (What::Value, Some((key, _))) => Misfit::Value { key, written },
            (What::Item, Some((key, _))) => Misfit::Item { key },
            (_, None) => Misfit::Root,
        }
    }
}

/// Removes the entry whose key or value stands at the place of an error. The outer of two with the
/// same place goes first: an array of tables has the place of its first table.
fn cut_from_table(
    entries: &mut DeTable<'_>,
    at: Option<Range<usize>>,
    error: &Range<usize>,
) -> Option<Cut> {
    let here = entries.iter().find_map(|(key, value)| {
        let what = if key.span() == *error {
            What::Key
        } else if value.span() == *error {
            What::Value
        } else {
            return None;
        };
        Some((key.clone(), what))
    });
    let Some((key, what)) = here else {
        return cut_deeper(entries, error);
    };
    entries.remove(&key);
    Some(Cut { table: at, path: vec![key.into_inner().into_owned()], what })
}

fn cut_deeper(entries: &mut DeTable<'_>, error: &Range<usize>) -> Option<Cut> {
    let keys: Vec<_> = entries.keys().cloned().collect();
    keys.into_iter().find_map(|key| {
        let mut cut = cut_from_value(entries.get_mut(&key)?, error)?;
        cut.path.insert(0, key.into_inner().into_owned());
        Some(cut)
    })
}

fn cut_from_value(value: &mut Spanned<DeValue<'_>>, error: &Range<usize>) -> Option<Cut> {
    let span = value.span();
    match value.get_mut() {
        DeValue::Table(entries) => cut_from_table(entries, Some(span), error),
        DeValue::Array(items) => cut_from_array(items, error),
        _ => None,
    }
}

fn cut_from_array(items: &mut DeArray<'_>, error: &Range<usize>) -> Option<Cut> {
    let Some(wrong) = items.iter().position(|item| item.span() == *error) else {
        return items.iter_mut().find_map(|item| cut_from_value(item, error));
    };
    let others = items.iter().enumerate().filter(|(index, _)| *index != wrong);
    *items = others.map(|(_, item)| item.clone()).collect();
    Some(Cut { table: None, path: Vec::new(), what: What::Item })
}

//! Reads one file into its raw shape. serde stops at the first thing that does not fit, so what
//! does not fit is reported, cut out of the parsed document, and the rest is tried again: one run
//! finds every problem of the file.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::string::FromUtf8Error;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::report::Problem;
use super::shape::{self, Homes, Misfit};
use super::source::{Findings, PROBLEMS_MAX, Source};
use super::syntax::{self, Place};
use crate::transient::{advice, is_transient};

/// How large a file may be, in bytes.
const FILE_MAX: u64 = 16 << 20;

/// How many bytes are taken into their shape before the misfits that are left have to wait for the
/// next run: each misfit is found by trying the whole file again.
const TRIED_MAX: usize = 32 << 20;

/// How the bytes of a file are read: by [`read_bytes`], unless a test has a file fail.
pub type Read = fn(&Path) -> io::Result<Vec<u8>>;

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

/// Reads a file, or says why not in `problems`. What is returned may be incomplete if `problems`
/// grew. A file without any key is a problem, with `if_empty` as its help: who empties a file to
/// write it anew, and takes his time, does not mean what is in it until then.
pub fn read<T: DeserializeOwned>(
    path: &Path,
    read: Read,
    if_empty: &str,
    problems: &mut Vec<Problem>,
) -> Option<Document<T>> {
    of(read_text(path, read, None), if_empty, problems)
}

/// The same of a text that is read, or why it is not.
pub fn of<T: DeserializeOwned>(
    source: Result<Source, Box<Problem>>,
    if_empty: &str,
    problems: &mut Vec<Problem>,
) -> Option<Document<T>> {
    let source = source.map_err(|problem| problems.push(*problem)).ok()?;
    let root = parse(&source, problems)?;
    if root.get_ref().is_empty() {
        problems.push(Problem::of_file(&source.path, "the file declares nothing", if_empty));
        return None;
    }
    let (raw, lost) = fit(root.clone(), &source, problems)?;
    Some(Document { source, raw, lost })
}

/// Reads a file, unless another text is to be taken instead.
pub fn read_text(path: &Path, read: Read, instead: Option<&str>) -> Result<Source, Box<Problem>> {
    let text = instead.map(str::to_owned).map_or_else(|| text_by(path, read), Ok)?;
    Ok(source(path, text))
}

/// The text of a file to the byte, with the mark that may be before it.
pub fn raw_text(path: &Path) -> Result<String, Box<Problem>> {
    text_by(path, read_bytes)
}

fn text_by(path: &Path, read: Read) -> Result<String, Box<Problem>> {
    let bytes = read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))
}

fn source(path: &Path, mut text: String) -> Source {
    // An editor counts columns without it.
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Source::new(path, text)
}

/// Why a text is not TOML; nothing if it is.
pub fn syntax(path: &Path, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    parse(&source(path, text.to_owned()), &mut problems);
    problems
}

/// Whatever `path` leads to, this ends: a pipe may have no other end, and a device no end at all.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_MAX) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Box<Problem> {
    if is_transient(error) {
        let message = format!("the file cannot be read for now: {error}");
        let problem = Problem::of_file(path, message, advice(error));
        return Box::new(Problem { is_transient: true, ..problem });
    }
    let (message, help) = match error.kind() {
        io::ErrorKind::NotFound => {
            ("there is no such file".to_owned(), "create it, or give the path of the file you mean")
        }
        io::ErrorKind::IsADirectory => {
            ("this is a directory, not a file".to_owned(), "give the path of the file in it")
        }
        io::ErrorKind::PermissionDenied => {
            ("the file may not be read".to_owned(), "let the user that runs watershed read it")
        }
        io::ErrorKind::Unsupported => (
            "this is a pipe, a socket or a device, not a file".to_owned(),
            "give the path of a file, which can be read again",
        ),
        io::ErrorKind::FileTooLarge => (
            format!("the file has more than {} MiB", FILE_MAX >> 20),
            "configuration is not that large: give the path of the file you mean",
        ),
        _ => (format!("the file cannot be read: {error}"), "make it readable and try again"),
    };
    Box::new(Problem::of_file(path, message, help))
}

fn not_utf8(path: &Path, error: &FromUtf8Error) -> Box<Problem> {
    let valid = error.utf8_error().valid_up_to();
    let before = error.as_bytes().get(..valid).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let message = format!("byte {} is not UTF-8", valid + 1);
    let help = "save the file as UTF-8, the only encoding of TOML";
    Box::new(Problem { line: Some(line), ..Problem::of_file(path, message, help) })
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

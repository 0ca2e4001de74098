//! From the text of one file to the structs of `raw`: parsed once, read once. Everything that is
//! wrong on the way is a problem with its place: `syntax` says what is not TOML, `read` what does
//! not fit. The loader calls it for each file.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::string::FromUtf8Error;

use toml::de::DeTable;

use super::read::{self, FromValue, Lost, Misfits, Words};
use super::report::Problem;
use super::source::{Findings, Source};
use super::syntax;
use crate::transient::{advice, is_transient};

/// How large a file may be, in bytes.
const FILE_MAX: u64 = 16 << 20;

/// How the bytes of a file are read: by [`read_bytes`], unless a test has a file fail.
pub type Read = fn(&Path) -> io::Result<Vec<u8>>;

/// A file as it is written.
pub struct Document<T> {
    pub source: Source,
    pub raw: T,
    /// What is missing in `raw`, though it is in the file.
    pub lost: Vec<Lost>,
}

/// Reads a file, or says why not in `problems`. What is returned may be incomplete if `problems`
/// grew. A file without any key is a problem, with `if_empty` as its help: who empties a file to
/// write it anew, and takes his time, does not mean what is in it until then.
pub fn read<T: FromValue>(
    path: &Path,
    read: Read,
    if_empty: &str,
    problems: &mut Vec<Problem>,
) -> Option<Document<T>> {
    of(read_text(path, read, None), if_empty, problems)
}

/// The same of a text that is read, or why it is not.
pub fn of<T: FromValue>(
    source: Result<Source, Box<Problem>>,
    if_empty: &str,
    problems: &mut Vec<Problem>,
) -> Option<Document<T>> {
    let source = source.map_err(|problem| problems.push(*problem)).ok()?;
    let table = parse(&source, problems)?;
    if table.is_empty() {
        problems.push(Problem::of_file(&source.path, "the file declares nothing", if_empty));
        return None;
    }
    let (raw, lost) = fit(table, &source, problems)?;
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

fn parse<'a>(source: &'a Source, problems: &mut Vec<Problem>) -> Option<DeTable<'a>> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    let mut findings = Findings { source, lost: &[], problems };
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
    let (words, mut findings) = (Words::of(source), Findings { source, lost: &[], problems });
    for misfit in &misfits.found {
        findings.add(misfit.span.clone(), words.say(misfit));
    }
    Some((raw?, misfits.lost))
}

//! Reads the text of a configuration file. An error becomes a problem of the file.

use std::io;
use std::path::Path;
use std::string::FromUtf8Error;

use super::file::{ReadError, read_file};
use crate::config::{Problem, Source};
use crate::transient::advice;

/// What to do where a file of the configuration is missing.
const MISSING: &str = "create it (`watershed init` writes a configuration to begin with), or give the path of \
                       the file you mean";

/// What to do where a link leads nowhere: `rollback --restore-file` replaces no link, since what it should lead to may
/// come back.
const DANGLING: &str = "bring back what it leads to; or remove the link, and where it is the file of a service that \
                        was right once, `watershed rollback SERVICE --restore-file` writes it anew";

/// The size of the largest configuration file, in bytes.
pub const FILE_MAX: u64 = 16 << 20;

/// How the bytes of a file are read: by [`read_bytes`], except in tests that make files fail.
pub type Read = fn(&Path) -> Result<Vec<u8>, ReadError>;

/// Reads a configuration file.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    read_file(path, FILE_MAX)
}

/// Reads a file.
pub fn read_source(path: &Path, read: Read) -> Result<Source, Box<Problem>> {
    Ok(Source::new(path, text_by(path, read)?))
}

/// The exact text of a file, including a byte order mark.
pub fn raw_text(path: &Path) -> Result<String, Box<Problem>> {
    text_by(path, read_bytes)
}

fn text_by(path: &Path, read: Read) -> Result<String, Box<Problem>> {
    let bytes = read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))
}

fn unreadable(path: &Path, error: &ReadError) -> Box<Problem> {
    if let Some(error) = error.transient() {
        let message = format!("the file cannot be read for now: {error}");
        let problem = Problem::of_file(path, message, advice(error));
        return Box::new(Problem { is_transient: true, ..problem });
    }
    let (message, help) = match error {
        ReadError::Directory => {
            ("this is a directory, not a file".to_owned(), "give the path of the file in it")
        }
        ReadError::NotRegular => (
            "this is a pipe, a socket or a device, not a file".to_owned(),
            "give the path of a file, which can be read again",
        ),
        ReadError::TooLarge { most } => (
            format!("the file has more than {} MiB", most >> 20),
            "configuration is not that large: give the path of the file you mean",
        ),
        ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            ("this is a link, and there is nothing where it leads".to_owned(), DANGLING)
        }
        ReadError::Io(error) => unreadable_now(error),
    };
    Box::new(Problem::of_file(path, message, help))
}

fn unreadable_now(error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file".to_owned(), MISSING),
        io::ErrorKind::PermissionDenied => {
            ("the file may not be read".to_owned(), "let the user that runs watershed read it")
        }
        _ => (format!("the file cannot be read: {error}"), "make it readable and try again"),
    }
}

fn not_utf8(path: &Path, error: &FromUtf8Error) -> Box<Problem> {
    let valid = error.utf8_error().valid_up_to();
    let before = error.as_bytes().get(..valid).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let message = format!("byte {} is not UTF-8", valid + 1);
    let help = "save the file as UTF-8, the only encoding of TOML";
    Box::new(Problem { line: Some(line), ..Problem::of_file(path, message, help) })
}

//! `watershed init`: writes a small configuration with a guest of its own, so that the program alone serves something.
//!
//! Nothing that exists is overwritten. Each file appears whole, and the main file last: a failure or a kill never
//! leaves a configuration that serves only half.

mod files;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use self::files::{Found, Made, Tree};
use super::common::write_json;
use super::{CliError, WOULD_CHANGE};
use crate::code::{Coded, ErrorCode};
use crate::config;

const EXAMPLES: &str = "\
Examples:
  watershed init && watershed           writes config/, and serves it
  watershed init demo                   writes demo/
  watershed init demo --json | jq -r .config

A file that is there already stays as it is: where it says something else, nothing is written.
A second `init` of the same directory writes what is missing.";

/// The guest that is part of the program: 62 KiB.
const GUEST: &[u8] = include_bytes!("../../plugins/dist/greeter.wasm");

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where to write; it is created if it is missing [default: the directory of --config]
    directory: Option<PathBuf>,
    /// Print which files would be written, and write none.
    #[arg(long)]
    dry_run: bool,
    /// Taken as by the commands that ask: nothing is overwritten, so there is no question.
    #[arg(long, short)]
    yes: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Why a configuration was not written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(
        "{} there already, and nothing was written:",
        if .0.len() == 1 { "a file of the configuration is" } else { "files of the configuration are" }
    )]
    Exists(Vec<PathBuf>),
    #[error("cannot write {}: {error}; {}", .path.display(), remains(.left))]
    Write { path: PathBuf, error: io::Error, left: Vec<PathBuf> },
}

impl InitError {
    /// The files that are in the way, or that were left behind.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::Exists(files) | Self::Write { left: files, .. } => files,
        }
    }
}

impl Coded for InitError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Exists(_) => ErrorCode::FileExists,
            Self::Write { .. } => ErrorCode::WriteFailed,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Exists(_) => "choose another directory by `watershed init DIR`, or move what is \
                                there out of the way"
                .to_owned(),
            Self::Write { error, .. } => advice(error).to_owned(),
        })
    }
}

/// Files and directories that could not be removed again.
fn remains(paths: &[PathBuf]) -> &'static str {
    match paths {
        [] => "nothing was left behind",
        _ => "these files could not be removed again:",
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotADirectory => {
            "a file is where a directory should be: choose another directory by `watershed init DIR`"
        }
        io::ErrorKind::AlreadyExists => {
            "something is in its way: choose another directory by `watershed init DIR`"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a directory that you may write to, by `watershed init DIR`"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room, or choose a directory on another disk by `watershed init DIR`"
        }
        _ => "choose another directory by `watershed init DIR`",
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document {
    /// The main file.
    config: String,
    /// The files that were written.
    written: Vec<String>,
    /// The files that a dry run would have written.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<String>>,
    /// The command that serves the configuration.
    run: String,
}

pub(super) fn init(config: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let main = match &arguments.directory {
        Some(directory) => directory.join("watershed.toml"),
        None => config.to_owned(),
    };
    if arguments.dry_run {
        return show(&main, &missing(&tree(&main))?, arguments.json);
    }
    let written = write(&tree(&main))?;
    let mut out = io::stdout().lock();
    let run = command(&main);
    if arguments.json {
        let config = main.display().to_string();
        let document = Document { config, written: listed(&written), missing: None, run };
        write_json(&mut out, &document)?;
        return Ok(ExitCode::SUCCESS);
    }
    for path in &written {
        writeln!(out, "wrote {}", path.display())?;
    }
    if written.is_empty() {
        writeln!(out, "{} is there already", main.display())?;
    }
    writeln!(out, "\nserve it:  {run}\nand ask:   curl greeter.localhost:8080")?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what would be written. The exit code says whether that is something.
fn show(main: &Path, missing: &[PathBuf], json: bool) -> Result<ExitCode, CliError> {
    let mut out = io::stdout().lock();
    if json {
        let (config, missing) = (main.display().to_string(), Some(listed(missing)));
        let document = Document { config, written: Vec::new(), missing, run: command(main) };
        write_json(&mut out, &document)?;
    } else {
        for path in missing {
            writeln!(out, "would write {}", path.display())?;
        }
        if missing.is_empty() {
            writeln!(out, "{} is there already", main.display())?;
        }
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(WOULD_CHANGE) })
}

fn listed(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// The command that serves the configuration.
fn command(main: &Path) -> String {
    // A path that begins with a dash would be taken for an option.
    let shown = match main.as_os_str().as_encoded_bytes().starts_with(b"-") {
        true => Path::new(".").join(main),
        false => main.to_owned(),
    };
    format!("watershed run --config {}", quoted(shown.as_os_str()))
}

/// The files, in the order in which they are written.
fn tree(main: &Path) -> Tree {
    let (watershed, service) = config::schema();
    let directory = main.parent().unwrap_or(Path::new(""));
    let file = |name: &str, bytes: &[u8]| (directory.join(name), bytes.to_vec());
    Tree(vec![
        file("components/greeter.wasm", GUEST),
        file("schema/watershed.json", format!("{watershed:#}\n").as_bytes()),
        file("schema/service.json", format!("{service:#}\n").as_bytes()),
        file("services/greeter.toml", include_bytes!("init/greeter.toml")),
        (main.to_owned(), include_bytes!("init/watershed.toml").to_vec()),
    ])
}

/// What is at each path of the tree: nothing, or the same file.
fn look(tree: &Tree) -> Result<Vec<(&Path, Found)>, InitError> {
    let found = tree.look().map_err(|(path, error)| failed(path, error, Vec::new()))?;
    let others = found.iter().filter(|(_, found)| *found == Found::Another);
    let others: Vec<_> = others.map(|(path, _)| path.to_path_buf()).collect();
    if others.is_empty() { Ok(found) } else { Err(InitError::Exists(others)) }
}

/// The paths of the missing files.
fn missing(tree: &Tree) -> Result<Vec<PathBuf>, InitError> {
    let found = look(tree)?;
    let missing = tree.missing(&found).map(|(path, _)| path.to_owned()).collect();
    Ok(missing)
}

/// Writes the missing files, and returns their paths. On failure, removes them again.
fn write(tree: &Tree) -> Result<Vec<PathBuf>, InitError> {
    let found = look(tree)?;
    let mut made = Made::default();
    for (path, bytes) in tree.missing(&found) {
        if let Err(error) = made.file(path, bytes) {
            return Err(failed(path.to_owned(), error, made.undo()));
        }
    }
    Ok(made.files)
}

fn failed(path: PathBuf, error: io::Error, left: Vec<PathBuf>) -> InitError {
    InitError::Write { path, error, left }
}

/// A path quoted as one word for a shell.
fn quoted(path: &OsStr) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte);
    let text = path.to_string_lossy();
    match path.as_bytes().iter().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for (path, word) in [
            ("demo/watershed.toml", "demo/watershed.toml"),
            ("my demo", "'my demo'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(OsStr::new(path)), word);
        }
    }

    #[test]
    fn what_was_made_is_taken_away_again_where_a_later_file_fails() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::write(root.join("taken"), "").unwrap();
        let file = |name: &str| (root.join(name), b"x".to_vec());
        let tree = Tree(vec![file("a/b/one"), file("two"), file("a/b/one/three")]);
        let error = write(&tree).unwrap_err();
        assert!(matches!(error, InitError::Write { ref left, .. } if left.is_empty()), "{error}");
        let left: Vec<_> = fs::read_dir(root).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["taken"], "directories that were made for it are gone too");
    }

    #[test]
    fn a_second_time_nothing_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let tree = tree(&directory.path().join("new/watershed.toml"));
        assert_eq!(write(&tree).unwrap().len(), 5);
        assert_eq!(write(&tree).unwrap(), Vec::<PathBuf>::new());
    }
}

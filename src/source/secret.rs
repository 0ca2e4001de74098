//! Reads secrets, which a configuration only points to: in a file, or in an environment variable of
//! the process. Errors name the place of a secret and never its content.

use std::env::{self, VarError};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{ReadError, read_file};
use crate::config::{EnvValue, SecretSource};
use crate::transient::is_transient;

/// The size of the largest secret file, in bytes.
const LARGEST: u64 = 64 << 10;

/// Why a secret cannot be read. No variant holds any of its content.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is larger than {} KiB", .0.display(), LARGEST >> 10)]
    TooLarge(PathBuf),
    #[error("{} is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    #[error("{} has a NUL character", .0.display())]
    Nul(PathBuf),
    #[error("watershed was started without the environment variable {0}")]
    NoVariable(String),
    #[error("the environment variable {0} is not UTF-8")]
    VariableNotUtf8(String),
}

impl Unavailable {
    /// The transient error, if it was one.
    pub fn transient(&self) -> Option<&io::Error> {
        match self {
            Self::Unreadable { error, .. } if is_transient(error) => Some(error),
            _ => None,
        }
    }
}

/// The value of a variable of an environment, as it is now.
///
/// # Errors
///
/// Where it cannot be read. The error names the place, and never the content.
pub fn value_of(value: &EnvValue) -> Result<String, Unavailable> {
    match value {
        EnvValue::Plain(text) => Ok(text.clone()),
        EnvValue::Secret(source) => secret_of(source),
    }
}

/// The present value of a secret that a service file points to.
///
/// # Errors
///
/// Where it cannot be read. The error names the place, and never the content.
pub fn secret_of(source: &SecretSource) -> Result<String, Unavailable> {
    match source {
        SecretSource::File(path) => text_of(path),
        SecretSource::FromEnv(variable) => from_env(variable),
    }
}

fn from_env(variable: &str) -> Result<String, Unavailable> {
    env::var(variable).map_err(|error| match error {
        VarError::NotPresent => Unavailable::NoVariable(variable.to_owned()),
        // The error holds the value.
        VarError::NotUnicode(_) => Unavailable::VariableNotUtf8(variable.to_owned()),
    })
}

fn text_of(path: &Path) -> Result<String, Unavailable> {
    let bytes = bytes_of(path)?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| Unavailable::NotUtf8(path.to_path_buf()))?;
    if text.contains('\0') {
        return Err(Unavailable::Nul(path.to_path_buf()));
    }
    text.truncate(without_newline(&text).len());
    Ok(text)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Unavailable> {
    let path_buf = || path.to_path_buf();
    read_file(path, LARGEST).map_err(|error| match error {
        ReadError::Directory | ReadError::NotRegular => Unavailable::NotAFile(path_buf()),
        ReadError::TooLarge { .. } => Unavailable::TooLarge(path_buf()),
        ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            Unavailable::NoFile(path_buf())
        }
        ReadError::Io(error) => Unavailable::Unreadable { path: path_buf(), error },
    })
}

/// Editors end a file with a newline, which is not part of the secret in it. Only one goes: who
/// wants one in the value writes two.
fn without_newline(text: &str) -> &str {
    match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_newline_at_the_end_is_dropped() {
        for (text, value) in [
            ("", ""),
            ("\n", ""),
            ("\r\n", ""),
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("a\r\r\n", "a\r"),
            (" a\nb \n", " a\nb "),
        ] {
            assert_eq!(without_newline(text), value, "{text:?}");
        }
    }

    #[test]
    fn a_secret_may_have_64_kib_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "x".repeat(64 << 10)).unwrap();
        assert_eq!(text_of(&path).unwrap().len(), 64 << 10);
        fs::write(&path, "x".repeat((64 << 10) + 1)).unwrap();
        let error = text_of(&path).unwrap_err();
        assert!(matches!(error, Unavailable::TooLarge(_)), "{error}");
    }
}

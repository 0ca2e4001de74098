//! Reads secrets: those of a guest's environment when `guest` makes the guest ready, and the one that
//! overrides need when a snapshot is made. Values leave this file as a [`GuestEnv`] or a [`Lock`], which
//! print no value. The message about a secret that cannot be read names its place and never its content.

use std::env::{self, VarError};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::status::{StatusCode, StatusError};
use crate::config::{EnvValue, SecretSource};
use crate::routing::Lock;
use crate::runtime::GuestEnv;
use crate::transient::is_transient;

/// Bytes of the largest file of a secret.
const LARGEST_SECRET: u64 = 64 << 10;

/// Why a secret cannot be read. No variant holds any of its content.
#[derive(Debug, thiserror::Error)]
enum Unavailable {
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is larger than {} KiB", .0.display(), LARGEST_SECRET >> 10)]
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

/// The environment of a guest.
pub struct Resolved {
    pub env: GuestEnv,
    /// For each secret: its variable, and a digest that stands for its value.
    pub digests: Vec<(String, String)>,
}

impl Unavailable {
    /// The transient error that was in the way, if one was.
    fn transient(&self) -> Option<&io::Error> {
        match self {
            Self::Unreadable { error, .. } if is_transient(error) => Some(error),
            _ => None,
        }
    }
}

/// Looks up every value as it is now.
///
/// # Errors
///
/// Names every variable that has no value, and why.
pub async fn resolve(declared: &[(String, EnvValue)]) -> Result<Resolved, StatusError> {
    let declared = declared.to_vec();
    match tokio::task::spawn_blocking(move || resolve_now(&declared)).await {
        Ok(resolved) => resolved,
        Err(panicked) => {
            let error = StatusError::new(StatusCode::Internal, format!("the secrets: {panicked}"));
            Err(StatusError { is_transient: true, ..error })
        }
    }
}

fn resolve_now(declared: &[(String, EnvValue)]) -> Result<Resolved, StatusError> {
    let mut variables = Vec::with_capacity(declared.len());
    let (mut digests, mut missing, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in declared {
        match value_of(value) {
            Ok(text) => {
                if value.secret().is_some() {
                    digests.push((key.clone(), EnvValue::digest_of(key, &text)));
                }
                variables.push((key.clone(), text));
            }
            Err(why) => {
                missing.push(format!("`{key}` has no value: {why}"));
                errors.push(why);
            }
        }
    }
    if missing.is_empty() {
        return Ok(Resolved { env: variables.into(), digests });
    }
    let (code, detail) = (StatusCode::SecretUnavailable, missing.join("; "));
    // The error is transient only if every single one is: else the operator has something to do.
    let transient: Option<Vec<_>> = errors.iter().map(Unavailable::transient).collect();
    Err(match transient.as_deref() {
        Some([error, ..]) => StatusError::transient(code, detail, error),
        _ => StatusError::new(code, detail),
    })
}

/// What reading the secret of overrides gives.
pub enum Found {
    /// Requests that bring the secret may override.
    Lock(Lock),
    /// Nobody may override, for this reason.
    Missing(String),
    /// A transient error was in the way: the lock stays as it was.
    Obscured(String),
}

/// The digest of the secret that a variable gets now, as this process reads it.
///
/// # Errors
///
/// Why it cannot be read: names the place, and never its content.
pub fn digest_of(key: &str, source: &SecretSource) -> Result<String, String> {
    let text = secret(source).map_err(|why| why.to_string())?;
    Ok(EnvValue::digest_of(key, &text))
}

/// Who may override, by the secret as it can be read now. An empty secret counts as missing.
pub fn lock(source: &SecretSource) -> Found {
    match secret(source) {
        Ok(secret) if !secret.trim().is_empty() => Found::Lock(Lock::of(secret.trim())),
        Ok(_) => Found::Missing("it is empty".to_owned()),
        Err(why) if why.transient().is_some() => Found::Obscured(why.to_string()),
        Err(why) => Found::Missing(why.to_string()),
    }
}

fn value_of(value: &EnvValue) -> Result<String, Unavailable> {
    match value {
        EnvValue::Plain(text) => Ok(text.clone()),
        EnvValue::Secret(source) => secret(source),
    }
}

fn secret(source: &SecretSource) -> Result<String, Unavailable> {
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
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unavailable::NoFile(path.to_path_buf()),
        _ => Unavailable::Unreadable { path: path.to_path_buf(), error },
    };
    // A device or a pipe could be read for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Unavailable::NotAFile(path.to_path_buf()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST_SECRET + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST_SECRET) {
        return Err(Unavailable::TooLarge(path.to_path_buf()));
    }
    Ok(bytes)
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
    fn every_secret_that_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let declared = [
            ("A".to_owned(), EnvValue::Secret(SecretSource::File(path.clone()))),
            ("B".to_owned(), EnvValue::Plain("b".to_owned())),
            (
                "C".to_owned(),
                EnvValue::Secret(SecretSource::FromEnv(
                    "WATERSHED_TEST_NO_SUCH_VARIABLE".to_owned(),
                )),
            ),
        ];
        let error = resolve_now(&declared).err().unwrap();
        assert_eq!(error.code, StatusCode::SecretUnavailable);
        let path = path.display();
        let expected = format!(
            "`A` has no value: there is no file {path}; `C` has no value: watershed was started \
             without the environment variable WATERSHED_TEST_NO_SUCH_VARIABLE"
        );
        assert_eq!(error.detail, expected);
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

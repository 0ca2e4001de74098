//! Reads secrets: those of a guest's environment when `guest` makes the guest ready, and the one that
//! overrides need when a snapshot is made. Values leave this file as a [`GuestEnv`] or a [`Lock`], which
//! print no value. The message about a secret that cannot be read names its place and never its content.

use super::status::{StatusCode, StatusError};
use crate::config::{EnvValue, SecretSource};
use crate::routing::Lock;
use crate::runtime::GuestEnv;
use crate::source::{Unavailable, secret_of, value_of};

/// The environment of a guest.
pub struct Resolved {
    pub env: GuestEnv,
    /// For each secret: its variable, and a digest that stands for its value.
    pub digests: Vec<(String, String)>,
}

/// Looks up every value as it is now.
///
/// # Errors
///
/// Names every variable that has no value, and why.
pub async fn resolve(declared: &[(String, EnvValue)]) -> Result<Resolved, StatusError> {
    // Only a file is worth a thread that may wait for it.
    if !declared.iter().any(|(_, value)| matches!(value, EnvValue::Secret(SecretSource::File(_)))) {
        return resolve_now(declared);
    }
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
    let text = secret_of(source).map_err(|why| why.to_string())?;
    Ok(EnvValue::digest_of(key, &text))
}

/// Who may override, by the secret as it can be read now. An empty secret counts as missing.
pub fn lock(source: &SecretSource) -> Found {
    match secret_of(source) {
        Ok(secret) if !secret.trim().is_empty() => Found::Lock(Lock::of(secret.trim())),
        Ok(_) => Found::Missing("it is empty".to_owned()),
        Err(why) if why.transient().is_some() => Found::Obscured(why.to_string()),
        Err(why) => Found::Missing(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

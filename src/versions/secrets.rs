//! The values of a version's environment, also those that its file only points to, and the secret
//! without which nobody may override. `programs` asks for the former when it makes the version ready,
//! the snapshot for the latter. They leave this room as a [`GuestEnv`], which nothing
//! prints, and what is said of one that cannot be had names its place and never its content.

use super::status::{StatusCode, StatusError};
use crate::config::{EnvValue, SecretSource};
use crate::routing::Lock;
use crate::runtime::GuestEnv;
use crate::source::{Unavailable, secret_of, value_of};

/// The environment of a guest.
pub struct Resolved {
    pub env: GuestEnv,
    /// What stands for each secret in it: its variable, and a digest of its value.
    pub digests: Vec<(String, String)>,
}

/// Looks up every value as it is now.
///
/// # Errors
///
/// Names every variable that has no value, and why.
pub async fn resolve(declared: &[(String, EnvValue)]) -> Result<Resolved, StatusError> {
    // Only a file is worth a thread that may wait for it.
    if !declared.iter().any(|(_, value)| matches!(value, EnvValue::File(_))) {
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
                if !matches!(value, EnvValue::Plain(_)) {
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
    // What passes by itself is no help where something else has to be done.
    let transient: Option<Vec<_>> = errors.iter().map(Unavailable::transient).collect();
    Err(match transient.as_deref() {
        Some([error, ..]) => StatusError::transient(code, detail, error),
        _ => StatusError::new(code, detail),
    })
}

/// What a look for the secret of overrides gives.
pub enum Found {
    /// By it, somebody may override.
    Lock(Lock),
    /// Nobody may, for this reason.
    Missing(String),
    /// An error of a moment was in the way: whoever might before still may.
    Obscured(String),
}

/// The digest of the value of a variable as it is now, for this process.
///
/// # Errors
///
/// Why it has none: names the place, and never its content.
pub fn digest_of(key: &str, value: &EnvValue) -> Result<String, String> {
    let text = value_of(value).map_err(|why| why.to_string())?;
    Ok(EnvValue::digest_of(key, &text))
}

/// Who may override, by a secret as it is now. An empty secret is none.
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
            ("A".to_owned(), EnvValue::File(path.clone())),
            ("B".to_owned(), EnvValue::Plain("b".to_owned())),
            ("C".to_owned(), EnvValue::FromEnv("WATERSHED_TEST_NO_SUCH_VARIABLE".to_owned())),
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

//! The environment of a guest as declared, and where its secrets are. The values of secrets are not known here:
//! `versions` reads them when it makes a version ready, so that a configuration can be checked on a machine without its
//! secrets.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of the digest that stands for a value.
const VALUE_DIGITS: usize = 12;

/// The value of a guest's environment variable. Its `Debug` output shows no value.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// The value itself.
    Plain(String),
    /// A secret: only the place of its value is known.
    Secret(SecretSource),
}

/// The place of a secret's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The text of a file. The path is absolute; the file need not exist.
    File(PathBuf),
    /// A variable of this process's own environment. The name is not empty and has neither `=` nor
    /// NUL.
    FromEnv(String),
}

impl SecretSource {
    /// The key of [`SecretSource::File`] in a file.
    pub const FILE: &str = "file";
    /// The key of [`SecretSource::FromEnv`] in a file.
    pub const FROM_ENV: &str = "from-env";

    /// The file that holds the value, if one does.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::FromEnv(_) => None,
        }
    }
}

impl EnvValue {
    /// The place of the value, if it is a secret.
    pub fn secret(&self) -> Option<&SecretSource> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(source) => Some(source),
        }
    }

    /// The digest that stands for a value where the value must not be shown: `sha256:` and 12 hexadecimal digits. The
    /// variable's name is hashed too, so that two variables with the same value have different digests.
    pub fn digest_of(key: &str, value: &str) -> String {
        let digest: [u8; 32] = Sha256::digest(format!("{key}\0{value}")).into();
        let mut digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.truncate(VALUE_DIGITS);
        format!("sha256:{digits}")
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A plain value may be a secret too.
            Self::Plain(_) => f.debug_tuple("Plain").field(&format_args!("…")).finish(),
            Self::Secret(source) => source.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_places_and_no_value() {
        let show = |value: EnvValue| format!("{value:?}");
        assert_eq!(show(EnvValue::Plain("hunter2".to_owned())), "Plain(…)");
        let file = EnvValue::Secret(SecretSource::File("/run/token".into()));
        assert_eq!(show(file), "File(\"/run/token\")");
        let variable = EnvValue::Secret(SecretSource::FromEnv("KEY".to_owned()));
        assert_eq!(show(variable), "FromEnv(\"KEY\")");
    }
}

//! The environment of a version as declared. What a secret says is not known here: `versions`
//! looks when it makes the version ready, so a configuration can be read where its secrets are not.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of the digest that stands for a value.
const VALUE_DIGITS: usize = 12;

/// Where the value of a guest's environment variable comes from. Its `Debug` output shows no value.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// The value itself.
    Plain(String),
    /// The text of a file. Absolute; it need not exist.
    File(PathBuf),
    /// A variable of the process's own environment. Neither empty nor with `=` or NUL.
    FromEnv(String),
}

impl EnvValue {
    /// The file that must be read for it, if any.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Plain(_) | Self::FromEnv(_) => None,
        }
    }

    /// What stands for a value where it must not be shown, `sha256:` and 12 digits. The variable's
    /// name is part of it, so that two variables do not show that they have one value.
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
            // People write secrets here too.
            Self::Plain(_) => f.debug_tuple("Plain").field(&format_args!("…")).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::FromEnv(variable) => f.debug_tuple("FromEnv").field(variable).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_value_comes_from_is_shown_and_the_value_is_not() {
        let show = |value: EnvValue| format!("{value:?}");
        assert_eq!(show(EnvValue::Plain("hunter2".to_owned())), "Plain(…)");
        assert_eq!(show(EnvValue::File("/run/token".into())), "File(\"/run/token\")");
        assert_eq!(show(EnvValue::FromEnv("KEY".to_owned())), "FromEnv(\"KEY\")");
    }
}

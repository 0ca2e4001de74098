//! The environment of a version as declared. What a secret says is not known here: the registry
//! looks when it makes the version ready, so a configuration can be read where its secrets are not.

use std::fmt;
use std::path::{Path, PathBuf};

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

//! The names of things: environments, services and versions are DNS labels, because each of them
//! can become a part of a host name. Routing, `versions` and metrics rely on these being short,
//! printable and lower case. `domain` has the host names.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// RFC 1035, section 2.3.4: a label has at most 63 octets.
const LABEL_MAX: usize = 63;

/// Why a text is not a DNS label (RFC 1123, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} characters, and {LABEL_MAX} is the most")]
    TooLong(usize),
    #[error("it contains {0:?}")]
    Character(char),
    #[error("it starts or ends with `-`")]
    Edge,
    #[error("it contains `--`, which separates version and service in a preview domain")]
    DoubleHyphen,
}

fn check_label(text: &str) -> Result<(), LabelError> {
    check_characters(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A label of a host name. Container networks and some records of the DNS have underscores in theirs.
pub(super) fn check_host_label(text: &str) -> Result<(), LabelError> {
    check_characters(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
}

fn check_characters(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), LabelError> {
    if text.is_empty() {
        return Err(LabelError::Empty);
    }
    if let Some(stranger) = text.chars().find(|c| !allowed(*c)) {
        return Err(LabelError::Character(stranger));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(LabelError::Edge);
    }
    if text.len() > LABEL_MAX {
        return Err(LabelError::TooLong(text.len()));
    }
    Ok(())
}

fn check_version_label(text: &str) -> Result<(), LabelError> {
    check_label(text)?;
    if text.contains("--") {
        return Err(LabelError::DoubleHyphen);
    }
    Ok(())
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// # Errors
            ///
            /// When the text is not a DNS label.
            pub fn new(text: &str) -> Result<Self, LabelError> {
                $check(text).map(|()| Self(Arc::from(text)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = LabelError;

            fn from_str(text: &str) -> Result<Self, LabelError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

label!(
    /// The name of an environment: a DNS label of 1 to 63 characters. A clone costs one reference
    /// count.
    EnvironmentName,
    check_label
);
label!(
    /// The name of a service: a DNS label, the first one of its default domain. A clone costs one
    /// reference count.
    ServiceName,
    check_label
);
label!(
    /// The name of a version: a DNS label without `--`, so that `v2--greeter.localhost` has only one reading. A clone
    /// costs one reference count.
    VersionName,
    check_version_label
);

label!(
    /// The name of a rule: a DNS label, so that it can be a part of a header's value. A clone costs
    /// one reference count.
    RuleName,
    check_label
);

impl Default for EnvironmentName {
    /// The environment of a file that declares none.
    fn default() -> Self {
        Self(Arc::from("default"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_rfc_1123_labels() {
        for good in ["a", "v1", "0", "a-b", "a--b", &"x".repeat(63)] {
            assert_eq!(ServiceName::new(good).unwrap().as_str(), good);
        }
        assert_eq!(ServiceName::new(""), Err(LabelError::Empty));
        assert_eq!(ServiceName::new("V1"), Err(LabelError::Character('V')));
        assert_eq!(ServiceName::new("a.b"), Err(LabelError::Character('.')));
        assert_eq!(ServiceName::new("é"), Err(LabelError::Character('é')));
        assert_eq!(ServiceName::new("-a"), Err(LabelError::Edge));
        assert_eq!(ServiceName::new("a-"), Err(LabelError::Edge));
        let long = "x".repeat(64);
        assert_eq!(ServiceName::new(&long), Err(LabelError::TooLong(64)));
    }

    #[test]
    fn a_version_has_no_double_hyphen() {
        assert_eq!(VersionName::new("a--b"), Err(LabelError::DoubleHyphen));
        assert_eq!(VersionName::new("a-b").unwrap().to_string(), "a-b");
    }
}

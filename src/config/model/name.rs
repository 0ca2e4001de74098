//! The names of things: environments, services and versions are DNS labels, because each of them
//! can become a part of a host name, and domains are DNS names. Routing, `versions` and metrics
//! rely on these being short, printable and lower case.

use std::borrow::Borrow;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// RFC 1035, section 2.3.4: a label has at most 63 octets.
const LABEL_MAX: usize = 63;

/// RFC 1035, section 2.3.4: a name has at most 255 octets on the wire, which leaves 253 characters
/// of text.
const DOMAIN_MAX: usize = 253;

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
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
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

/// Why a text is not a domain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DomainError {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} characters, and {DOMAIN_MAX} is the most")]
    TooLong(usize),
    #[error("it has a port, and a service answers on every port that the server listens on")]
    Port,
    #[error("it is an IPv6 address, not a host name")]
    Ipv6,
    #[error("it ends with a dot")]
    LastDot,
    #[error("it begins with a dot")]
    FirstDot,
    #[error("it is an address with a scheme or a path, not a host name")]
    Url,
    #[error("`*` may only stand for one whole label, the first")]
    Wildcard,
    #[error("`{label}` is not a label: {reason}")]
    Label { label: String, reason: LabelError },
}

/// Checks a DNS name without a wildcard, and returns it in lower case, as host names compare (RFC 9110, section 4.2.3).
///
/// # Errors
///
/// When the text is not such a name.
pub fn domain(text: &str) -> Result<String, DomainError> {
    let lower = text.to_ascii_lowercase();
    if lower.is_empty() {
        return Err(DomainError::Empty);
    }
    if lower.contains('/') {
        return Err(DomainError::Url);
    }
    if lower.contains('*') {
        return Err(DomainError::Wildcard);
    }
    if is_ipv6(&lower) {
        return Err(DomainError::Ipv6);
    }
    if lower.contains(':') {
        return Err(DomainError::Port);
    }
    // The only empty label is the last or the first one.
    let has_empty = lower.contains("..");
    if lower.ends_with('.') && !has_empty {
        return Err(DomainError::LastDot);
    }
    if lower.starts_with('.') && !has_empty {
        return Err(DomainError::FirstDot);
    }
    if lower.len() > DOMAIN_MAX {
        return Err(DomainError::TooLong(lower.len()));
    }
    lower.split('.').try_for_each(check_domain_label)?;
    Ok(lower)
}

fn is_ipv6(text: &str) -> bool {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<Ipv6Addr>().is_ok() || text.parse::<SocketAddrV6>().is_ok()
}

fn check_domain_label(label: &str) -> Result<(), DomainError> {
    check_label(label).map_err(|reason| DomainError::Label { label: label.to_owned(), reason })
}

/// A host name that a service answers to. Always lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DomainPattern {
    /// This name and no other.
    Exact(String),
    /// `*.example.org`, kept without its `*.`. Matches exactly one more label in front.
    Wildcard(String),
}

impl FromStr for DomainPattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        match text.strip_prefix("*.") {
            Some(suffix) => domain(suffix).map(Self::Wildcard),
            None => domain(text).map(Self::Exact),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
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

    #[test]
    fn domains_are_lower_case_and_wildcards_are_one_label() {
        let exact = DomainPattern::Exact("hello.example.com".into());
        assert_eq!("Hello.Example.com".parse(), Ok(exact));
        let wildcard = DomainPattern::Wildcard("example.org".into());
        assert_eq!("*.example.org".parse(), Ok(wildcard.clone()));
        assert_eq!(wildcard.to_string(), "*.example.org");
        for bad in ["*", "*.*.org", "a*.org", "a.*.org", "*a.org"] {
            assert_eq!(bad.parse::<DomainPattern>(), Err(DomainError::Wildcard), "{bad}");
        }
        assert_eq!("a.org:80".parse::<DomainPattern>(), Err(DomainError::Port));
        assert_eq!("http://a.org".parse::<DomainPattern>(), Err(DomainError::Url));
        assert_eq!("".parse::<DomainPattern>(), Err(DomainError::Empty));
        for ipv6 in ["[::1]", "::1", "[::1]:80"] {
            assert_eq!(ipv6.parse::<DomainPattern>(), Err(DomainError::Ipv6), "{ipv6}");
        }
        assert_eq!("a.org.".parse::<DomainPattern>(), Err(DomainError::LastDot));
        assert_eq!(".a.org".parse::<DomainPattern>(), Err(DomainError::FirstDot));
        assert!(matches!("a..org".parse::<DomainPattern>(), Err(DomainError::Label { .. })));
    }
}

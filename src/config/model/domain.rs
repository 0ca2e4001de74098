//! The hosts that services answer to: DNS names, names below a suffix, addresses, or every host.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::str::FromStr;

use thiserror::Error;

use super::name::{LabelError, check_host_label};

/// RFC 1035, section 2.3.4: a name has at most 255 octets on the wire, which leaves 253 characters
/// of text.
const DOMAIN_MAX: usize = 253;

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
    #[error("it ends with a number, and is not an IPv4 address")]
    Number,
    #[error("it ends with a dot")]
    LastDot,
    #[error("it begins with a dot")]
    FirstDot,
    #[error("it is an address with a scheme or a path, not a host name")]
    Url,
    #[error("`*` may only stand for one whole label, the first, or for every host")]
    Wildcard,
    #[error("`{label}` is not a label: {reason}")]
    Label { label: String, reason: LabelError },
}

/// Checks a host name without a wildcard, and returns it in lower case, as host names compare (RFC 9110, section 4.2.3).
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
    lower.split('.').try_for_each(check_label)?;
    Ok(lower)
}

fn is_ipv6(text: &str) -> bool {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<Ipv6Addr>().is_ok() || text.parse::<SocketAddrV6>().is_ok()
}

fn check_label(label: &str) -> Result<(), DomainError> {
    check_host_label(label).map_err(|reason| DomainError::Label { label: label.to_owned(), reason })
}

/// An IPv6 address in brackets, as requests name it, in its one canonical form.
fn ipv6_literal(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    Some(format!("[{}]", bare.parse::<Ipv6Addr>().ok()?))
}

/// Clients take every host whose last label is a number for an IPv4 address, so no other such name is ever asked for.
fn ends_with_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
}

/// A host that a service answers to. Always lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DomainPattern {
    /// This name or address and no other. An IPv6 address is in brackets.
    Exact(String),
    /// `*.example.org`, kept without its `*.`. Matches exactly one more label in front.
    Wildcard(String),
    /// `*`: every host that no other domain matches.
    Any,
}

impl DomainPattern {
    /// How every host is written.
    pub const ANY: &str = "*";
}

impl FromStr for DomainPattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text == Self::ANY {
            return Ok(Self::Any);
        }
        if let Some(literal) = ipv6_literal(text) {
            return Ok(Self::Exact(literal));
        }
        let (name, is_wildcard) = match text.strip_prefix("*.") {
            Some(suffix) => (domain(suffix)?, true),
            None => (domain(text)?, false),
        };
        let is_address = name.parse::<Ipv4Addr>().is_ok() && !is_wildcard;
        match ends_with_number(&name) && !is_address {
            true => Err(DomainError::Number),
            false => Ok(if is_wildcard { Self::Wildcard(name) } else { Self::Exact(name) }),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str(Self::ANY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_lower_case_and_wildcards_are_one_label() {
        let exact = DomainPattern::Exact("hello.example.com".into());
        assert_eq!("Hello.Example.com".parse(), Ok(exact));
        let wildcard = DomainPattern::Wildcard("example.org".into());
        assert_eq!("*.example.org".parse(), Ok(wildcard.clone()));
        assert_eq!(wildcard.to_string(), "*.example.org");
        for bad in ["*.*.org", "**", "a*.org", "a.*.org", "*a.org"] {
            assert_eq!(bad.parse::<DomainPattern>(), Err(DomainError::Wildcard), "{bad}");
        }
        assert_eq!("a.org:80".parse::<DomainPattern>(), Err(DomainError::Port));
        assert_eq!("http://a.org".parse::<DomainPattern>(), Err(DomainError::Url));
        assert_eq!("".parse::<DomainPattern>(), Err(DomainError::Empty));
        for ipv6 in ["::1", "[::1]:80"] {
            assert_eq!(ipv6.parse::<DomainPattern>(), Err(DomainError::Ipv6), "{ipv6}");
        }
        assert_eq!("a.org.".parse::<DomainPattern>(), Err(DomainError::LastDot));
        assert_eq!(".a.org".parse::<DomainPattern>(), Err(DomainError::FirstDot));
        assert!(matches!("a..org".parse::<DomainPattern>(), Err(DomainError::Label { .. })));
    }
    #[test]
    fn a_domain_may_be_an_address_or_every_host() {
        assert_eq!("*".parse(), Ok(DomainPattern::Any));
        assert_eq!(DomainPattern::Any.to_string(), "*");
        for (written, host) in [
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:DB8:0::0001]", "[2001:db8::1]"),
            ("my_app.Example.org", "my_app.example.org"),
            ("_a.b_", "_a.b_"),
        ] {
            assert_eq!(written.parse(), Ok(DomainPattern::Exact(host.into())), "{written}");
        }
        for number in ["127.1", "256.0.0.1", "1.2.3.4.5", "*.0.0.1", "*.127.0.0.1", "a.7"] {
            assert_eq!(number.parse::<DomainPattern>(), Err(DomainError::Number), "{number}");
        }
        for bad in ["*.[::1]", "[::1", "[fe80::1%eth0]", "[127.0.0.1]", "[]"] {
            assert!(bad.parse::<DomainPattern>().is_err(), "{bad}");
        }
    }
}

//! How values of the command line are read. A wrong value is wrong usage: clap names the argument.

use std::num::NonZeroUsize;

use crate::config::{LABEL_HELP, Percent, VersionName};

/// `90`, `12.5` or `90%`.
pub(super) fn percent(text: &str) -> Result<Percent, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is not a percentage"))?;
    Percent::from_f64(number).map_err(|error| format!("`{text}` is not a percentage: {error}"))
}

/// `v1=90`.
pub(super) fn share(text: &str) -> Result<(VersionName, Percent), String> {
    let (version, share) = text
        .split_once('=')
        .ok_or_else(|| "give a version and its percentage, such as v1=90".to_owned())?;
    let version = VersionName::new(version)
        .map_err(|error| format!("`{version}` is no version: {error}; {LABEL_HELP}"))?;
    Ok((version, percent(share)?))
}

/// `3`, and not `0`.
pub(super) fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "give a whole number, at least 1".to_owned())
}

/// `KEY=VALUE`, where the value may be empty.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give a name and a value, such as GREETING=Hello".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_taken_as_people_write_it() {
        let tenth = Percent::from_hundredths(1_250).unwrap();
        for text in ["v2=12.5", "v2=12.50", "v2=12.5%"] {
            assert_eq!(share(text).unwrap().1, tenth, "{text}");
        }
        for text in ["v2", "v2=", "v2=x", "v2=101", "v2=-1", "v2=1.234", "=5", "V2=5", "v2=NaN"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn none_is_not_at_least_one() {
        assert_eq!(at_least_one("3").unwrap().get(), 3);
        assert!(["0", "-1", "x", "1.5", ""].iter().all(|text| at_least_one(text).is_err()));
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c").unwrap(), ("A".to_owned(), "b=c".to_owned()));
        assert_eq!(variable("A=").unwrap().1, "");
        assert!(variable("=b").is_err() && variable("A").is_err());
    }
}

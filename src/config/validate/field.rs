//! Checks one value at a time: texts and numbers of a file become values of the model, or problems that say what is
//! wrong and what to do. Callers ask for a key and get its value, or `None` with the problem already reported.

use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use super::super::model::{
    Digest, DigestError, EnvironmentName, LabelError, Percent, PercentError, RuleName, ServiceName,
    VersionName, Watch,
};
use super::super::path::absolute;
use super::super::raw::{Field, Located};
use super::super::source::{Complaint, Findings};
use super::super::suggest;
use super::{quantity, suspect};

/// What a name may be.
pub const LABEL_HELP: &str =
    "a name has 1 to 63 of the characters a-z, 0-9 and `-`, with no `-` at either end";

/// What to do about a main file without any key.
pub const EMPTY_MAIN: &str =
    "it may still be being written; to change no default, write `[server]` and nothing below it";

/// What to do about a service's file without any key.
pub const EMPTY_SERVICE: &str =
    "it may still be being written; declare `[[versions]]`, or remove the file";

impl Findings<'_> {
    /// The text of a key that its table must have.
    pub fn required(
        &mut self,
        table: &Range<usize>,
        key: &str,
        field: Field<String>,
    ) -> Option<(Range<usize>, String)> {
        if field.is_none() {
            let message = format!("`{key}` is missing here");
            let is_inline =
                self.source.text.get(table.start..).is_some_and(|text| text.starts_with('{'));
            let place = if is_inline { "between the braces" } else { "below this line" };
            let help = format!("add `{key} = \"…\"` {place}");
            self.add_missing(table.clone(), key, Complaint::new(message, help));
        }
        field.map(Located::into_parts)
    }

    pub fn text<T>(
        &mut self,
        field: Field<String>,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let (span, text) = field?.into_parts();
        self.check(span, parse(&text))
    }

    pub fn whole(
        &mut self,
        key: &str,
        field: Field<i64>,
        bounds: &RangeInclusive<i64>,
    ) -> Option<i64> {
        let (span, number) = field?.into_parts();
        self.check(span, quantity::within(key, number, bounds, i64::to_string))
    }

    /// A whole number that is at least 1.
    pub fn count(
        &mut self,
        key: &str,
        field: Field<i64>,
        bounds: &RangeInclusive<i64>,
    ) -> Option<NonZeroU32> {
        let number = self.whole(key, field, bounds)?;
        u32::try_from(number).ok().and_then(NonZeroU32::new)
    }

    /// A path relative to the file, made absolute.
    pub fn path(&mut self, key: &str, field: Field<String>) -> Option<PathBuf> {
        let (span, text) = field?.into_parts();
        self.path_at(key, span, &text)
    }

    /// The path at a place, made absolute.
    pub fn path_at(&mut self, key: &str, span: Range<usize>, text: &str) -> Option<PathBuf> {
        if text.is_empty() || text.contains('\0') {
            let message = format!("`{key}` is not a path");
            self.add(span, Complaint::new(message, "give a path relative to this file"));
            return None;
        }
        if text.contains("-----BEGIN ") {
            let message = format!("`{key}` is the path of a file, and not what is in it");
            let help = "put this text into a file of its own, and give the path of that file";
            self.add(span, Complaint::new(message, help));
            return None;
        }
        if let Some(complaint) = suspect::path(key, text) {
            self.warn(span, complaint);
        }
        Some(self.resolve(text))
    }

    pub fn resolve(&self, path: &str) -> PathBuf {
        absolute(self.source.directory(), Path::new(path))
    }
}

/// One of the words that a key may have.
pub fn word<T: Copy>(
    key: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> impl Fn(&str) -> Result<T, Complaint> {
    move |text| {
        let found = all.iter().copied().find(|value| as_str(*value) == text);
        found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|value| as_str(*value)).collect();
            let list = format!("write {}", suggest::list(&names));
            let list = list.replace(" and ", " or ");
            let help = suggest::help(suggest::closest(text, &names), &list);
            Complaint::new(format!("`{key}` cannot be {text:?}"), help)
        })
    }
}

pub fn watch(text: &str) -> Result<Watch, Complaint> {
    if text == Watch::EVENTS {
        return Ok(Watch::Events);
    }
    if let Some(interval) = text.strip_prefix(Watch::POLL) {
        return quantity::duration("watch", interval, &Watch::INTERVAL).map(Watch::Poll);
    }
    let poll = Watch::POLL.trim_end_matches(':');
    if text == poll {
        let message = "`watch` does not say how often to look";
        return Err(Complaint::new(message, "add a duration, such as `poll:2s`"));
    }
    let meant = match text {
        "inotify" | "notify" | "event" => Some(Watch::EVENTS),
        "polling" => Some("poll:2s"),
        _ => suggest::closest(text, &[Watch::EVENTS]),
    };
    let help = suggest::help(meant, "write `events`, or `poll:` and a duration, such as `poll:2s`");
    Err(Complaint::new(format!("`watch` cannot be {text:?}"), help))
}

/// A path without a query, as it stands in a request line.
pub fn health_path(text: &str) -> Result<String, Complaint> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\".contains(&byte);
    if text.starts_with('/') && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    let slashed = format!("/{text}");
    let help = match slashed.bytes().all(is_plain) && !text.starts_with('/') && !text.is_empty() {
        true => format!("write `{slashed}`"),
        false => "write a path without query and without spaces, such as `/-/health`".to_owned(),
    };
    Err(Complaint::new(format!("`health-path` cannot be {text:?}"), help))
}

pub fn environment_name(text: &str) -> Result<EnvironmentName, Complaint> {
    EnvironmentName::new(text).map_err(|error| bad_label("an environment", text, &error))
}

pub fn service_name(text: &str) -> Result<ServiceName, Complaint> {
    ServiceName::new(text).map_err(|error| bad_label("a service", text, &error))
}

pub fn version_name(text: &str) -> Result<VersionName, Complaint> {
    VersionName::new(text).map_err(|error| bad_label("a version", text, &error))
}

pub fn rule_name(text: &str) -> Result<RuleName, Complaint> {
    RuleName::new(text).map_err(|error| bad_label("a rule", text, &error))
}

fn bad_label(of: &str, text: &str, error: &LabelError) -> Complaint {
    let message = format!("{text:?} cannot be the name of {of}: {error}");
    let help = match error {
        LabelError::DoubleHyphen => format!("write {:?}", shorten_hyphens(text)),
        LabelError::Empty | LabelError::TooLong(_) => LABEL_HELP.to_owned(),
        LabelError::Character(_) | LabelError::Edge => match label_like(text) {
            Some(label) => format!("write {label:?}: {LABEL_HELP}"),
            None => LABEL_HELP.to_owned(),
        },
    };
    Complaint::new(message, help)
}

/// The label that is most like a text of ASCII.
fn label_like(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let label = lower.replace(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric(), "-");
    let label = shorten_hyphens(&label);
    VersionName::new(&label).is_ok().then_some(label)
}

fn shorten_hyphens(text: &str) -> String {
    let parts: Vec<&str> = text.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

pub fn digest(text: &str) -> Result<Digest, Complaint> {
    text.parse().map_err(|error: DigestError| {
        let usual = "write `sha256:` and the 64 digits that `sha256sum` prints for the component";
        let meant = format!("sha256:{}", text.trim());
        let help = match meant.parse::<Digest>() {
            Ok(_) => "write `sha256:` in front of it".to_owned(),
            Err(_) => usual.to_owned(),
        };
        Complaint::new(format!("`digest` is not a digest: {error}"), help)
    })
}

/// The digest of an environment. Nobody computes one by hand.
pub fn env_digest(text: &str) -> Result<Digest, Complaint> {
    text.parse().map_err(|error: DigestError| {
        let help = "leave it out to mean every environment, or write `sha256:` and 64 digits";
        Complaint::new(format!("`env` is not a digest: {error}"), help)
    })
}

pub fn percent(version: &str, value: f64) -> Result<Percent, Complaint> {
    Percent::from_f64(value).map_err(|error| {
        let message = format!("{value} cannot be the share of `{version}`: {error}");
        let help = "write a percentage from 0 to 100 with at most two decimals";
        let near = (value * 100.0).round() / 100.0;
        Complaint::new(
            message,
            match error {
                PercentError::TooFine => format!("{help}, such as `{near}`"),
                _ => help.to_owned(),
            },
        )
    })
}

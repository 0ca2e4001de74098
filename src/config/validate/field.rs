//! Checks one value at a time: texts and numbers of a file become values of the model, or problems that say what is
//! wrong and what to do. Callers ask for a key and get its value, or `None` with the problem already reported.

use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::model::{
    self, ByteSize, Digest, EnvironmentName, LabelError, Percent, PercentError, QuantityError,
    RuleName, ServiceName, VersionName, Watch, show_duration,
};
use super::super::path::absolute;
use super::super::raw::{Field, Located, RawSize};
use super::super::source::{Complaint, Findings};
use super::super::suggest;
use super::suspect;
use crate::plural::many;

const DURATION_HELP: &str = "write a whole number and a unit, such as `250ms`, `10s`, `2m` or `1h`";

const LABEL_HELP: &str =
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
            let help = format!("add `{key} = \"…\"` below this line");
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
        self.check(span, within(key, number, bounds, i64::to_string))
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

    pub fn duration(
        &mut self,
        key: &str,
        field: Field<String>,
        bounds: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (span, text) = field?.into_parts();
        self.check(span, duration(key, &text, bounds))
    }

    pub fn size(
        &mut self,
        key: &str,
        field: Field<RawSize>,
        bounds: &RangeInclusive<ByteSize>,
    ) -> Option<ByteSize> {
        let (span, raw) = field?.into_parts();
        let text = match raw {
            RawSize::Bytes(count) => count.to_string(),
            RawSize::Text(text) => text,
        };
        let parsed = text.parse().map_err(|error| bad_size(key, &text, &error));
        let bounded = parsed.and_then(|size| within(key, size, bounds, ByteSize::to_string));
        let bounded = bounded.map_err(|complaint| match lacks_unit(&text, bounds) {
            Some((bytes, meant)) => {
                let message =
                    format!("`{key}` is {}, less than {}", many(bytes, "byte"), bounds.start());
                Complaint::new(
                    message,
                    format!("write a unit in quotation marks, such as `\"{meant}\"`"),
                )
            }
            None => complaint,
        });
        self.check(span, bounded)
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
        if let Some(complaint) = suspect::path(key, text) {
            self.warn(span, complaint);
        }
        Some(self.resolve(text))
    }

    pub fn resolve(&self, path: &str) -> PathBuf {
        absolute(self.source.directory(), Path::new(path))
    }
}

fn within<T: PartialOrd>(
    key: &str,
    value: T,
    bounds: &RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, Complaint> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (show(bounds.start()), show(bounds.end()));
    let side = if value < *bounds.start() { "less" } else { "more" };
    let bound = if value < *bounds.start() { &least } else { &most };
    let message = format!("`{key}` is {}, {side} than {bound}", show(&value));
    let help = format!("choose from {least} to {most}");
    Err(Complaint::new(message, help))
}

fn duration(
    key: &str,
    text: &str,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, Complaint> {
    let parsed = model::parse_duration(text).map_err(|error| bad_duration(key, text, &error));
    let show = |duration: &Duration| show_duration(*duration);
    parsed.and_then(|duration| within(key, duration, bounds, show))
}

fn bad_duration(key: &str, text: &str, error: &QuantityError) -> Complaint {
    let help = match error {
        QuantityError::NoUnit => {
            format!("add a unit, such as `{text}s` for seconds; the units are ms, s, m and h")
        }
        QuantityError::Unit(unit) => match (duration_unit(unit), in_one_unit(text)) {
            (Some(unit), _) => format!("write `{}{unit}`", digits_of(text)),
            (None, Some(duration)) => format!("write it in one unit: `{duration}`"),
            (None, None) => DURATION_HELP.to_owned(),
        },
        _ => match whole_duration(text) {
            Some(duration) => format!("write whole numbers: `{duration}`"),
            None => DURATION_HELP.to_owned(),
        },
    };
    Complaint::new(format!("`{key}` is not a duration: {error}"), help)
}

/// A duration of several parts or of days, such as `1m30s` or `2d`, in the units that there are.
fn in_one_unit(text: &str) -> Option<String> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = digits_of(rest);
        let after = rest.get(digits.len()..)?.trim_start();
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let part = match unit.trim() {
            "d" | "day" | "days" => {
                model::parse_duration(&format!("{digits}h")).ok()?.checked_mul(24)?
            }
            unit => model::parse_duration(&format!("{digits}{}", duration_unit(unit)?)).ok()?,
        };
        (total, rest) = (total.checked_add(part)?, next);
    }
    Some(show_duration(total))
}

/// A duration with a fraction, such as `1.5s`, in whole numbers.
fn whole_duration(text: &str) -> Option<String> {
    let (number, unit) = fraction(text)?;
    let one = model::parse_duration(&format!("1{}", duration_unit(unit)?)).ok()?;
    let millis = number * one.as_millis() as f64;
    let is_whole = millis.fract() == 0.0 && (1.0..1e12).contains(&millis);
    is_whole.then(|| show_duration(Duration::from_millis(millis as u64)))
}

/// A size with a fraction, such as `1.5GiB`, in whole numbers.
fn whole_size(text: &str) -> Option<ByteSize> {
    let (number, unit) = fraction(text)?;
    let one: ByteSize = format!("1{unit}").parse().ok()?;
    let bytes = number * one.bytes() as f64;
    let is_whole = bytes.fract() == 0.0 && (1.0..1e15).contains(&bytes);
    is_whole.then(|| ByteSize::new(bytes as u64))
}

fn fraction(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn digits_of(text: &str) -> &str {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The unit that is probably meant by a unit of another language.
fn duration_unit(written: &str) -> Option<&'static str> {
    match written.to_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => Some("ms"),
        "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "m" | "min" | "mins" | "minute" | "minutes" => Some("m"),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some("h"),
        _ => None,
    }
}

/// The size that is probably meant by a number of bytes that is far too small.
fn lacks_unit(text: &str, bounds: &RangeInclusive<ByteSize>) -> Option<(u64, String)> {
    let number = text.parse::<u64>().ok().filter(|number| *number > 0)?;
    let is_small = ByteSize::new(number) < *bounds.start();
    let fits = |text: &String| text.parse().is_ok_and(|size| bounds.contains(&size));
    // Limits are mostly thought of in MiB.
    let meant = ["MiB", "KiB", "GiB"].map(|unit| format!("{number}{unit}"));
    let meant = meant.into_iter().find(|text| is_small && fits(text))?;
    Some((number, meant))
}

/// The first letter of the unit that is probably meant: of `M`, `mb`, `Mi` or `megabytes`.
fn size_prefix(written: &str) -> Option<char> {
    const WORDS: [&str; 4] = ["kilobyte", "megabyte", "gigabyte", "terabyte"];
    let lower = written.to_lowercase();
    let prefix = lower.chars().next().filter(|prefix| "kmgt".contains(*prefix))?;
    let rest = lower.get(1..).unwrap_or_default();
    let meant =
        ["", "b", "i", "ib"].contains(&rest) || WORDS.contains(&lower.trim_end_matches('s'));
    meant.then(|| prefix.to_ascii_uppercase())
}

fn bad_size(key: &str, text: &str, error: &QuantityError) -> Complaint {
    let help = match error {
        QuantityError::Unit(unit) if size_prefix(unit).is_some() => {
            let number = digits_of(text);
            let unit = size_prefix(unit).unwrap_or_default();
            format!(
                "write `{number}{unit}iB` (powers of 1024) or `{number}{unit}B` (powers of 1000)"
            )
        }
        _ => match whole_size(text) {
            Some(size) => format!("write whole numbers: `{size}`"),
            None => {
                "write a whole number and a unit, such as `128MiB`, `16MB` or `512KiB`".to_owned()
            }
        },
    };
    Complaint::new(format!("`{key}` is not a size: {error}"), help)
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
        return duration("watch", interval, &Watch::INTERVAL).map(Watch::Poll);
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
    text.parse().map_err(|error: model::DigestError| {
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
    text.parse().map_err(|error: model::DigestError| {
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

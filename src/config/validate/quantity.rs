//! Checks durations, sizes and counts: each has a unit and bounds. A quantity that is written as in another language is
//! refused with the one that was probably meant.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::model::{self, ByteSize, QuantityError, show_duration};
use super::super::raw::{Field, RawSize};
use super::super::source::{Complaint, Findings};
use crate::plural::many;

const DURATION_HELP: &str = "write a whole number and a unit, such as `250ms`, `10s`, `2m` or `1h`";

impl Findings<'_> {
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
}

pub fn within<T: PartialOrd>(
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

pub fn duration(
    key: &str,
    text: &str,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, Complaint> {
    let parsed =
        model::parse_duration(text).map_err(|error| bad_duration(key, text, &error, bounds));
    let show = |duration: &Duration| show_duration(*duration);
    let bounded = parsed.and_then(|duration| within(key, duration, bounds, show));
    bounded.map_err(|complaint| match text.strip_suffix('m').map(|digits| format!("{digits}ms")) {
        // Kubernetes writes a thousandth so.
        Some(thousandths)
            if model::parse_duration(&thousandths).is_ok_and(|it| bounds.contains(&it)) =>
        {
            let help = format!(
                "`m` stands for minutes: write `{thousandths}` for milliseconds; {}",
                complaint.help
            );
            Complaint { help, ..complaint }
        }
        _ => complaint,
    })
}

fn bad_duration(
    key: &str,
    text: &str,
    error: &QuantityError,
    bounds: &RangeInclusive<Duration>,
) -> Complaint {
    let fits = |text: &String| model::parse_duration(text).is_ok_and(|it| bounds.contains(&it));
    let help = match error {
        QuantityError::NoUnit => match with_unit(text).into_iter().find(|(meant, _)| fits(meant)) {
            Some((meant, unit)) => {
                format!("add a unit, such as `{meant}` for {unit}; the units are ms, s, m and h")
            }
            None => format!("{DURATION_HELP}, {}", between(bounds)),
        },
        QuantityError::Unit(unit) => match (duration_unit(unit), in_one_unit(text)) {
            (Some(unit), _) => format!("write `{}{unit}`", digits_of(text)),
            (None, Some(duration)) if fits(&duration) => {
                format!("write it in one unit: `{duration}`")
            }
            (None, _) => format!("{DURATION_HELP}, {}", between(bounds)),
        },
        _ => match whole_duration(text).or_else(|| iso(text)).filter(fits) {
            Some(duration) => format!("write whole numbers: `{duration}`"),
            None => format!("{DURATION_HELP}, {}", between(bounds)),
        },
    };
    Complaint::new(format!("`{key}` is not a duration: {error}"), help)
}

fn between(bounds: &RangeInclusive<Duration>) -> String {
    format!("from {} to {}", show_duration(*bounds.start()), show_duration(*bounds.end()))
}

/// A number in each unit, the likeliest first.
fn with_unit(number: &str) -> [(String, &'static str); 4] {
    let units = [("s", "seconds"), ("ms", "milliseconds"), ("m", "minutes"), ("h", "hours")];
    units.map(|(unit, name)| (format!("{}{unit}", number.trim()), name))
}

/// A duration of one part as ISO 8601 writes it, such as `PT30S`.
fn iso(text: &str) -> Option<String> {
    let part = text.trim().strip_prefix("PT")?;
    let one = model::parse_duration(&part.to_ascii_lowercase()).ok()?;
    Some(show_duration(one))
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
    let millis = whole(number * one.as_millis() as f64, 1e12)?;
    Some(show_duration(Duration::from_millis(millis)))
}

/// A size with a fraction, such as `1.5GiB`, in whole numbers.
fn whole_size(text: &str) -> Option<ByteSize> {
    let (number, unit) = fraction(text)?;
    let one: ByteSize = format!("1{unit}").parse().ok()?;
    Some(ByteSize::new(whole(number * one.bytes() as f64, 1e15)?))
}

/// A whole number from 1 up to below `end`.
fn whole(number: f64, end: f64) -> Option<u64> {
    // A number without a fraction is written without one.
    (1.0..end).contains(&number).then(|| number.to_string().parse().ok())?
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

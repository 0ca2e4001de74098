//! Numbers as people read them.

use crate::api::{ObservedDocument, VersionDocument, WindowDocument};
use crate::cli::table::NONE;
use crate::plural::noun;

/// Digits of a digest that are enough to tell two digests apart.
const DIGITS: usize = 12;

/// Said where too little is known for a number.
pub const TOO_EARLY: &str = "too early";

/// Requests a second.
pub fn rate(rate: Option<f64>) -> String {
    match rate {
        Some(rate) if rate < 100.0 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
        None => TOO_EARLY.to_owned(),
    }
}

/// A ratio of errors as percent; `-` without requests.
pub fn errors(ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) if ratio > 0.0 => format!("{:.2} %", ratio * 100.0),
        Some(_) => "0 %".to_owned(),
        None => NONE.to_owned(),
    }
}

pub fn latency(milliseconds: Option<f64>) -> String {
    match milliseconds {
        Some(it) if it < 10.0 => format!("{it:.2} ms"),
        Some(it) if it < 1000.0 => format!("{it:.0} ms"),
        Some(it) => format!("{:.2} s", it / 1000.0),
        None => NONE.to_owned(),
    }
}

/// The served share, and the declared one where it differs.
pub fn share(version: &VersionDocument) -> String {
    let VersionDocument { share, declared_share, .. } = version;
    // Both are whole hundredths.
    match (share - declared_share).abs() < 0.005 {
        true => format!("{share} %"),
        false => format!("{share} → {declared_share} %"),
    }
}

/// What a version had of the requests in a window. Marked where chance does not explain how often it was drawn.
pub fn observed(window: Option<&WindowDocument>) -> String {
    let Some(window) = window else { return NONE.to_owned() };
    let draws = window.draws.as_ref();
    let mark = if draws.is_some_and(|draws| draws.beyond_chance) { "! " } else { "" };
    match window.share {
        Some(share) => format!("{mark}{share:.2} %"),
        None if window.service_requests == 0 => NONE.to_owned(),
        None => TOO_EARLY.to_owned(),
    }
}

/// The window that shows most clearly that a version is drawn more or less often than chance explains, and its name.
pub fn beyond_chance(version: &VersionDocument) -> Option<(&WindowDocument, &'static str)> {
    let ObservedDocument { minute, hour, since_publish } = version.observed.as_ref()?;
    let windows = [
        (since_publish, "since the publish"),
        (hour, "in the last hour"),
        (minute, "in the last minute"),
    ];
    let p_value = |window: &WindowDocument| {
        window.draws.as_ref().filter(|draws| draws.beyond_chance).map(|draws| draws.p_value)
    };
    let beyond = windows.into_iter().filter_map(|it| Some((p_value(it.0)?, it)));
    beyond.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, it)| it)
}

pub fn likelihood(p_value: f64) -> String {
    // Below that, a float has lost its digits, or is 0.
    match p_value < 1e-300 {
        true => "p < 1e-300".to_owned(),
        false => format!("p = {p_value:.0e}"),
    }
}

pub fn digits(digest: Option<&str>) -> String {
    let digits = |digest: &str| digest.trim_start_matches("sha256:").chars().take(DIGITS).collect();
    digest.map_or(NONE.to_owned(), digits)
}

/// How long ago something was, in its two largest units.
pub fn age(seconds: f64) -> String {
    // A negative number, or none, is 0.
    let seconds = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        (1, ..) => format!("1 day {} h", hours % 24),
        _ => format!("{days} days"),
    }
}

/// A number of something, with a comma after each three digits.
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {}", grouped(number), noun(&number, what))
}

pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped = [0, 999, 1_000, 12_345, 1_000_000].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "12,345", "1,000,000"]);
        assert_eq!(
            (counted(1, "request"), counted(0, "request")),
            ("1 request".into(), "0 requests".into())
        );
    }

    #[test]
    fn an_age_has_the_units_that_matter() {
        let ages = [0.2, 59.9, 60.0, 7_261.0, 90_000.0, 1e6, -1.0, f64::NAN, f64::MAX].map(age);
        let expected =
            ["0 s", "59 s", "1 min", "2 h 1 min", "1 day 1 h", "11 days", "0 s", "0 s", "0 s"];
        assert_eq!(ages, expected);
    }

    #[test]
    fn a_latency_has_three_digits() {
        let shown = [0.214, 12.3, 999.4, 1_104.0, 30_000.0].map(|it| latency(Some(it)));
        assert_eq!(shown, ["0.21 ms", "12 ms", "999 ms", "1.10 s", "30.00 s"]);
        assert_eq!(
            (latency(None), rate(None), errors(None)),
            ("-".into(), "too early".into(), "-".into())
        );
    }
}

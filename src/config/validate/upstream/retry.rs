//! When a request is sent again; and statuses and percentages that stand in texts.

use std::ops::RangeInclusive;

use super::super::super::model::{Percent, RetrySpec};
use super::super::super::raw::{Field, Located, RawRetry};
use super::super::super::source::{Complaint, Findings};
use super::super::super::suggest;

pub fn retry(file: &mut Findings<'_>, raw: Field<RawRetry>) -> RetrySpec {
    let default = RetrySpec::default();
    let Some((_, RawRetry { attempts, on, budget })) = raw.map(Located::into_parts) else {
        return default;
    };
    let attempts = file.whole("attempts", attempts, &RetrySpec::ATTEMPTS);
    let attempts = attempts.and_then(|count| u32::try_from(count).ok());
    let attempts = attempts.unwrap_or(default.attempts);
    let budget = file.text(budget, |text| percent("budget", text)).unwrap_or(default.budget);
    let Some(on) = on else {
        return RetrySpec { attempts, budget, ..default };
    };
    let (span, words) = on.into_parts();
    if words.is_empty() && attempts > 0 && !file.has_lost_any(&span) {
        let message = "`on` is empty, so no request is ever sent again";
        let help = "write `attempts = 0` to say so, or `on = [\"connect\", \"reset\"]`";
        file.warn(span, Complaint::new(message, help));
    }
    let mut spec =
        RetrySpec { attempts, connect: false, reset: false, statuses: Vec::new(), budget };
    for word in words {
        let (span, text) = word.into_parts();
        let is_new = match text.as_str() {
            RetrySpec::CONNECT => !std::mem::replace(&mut spec.connect, true),
            RetrySpec::RESET => !std::mem::replace(&mut spec.reset, true),
            text => {
                let found = status("on", text, &RetrySpec::STATUSES, WORDS);
                let Some(status) = file.check(span.clone(), found) else { continue };
                insert(&mut spec.statuses, status)
            }
        };
        if !is_new {
            file.add(span, twice("on", &text));
        }
    }
    spec
}

/// What `on` may have, in words.
const WORDS: &str = "write `connect`, `reset`, or a status such as `503`";

/// A problem of a list that has something twice.
pub fn twice(key: &str, text: &str) -> Complaint {
    Complaint::new(format!("`{key}` has `{text}` twice"), "remove one of them")
}

/// Adds a status to those of a sorted list; whether it is new.
pub fn insert(statuses: &mut Vec<u16>, status: u16) -> bool {
    match statuses.binary_search(&status) {
        Ok(_) => false,
        Err(at) => {
            statuses.insert(at, status);
            true
        }
    }
}

/// A status that stands for a failure of the server; `usual` is what the key may have.
pub fn status(
    key: &str,
    text: &str,
    bounds: &RangeInclusive<u16>,
    usual: &str,
) -> Result<u16, Complaint> {
    let is_number = text.len() == 3 && text.bytes().all(|digit| digit.is_ascii_digit());
    let number = text.parse::<u16>().ok().filter(|_| is_number);
    match number {
        Some(status) if bounds.contains(&status) => Ok(status),
        Some(status) => {
            let message =
                format!("`{key}` cannot have {status}, which is no failure of the server");
            let (first, last) = (bounds.start(), bounds.end());
            Err(Complaint::new(message, format!("write statuses from {first} to {last} only")))
        }
        None => Err(Complaint::new(format!("`{key}` cannot have {text:?}"), help_of(text, usual))),
    }
}

/// What to write for the words of other proxies: nginx's `http_502`, Envoy's `5xx`, HAProxy's `conn-failure`.
fn help_of(text: &str, usual: &str) -> String {
    let plain = text.to_ascii_lowercase().replace('_', "-");
    let meant = match plain.as_str() {
        "connect-failure" | "conn-failure" | "error" | "refused" if usual == WORDS => {
            "write `connect`"
        }
        "reset-before-request" | "empty-response" | "refused-stream" | "conn-reset"
            if usual == WORDS =>
        {
            "write `reset`"
        }
        "timeout" | "connect-timeout" | "conn-timeout" if usual == WORDS => {
            "write `connect`, which `connect-timeout` counts as; a target that is late to answer is not asked again"
        }
        "5xx" | "gateway-error" | "server-error" => {
            "write each status, such as `502`, `503` and `504`"
        }
        _ => "",
    };
    let number = plain.strip_prefix("http-").filter(|number| number.len() == 3);
    match (meant, number) {
        ("", Some(number)) => format!("write `{number}`"),
        ("", None) => match suggest::failures(text) {
            Some(list) => format!("write each status: `{list}`"),
            None => usual.to_owned(),
        },
        (meant, _) => meant.to_owned(),
    }
}

/// The percentage that a part of 1 is, such as `0.5`.
fn part(text: &str) -> Option<f64> {
    let part = text.trim().parse::<f64>().ok().filter(|part| *part > 0.0 && *part < 1.0)?;
    Some((part * 10_000.0).round() / 100.0)
}

/// A percentage in a text, such as `20%`.
pub fn percent(key: &str, text: &str) -> Result<Percent, Complaint> {
    let complaint = |why: &str, help: String| {
        Complaint::new(format!("`{key}` cannot be {text:?}: {why}"), help)
    };
    let usual = || "write a percentage from 0% to 100%, such as `20%`".to_owned();
    let Some(number) = text.trim().strip_suffix('%').map(str::trim_end) else {
        let help = match text.trim().parse::<u8>() {
            Ok(number @ 0..=100) => format!("write `{number}%`"),
            _ => part(text).map_or_else(usual, |percent| format!("write `{percent}%`")),
        };
        return Err(complaint("it has no `%`", help));
    };
    let is_plain = number.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    match number.parse::<f64>().map(Percent::from_f64) {
        Ok(Ok(percent)) if is_plain => Ok(percent),
        Ok(Err(error)) => Err(complaint(&error.to_string(), usual())),
        _ => Err(complaint("it is not a number", usual())),
    }
}

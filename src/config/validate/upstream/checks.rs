//! How it is found out which targets are healthy: by checks, and by the requests that fail.

use std::ops::RangeInclusive;

use super::super::super::model::{EjectSpec, HealthSpec, Percent};
use super::super::super::raw::{Field, Located, RawEject, RawEjectTable, RawHealth};
use super::super::super::source::{Complaint, Findings};
use super::super::quantity::within;
use super::retry::percent;

pub fn health(file: &mut Findings<'_>, raw: Located<RawHealth>) -> HealthSpec {
    let RawHealth { path, status, interval, timeout, healthy, unhealthy } = raw.into_parts().1;
    let default = HealthSpec::default();
    if let Some(status) = status.as_ref().filter(|_| path.is_none()) {
        let message = "`status` says nothing without `path`: a connection alone has no status";
        let help = "add a `path` to ask for, such as `path = \"/healthz\"`, or remove `status`";
        file.add(status.span(), Complaint::new(message, help));
    }
    let path = file.text(path, self::path);
    let status = file.text(status, self::statuses);
    let interval = file.duration("interval", interval, &HealthSpec::INTERVAL);
    let timeout = file.duration("timeout", timeout, &HealthSpec::TIMEOUT);
    let healthy = file.count("healthy", healthy, &HealthSpec::IN_A_ROW);
    let unhealthy = file.count("unhealthy", unhealthy, &HealthSpec::IN_A_ROW);
    HealthSpec {
        path,
        status: status.unwrap_or(default.status),
        interval: interval.unwrap_or(default.interval),
        timeout: timeout.unwrap_or(default.timeout),
        healthy: healthy.unwrap_or(default.healthy),
        unhealthy: unhealthy.unwrap_or(default.unhealthy),
    }
}

/// The target of a request, in the form that goes on the wire (RFC 9112, section 3.2.1).
fn path(text: &str) -> Result<String, Complaint> {
    let is_sent = |c: char| c.is_ascii_graphic() && c != '#';
    let why = match text.chars().find(|c| !is_sent(*c)) {
        Some(stranger) => format!("it contains {stranger:?}"),
        None if !text.starts_with('/') => "it does not begin with `/`".to_owned(),
        None => return Ok(text.to_owned()),
    };
    let help = match text.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
        Some((_, path)) if path.chars().all(is_sent) => {
            format!("write `/{path}`: each target is asked for it at its own address")
        }
        _ => "write a path such as `/healthz`".to_owned(),
    };
    Err(Complaint::new(format!("`path` cannot be {text:?}: {why}"), help))
}

/// One status, or a range of them.
fn statuses(text: &str) -> Result<RangeInclusive<u16>, Complaint> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first.trim()), number(last.trim()));
    let (Some(first), Some(last)) = (first, last) else {
        let help = match text.to_ascii_lowercase().strip_suffix("xx").and_then(number) {
            Some(class @ 1..=5) => format!("write `{class}00-{class}99`"),
            _ => "write one status, such as `200`, or a range, such as `200-399`".to_owned(),
        };
        let message = format!("`status` cannot be {text:?}, which is neither a status nor a range");
        return Err(Complaint::new(message, help));
    };
    if first > last {
        let message = format!("`status` is a range from {first} to {last}, with no status in it");
        return Err(Complaint::new(message, format!("write `{last}-{first}`")));
    }
    for status in [first, last] {
        within("status", status, &HealthSpec::STATUS, u16::to_string)?;
    }
    Ok(first..=last)
}

fn number(text: &str) -> Option<u16> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `None`: no target is ejected.
pub fn eject(file: &mut Findings<'_>, raw: Field<RawEject>) -> Option<EjectSpec> {
    let default = EjectSpec::default();
    let RawEjectTable { failures, duration, at_most } = match raw.map(|raw| raw.into_parts().1) {
        None | Some(RawEject::Flag(true)) => return Some(default),
        Some(RawEject::Flag(false)) => return None,
        Some(RawEject::Table(table)) => table,
    };
    let failures = file.count("failures", failures, &EjectSpec::FAILURES);
    let duration = file.duration("for", duration, &EjectSpec::DURATION);
    let at_most = at_most.and_then(|raw| {
        let (span, text) = raw.into_parts();
        let share = percent("at-most", &text).and_then(|share| match share {
            Percent::ZERO => {
                let help = "write `eject = false` to leave every target in";
                Err(Complaint::new("`at-most` leaves out no target at all", help))
            }
            share => Ok(share),
        });
        file.check(span, share)
    });
    Some(EjectSpec {
        failures: failures.unwrap_or(default.failures),
        duration: duration.unwrap_or(default.duration),
        at_most: at_most.unwrap_or(default.at_most),
    })
}

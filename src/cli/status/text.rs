//! A status document as a person reads it: a table for each environment, and below it what is wrong. The text always
//! has colours; the caller removes them where they would not be seen.

#[cfg(test)]
mod tests;

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::api::{
    DrawnDocument, EnvironmentDocument, ObservedDocument, RejectionDocument, ReloadDocument,
    ServiceDocument, StatusDocument, VersionDocument,
};
use crate::cli::table::{self, Align, NONE};
use crate::config::Problem;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const WRONG: Style = AnsiColor::Red.on_default();
const WAITING: Style = AnsiColor::Yellow.on_default();

/// Digits of a digest that are enough to tell two digests apart.
const DIGITS: usize = 12;

const HEADER: [(&str, Align); 10] = [
    ("  VERSION", Align::Left),
    ("STATUS", Align::Left),
    ("SHARE", Align::Right),
    ("OBSERVED", Align::Right),
    ("REQ/S", Align::Right),
    ("ERRORS", Align::Right),
    ("P50", Align::Right),
    ("P99", Align::Right),
    ("IN FLIGHT", Align::Right),
    ("DIGEST", Align::Left),
];

/// A document, and the address of the process that it came from.
pub struct Text<'a> {
    pub document: &'a StatusDocument,
    pub url: &'a str,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, url } = self;
        let ready = match document {
            StatusDocument { draining: true, .. } => ", draining",
            StatusDocument { ready: false, .. } => ", not ready",
            StatusDocument { .. } => "",
        };
        writeln!(f, "process  {url}, generation {}{ready}", document.generation)?;
        writeln!(f, "files    {}", document.config)?;
        for environment in &document.environments {
            write_environment(f, environment)?;
            for service in &environment.services {
                write_faults(f, service)?;
                write_differences(f, service)?;
            }
            let own = |rejection: &&RejectionDocument| rejection.environment == environment.name;
            for rejection in document.rejected.iter().filter(own) {
                write_rejection(f, rejection)?;
            }
        }
        if let Some(last) = &document.last_reload {
            write_reload(f, last, document)?;
        }
        document.warnings.iter().try_for_each(|warning| write_warning(f, warning))?;
        document
            .troubles
            .iter()
            .try_for_each(|trouble| writeln!(f, "\n{WRONG}trouble{WRONG:#}: {trouble}"))
    }
}

fn write_environment(f: &mut fmt::Formatter<'_>, environment: &EnvironmentDocument) -> fmt::Result {
    let EnvironmentDocument { name, domain, services } = environment;
    writeln!(f, "\n{BOLD}environment {name}{BOLD:#}  {domain}")?;
    let versions = services.iter().flat_map(|service| &service.versions);
    let mut lines = table::lines(HEADER, versions.map(row)).into_iter();
    match lines.next().filter(|_| !services.is_empty()) {
        Some(header) => writeln!(f, "{DIM}{header}{DIM:#}")?,
        None => writeln!(f, "no services")?,
    }
    for service in services {
        let ServiceDocument { name, url, versions, .. } = service;
        writeln!(f, "{BOLD}{name}{BOLD:#}  {url}")?;
        if versions.is_empty() {
            writeln!(f, "  no versions")?;
        }
        for (version, line) in versions.iter().zip(lines.by_ref()) {
            let style = style(version);
            writeln!(f, "{style}{line}{style:#}")?;
        }
    }
    Ok(())
}

fn style(version: &VersionDocument) -> Style {
    match version.status.as_str() {
        "error" => WRONG,
        "creating" => WAITING,
        _ => Style::new(),
    }
}

fn row(version: &VersionDocument) -> [String; 10] {
    let has_requests = version.p50_ms.is_some();
    let rate = version.requests_per_second;
    [
        format!("  {}", version.name),
        status(version),
        share(version),
        observed(version),
        if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") },
        if has_requests { error_rate(version.error_rate) } else { NONE.to_owned() },
        version.p50_ms.map_or(NONE.to_owned(), duration),
        version.p99_ms.map_or(NONE.to_owned(), duration),
        version.in_flight.to_string(),
        version.digest.as_deref().map_or(NONE.to_owned(), digits),
    ]
}

/// An obstacle to traffic says more than a version's availability.
fn status(version: &VersionDocument) -> String {
    match &version.reach {
        _ if version.quarantined => "quarantined".to_owned(),
        Some(reach) => format!("{} ({reach})", version.status),
        None => version.status.clone(),
    }
}

/// The served state, and the declared one where it differs.
fn share(version: &VersionDocument) -> String {
    let VersionDocument { share, declared_share, .. } = version;
    // Both are whole hundredths.
    match (share - declared_share).abs() < 0.005 {
        true => format!("{share} %"),
        false => format!("{share} → {declared_share} %"),
    }
}

/// Marked where chance does not explain how often the version is drawn.
fn observed(version: &VersionDocument) -> String {
    let mark = if beyond_chance(version).is_some() { "! " } else { "" };
    match version.observed_share {
        Some(share) => format!("{mark}{share:.2} %"),
        None => format!("{mark}{NONE}"),
    }
}

/// The window that shows the difference most clearly, and its name.
fn beyond_chance(version: &VersionDocument) -> Option<(&DrawnDocument, &'static str)> {
    let ObservedDocument { minute, hour, since_publish } = version.observed.as_ref()?;
    let windows = [
        (minute, "in the last minute"),
        (hour, "in the last hour"),
        (since_publish, "since the publish"),
    ];
    let beyond = windows.into_iter().filter(|(drawn, _)| drawn.beyond_chance);
    beyond.min_by(|(one, _), (other, _)| one.p_value.total_cmp(&other.p_value))
}

fn error_rate(rate: f64) -> String {
    match rate > 0.0 {
        true => format!("{:.2} %", rate * 100.0),
        false => "0 %".to_owned(),
    }
}

fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ..10.0 => format!("{milliseconds:.2} ms"),
        ..1000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.1} s", milliseconds / 1000.0),
    }
}

fn digits(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(DIGITS).collect()
}

/// Why versions are in error, and why the service is not as it is declared.
fn write_faults(f: &mut fmt::Formatter<'_>, service: &ServiceDocument) -> fmt::Result {
    let ServiceDocument { name, file, held, warning, versions, .. } = service;
    for version in versions {
        let Some(error) = &version.error else { continue };
        let (version, code) = (&version.name, &error.code);
        let detail = &error.detail;
        writeln!(f, "\n{WRONG}error[{code}]{WRONG:#}: version {version} of {name}: {detail}")?;
        writeln!(f, "  --> {file}\n  help: {}", error.suggestion)?;
    }
    if let Some(why) = held {
        writeln!(f, "\n{WAITING}held{WAITING:#}: {name} goes on as it was: {why}")?;
    }
    match warning {
        Some(why) => writeln!(f, "\n{WAITING}warning{WAITING:#}: {name}: {why}"),
        None => Ok(()),
    }
}

/// Names the versions that are drawn more or less often than they should be.
fn write_differences(f: &mut fmt::Formatter<'_>, service: &ServiceDocument) -> fmt::Result {
    for version in &service.versions {
        let Some((drawn, when)) = beyond_chance(version) else { continue };
        let DrawnDocument { of, share, p_value, .. } = drawn;
        let (observed, of) = (share.unwrap_or_default(), grouped(*of));
        write!(f, "\n{WAITING}beyond chance{WAITING:#}: {} {}: ", service.name, version.name)?;
        write!(f, "{observed:.2} % of {of} drawn {when}, declared {} %", version.share)?;
        writeln!(f, " ({})", likelihood(*p_value))?;
    }
    Ok(())
}

fn likelihood(p_value: f64) -> String {
    // Below that, a float has lost its digits, or is 0.
    match p_value < 1e-300 {
        true => "p < 1e-300".to_owned(),
        false => format!("p = {p_value:.0e}"),
    }
}

/// With a comma after each three digits.
fn grouped(number: u64) -> String {
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

fn write_rejection(f: &mut fmt::Formatter<'_>, rejection: &RejectionDocument) -> fmt::Result {
    let RejectionDocument { file, serves, report, .. } = rejection;
    let but = match serves {
        Some(name) => format!("{name} goes on as it was"),
        None => "it is not served".to_owned(),
    };
    let what = refusal(&report.problems);
    writeln!(f, "\n{WRONG}{what}{WRONG:#}: {file}, and {but}")?;
    write_indented(f, &report.report)
}

/// What the reload did with a file that has problems.
fn refusal(problems: &[Problem]) -> &'static str {
    let is_transient = !problems.is_empty() && problems.iter().all(|it| it.is_transient);
    if is_transient { "cannot be read for now" } else { "rejected" }
}

/// The main file's part of the last reload: problems of services' files are shown with their services.
fn write_reload(
    f: &mut fmt::Formatter<'_>,
    last: &ReloadDocument,
    document: &StatusDocument,
) -> fmt::Result {
    let of_main = |problem: &Problem| problem.file.as_os_str() == &*document.config;
    if let Some(report) = &last.report
        && report.problems.iter().any(of_main)
    {
        let what = refusal(&report.problems);
        writeln!(f, "\n{WRONG}{what}{WRONG:#}: {}, and nothing changed", document.config)?;
        write_indented(f, &report.report)?;
    }
    match last.restart_needed_for.as_slice() {
        [] => Ok(()),
        keys => writeln!(f, "\nrestart to apply {}", keys.join(", ")),
    }
}

fn write_warning(f: &mut fmt::Formatter<'_>, warning: &Problem) -> fmt::Result {
    let Problem { file, line, message, .. } = warning;
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    writeln!(f, "\n{WAITING}warning{WAITING:#}: {}{line}: {message}", file.display())
}

fn write_indented(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.lines().try_for_each(|line| writeln!(f, "{}", format!("  {line}").trim_end()))
}

//! The status document as a person reads it: a summary, and then one service with every detail, or an overview of all.

mod detail;
mod overview;
#[cfg(test)]
mod tests;

use super::finding::Finding;
use super::page::{PLAIN, Page, cut, width};
use crate::api::{CertificateDocument, ServiceDocument, StatusDocument};
use crate::plural::many;

/// Lays out a document for a terminal of so many columns. `url` is the address of the process.
pub fn page(document: &StatusDocument, url: &str, columns: usize) -> Page {
    let mut services = document.environments.iter().flat_map(|it| {
        let environment = it.name.as_str();
        it.services.iter().map(move |service| (environment, service))
    });
    let mut page = Page::default();
    head(&mut page, document, url, columns);
    match (services.next(), services.next()) {
        (Some(only), None) => detail::write(&mut page, document, only, columns),
        _ => overview::write(&mut page, document, columns),
    }
    page
}

fn head(page: &mut Page, document: &StatusDocument, url: &str, columns: usize) {
    let ready = match document {
        StatusDocument { draining: true, .. } => ", draining",
        StatusDocument { ready: false, .. } => ", not ready",
        StatusDocument { .. } => "",
    };
    let generation = document.generation;
    let process = format!("{url}, generation {generation}{ready}");
    write_key(page, "process", &process, columns);
    write_key(page, "files", &document.config, columns);
    for text in certificates(&document.certificates) {
        write_key(page, "https", &text, columns);
    }
}

/// How many certificates are shown one by one.
const CERTIFICATES: usize = 4;

/// How many names of a certificate are shown.
const NAMES: usize = 4;

/// What HTTPS is served with: each certificate, or, of many, how many there are and which ends first.
fn certificates(all: &[CertificateDocument]) -> Vec<String> {
    if all.len() <= CERTIFICATES {
        return all.iter().map(certificate).collect();
    }
    let first = all.iter().filter(|it| it.days_left.is_some()).min_by_key(|it| it.days_left);
    let first = first.map(|it| format!("; the first to end: {}", certificate(it)));
    vec![format!("{} certificates{}", all.len(), first.unwrap_or_default())]
}

fn certificate(certificate: &CertificateDocument) -> String {
    let CertificateDocument { names, issuer, days_left, .. } = certificate;
    let (Some(issuer), Some(days)) = (issuer, days_left) else {
        return format!("no certificate from {}", certificate.certificate);
    };
    let left = match days {
        0.. => format!("{} left", many(days.unsigned_abs(), "day")),
        _ => "expired".to_owned(),
    };
    let (shown, rest) = names.split_at(names.len().min(NAMES));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let shown = if shown.is_empty() { "no name".to_owned() } else { shown.join(", ") };
    format!("{shown}{more}, signed by {issuer}, {left}")
}

/// A line of what is looked at, after its name.
fn write_key(page: &mut Page, key: &str, text: &str, columns: usize) {
    page.push_wrapped((PLAIN, &format!("{key:10}")), text, columns, 10);
}

/// A line of a report. Sentences that are too long are wrapped, and lines of a file end with `…`; a path stays whole, to be
/// copied.
fn write_quoted(page: &mut Page, line: &str, columns: usize) {
    const HELP: &str = "= help: ";
    let indented = format!("    {line}");
    let is_sentence = ["error", "warning"].iter().any(|level| line.starts_with(level));
    if width(&indented) <= columns || line.trim_start().starts_with("--> ") {
        page.push(PLAIN, &indented);
    } else if let Some((before, help)) = line.split_once(HELP) {
        let beginning = format!("    {before}{HELP}");
        page.push_wrapped((PLAIN, &beginning), help, columns, width(&beginning));
    } else if is_sentence {
        page.push_wrapped((PLAIN, "    "), line, columns, 6);
    } else {
        page.push(PLAIN, &cut(&indented, columns));
    }
}

/// Something to look at, two columns to the right. Where it is `brief`, only the first of several problems of a file is
/// shown.
fn write_finding(page: &mut Page, finding: &Finding, columns: usize, brief: bool) {
    let Finding { style, label, text, more, quoted, is_passing: _ } = finding;
    page.push_wrapped((*style, &format!("  {label}:")), text, columns, 4);
    for text in more {
        page.push_wrapped((PLAIN, "    "), text, columns, 6);
    }
    // Problems are apart by an empty line.
    let mut problems = quoted.split(String::is_empty);
    let shown = if brief { 1 } else { usize::MAX };
    for line in problems.by_ref().take(shown).flatten() {
        write_quoted(page, line, columns);
    }
    let more = match problems.count() {
        0 => return,
        1 => "1 more problem: `watershed check` shows it".to_owned(),
        more => format!("{more} more problems: `watershed check` shows them"),
    };
    page.push_wrapped((PLAIN, "    "), &more, columns, 4);
}

/// What a service serves: `v1 90 %, v2 10 %`.
fn traffic(service: &ServiceDocument) -> String {
    let takers = service.versions.iter().filter(|version| version.share > 0.0);
    let takers: Vec<_> = takers.map(|it| format!("{} {} %", it.name, it.share)).collect();
    match service.serving.as_str() {
        "offline" => "offline".to_owned(),
        "nothing" => "nothing".to_owned(),
        "rescue" => format!("{} (rescue)", service.rescuer.as_deref().unwrap_or_default()),
        _ => takers.join(", "),
    }
}

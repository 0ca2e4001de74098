//! All services: how many there are of each kind, then those with a problem, then the others, one or two lines each.

use super::super::figures::{age, counted, errors, latency, rate};
use super::super::finding::{self, Finding, Mood};
use super::super::grid::{Column, Grid};
use super::super::page::{BOLD, DIM, PLAIN, Page, WAITING, WRONG, cut};
use super::{traffic, write_finding, write_key};
use crate::api::{ServiceDocument, StatusDocument, VersionDocument};
use crate::cli::table::Align;

/// How many characters of the traffic are shown at least.
const TRAFFIC_MIN: usize = 16;

const COLUMNS: [Column; 5] = [
    Column { title: "SERVICE", align: Align::Left, least: None },
    Column { title: "TRAFFIC", align: Align::Left, least: Some(TRAFFIC_MIN) },
    Column { title: "REQ/S", align: Align::Right, least: None },
    Column { title: "ERRORS", align: Align::Right, least: None },
    Column { title: "P99", align: Align::Right, least: None },
];

/// A service and what there is to say of it.
struct Entry<'a> {
    /// Its name as commands take it, after its environment where there are several.
    name: String,
    service: &'a ServiceDocument,
    findings: Vec<Finding>,
    mood: Mood,
}

pub fn write(page: &mut Page, document: &StatusDocument, columns: usize) {
    let entries = entries(document);
    write_key(page, "services", &summary(&entries), columns);
    write_process(page, document, columns);
    let is_wrong = |entry: &&Entry<'_>| matches!(entry.mood, Mood::Down | Mood::Look);
    let mut wrong: Vec<_> = entries.iter().filter(is_wrong).collect();
    wrong.sort_by_key(|entry| entry.mood);
    if !wrong.is_empty() {
        heading(page, "needs a look", "`watershed status SERVICE` shows all of one", columns);
    }
    wrong.into_iter().for_each(|entry| write_wrong(page, entry, columns));
    let of = |moods: &[Mood]| -> Vec<&Entry<'_>> {
        entries.iter().filter(|entry| moods.contains(&entry.mood)).collect()
    };
    write_table(page, &of(&[Mood::Fine, Mood::Making]), columns);
    write_offline(page, &of(&[Mood::Offline]), columns);
}

fn entries(document: &StatusDocument) -> Vec<Entry<'_>> {
    let several = document.environments.iter().filter(|it| !it.services.is_empty()).count() > 1;
    let all = document.environments.iter().flat_map(|environment| {
        environment.services.iter().map(move |service| {
            let name = match several {
                true => format!("{}/{}", environment.name, service.name),
                false => service.name.clone(),
            };
            let findings = finding::of_service(service, &environment.name, document);
            let mood = Mood::of(service, &findings);
            Entry { name, service, findings, mood }
        })
    });
    all.collect()
}

/// `30: 1 serves nothing, 2 need a look, 27 fine`.
fn summary(entries: &[Entry<'_>]) -> String {
    if entries.is_empty() {
        return "none".to_owned();
    }
    let kinds = [
        (Mood::Down, "serves nothing", "serve nothing"),
        (Mood::Look, "needs a look", "need a look"),
        (Mood::Making, "is being made", "are being made"),
        (Mood::Fine, "fine", "fine"),
        (Mood::Offline, "offline", "offline"),
    ];
    let kinds = kinds.into_iter().filter_map(|(mood, one, several)| {
        let count = entries.iter().filter(|entry| entry.mood == mood).count();
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { several }))
    });
    format!("{}: {}", entries.len(), kinds.collect::<Vec<_>>().join(", "))
}

fn heading(page: &mut Page, title: &str, note: &str, columns: usize) {
    page.gap();
    page.push_wrapped((BOLD, &format!("{title}  ")), note, columns, 2);
}

/// What is wrong beside the services.
fn write_process(page: &mut Page, document: &StatusDocument, columns: usize) {
    let is_shown = |environment: &str, name: &str| {
        let mut environments = document.environments.iter().filter(|it| it.name == environment);
        environments.any(|it| it.services.iter().any(|service| service.name == name))
    };
    let findings = finding::of_process(document, is_shown);
    if !findings.is_empty() {
        page.gap();
    }
    findings.iter().for_each(|finding| write_finding(page, finding, columns, true));
}

fn write_wrong(page: &mut Page, entry: &Entry<'_>, columns: usize) {
    let Entry { name, service, findings, mood } = entry;
    let style = if *mood == Mood::Down { WRONG } else { WAITING };
    let mut what = match service.serving.as_str() {
        "offline" => "offline".to_owned(),
        _ => format!("serves {}", traffic(service)),
    };
    if let Some(ratio) = service.error_ratio {
        what += &format!(", errors {}, P99 {}", errors(Some(ratio)), latency(service.p99_ms));
    }
    page.push_wrapped((style.bold(), &format!("{name}  ")), &what, columns, 2);
    findings.iter().for_each(|finding| write_finding(page, finding, columns, true));
}

/// Services with nothing wrong.
fn write_table(page: &mut Page, entries: &[&Entry<'_>], columns: usize) {
    if entries.is_empty() {
        return;
    }
    page.gap();
    let rows = entries.iter().map(|Entry { name, service, .. }| {
        [
            name.clone(),
            traffic(service),
            rate(service.requests_per_second),
            errors(service.error_ratio),
            latency(service.p99_ms),
        ]
    });
    let Grid { header, rows } = Grid::new(COLUMNS, &rows.collect::<Vec<_>>(), columns);
    header.iter().for_each(|header| page.push(DIM, header));
    for (entry, lines) in entries.iter().zip(rows) {
        lines.iter().for_each(|line| page.push(PLAIN, line));
        for finding in &entry.findings {
            write_finding(page, finding, columns, true);
        }
        if let Some(observed) = observed(entry.service) {
            page.push(DIM, &cut(&observed, columns));
        }
    }
}

/// How a split holds, where several versions have requests.
fn observed(service: &ServiceDocument) -> Option<String> {
    let has_some = |version: &&VersionDocument| {
        let observed = version.observed.as_ref();
        version.share > 0.0 || observed.is_some_and(|it| it.since_publish.requests > 0)
    };
    let versions: Vec<_> = service.versions.iter().filter(has_some).collect();
    let windows = versions.iter().filter_map(|version| {
        Some((version.name.as_str(), &version.observed.as_ref()?.since_publish))
    });
    let windows: Vec<_> = windows.collect();
    let (_, first) = windows.first().filter(|_| windows.len() > 1)?;
    let since = format!("  observed in {} since the publish: ", age(first.seconds));
    let shares = windows.iter().filter_map(|(name, it)| Some(format!("{name} {:.2} %", it.share?)));
    let shares: Vec<_> = shares.collect();
    Some(match first.service_requests {
        0 => return None,
        requests if shares.is_empty() => {
            let requests = counted(requests, "request");
            format!("{since}too early ({requests})")
        }
        _ => since + &shares.join(", "),
    })
}

/// Services that are offline as they are declared.
fn write_offline(page: &mut Page, entries: &[&Entry<'_>], columns: usize) {
    if entries.is_empty() {
        return;
    }
    heading(page, "offline", "requests get 503 `offline`", columns);
    for Entry { name, service, .. } in entries {
        let since = super::detail::since(service);
        page.push_wrapped((PLAIN, &format!("{name}  ")), &since, columns, 2);
    }
}

//! One service, with everything that is known of it.

mod targets;

use anstyle::Style;
use jiff::Timestamp;

use super::super::figures::{
    age, counted, digits, errors, grouped, latency, observed, rate, share,
};
use super::super::finding;
use super::super::grid::{Column, Grid};
use super::super::page::{BOLD, DIM, Line, PLAIN, Page, WAITING, WRONG, width, wrapped};
use super::{write_finding, write_key};
use crate::api::{
    OutboundDocument, PublishDocument, RateLimitDocument, ServiceDocument, StatusDocument,
    VersionDocument,
};
use crate::cli::table::Align;
use crate::policy::rescue;

const TRAFFIC: [Column; 6] = [
    Column { title: "  VERSION", align: Align::Left, least: None },
    Column { title: "STATUS", align: Align::Left, least: None },
    Column { title: "SHARE", align: Align::Right, least: None },
    Column { title: "SINCE PUBLISH", align: Align::Right, least: None },
    Column { title: "LAST MINUTE", align: Align::Right, least: None },
    Column { title: "DIGEST", align: Align::Left, least: None },
];

const FIGURES: [Column; 6] = [
    Column { title: "  VERSION", align: Align::Left, least: None },
    Column { title: "REQ/S", align: Align::Right, least: None },
    Column { title: "ERRORS", align: Align::Right, least: None },
    Column { title: "P50", align: Align::Right, least: None },
    Column { title: "P99", align: Align::Right, least: None },
    Column { title: "IN FLIGHT", align: Align::Right, least: None },
];

pub fn write(
    page: &mut Page,
    document: &StatusDocument,
    (environment, service): (&str, &ServiceDocument),
    columns: usize,
) {
    let ServiceDocument { name, url, file, domains, routes, versions, .. } = service;
    page.gap();
    let pad = " ".repeat(10_usize.saturating_sub(width(name)).max(2));
    page.lines.push(Line::new(BOLD, name).and(PLAIN, &(pad + url)));
    let several = document.environments.len() > 1 || environment != "default";
    let lines = [
        several.then(|| ("environment", environment.to_owned())),
        Some(("file", file.clone())),
        (domains.len() > 1).then(|| ("domains", domains.join(", "))),
        (!routes.is_empty()).then(|| ("routes", routes.join(", "))),
        Some(("traffic", traffic(service))),
        service.rate_limit.as_ref().map(|limit| ("limit", rate_limit(limit))),
    ];
    for (key, text) in lines.into_iter().flatten() {
        write_key(page, key, &text, columns);
    }
    if !versions.is_empty() {
        write_versions(page, service, columns);
    }
    let findings = finding::of_service(service, environment, document);
    let process = finding::of_process(document, |_, name| name == service.name);
    for finding in findings.iter().chain(&process) {
        page.gap();
        write_finding(page, finding, columns, false);
    }
    write_remarks(page, versions, columns);
}

/// What requests get, and since when.
fn traffic(service: &ServiceDocument) -> String {
    let what = match service.serving.as_str() {
        "offline" => "offline: requests get 503 `offline`; ".to_owned(),
        word @ ("nothing" | "rescue") => {
            format!("{word}: {}; ", rescue::answers(service.rescuer.as_deref()))
        }
        "held" => "held; ".to_owned(),
        _ if service.latest => "latest; ".to_owned(),
        _ => String::new(),
    };
    let requests = service.versions.iter().find_map(|version| version.observed.as_ref());
    let requests = requests.map_or(String::new(), |observed| {
        format!(": {}", counted(observed.since_publish.service_requests, "request"))
    });
    let counted = counted_since(service).unwrap_or_default();
    format!("{what}{}{counted}{requests}", since(service))
}

/// How often requests may come, and how many were refused.
fn rate_limit(limit: &RateLimitDocument) -> String {
    let RateLimitDocument { key, rate, burst, refused_last_minute, refused } = limit;
    let [minute, all] = [refused_last_minute, refused].map(|count| grouped(*count));
    format!("{rate} by {key}, burst {burst}; refused: {minute} in the last minute, {all} in all")
}

/// Since when the traffic is as it is.
pub fn since(service: &ServiceDocument) -> String {
    let ServiceDocument { traffic_generation, traffic_age_seconds, .. } = service;
    let (at, age) = (moment(&service.traffic_since), age(*traffic_age_seconds));
    match (&service.traffic_began, service.traffic_since_start) {
        (Some(PublishDocument { generation, at }), _) => {
            format!("since generation {generation}{}", moment(at))
        }
        (None, true) => format!("since the start of the process or longer{at} ({age} ago)"),
        (None, false) => format!("since generation {traffic_generation}{at} ({age} ago)"),
    }
}

/// Since when requests are counted, where that is not since the traffic is as it is.
fn counted_since(service: &ServiceDocument) -> Option<String> {
    service.traffic_began.as_ref()?;
    let (at, age) = (moment(&service.traffic_since), age(service.traffic_age_seconds));
    Some(format!("; counted since the start of the process{at} ({age} ago)"))
}

/// `, ` and a time, to the second.
fn moment(text: &str) -> String {
    let at = text.parse::<Timestamp>();
    at.map_or(String::new(), |at| format!(", {at:.0}"))
}

fn write_versions(page: &mut Page, service: &ServiceDocument, columns: usize) {
    let versions = &service.versions;
    let traffic = versions.iter().map(|version| {
        let observed_in =
            |window: fn(&crate::api::ObservedDocument) -> &crate::api::WindowDocument| {
                observed(version.observed.as_ref().map(window))
            };
        [
            format!("  {}", version.name),
            status(version),
            share(version),
            observed_in(|it| &it.since_publish),
            observed_in(|it| &it.minute),
            digits(version.digest.as_deref()),
        ]
    });
    let figures = versions.iter().map(|version| {
        [
            format!("  {}", version.name),
            rate(version.requests_per_second),
            errors(version.error_ratio),
            latency(version.p50_ms),
            latency(version.p99_ms),
            grouped(version.in_flight),
        ]
    });
    let styles = || versions.iter().map(style);
    let mut titles = TRAFFIC;
    if service.traffic_since_start {
        titles[3].title = "SINCE START";
    }
    write_rows(page, styles(), Grid::new(titles, &traffic.collect::<Vec<_>>(), columns));
    write_rows(page, styles(), Grid::new(FIGURES, &figures.collect::<Vec<_>>(), columns));
    targets::write(page, versions, columns);
    write_calls(page, versions);
}

/// What the guests of versions called, where any called anything.
fn write_calls(page: &mut Page, versions: &[VersionDocument]) {
    let calls = versions.iter().filter_map(|it| Some((&it.name, it.outbound.as_ref()?)));
    for (number, (name, calls)) in calls.enumerate() {
        if number == 0 {
            page.gap();
        }
        let OutboundDocument { answered, refused, failed, in_flight } = calls;
        let total = counted(answered + refused + failed, "call");
        let parts = [("answered", *answered), ("refused", *refused), ("failed", *failed)];
        let parts = parts.map(|(what, count)| format!("{} {what}", grouped(count)));
        let now = grouped(u64::try_from(*in_flight).unwrap_or(u64::MAX));
        let text = format!("  {name} made {total}: {}; {now} in flight", parts.join(", "));
        page.push(if *refused > 0 { WAITING } else { PLAIN }, &text);
    }
}

/// A grid whose rows have these styles.
fn write_rows(page: &mut Page, styles: impl Iterator<Item = Style>, grid: Grid) {
    page.gap();
    if let Some(header) = grid.header {
        page.push(DIM, &header);
    }
    for (style, lines) in styles.zip(grid.rows) {
        lines.iter().for_each(|line| page.push(style, line));
    }
}

fn style(version: &VersionDocument) -> Style {
    match version.status.as_str() {
        "error" => WRONG,
        "creating" => WAITING,
        _ if version.unhealthy => WRONG,
        _ => PLAIN,
    }
}

/// An obstacle to traffic says more than a version's availability.
fn status(version: &VersionDocument) -> String {
    let VersionDocument { status, reach, quarantined, predecessor_serves, unhealthy, .. } = version;
    match reach {
        _ if *quarantined => "quarantined".to_owned(),
        // Not the version that is declared serves, but the one of its name before.
        _ if *predecessor_serves => format!("{status}, old serves"),
        _ if *unhealthy => format!("{status}, unhealthy"),
        Some(reach) => format!("{status} ({reach})"),
        None => status.clone(),
    }
}

fn write_remarks(page: &mut Page, versions: &[VersionDocument], columns: usize) {
    let remarks = versions.iter().filter_map(|it| Some((&it.name, it.remark.as_ref()?)));
    for (number, (name, remark)) in remarks.enumerate() {
        if number == 0 {
            page.gap();
        }
        let lines = wrapped(&format!("  {name}:"), remark, columns, 4);
        lines.iter().for_each(|line| page.push(DIM, line));
    }
}

//! The targets of versions that are reached over the network.

use super::{Page, VersionDocument, write_rows};
use crate::api::TargetDocument;
use crate::cli::status::figures::{grouped, latency};
use crate::cli::status::grid::{Column, Grid};
use crate::cli::status::page::{PLAIN, WAITING, WRONG};
use crate::cli::table::Align;

const TARGETS: [Column; 8] = [
    Column { title: "  TARGET", align: Align::Left, least: None },
    Column { title: "OF", align: Align::Left, least: None },
    Column { title: "HEALTH", align: Align::Left, least: None },
    Column { title: "REQUESTS", align: Align::Right, least: None },
    Column { title: "ERRORS", align: Align::Right, least: None },
    Column { title: "LATENCY", align: Align::Right, least: None },
    Column { title: "OPEN", align: Align::Right, least: None },
    Column { title: "IDLE", align: Align::Right, least: None },
];

/// One line for each target of each version; nothing where no version has any.
pub fn write(page: &mut Page, versions: &[VersionDocument], columns: usize) {
    let targets = versions.iter().flat_map(|version| {
        let targets = version.upstream.iter().flat_map(|upstream| &upstream.targets);
        targets.map(move |target| (version.name.as_str(), target))
    });
    let targets: Vec<_> = targets.collect();
    if targets.is_empty() {
        return;
    }
    let rows: Vec<_> = targets.iter().map(|(version, target)| row(version, target)).collect();
    let styles = targets.iter().map(|(_, target)| match target.health.as_str() {
        "unhealthy" => WRONG,
        "ejected" => WAITING,
        _ => PLAIN,
    });
    write_rows(page, styles, Grid::new(TARGETS, &rows, columns));
}

fn row(version: &str, target: &TargetDocument) -> [String; 8] {
    let TargetDocument { address, weight, health, requests, errors, connections, .. } = target;
    let weight = if *weight == 1 { String::new() } else { format!(" ×{weight}") };
    [
        format!("  {address}{weight}"),
        version.to_owned(),
        health.clone(),
        grouped(*requests),
        grouped(*errors),
        latency(target.latency_ms),
        grouped(connections.open),
        grouped(connections.idle),
    ]
}

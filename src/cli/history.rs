//! `watershed history`: what was published of a service, when, and by whom.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::common::{Common, write_json};
use super::table::{self, Align};
use super::target::Target;
use super::{CliError, complete};
use crate::api::{
    Author, ChangedPart, HistoryDocument, HistoryQuery, Parts, Record, RecordOutcome, Share,
};
use crate::config::ServiceName;

const EXAMPLES: &str = "\
Examples:
  watershed history greeter
  watershed history greeter --limit 5 --json
  watershed history greeter --admin http://10.0.0.7:9090 --token-file ~/token

With --admin, that process is asked, and no file of this machine is read but that of the token.
Where no process runs, the history is read from the state directory. A service has at most 1,000
records, of 90 days.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// How many generations to show, newest first: 1 to 1,000.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    environment: &'a str,
    service: &'a str,
    records: Vec<Row<'a>>,
    /// What the records name under `served`, by digest. For plain environment variables, these are digests too.
    #[serde(skip_serializing_if = "Parts::is_empty")]
    parts: &'a Parts,
}

/// A record, and what the record changed beside the shares.
#[derive(Serialize, JsonSchema)]
struct Row<'a> {
    #[serde(flatten)]
    record: &'a Record,
    /// Empty where the record does not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<ChangedPart>,
}

pub(super) fn history(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, limit, common } = arguments;
    // The record before the first one shown is needed to say what the first one changed.
    let limit = usize::from(*limit);
    let asked = (limit + 1).min(HistoryQuery::LIMIT_MAX);
    let (environment, document) = match common.remote(path)? {
        Some(remote) => {
            let document = remote.records(service.as_str(), asked)?;
            let environment = document.records.first().map(|record| record.environment.clone());
            (environment.unwrap_or_default(), document)
        }
        None => {
            let target = Target::find(path, common, service.as_str())?;
            (target.view().environment.to_string(), target.records(asked, false)?)
        }
    };
    let rows = rows(&document, limit);
    let mut out = anstream::stdout().lock();
    if common.json {
        let (environment, service) = (environment.as_str(), service.as_str());
        let parts = &document.parts;
        write_json(&mut out, &Document { environment, service, records: rows, parts })?;
    } else if rows.is_empty() {
        writeln!(out, "nothing was published of {service} yet")?;
    } else {
        for line in lines(&rows) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest records, at most this many.
fn rows(HistoryDocument { records, parts, .. }: &HistoryDocument, limit: usize) -> Vec<Row<'_>> {
    let earlier = records.iter().skip(1).map(Some).chain([None]);
    let row = |(record, earlier): (_, Option<&Record>)| Row {
        record,
        changed: changed(record, earlier, parts).unwrap_or_default(),
    };
    records.iter().zip(earlier).map(row).take(limit).collect()
}

fn changed(record: &Record, earlier: Option<&Record>, parts: &Parts) -> Option<Vec<ChangedPart>> {
    Some(record.contents(parts)?.changes_since(&earlier?.contents(parts)?))
}

fn lines(rows: &[Row<'_>]) -> Vec<String> {
    let header = [
        ("GENERATION", Align::Right),
        ("WHEN", Align::Left),
        ("TRAFFIC", Align::Left),
        ("WHO", Align::Left),
        ("NOTE", Align::Left),
    ];
    let line = |row: &Row<'_>| {
        let Row { record, .. } = row;
        let generation = record.generation.to_string();
        [generation, when(record.at), traffic(record), who(&record.author), note(row)]
    };
    table::lines(header, rows.iter().map(line))
}

/// In the reader's time zone.
fn when(at: u64) -> String {
    let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn traffic(record: &Record) -> String {
    let (before, after) = (shares(&record.before), shares(&record.after));
    if before == after { after } else { format!("{before} → {after}") }
}

fn shares(shares: &[Share]) -> String {
    let each = |Share { version, share }: &Share| format!("{version} {share} %");
    match shares {
        [] => "nothing".to_owned(),
        shares => shares.iter().map(each).collect::<Vec<_>>().join(", "),
    }
}

fn who(author: &Author) -> String {
    match author {
        Author::Start => "start".to_owned(),
        Author::FileEdit => "file edit".to_owned(),
        Author::Command { user, command } => format!("{user}: {command}"),
    }
}

fn note(Row { record, changed }: &Row<'_>) -> String {
    let versions = record.versions.iter().filter(|version| version.status != "normal");
    let standing = versions.map(|version| format!("{} is {}", version.name, version.status));
    let held = match &record.outcome {
        RecordOutcome::Published => None,
        RecordOutcome::Held { why } => Some(format!("held: {why}")),
    };
    let back = record.restores.map(|generation| format!("back to generation {generation}"));
    let changed: Vec<_> = changed.iter().map(ToString::to_string).collect();
    let changed = (!changed.is_empty()).then(|| changed.join(", "));
    let said = back.into_iter().chain(record.remark.iter().cloned()).chain(changed);
    let notes: Vec<String> = said.chain(standing).chain(held).collect();
    notes.join("; ")
}

//! `watershed history`: what was published, when, and by whom. It needs no file where a process is named, and a service
//! that is gone has a history as long as its records are kept.

mod rows;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::common::{Common, write_json};
use super::process::Process;
use super::records::records;
use super::site::{Site, running};
use super::status::columns;
use super::target::Target;
use super::{CliError, complete, select};
use crate::api::{
    ChangedPart, HistoryDocument, HistoryQuery, Parts, Record, StatusDocument, StatusQuery,
};
use crate::config::{EnvironmentName, ServiceName, parse_duration};
use crate::history::now;
use crate::source::{Loader, Settings};
use rows::{Look, lines};

/// How many records are shown where nothing is said.
const LIMIT: usize = 20;

const EXAMPLES: &str = "\
Examples:
  watershed history greeter
  watershed history greeter --limit 5 --json
  watershed history --all --since 2h
  watershed history greeter --since 2026-11-26T04:00:00Z
  watershed history greeter --admin http://10.0.0.7:9090 --token-file ~/token

With --admin, that process is asked, and no file of this machine is read but that of the token.
Where no process runs, the history is read from the state directory. A service has at most 1,000
records, of 90 days; a service that is gone keeps its newest 20. Times are in UTC. On a terminal the
table is as wide as that, and what does not fit ends with `…`; --json has all of it.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services(), required_unless_present = "all", conflicts_with = "all")]
    service: Option<ServiceName>,
    /// Show the records of all services.
    #[arg(long)]
    all: bool,
    /// Show what was published since then: a time such as 2026-11-26T04:00:00Z, or how long ago, as 2h or 3d.
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    since: Option<u64>,
    /// How many records to show, newest first: 1 to 1,000 [default: 20; with --since 1,000].
    #[arg(long, value_name = "N", value_parser = limit)]
    limit: Option<u16>,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    /// With `--all`, each record has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
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
    let Arguments { service, all: _, since, limit, common } = arguments;
    let most = since.map_or(LIMIT, |_| HistoryQuery::LIMIT_MAX);
    let limit = limit.map_or(most, usize::from);
    // The record before one is needed to say what that one changed.
    let asked = match (service, since) {
        (Some(_), None) => (limit + 1).min(HistoryQuery::LIMIT_MAX),
        _ => HistoryQuery::LIMIT_MAX,
    };
    let query = HistoryQuery {
        environment: common.environment.clone(),
        service: service.as_ref().map(ToString::to_string),
        limit: Some(asked),
        ..HistoryQuery::default()
    };
    let source = Source::find(path, common)?;
    let document = records(source.process.as_ref(), &source.state, &source.environments, &query)?;
    if document.records.is_empty() {
        let service = service.as_ref().map(ServiceName::as_str);
        source.knows(path, common, service)?;
    }
    let mut rows = rows(&document);
    rows.retain(|row| since.is_none_or(|since| row.record.at >= since));
    rows.truncate(limit);
    show(service.as_ref(), rows, &document, common.json)?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    service: Option<&ServiceName>,
    rows: Vec<Row<'_>>,
    document: &HistoryDocument,
    json: bool,
) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    if json {
        let service = service.map(ServiceName::as_str);
        let newest = document.records.first().filter(|_| service.is_some());
        let environment = newest.map(|newest| newest.environment.as_str());
        let parts = &document.parts;
        return Ok(write_json(&mut out, &Document { environment, service, records: rows, parts })?);
    }
    if rows.is_empty() {
        let whose = service.map(|service| format!(" of {service}")).unwrap_or_default();
        let when = if document.records.is_empty() { "yet" } else { "since then" };
        return Ok(writeln!(out, "nothing was published{whose} {when}")?);
    }
    let columns = std::io::stdout().is_terminal().then(columns);
    let look = Look { columns, has_services: service.is_none() };
    lines(&rows, look).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

/// Where records are read.
struct Source {
    process: Option<Process>,
    state: PathBuf,
    /// Those that the files declare; empty where a process is asked.
    environments: Vec<EnvironmentName>,
}

impl Source {
    /// The process that is named or runs, or the state directory.
    fn find(path: &Path, common: &Common) -> Result<Self, CliError> {
        let of =
            |process| Self { process: Some(process), state: PathBuf::new(), environments: vec![] };
        if let Some(remote) = common.remote(path)? {
            return Ok(of(remote.process));
        }
        let loader = Loader::new(path);
        match loader.settings() {
            Ok(Settings { admin, state, environments, .. }) => {
                let process = running(loader.path(), &admin, common)?;
                Ok(Self { process, state: state.directory, environments })
            }
            // A process that serves a main file that is wrong by now has the history all the same.
            Err(_) => Ok(of(common.process(path)?)),
        }
    }

    /// Whether there is what has no records: it may be too new.
    fn knows(&self, path: &Path, common: &Common, service: Option<&str>) -> Result<(), CliError> {
        let environment = common.environment.as_deref();
        match (&self.process, service) {
            (Some(process), Some(service)) => {
                let status: StatusDocument = process.get(&StatusQuery::default().path())?;
                select::service_among(&status.environments, environment, service)?;
            }
            // A file that is wrong says why nothing was published.
            (None, Some(service)) => {
                Target::find_offline(path, common, service)?;
            }
            (Some(process), None) => {
                let status: StatusDocument = process.get(&StatusQuery::default().path())?;
                let known = &status.environments;
                environment.map(|name| select::environment_among(known, name)).transpose()?;
            }
            (None, None) if environment.is_some() => {
                Site::open_offline(path)?.environment(environment)?;
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// Reads `--limit`.
fn limit(text: &str) -> Result<u16, String> {
    let limit = text.parse().ok().filter(|limit| (1..=1000).contains(limit));
    limit.ok_or_else(|| "give a whole number from 1 to 1,000".to_owned())
}

/// A time, or how long ago it was.
fn since(text: &str) -> Result<u64, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return u64::try_from(time.as_millisecond()).map_err(|_| "it is before 1970".to_owned());
    }
    let ago = days(text).or_else(|| parse_duration(text).ok()).ok_or_else(|| {
        "it is neither a time such as 2026-11-26T04:00:00Z nor a duration such as 2h or 3d"
            .to_owned()
    })?;
    Ok(now().saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)))
}

/// A number of days, such as `3d`.
fn days(text: &str) -> Option<Duration> {
    let days: u64 = text.strip_suffix('d')?.trim_end().parse().ok()?;
    Some(Duration::from_secs(days.checked_mul(24 * 60 * 60)?))
}

/// Each record, with what it changed since the one before it of its service.
fn rows(HistoryDocument { records, parts, .. }: &HistoryDocument) -> Vec<Row<'_>> {
    let row = |(index, record): (usize, _)| {
        let earlier = records.iter().skip(index + 1).find(|other| is_of_same(record, other));
        Row { record, changed: changed(record, earlier, parts).unwrap_or_default() }
    };
    records.iter().enumerate().map(row).collect()
}

fn is_of_same(one: &Record, other: &Record) -> bool {
    (&one.environment, &one.service) == (&other.environment, &other.service)
}

fn changed(record: &Record, earlier: Option<&Record>, parts: &Parts) -> Option<Vec<ChangedPart>> {
    Some(record.contents(parts)?.changes_since(&earlier?.contents(parts)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_itself_or_by_how_long_ago_it_was() {
        assert_eq!(since("2026-11-26T04:16:36.123Z"), Ok(1_795_666_596_123));
        assert_eq!(since("2026-11-26T05:16:36+01:00"), Ok(1_795_666_596_000));
        let hour = since("1h").unwrap();
        assert!((3_600_000..3_700_000).contains(&(now() - hour)));
        let day = since("2d").unwrap();
        assert!((172_800_000..172_900_000).contains(&(now() - day)));
        assert_eq!(since("1000000h").map(|at| at < now()), Ok(true));
        for wrong in
            ["", "monday", "2026-11-26", "-1h", "5", "d", "-1d", "1.5d", "99999999999999999d"]
        {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}

//! What the history has, for commands: from the process, or from the state directory where no process runs.

use std::path::Path;

use super::CliError;
use super::process::{Process, ProcessError};
use super::select::SelectError;
use crate::admin::keep_declared;
use crate::api::{Attribution, FileText, HistoryDocument, HistoryQuery, Record, Share};
use crate::config::{Digest, EnvValue, EnvironmentName, Percent, VersionName, suggest};
use crate::history::History;
use crate::rollout::ServiceView;
use crate::source::{FILE_MAX, read_file};

/// The answer to a query; empty where there is no record yet. Without a process, a query that names no environment means
/// one of those that are `declared`, if any of them has such a service.
///
/// # Errors
///
/// Where the process does not answer, the history cannot be read, or several environments have such a service.
pub(super) fn records(
    process: Option<&Process>,
    state: &Path,
    declared: &[EnvironmentName],
    query: &HistoryQuery,
) -> Result<HistoryDocument, CliError> {
    if let Some(process) = process {
        return match process.get(&query.path()) {
            Ok(document) => Ok(document),
            Err(ProcessError::Refused { status: 404, .. }) => Ok(HistoryDocument::default()),
            Err(error) => Err(error.into()),
        };
    }
    let Some(history) = History::read(state)? else { return Ok(HistoryDocument::default()) };
    let HistoryQuery { environment, service, limit, texts, file } = query;
    let limit = limit.unwrap_or(HistoryQuery::LIMIT_MAX);
    let (records, file) = match service {
        None => (history.newest(environment.as_deref(), limit)?, None),
        Some(service) => {
            match own_environment(&history, declared, environment.as_deref(), service)? {
                None => return Ok(HistoryDocument::default()),
                Some(environment) => {
                    let file = if *file { history.text_of(&environment, service)? } else { None };
                    (history.of(&environment, service, limit)?, file)
                }
            }
        }
    };
    let parts = history.parts(&records)?;
    let parts = if *texts { parts } else { parts.without_texts(EnvValue::digest_of) };
    Ok(HistoryDocument { records, parts, file })
}

/// The environment that is given, or else the only one that has such a service.
fn own_environment(
    history: &History,
    declared: &[EnvironmentName],
    given: Option<&str>,
    service: &str,
) -> Result<Option<String>, CliError> {
    if let Some(given) = given {
        return Ok(Some(given.to_owned()));
    }
    let services = history.services()?.into_iter();
    let own = services.filter(|(_, name)| name == service);
    let mut environments: Vec<_> = own.map(|(environment, _)| environment).collect();
    keep_declared(&mut environments, declared);
    match environments.as_slice() {
        [] | [_] => Ok(environments.pop()),
        several => {
            let names: Vec<_> = several.iter().map(String::as_str).collect();
            let environments = suggest::list_at_most(suggest::AMONG_MAX, &names);
            Err(SelectError::Ambiguous { name: service.to_owned(), environments }.into())
        }
    }
}

/// A service's file as it was right last, if that is known.
///
/// # Errors
///
/// As those of [`records`].
pub(super) fn last_good(
    process: Option<&Process>,
    state: &Path,
    declared: &[EnvironmentName],
    environment: Option<&str>,
    service: &str,
) -> Result<Option<FileText>, CliError> {
    let query = HistoryQuery {
        environment: environment.map(str::to_owned),
        service: Some(service.to_owned()),
        limit: Some(1),
        file: true,
        ..HistoryQuery::default()
    };
    Ok(records(process, state, declared, &query)?.file)
}

/// Keeps what a command tells of its edit, for the process that starts next.
pub(super) fn keep_offline(state: &Path, command: &Attribution) {
    if let Ok(Some(history)) = History::read(state) {
        // The edit is made. Without it, the next start is the author, as of an edit by hand.
        history.keep_offline(command).ok();
    }
}

/// What the next start will record of a service whose file a command has edited since its newest record, while no
/// process ran. Without it, a second rollback would not know of the first.
pub(super) fn edited_offline(
    state: &Path,
    view: &ServiceView,
    newest: Option<&Record>,
) -> Option<Record> {
    let (newest, service) = (newest?, &view.service);
    let history = History::read(state).ok()??;
    let found = history.offline(view.environment.as_str(), service.name.as_str()).ok()?;
    let (at, command) = found?;
    let file_digest = Digest::of(read_file(&service.file, FILE_MAX).ok()?).to_string();
    let share = |(version, share): (&VersionName, Percent)| Share {
        version: version.to_string(),
        share: f64::from(share.hundredths()) / 100.0,
    };
    let after = view.shares().takers().map(share).collect();
    let record = Record {
        generation: newest.generation.saturating_add(1),
        at,
        before: newest.after.clone(),
        after,
        served: None,
        file_digest: Some(file_digest),
        ..newest.clone()
    };
    let is_its = record.file_digest.as_ref() == Some(&command.file_digest);
    is_its.then(|| record.attributed(&command))
}

//! `GET /api/v1/history`: what was published of a service, when, and by whom.

use super::error::AdminError;
use crate::api::{HistoryDocument, HistoryQuery, Record};
use crate::config::{EnvValue, EnvironmentName, suggest};
use crate::history::{History, HistoryError};

/// How many records an answer has by default.
const LIMIT: usize = 100;

/// Answers a query, of a process whose files declare some environments.
pub async fn records(
    history: Result<History, String>,
    query: HistoryQuery,
    declared: Vec<EnvironmentName>,
) -> Result<HistoryDocument, AdminError> {
    let history = history.map_err(AdminError::NoHistory)?;
    let read = tokio::task::spawn_blocking(move || document(&history, &query, &declared));
    read.await.unwrap_or_else(|failed| Err(AdminError::Internal(failed.to_string())))
}

/// The answer, from a history that is open. Waits for the disk. Where several environments have such a service and only
/// one of them is declared, that one is meant.
pub fn document(
    history: &History,
    query: &HistoryQuery,
    declared: &[EnvironmentName],
) -> Result<HistoryDocument, AdminError> {
    let records = found(history, query, declared)?;
    let parts = history.parts(&records)?;
    let parts = if query.texts { parts } else { parts.without_texts(EnvValue::digest_of) };
    let newest = records.first().filter(|_| query.file && query.service.is_some());
    let file = newest.map(|newest| history.text_of(&newest.environment, &newest.service));
    let file = file.transpose()?.flatten();
    Ok(HistoryDocument { records, parts, file })
}

fn found(
    history: &History,
    query: &HistoryQuery,
    declared: &[EnvironmentName],
) -> Result<Vec<Record>, AdminError> {
    let HistoryQuery { environment, service, limit, texts: _, file: _ } = query;
    let limit = limit.unwrap_or(LIMIT);
    let Some(service) = service else {
        return Ok(history.newest(environment.as_deref(), limit)?);
    };
    if let Some(environment) = environment {
        let records = history.of(environment, service, limit)?;
        if !records.is_empty() {
            return Ok(records);
        }
    }
    let mut known = environments(history, service)?;
    if environment.is_none() {
        keep_declared(&mut known, declared);
    }
    let environment = the_only(environment.as_deref(), service, known)?;
    Ok(history.of(&environment, service, limit)?)
}

/// The environments of which the history still has such a service.
fn environments(history: &History, service: &str) -> Result<Vec<String>, HistoryError> {
    let services = history.services()?.into_iter();
    Ok(services.filter(|(_, name)| name == service).map(|(environment, _)| environment).collect())
}

/// Leaves out environments that are declared no more, if any other is left.
pub fn keep_declared(known: &mut Vec<String>, declared: &[EnvironmentName]) {
    let is_declared = |name: &String| declared.iter().any(|it| it.as_str() == name);
    if known.iter().any(is_declared) {
        known.retain(is_declared);
    }
}

/// The environment of a query that names none. Fails where the query names an environment without the service.
fn the_only(
    asked: Option<&str>,
    service: &str,
    mut environments: Vec<String>,
) -> Result<String, AdminError> {
    let name = service.chars().take(100).collect();
    let listed = suggest::list(&environments.iter().map(String::as_str).collect::<Vec<_>>());
    match (environments.pop(), asked) {
        (None, _) => {
            let help = "the history has no record of it; `/api/v1/status` has what is served";
            let environment = asked.map(str::to_owned);
            Err(AdminError::UnknownService { name, environment, help: help.to_owned() })
        }
        (Some(_), Some(asked)) => {
            let help = format!("the history has it in {listed}");
            let environment = Some(asked.to_owned());
            Err(AdminError::UnknownService { name, environment, help })
        }
        (Some(only), None) if environments.is_empty() => Ok(only),
        (Some(_), None) => Err(AdminError::AmbiguousService { name, environments: listed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_asked_for_where_it_matters() {
        let the_only = |asked: Option<&str>, known: &[&str]| {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            the_only(asked, "shop", known)
        };
        assert_eq!(the_only(None, &["prod"]).unwrap(), "prod");
        let declared = ["prod", "dev"].map(|name| EnvironmentName::new(name).unwrap());
        for (known, kept) in
            [(["prod", "test"], &["prod"][..]), (["old", "test"], &["old", "test"])]
        {
            let mut known = known.map(str::to_owned).to_vec();
            keep_declared(&mut known, &declared);
            assert_eq!(known, kept);
        }
        let ambiguous = the_only(None, &["prod", "test"]).unwrap_err();
        assert!(matches!(
            &ambiguous,
            AdminError::AmbiguousService { environments, .. } if environments == "`prod` and `test`"
        ));
        let elsewhere = the_only(Some("dev"), &["prod"]).unwrap_err();
        assert!(matches!(
            &elsewhere,
            AdminError::UnknownService { help, .. } if help == "the history has it in `prod`"
        ));
        let nowhere = the_only(None, &[]).unwrap_err().to_string();
        assert_eq!(nowhere, "there is no service `shop`");
    }
}

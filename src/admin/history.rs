//! `GET /api/v1/history`: what was published of a service, when, and by whom.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};

use super::refused;
use crate::api::{HistoryDocument, HistoryQuery, Record};
use crate::config::EnvValue;
use crate::history::{History, HistoryError};

/// How many records an answer has by default.
const LIMIT: usize = 100;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("{0}; ask with ?service=NAME, and with &environment=NAME and &limit=N if you like")]
    Query(String),
    #[error("`limit` is {0}: it must be between 1 and {most}", most = HistoryQuery::LIMIT_MAX)]
    Limit(usize),
    #[error("{service} is in {environments}: say which by `environment`")]
    Ambiguous { service: String, environments: String },
    #[error("the history has no service {service}; /api/v1/status has those that are served")]
    NoService { service: String },
    #[error("the history has no service {service} in {environment}; it has it in {others}")]
    Elsewhere { service: String, environment: String, others: String },
    #[error("there is no history: {0}")]
    NoHistory(String),
    #[error(transparent)]
    Unreadable(#[from] HistoryError),
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Query(_) | Self::Limit(_) | Self::Ambiguous { .. } => StatusCode::BAD_REQUEST,
            Self::NoService { .. } | Self::Elsewhere { .. } => StatusCode::NOT_FOUND,
            Self::NoHistory(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refused(status, self)
    }
}

/// Answers a query.
pub async fn show(
    history: Result<History, String>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Response {
    let answer = async {
        let Query(query) = query.map_err(|wrong| QueryError::Query(wrong.body_text()))?;
        let history = history.map_err(QueryError::NoHistory)?;
        let read = tokio::task::spawn_blocking(move || document(&history, &query));
        read.await.unwrap_or_else(|panicked| Err(QueryError::NoHistory(panicked.to_string())))
    };
    match answer.await {
        Ok(document) => Json(document).into_response(),
        Err(error) => error.into_response(),
    }
}

fn document(history: &History, query: &HistoryQuery) -> Result<HistoryDocument, QueryError> {
    let records = records(history, query)?;
    let parts = history.parts(&records)?;
    let parts = if query.texts { parts } else { parts.without_texts(EnvValue::digest_of) };
    let newest = records.first().filter(|_| query.file);
    let file = newest.map(|newest| history.text_of(&newest.environment, &newest.service));
    let file = file.transpose()?.flatten();
    Ok(HistoryDocument { records, parts, file })
}

fn records(history: &History, query: &HistoryQuery) -> Result<Vec<Record>, QueryError> {
    let HistoryQuery { environment, service, limit, texts: _, file: _ } = query;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=HistoryQuery::LIMIT_MAX).contains(&limit) {
        return Err(QueryError::Limit(limit));
    }
    if let Some(environment) = environment {
        let records = history.of(environment, service, limit)?;
        if !records.is_empty() {
            return Ok(records);
        }
    }
    let environment = the_only(environment.as_deref(), service, environments(history, service)?)?;
    Ok(history.of(&environment, service, limit)?)
}

/// The environments of which the history still has such a service.
fn environments(history: &History, service: &str) -> Result<Vec<String>, HistoryError> {
    let services = history.services()?.into_iter();
    Ok(services.filter(|(_, name)| name == service).map(|(environment, _)| environment).collect())
}

/// The environment of a query that names none. Fails where the query names an environment without the service.
fn the_only(
    asked: Option<&str>,
    service: &str,
    mut environments: Vec<String>,
) -> Result<String, QueryError> {
    let service = service.to_owned();
    let listed = environments.join(", ");
    match (environments.pop(), asked) {
        (None, _) => Err(QueryError::NoService { service }),
        (Some(_), Some(asked)) => {
            let environment = asked.to_owned();
            Err(QueryError::Elsewhere { service, environment, others: listed })
        }
        (Some(only), None) if environments.is_empty() => Ok(only),
        (Some(_), None) => Err(QueryError::Ambiguous { service, environments: listed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_asked_for_where_it_matters() {
        let the_only = |asked: Option<&str>, known: &[&str]| {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            the_only(asked, "shop", known).map_err(|error| error.to_string())
        };
        assert_eq!(the_only(None, &["prod"]).unwrap(), "prod");
        assert!(the_only(None, &["prod", "test"]).unwrap_err().contains("prod, test"));
        assert!(
            the_only(Some("dev"), &["prod"]).unwrap_err().contains("in dev; it has it in prod")
        );
        assert!(the_only(None, &[]).unwrap_err().contains("no service shop"));
    }
}

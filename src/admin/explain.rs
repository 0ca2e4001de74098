//! `GET /api/v1/explain`: which version a request would get, and why, by what is served now.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};

use super::refused;
use crate::api::ExplainQuery;
use crate::policy::explain::{Question, QuestionError};
use crate::versions::{Live, ServiceEntry, Snapshot};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("say which service: `?service=NAME`")]
    WhichService,
    #[error(transparent)]
    Question(#[from] QuestionError),
    #[error(
        "there is no parameter `{0}`: give method, path, header, query, cookie or client, beside \
         service and environment"
    )]
    Unknown(String),
    #[error("there is no service {0:?}")]
    NoService(String),
    #[error("several environments have a service {0:?}: add `&environment=NAME`")]
    WhichEnvironment(String),
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoService(_) => StatusCode::NOT_FOUND,
            Self::WhichService
            | Self::Question(_)
            | Self::Unknown(_)
            | Self::WhichEnvironment(_) => StatusCode::BAD_REQUEST,
        };
        refused(status, self)
    }
}

/// Explains the request that a query string describes.
pub fn show(live: &Live, query: &str) -> Response {
    let snapshot = live.load();
    match asked(query).and_then(|(query, question)| Ok((find(&snapshot, &query)?, question))) {
        Ok((service, question)) => {
            Json(service.explain(&question, snapshot.generation)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn asked(query: &str) -> Result<(ExplainQuery, Question), QueryError> {
    let query = ExplainQuery::parse(query).map_err(QueryError::Unknown)?;
    let question = Question::new(&query)?;
    Ok((query, question))
}

fn find<'a>(snapshot: &'a Snapshot, query: &ExplainQuery) -> Result<&'a ServiceEntry, QueryError> {
    let name = query.service.as_deref().ok_or(QueryError::WhichService)?;
    let environment = query.environment.as_deref();
    let mut found = snapshot.services.iter().filter(|service| {
        service.key.service.as_str() == name
            && environment.is_none_or(|it| it == service.key.environment.as_str())
    });
    match (found.next(), found.next()) {
        (None, _) => Err(QueryError::NoService(name.to_owned())),
        (Some(service), None) => Ok(service),
        (Some(_), Some(_)) => Err(QueryError::WhichEnvironment(name.to_owned())),
    }
}

//! `GET /api/v1/explain`: who would get what, by what is served now.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};

use crate::policy::explain::{Question, QuestionError, Written};
use crate::versions::{Live, ServiceEntry, Snapshot};

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("say which service: `?service=NAME`")]
    WhichService,
    #[error(transparent)]
    Question(#[from] QuestionError),
    #[error("there is no service {0:?}")]
    NoService(String),
    #[error("several environments have a service {0:?}: add `&environment=NAME`")]
    WhichEnvironment(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoService(_) => StatusCode::NOT_FOUND,
            Self::WhichService | Self::Question(_) | Self::WhichEnvironment(_) => {
                StatusCode::BAD_REQUEST
            }
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// Whose requests are meant.
#[derive(Default)]
struct Whose {
    environment: Option<String>,
    service: Option<String>,
}

/// Explains what a query string describes.
pub fn show(live: &Live, query: &str) -> Response {
    let snapshot = live.load();
    match asked(query).and_then(|(whose, question)| Ok((find(&snapshot, &whose)?, question))) {
        Ok((service, question)) => {
            Json(service.explain(&question, snapshot.generation)).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn asked(query: &str) -> Result<(Whose, Question), Refusal> {
    let (written, others) = Written::from_query(query);
    let mut whose = Whose::default();
    for (key, value) in others {
        match key.as_str() {
            "environment" => whose.environment = Some(value),
            "service" => whose.service = Some(value),
            _ => return Err(QuestionError::Unknown(key).into()),
        }
    }
    Ok((whose, written.question()?))
}

fn find<'a>(snapshot: &'a Snapshot, whose: &Whose) -> Result<&'a ServiceEntry, Refusal> {
    let name = whose.service.as_deref().ok_or(Refusal::WhichService)?;
    let environment = whose.environment.as_deref();
    let mut found = snapshot.services.iter().filter(|service| {
        service.key.service.as_str() == name
            && environment.is_none_or(|it| it == service.key.environment.as_str())
    });
    match (found.next(), found.next()) {
        (None, _) => Err(Refusal::NoService(name.to_owned())),
        (Some(service), None) => Ok(service),
        (Some(_), Some(_)) => Err(Refusal::WhichEnvironment(name.to_owned())),
    }
}

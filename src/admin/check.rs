//! `POST /api/v1/check`: whether the configuration would be right if one of its files said something
//! else. A command asks before it writes a file, since this process has read all the others already.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use tokio::time::timeout;

use super::{Admin, BODY_TIME};
use crate::api::{CheckDocument, CheckQuestion};
use crate::config::Report;
use crate::source::{FILE_MAX, Objection};

/// Largest question, in bytes. JSON may write each character of the text with six bytes.
const LONGEST: u64 = 6 * FILE_MAX + 4096;

impl From<Result<(), Objection>> for CheckDocument {
    fn from(checked: Result<(), Objection>) -> Self {
        match checked {
            Ok(()) => Self::Right,
            Err(Objection::Wrong(Report { problems })) => Self::Wrong { problems },
            Err(Objection::WrongBefore(Report { problems })) => Self::WrongBefore { problems },
            Err(Objection::NotFound(globs)) => Self::NotFound { globs },
        }
    }
}

/// 200 if the configuration would be right, 422 if not.
pub async fn show(State(admin): State<Arc<Admin>>, body: Body) -> Response {
    let longest = usize::try_from(LONGEST).unwrap_or(usize::MAX);
    let body = match timeout(BODY_TIME, to_bytes(body, longest)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return (StatusCode::BAD_REQUEST, "the body is too long\n").into_response(),
        Err(_) => {
            return (StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n")
                .into_response();
        }
    };
    let CheckQuestion { file, is_there, text } = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => {
            let why = format!("send a JSON object with `file`, `is_there` and `text`: {error}\n");
            return (StatusCode::BAD_REQUEST, why).into_response();
        }
    };
    let Some(checked) = admin.reloads.check(file, is_there, text).await else {
        let why = "nothing can be checked yet: see the log\n";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let status = match checked {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, Json(CheckDocument::from(checked))).into_response()
}

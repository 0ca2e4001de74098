//! `POST /api/v1/check`: whether the configuration would be right if one of its files said something
//! else. A command asks before it writes a file, since this process has read all the others already.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};

use super::{Admin, read, refused};
use crate::api::{CheckDocument, CheckQuestion};
use crate::config::{Problem, Report};
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
    let too_long = || {
        format!("the body has more than {LONGEST} bytes: a file has at most {} MiB", FILE_MAX >> 20)
    };
    let body = match read(body, longest, too_long).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let CheckQuestion { file, is_there, text } = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => {
            let why = format!("send a JSON object with `file`, `is_there` and `text`: {error}");
            return refused(StatusCode::BAD_REQUEST, why);
        }
    };
    if !file.is_absolute() {
        let why = format!("`file` is {}: give an absolute path", file.display());
        return refused(StatusCode::BAD_REQUEST, why);
    }
    if u64::try_from(text.len()).is_ok_and(|length| length > FILE_MAX) {
        let message = format!("the file would have more than {} MiB", FILE_MAX >> 20);
        let help = "write a smaller file: a reload reads no larger one";
        let report = Report { problems: vec![Problem::of_file(&file, message, help)] };
        let document = CheckDocument::from(Err(Objection::Wrong(report)));
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(document)).into_response();
    }
    let Some(checked) = admin.reloads.check(file, is_there, text).await else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "nothing can be checked yet: see the log");
    };
    let status = match checked {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, Json(CheckDocument::from(checked))).into_response()
}

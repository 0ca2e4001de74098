//! `POST /api/v1/check`: whether the configuration would be right if one of its files said something
//! else. A command asks before it writes a file, since this process has read all the others already.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Json, Response};

use super::Admin;
use super::body::Expected;
use super::error::AdminError;
use super::routes::no_parameters;
use crate::api::{CheckDocument, CheckQuestion};
use crate::config::{Problem, Report};
use crate::source::{FILE_MAX, Objection};

/// Largest question, in bytes. JSON may write each character of the text with six bytes.
const LONGEST: u64 = 6 * FILE_MAX + 4096;

fn expected() -> Expected {
    Expected {
        longest: usize::try_from(LONGEST).unwrap_or(usize::MAX),
        too_long: format!("send a smaller text: a file has at most {} MiB", FILE_MAX >> 20),
        help: "send a JSON object with `file`, `is_there` and `text`",
    }
}

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
pub async fn show(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let question: Option<CheckQuestion> = expected().read(request).await?;
    let question = question.ok_or_else(|| expected().malformed("it is empty"))?;
    let CheckQuestion { file, is_there, text } = question;
    if !file.is_absolute() {
        let why = format!("`file` is {}: give an absolute path", file.display());
        return Err(expected().malformed(why));
    }
    if u64::try_from(text.len()).is_ok_and(|length| length > FILE_MAX) {
        let message = format!("the file would have more than {} MiB", FILE_MAX >> 20);
        let help = "write a smaller file: a reload reads no larger one";
        let report = Report { problems: vec![Problem::of_file(&file, message, help)] };
        return Ok(answer(Err(Objection::Wrong(report))));
    }
    let checked = admin.reloads.check(file, is_there, text).await;
    Ok(answer(checked.ok_or(AdminError::NothingLoaded)?))
}

fn answer(checked: Result<(), Objection>) -> Response {
    let document = CheckDocument::from(checked);
    let problems = match &document {
        CheckDocument::Right => return Json(document).into_response(),
        CheckDocument::Wrong { problems } | CheckDocument::WrongBefore { problems } => problems,
        CheckDocument::NotFound { .. } => &[][..],
    };
    AdminError::files_wrong(problems).with(&document)
}

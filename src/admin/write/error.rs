//! Why a change is not made, or not all of it. Codes, messages and advice are those of the commands.

use std::io;

use axum::http::StatusCode;

use super::inside::Inside;
use crate::admin::error::{AdminError, is_full};
use crate::api::{
    ChangedDocument, DetailsDocument, DoneDocument, ErrorDocument, ErrorPlace, FailedDocument,
    RefusalDocument,
};
use crate::code::{Coded, ErrorCode};
use crate::config::Report;
use crate::rollout::Refusal;
use crate::source::{ComponentStoreError, EditError};
use crate::versions::StatusError;

/// Why a change of a service is not made, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{0}")]
    Admin(Box<AdminError>),
    #[error("{0}")]
    Edit(Box<EditError>),
    /// With the change to make by hand, and the text that it leads to.
    #[error("{error}")]
    ByHand { error: Box<Self>, diff: String, text: String },
    #[error("{0}")]
    Store(#[from] ComponentStoreError),
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("{}", first(.0))]
    Wrong(Report),
    #[error("the file of {service} is not what was looked at any more, so that nothing was done")]
    FileChanged { service: String, changed: Box<ChangedDocument> },
    /// It was done, and somebody else did something about the same.
    #[error("{why}")]
    Overtaken { why: Box<Refusal>, changed: Box<ChangedDocument> },
    #[error("the process rejected the edit and serves what it served before; the file is changed")]
    Rejected(Report),
    #[error("{}: {} ({})", .given, .error.detail, .error.code.as_str())]
    Component { given: String, error: Box<StatusError> },
    /// The version.
    #[error("no target of {0} answers from here, and it is to get traffic")]
    NoTargetAnswers(String),
    #[error("there is no upload {0}")]
    UnknownUpload(String),
    #[error("the system refuses what this takes: {0}")]
    System(#[from] io::Error),
    /// What is served instead, and why.
    #[error("{why}")]
    Held { why: String, done: Box<DoneDocument> },
}

fn first(report: &Report) -> &str {
    report.problems.first().map_or("the files are wrong", |first| &first.message)
}

impl WriteError {
    /// The same with what only the service can say: what its file says now, or the change to make by hand.
    pub(super) fn at(self, inside: &Inside) -> Self {
        let changed = || Box::new(inside.changed());
        match self {
            Self::Edit(error) if matches!(*error, EditError::Changed { .. }) => {
                inside.file_changed()
            }
            Self::Refused(why) => match *why {
                Refusal::Changed { .. } => inside.file_changed(),
                Refusal::Overtaken { .. } | Refusal::Replaced { .. } => {
                    Self::Overtaken { why, changed: changed() }
                }
                _ => Self::Refused(why),
            },
            other => other,
        }
    }

    /// What is wrong in files.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Edit(error) => error.report(),
            Self::Wrong(report) | Self::Rejected(report) => Some(report),
            _ => None,
        }
    }

    /// The members of the answer beside those of every problem.
    pub fn details(&self) -> DetailsDocument {
        let problems = self.report().map_or_else(Vec::new, |report| report.problems.clone());
        let details = DetailsDocument { problems, ..DetailsDocument::default() };
        match self {
            Self::ByHand { diff, text, .. } => {
                DetailsDocument { diff: Some(diff.clone()), text: Some(text.clone()), ..details }
            }
            Self::Refused(refusal) => DetailsDocument { refusal: (&**refusal).into(), ..details },
            Self::FileChanged { changed, .. } | Self::Overtaken { changed, .. } => {
                DetailsDocument { changed: Some((**changed).clone()), ..details }
            }
            Self::Component { error, .. } => {
                let refusal = RefusalDocument { fault: Some((&**error).into()), ..details.refusal };
                DetailsDocument { refusal, ..details }
            }
            Self::Held { done, .. } => DetailsDocument { done: Some((**done).clone()), ..details },
            _ => details,
        }
    }

    /// The error of an operation.
    pub fn failed(&self) -> FailedDocument {
        let place = self.report().and_then(|report| report.problems.first()).map(ErrorPlace::from);
        let error = ErrorDocument { place, ..ErrorDocument::of(self) };
        FailedDocument { error, details: self.details() }
    }

    /// The status of the answer. 409 is for what somebody else has changed, and for nothing else.
    pub fn status(&self) -> StatusCode {
        if let Self::Admin(error) = self {
            return error.status();
        }
        match self.code() {
            ErrorCode::Usage | ErrorCode::BadBody => StatusCode::BAD_REQUEST,
            ErrorCode::UnknownVersion | ErrorCode::UnknownGeneration | ErrorCode::UnknownUpload => {
                StatusCode::NOT_FOUND
            }
            ErrorCode::FileChanged | ErrorCode::ChangedMeanwhile => StatusCode::CONFLICT,
            ErrorCode::Busy | ErrorCode::Draining => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::WriteFailed if matches!(self, Self::ByHand { .. }) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ErrorCode::WriteFailed if self.is_full() => StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::WriteFailed | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Whether the disk has no room.
    fn is_full(&self) -> bool {
        match self {
            Self::Edit(error) => {
                matches!(&**error, EditError::Unwritable { error, .. } if is_full(error))
            }
            Self::Store(ComponentStoreError::Unwritable { error, .. }) => is_full(error),
            _ => false,
        }
    }
}

impl From<AdminError> for WriteError {
    fn from(error: AdminError) -> Self {
        Self::Admin(Box::new(error))
    }
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<EditError> for WriteError {
    fn from(error: EditError) -> Self {
        Self::Edit(Box::new(error))
    }
}

impl Coded for WriteError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Admin(error) => error.code(),
            Self::Edit(error) => error.code(),
            Self::ByHand { error, .. } => error.code(),
            Self::Store(error) => error.code(),
            Self::Refused(why) | Self::Overtaken { why, .. } => why.code(),
            Self::Wrong(report) if report.is_transient() => ErrorCode::UnreadableConfiguration,
            Self::Wrong(_) => ErrorCode::InvalidConfiguration,
            Self::FileChanged { .. } => ErrorCode::FileChanged,
            Self::Rejected(_) => ErrorCode::Rejected,
            Self::Component { .. } => ErrorCode::InvalidComponent,
            Self::NoTargetAnswers(_) => ErrorCode::VersionUnhealthy,
            Self::UnknownUpload(_) => ErrorCode::UnknownUpload,
            Self::System(_) => ErrorCode::Internal,
            Self::Held { .. } => ErrorCode::Held,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Admin(error) => error.help(),
            Self::Edit(error) => error.help(),
            Self::ByHand { error, .. } if matches!(**error, Self::Store(_)) => Some(
                "as a user that may write there, put the component where the change names it, and then \
                 make the change"
                    .to_owned(),
            ),
            Self::ByHand { error, .. } => error.help(),
            Self::Store(error) => error.help(),
            Self::Refused(why) | Self::Overtaken { why, .. } => why.help(),
            Self::Wrong(report) => report.problems.first().map(|problem| problem.help.clone()),
            Self::FileChanged { .. } => Some(
                "look at what it says now, and ask again with its digest as `expect`".to_owned(),
            ),
            Self::Component { error, .. } => Some(error.suggestion.to_owned()),
            Self::NoTargetAnswers(_) => Some(
                "start one first, or keep the traffic as it is; `force` gives it traffic all the same"
                    .to_owned(),
            ),
            Self::UnknownUpload(_) => {
                Some("upload it again: uploads are kept for an hour".to_owned())
            }
            Self::System(_) => Some("see the log of the process".to_owned()),
            Self::Rejected(_) | Self::Held { .. } => None,
        }
    }
}

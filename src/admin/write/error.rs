//! Why a change is not made, or not all of it. Codes, messages and advice are those of the commands.

use std::io;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::inside::Inside;
use crate::admin::error::AdminError;
use crate::api::{ChangedDocument, DoneDocument, RefusalDocument};
use crate::code::{Coded, ErrorCode};
use crate::config::{Problem, Report};
use crate::rollout::Refusal;
use crate::source::{ComponentStoreError, EditError};

/// Why a change of a service is not made, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{0}")]
    Admin(Box<AdminError>),
    #[error("{0}")]
    Edit(Box<EditError>),
    /// With the change to make by hand, and the text that it leads to.
    #[error("{error}")]
    ByHand { error: Box<EditError>, diff: String, text: String },
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
    /// What is served instead, and why.
    #[error("{why}")]
    Held { why: String, done: Box<DoneDocument> },
}

/// What belongs to some errors.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Details {
    /// Everything that is wrong in the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    /// The change to make by hand: lines with their numbers, `-` and `+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    /// The text of the file after that change.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What the file says now.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<ChangedDocument>,
    #[serde(flatten)]
    refusal: RefusalDocument,
    /// What was done all the same.
    #[serde(flatten)]
    done: Option<DoneDocument>,
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
    pub fn details(&self) -> Details {
        let problems = self.report().map_or_else(Vec::new, |report| report.problems.clone());
        let details = Details { problems, ..Details::default() };
        match self {
            Self::ByHand { diff, text, .. } => {
                Details { diff: Some(diff.clone()), text: Some(text.clone()), ..details }
            }
            Self::Refused(refusal) => Details { refusal: (&**refusal).into(), ..details },
            Self::FileChanged { changed, .. } | Self::Overtaken { changed, .. } => {
                Details { changed: Some((**changed).clone()), ..details }
            }
            Self::Held { done, .. } => Details { done: Some((**done).clone()), ..details },
            _ => details,
        }
    }

    /// The status of the answer. 409 is for what somebody else has changed, and for nothing else.
    pub fn status(&self) -> StatusCode {
        if let Self::Admin(error) = self {
            return error.status();
        }
        match self.code() {
            ErrorCode::Usage | ErrorCode::BadBody => StatusCode::BAD_REQUEST,
            ErrorCode::UnknownVersion | ErrorCode::UnknownGeneration => StatusCode::NOT_FOUND,
            ErrorCode::FileChanged | ErrorCode::ChangedMeanwhile => StatusCode::CONFLICT,
            ErrorCode::Busy | ErrorCode::Draining => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::WriteFailed if self.is_full() => StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::WriteFailed | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Whether the disk has no room.
    fn is_full(&self) -> bool {
        let is_full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
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
            Self::Edit(error) | Self::ByHand { error, .. } => error.code(),
            Self::Store(error) => error.code(),
            Self::Refused(why) | Self::Overtaken { why, .. } => why.code(),
            Self::Wrong(report) if report.is_transient() => ErrorCode::UnreadableConfiguration,
            Self::Wrong(_) => ErrorCode::InvalidConfiguration,
            Self::FileChanged { .. } => ErrorCode::FileChanged,
            Self::Rejected(_) => ErrorCode::Rejected,
            Self::Held { .. } => ErrorCode::Held,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Admin(error) => error.help(),
            Self::Edit(error) | Self::ByHand { error, .. } => error.help(),
            Self::Store(error) => error.help(),
            Self::Refused(why) | Self::Overtaken { why, .. } => why.help(),
            Self::Wrong(report) => report.problems.first().map(|problem| problem.help.clone()),
            Self::FileChanged { .. } => Some(
                "look at what it says now, and ask again with its digest as `expect`".to_owned(),
            ),
            Self::Rejected(_) | Self::Held { .. } => None,
        }
    }
}

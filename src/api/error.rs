//! An error as a script reads it: a command prints it with `--json`, and the admin API answers with it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::code::Coded;
use crate::config::Problem;

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDocument {
    /// A word that stays the same from release to release, such as `no-version`.
    pub code: String,
    /// One sentence or more for people.
    pub message: String,
    /// What to do; none where nothing helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where in the files the cause is, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ErrorPlace>,
}

impl ErrorDocument {
    /// An error as scripts read it. Whoever knows the place adds it.
    pub fn of(error: &(impl Coded + ?Sized)) -> Self {
        let code = error.code().as_str().to_owned();
        Self { code, message: error.to_string(), help: error.help(), place: None }
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorPlace {
    /// Absolute.
    pub file: PathBuf,
    /// Counts from 1; none where the file as a whole is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// In characters, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl From<&Problem> for ErrorPlace {
    fn from(problem: &Problem) -> Self {
        Self { file: problem.file.clone(), line: problem.line, column: problem.column }
    }
}

/// An error of the admin API, sent as `application/problem+json`
/// ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457#section-3.1)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDocument {
    /// The status of the response.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// The message again, under the name of the RFC.
    pub detail: String,
    #[serde(flatten)]
    pub error: ErrorDocument,
}

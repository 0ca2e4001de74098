//! What takes longer than a request: a deployment, and the component that it is made of.

use schemars::JsonSchema;
use serde::Serialize;

use super::change::{ChangedDocument, DoneDocument, RefusalDocument};
use super::error::ErrorDocument;
use crate::config::Problem;

/// `GET /api/v1/operations`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OperationsDocument {
    /// The last 100 since the process began, the newest first.
    pub operations: Vec<OperationDocument>,
}

/// A deployment that somebody has asked for. It goes on whether or not somebody looks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OperationDocument {
    pub id: String,
    pub state: OperationState,
    pub step: OperationStep,
    pub environment: String,
    pub service: String,
    pub version: String,
    pub user: String,
    #[serde(with = "super::moment")]
    #[schemars(with = "String")]
    pub began: u64,
    /// When it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<DoneDocument>,
    /// Why it is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<FailedDocument>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    Running,
    Done,
    Failed,
}

/// How far a deployment is; of one that failed, how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationStep {
    /// The component is read, or the targets are tried.
    Checking,
    /// The version is written into the file.
    Writing,
    /// The process makes the version.
    Creating,
    /// The version gets its traffic.
    Shifting,
    Done,
}

/// An error, and what belongs to it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FailedDocument {
    #[serde(flatten)]
    pub error: ErrorDocument,
    #[serde(flatten)]
    pub details: DetailsDocument,
}

/// What belongs to some errors of changes.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct DetailsDocument {
    /// Everything that is wrong in the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The change to make by hand: lines with their numbers, `-` and `+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// The text of the file after that change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What the file says now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<ChangedDocument>,
    #[serde(flatten)]
    pub refusal: RefusalDocument,
    /// What was done all the same.
    #[serde(flatten)]
    pub done: Option<DoneDocument>,
}

/// The answer where an operation has begun.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BegunDocument {
    /// Its id.
    pub operation: String,
}

/// A component that was uploaded.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UploadDocument {
    /// The name under which it can be deployed, for an hour.
    pub digest: String,
    pub bytes: u64,
}

//! A reload: what the request for one says, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyChange;
use crate::config::Problem;

/// What whoever has changed a service's file tells of it: the body of `POST /api/v1/reload`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    pub environment: String,
    pub service: String,
    pub user: String,
    pub command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The SHA-256 of the file as it was left, written as in a record.
    pub file_digest: String,
}

/// What is wrong with files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReportDocument {
    pub problems: Vec<Problem>,
    /// The problems as text.
    pub report: String,
}

/// A service's file that is wrong.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RejectionDocument {
    pub environment: String,
    pub file: String,
    /// The service that goes on as it was; none if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<String>,
    #[serde(flatten)]
    pub report: ReportDocument,
}

/// What a load did: the last one in the status, or the answer to `POST /api/v1/reload`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReloadDocument {
    /// When it ended.
    #[serde(with = "super::moment")]
    #[schemars(with = "String")]
    pub at: u64,
    /// `published`, `unchanged`, `rejected`, `needs-restart`, or `postponed`: something cannot be read
    /// for a moment, and is tried again.
    pub outcome: String,
    /// What is served after it.
    pub generation: u64,
    /// How many services' files were read.
    pub files_read: usize,
    /// Keys of the main file that take effect at the next start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart_needed_for: Vec<String>,
    /// Certificates that are there, and are not taken while the ones before are valid. In the answer to a request alone: the
    /// status has them with its certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
    /// What each of these keys says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart_changes: Vec<KeyChange>,
    #[serde(flatten)]
    pub report: Option<ReportDocument>,
}

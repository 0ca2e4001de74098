//! What a change of a service has done or would do: what `--json` of the commands and the paths that change
//! something have in common.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::history::{Author, Share};
use super::plan::{Plan, RestoredKey};
use super::standing::Fault;

/// What was done to a service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChangeDocument {
    /// `normal`, `declared`, `traffic`, `rolled-back`, `deleted`, `released` or `file-restored`; `unchanged` where nothing was to be done.
    pub outcome: String,
    pub environment: String,
    pub service: String,
    /// The versions that the outcome is about: deployed, deleted, released or quarantined.
    pub versions: Vec<String>,
    pub shares: Vec<ShareDocument>,
    /// The generation of the edit; `None` where no process serves it.
    pub generation: Option<u64>,
}

/// A version's share of its service's traffic, in percent.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ShareDocument {
    pub version: String,
    pub before: f64,
    pub after: f64,
}

/// Of a rollback.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BackDocument {
    /// The generation that the rollback went back to; `None` where it went back to a version.
    pub restores: Option<u64>,
    /// Whether everything that decided what was served then is restored.
    pub complete: bool,
    /// What came back beside the shares.
    pub restored: Vec<RestoredKey>,
    /// What differs from then.
    pub differs: Vec<String>,
    /// Parts that may differ: whether they do is not known.
    pub unknown: Vec<String>,
    /// Generations that were passed over.
    pub skipped: Vec<SkippedDocument>,
    /// What the file said that was never served.
    pub notes: Vec<String>,
}

/// Which way a rollback would go.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WayDocument {
    /// The generation that it would go back to; none where it would go back to a version.
    pub restores: Option<u64>,
    /// Generations that it would pass over.
    pub skipped: Vec<SkippedDocument>,
    /// Versions that it would quarantine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantines: Vec<String>,
}

/// A generation that a rollback passed over.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SkippedDocument {
    pub generation: u64,
    pub shares: Vec<Share>,
    /// `rolled-back-from`, or `cannot-serve`.
    pub reason: &'static str,
    /// When somebody rolled back from it, and the generation of that rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<u64>,
    /// Why it cannot be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of a copy of a component whose version is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CopyDocument {
    pub version: String,
    /// Absolute.
    pub file: PathBuf,
    pub deleted: bool,
    /// Why it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What belongs to some refusals.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct RefusalDocument {
    /// Why a version cannot be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The generations that a rollback passed over, where none is left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedDocument>,
    /// How things stand, where something had been done already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

/// What a path that changes a service has done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DoneDocument {
    #[serde(flatten)]
    pub change: ChangeDocument,
    /// Copies of components whose versions are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyDocument>,
    /// What was found that need not be wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(flatten)]
    pub back: Option<BackDocument>,
}

/// What a path that changes a service would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WouldDocument {
    pub plan: Plan,
    /// Whether a version loses traffic or the way to get some.
    pub takes_away: bool,
    /// The change of the service's file: lines with their numbers, `-` and `+`.
    pub diff: String,
    pub shares: Vec<ShareDocument>,
    /// Where a rollback goes.
    #[serde(flatten)]
    pub way: Option<WayDocument>,
    /// What was found that need not be wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a service's file says now, where it is not what a request was decided on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChangedDocument {
    /// Of the file's text; none where it cannot be read.
    pub file_digest: Option<String>,
    /// Whether the latest version gets everything.
    pub latest: bool,
    /// What the file gives each version; empty where the file is wrong.
    pub shares: Vec<Share>,
    /// Who changed it last.
    pub author: Option<Author>,
    /// When the process took note of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

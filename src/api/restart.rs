//! A restart: the request for one, and how it stands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of `POST /api/v1/restart`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartRequest {
    /// How long the new process may take from one sign of life to the next, in seconds: 1 to 3600. 60 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

/// How a restart stands, as the process says that answers. It answers until another one has taken over, and then that
/// one does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartDocument {
    /// The process ID of the process that answers.
    pub pid: u32,
    /// `none`; or what the new process does: `starting`, `preparing`, `taking-over`, or it serves: `handed-over`.
    pub phase: String,
    /// The new process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<u32>,
    /// The address of the new process's admin listener, where `[admin] listen` has changed. It may be one that only that
    /// machine can reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// How many versions the new process has made ready, and of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<usize>,
    /// The number of the last restart that this process has begun; 0 if it has begun none.
    pub restart: u64,
    /// The last restart of this process that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RestartFailure>,
    /// The process that this one has taken over from, while it ends what it had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<u32>,
    /// The generation that is served.
    pub generation: u64,
}

/// A restart that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartFailure {
    /// Its number.
    pub restart: u64,
    pub message: String,
}

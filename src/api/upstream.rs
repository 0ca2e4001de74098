//! The upstream of a version in the status: its targets, how each does, and names that are not found now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the targets of a version do. A target that another version has with the same settings is the same one: its figures
/// are of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamDocument {
    /// How many targets take requests.
    pub healthy: usize,
    /// In the order of declaration. A name has one for each of its addresses.
    pub targets: Vec<TargetDocument>,
    /// Names that are not found now. The addresses that they had go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<UnresolvedDocument>,
}

/// One address that takes requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetDocument {
    /// Address and port.
    pub address: String,
    /// What the file says, where that is a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub weight: u32,
    /// `healthy`; `unhealthy`, by its checks; `unchecked`, before the first of them; or `ejected` for a while, because
    /// requests failed. Without checks, a target is healthy until requests fail.
    pub health: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// How long ago that was.
    pub age_seconds: f64,
    /// Why it takes no requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Attempts to have a request answered, retries included, since it is a target.
    pub requests: u64,
    /// How many of them failed, or were answered with a status of 500 or more.
    pub errors: u64,
    /// Milliseconds until the head of a response, on average of late; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    pub connections: TargetConnections,
    /// Requests that it serves now.
    pub in_flight: u64,
}

/// Connections to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetConnections {
    pub open: u64,
    /// Of the open ones: kept without a request.
    pub idle: u64,
}

/// A name that is not found now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnresolvedDocument {
    /// As the file says it, with its port.
    pub name: String,
    pub reason: String,
}

impl TargetDocument {
    /// Whether it takes requests.
    pub fn is_healthy(&self) -> bool {
        self.health == "healthy"
    }
}

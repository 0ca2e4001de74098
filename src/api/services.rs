//! The overview of all services, for lists: what the status says of each, in short.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/services`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServicesDocument {
    /// The number of the configuration that is served.
    pub generation: u64,
    /// In the order of the status: by environment, as declared, and by file.
    pub services: Vec<ServiceSummary>,
}

/// One service. Rates, errors and times are those of the status.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSummary {
    pub environment: String,
    pub name: String,
    /// Where a client on the same machine reaches it.
    pub url: String,
    /// `ok`, `attention`, `failing` or `offline`.
    pub health: String,
    /// Why it is not `ok`, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In the order of declaration, then those that are served and declared no more.
    pub versions: Vec<VersionSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Requests that its versions serve now.
    pub in_flight: u64,
}

/// One version.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionSummary {
    pub name: String,
    /// `creating`, `normal` or `error`.
    pub status: String,
    /// Percent of the traffic now.
    pub share: f64,
    /// Whether no target of it takes requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unhealthy: bool,
    /// Whether it gets no traffic after a rollback with `--bad`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
}

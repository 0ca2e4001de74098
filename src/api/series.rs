//! The last hour of a service's versions, in steps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moment;

/// `GET /api/v1/series`. Every series has one value for each step, so all have the same length.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SeriesDocument {
    /// When it was asked for.
    #[serde(with = "moment")]
    #[schemars(with = "String")]
    pub now: u64,
    /// How long each step is: 1 or 10.
    pub step_seconds: u32,
    /// The start of the first step, a whole second.
    #[serde(with = "moment")]
    #[schemars(with = "String")]
    pub from: u64,
    /// Those of the status in its order, then those that are gone and had requests in this time, by name.
    pub versions: Vec<VersionSeriesDocument>,
}

/// One version.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionSeriesDocument {
    pub name: String,
    /// Requests that ended. A request that another version answered for it counts for both.
    pub requests: Vec<u64>,
    /// Of these, the ones that the version is at fault for.
    pub failed: Vec<u64>,
    /// The failed ones by the code of their failure, and by `5xx` where the version itself answered so: only codes that
    /// occurred.
    pub codes: BTreeMap<String, Vec<u64>>,
    /// Milliseconds that half of the requests stayed below, within 5 %; null without requests.
    pub p50_ms: Vec<Option<f64>>,
    pub p90_ms: Vec<Option<f64>>,
    pub p99_ms: Vec<Option<f64>>,
    /// Time of processors that its guests used. 0 for an upstream.
    pub cpu_seconds: Vec<f64>,
    /// Memory of all its sandboxes, idle ones included; null for an upstream, and in a step in which no request ended.
    pub memory_bytes: Vec<Option<u64>>,
    /// Percent of the traffic at the end of each step, by the split that was served.
    pub share: Vec<f64>,
}

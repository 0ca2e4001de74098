//! The status: what is served, where each version stands, how it does, and what the last reload did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reload::{RejectionDocument, ReloadDocument, ReportDocument};
use super::standing::Fault;
use crate::config::Problem;

/// `GET /api/v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StatusDocument {
    /// The number of the configuration that is served.
    pub generation: u64,
    /// Whether every service that is to have traffic has normal versions for it.
    pub ready: bool,
    /// Whether the end of the process is announced: it serves, and wants no new clients.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// The main file, absolute.
    pub config: String,
    /// In the order of declaration, also those without services.
    pub environments: Vec<EnvironmentDocument>,
    /// Services' files that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectionDocument>,
    /// What is right in the files and yet can hardly be meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<ReloadDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<DescriptorsDocument>,
    /// What is wrong with the process itself, and not with what it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
}

/// Files and sockets of the process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DescriptorsDocument {
    /// Open now; none where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<usize>,
    /// That may be open at once.
    pub limit: usize,
    /// Of the limit: kept for operators and reloads.
    pub reserve: usize,
    /// Connections of clients.
    pub connections: usize,
    /// Connections of clients that there may be.
    pub connections_max: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentDocument {
    pub name: String,
    /// Its services' default domains end in it.
    pub domain: String,
    pub services: Vec<ServiceDocument>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceDocument {
    pub name: String,
    /// Where a client on the same machine reaches it.
    pub url: String,
    /// The default domain first.
    pub domains: Vec<String>,
    /// Parts of domains that it shares with others: `shop.example.com/api`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Absolute.
    pub file: String,
    /// Whether its newest normal version is to get everything.
    pub latest: bool,
    /// The generation in which it changed last.
    pub since_generation: u64,
    /// Requests that its versions serve now.
    pub in_flight: u64,
    /// Why what is declared is not what is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What is wrong although it is served as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Why the file as it is now is not what is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<ReportDocument>,
    /// In the order of declaration, then those that are served and declared no more.
    pub versions: Vec<VersionDocument>,
}

/// A version. What it does is told of the last minute, or of the time since it was made ready.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionDocument {
    pub name: String,
    /// `creating`, `normal` or `error`.
    pub status: String,
    /// Who may get it, where that is not everybody: `pinned`, `override` or `cutoff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<String>,
    /// Percent of the traffic now.
    pub share: f64,
    /// Percent of the traffic as it is declared; with `latest`, 100 for the newest normal version.
    pub declared_share: f64,
    /// Percent of the service's requests in the last minute, whatever they were decided by, and so
    /// nothing to hold against `share`; none if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_share: Option<f64>,
    /// How often it was drawn, against `share`: only decisions at random count. For versions with a
    /// share of a split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedDocument>,
    pub requests_per_second: f64,
    /// From 0 to 1: requests that failed, or that the version answered with a status of 500 or
    /// more.
    pub error_rate: f64,
    /// Milliseconds from a request's head to the end of its response, which half of the requests
    /// stayed below; none without requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// The same for 99 of 100 requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Requests that it serves now.
    pub in_flight: u64,
    /// Whether it gets no traffic although it is normal: somebody rolled back from it with `--bad`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// The component's, where it is normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// How often a version was drawn. No window begins before the split as it is was published, or
/// before the process began.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ObservedDocument {
    /// The last minute, up to 5 seconds less.
    pub minute: DrawnDocument,
    /// The last hour, up to a minute less.
    pub hour: DrawnDocument,
    pub since_publish: DrawnDocument,
}

/// How often a version was drawn in a window, and whether that fits its share.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DrawnDocument {
    pub drawn: u64,
    /// Draws of all versions of the service.
    pub of: u64,
    /// Percent; none if nothing was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// From 0 to 1: how likely a difference of this size is where the share is kept, by the exact
    /// binomial test, two-sided.
    pub p_value: f64,
    /// Whether `p_value` is below 10⁻⁶.
    pub beyond_chance: bool,
}

//! The status: what is served, where each version stands, how it does, and what the last reload did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::certificate::CertificateDocument;
use super::error::ErrorPlace;
use super::history::Share;
use super::reload::{RejectionDocument, ReloadDocument, ReportDocument};
use super::standing::Fault;
use super::upstream::UpstreamDocument;
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
    /// The certificates of HTTPS, in the order of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateDocument>,
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
    /// `sha256:…` of what the process has read last in the file, right or wrong, without a byte order mark: an edit
    /// that is based on it names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_digest: Option<String>,
    /// Whether its newest normal version is to get everything.
    pub latest: bool,
    /// The generation in which it changed last.
    pub since_generation: u64,
    /// What requests get that no override decides: `declared` for what the file declares, `held` for something else
    /// (what was served before goes on), `offline` for 503 `offline`, `nothing` for 503 `no-version`, and `rescue` where
    /// no version has a share and the rescue version answers.
    #[serde(default)]
    pub serving: String,
    /// The version that answers, where `serving` is `rescue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescuer: Option<String>,
    /// When a publish last changed who gets its requests, or what a version that gets some is made of, RFC 3339.
    #[serde(default)]
    pub traffic_since: String,
    /// The generation of that publish.
    #[serde(default)]
    pub traffic_generation: u64,
    /// How long ago it was.
    #[serde(default)]
    pub traffic_age_seconds: f64,
    /// Whether it was the first publish of the process: the traffic may have been the same before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub traffic_since_start: bool,
    /// The publish of an earlier process that began it then, where the history tells; for 32 services of an answer at
    /// most. What is counted begins with this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_began: Option<PublishDocument>,
    /// Requests to all its versions, as of a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Requests that its versions serve now.
    pub in_flight: u64,
    /// How often requests may come, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitDocument>,
    /// Why what is declared is not what is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What is wrong although it is served as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What a process that starts now would serve, where that is not what is served; empty where it would
    /// serve nothing of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_restart: Option<Vec<Share>>,
    /// Why the file as it is now is not what is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<ReportDocument>,
    /// In the order of declaration, then those that are served and declared no more.
    pub versions: Vec<VersionDocument>,
}

/// A service's limit of requests, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimitDocument {
    /// By what requests count, as in the file.
    pub key: String,
    /// How many of a key pass: `100/s`.
    pub rate: String,
    /// How many may come at once.
    pub burst: u32,
    /// Requests that got 429 `rate-limit` in the last minute.
    pub refused_last_minute: u64,
    /// And since the process began, or the service appeared.
    pub refused: u64,
}

/// A publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishDocument {
    pub generation: u64,
    /// RFC 3339.
    pub at: String,
}

/// A version. Rates, errors and times are of the last minute, or of the time since the publish that last changed the
/// service's traffic if that is shorter: for all versions of a service the same.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionDocument {
    pub name: String,
    /// `creating`, `normal` or `error`.
    pub status: String,
    /// Whether its requests go to what it was before: it is being made anew, or cannot be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub predecessor_serves: bool,
    /// Who may get it, where that is not everybody: `pinned`, `override` or `cutoff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<String>,
    /// Percent of the traffic now.
    pub share: f64,
    /// Percent of the traffic as it is declared; with `latest`, 100 for the newest normal version.
    pub declared_share: f64,
    /// What it had of the service's requests. None for a version that nobody can get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedDocument>,
    /// Requests decided for it, divided by the seconds of `observed.minute`; none before five seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// From 0 to 1: of the requests that ended, those that failed, or that it answered with a status of 500 or more;
    /// none without requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_ratio: Option<f64>,
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
    /// Whether no target of it takes requests. Beside its status: it holds no edit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unhealthy: bool,
    /// Of its component, or of the declaration of its upstream, where it is normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// Where the file names what serves a version in error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ErrorPlace>,
    /// What the version is made from, where its file does not have what is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute: Option<SubstituteDocument>,
    /// How its targets do, where it is reached over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamDocument>,
    /// The calls that its guests made, where they may make any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound: Option<OutboundDocument>,
}

/// The calls that a version's guests made over the network or to other services, since the version was made ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutboundDocument {
    /// Answered, with whatever status.
    pub answered: u64,
    /// Refused: what was asked for is not listed, or a limit of the version was met.
    pub refused: u64,
    /// Not answered: the network or the other side is to blame.
    pub failed: u64,
    pub in_flight: usize,
}

/// A component that has the declared digest, and is not in the declared file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubstituteDocument {
    /// What is wrong with the file, as the code of an error: `not-found`, `digest-mismatch`.
    pub code: String,
    pub detail: String,
    /// Where the component is: `store`, `cache` (the compile cache) or `memory` (of the process).
    pub from: String,
    /// Whether a process that starts now would find it too.
    pub outlives_process: bool,
}

/// What a version had of its service's requests. No window begins before the publish that last changed the service's
/// traffic.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ObservedDocument {
    pub since_publish: WindowDocument,
    /// The last minute, up to 5 seconds less.
    pub minute: WindowDocument,
    /// The last hour, up to a minute less.
    pub hour: WindowDocument,
}

/// What a version had of its service's requests in a window that ends now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WindowDocument {
    /// How long the window is, for all versions of the service the same.
    pub seconds: f64,
    /// Requests that were decided for it, whatever decided.
    pub requests: u64,
    /// The same of all versions of the service.
    pub service_requests: u64,
    /// Percent; none where it is too early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Whether the service had too few requests, fewer than 20, to say a share.
    #[serde(default)]
    pub too_early: bool,
    /// How often it was drawn, against its share. For versions with a share of a split.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub draws: Option<DrawnDocument>,
}

/// How often a version was drawn in a window, and whether that fits its share: only decisions by the service's own
/// shares count.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DrawnDocument {
    pub drawn: u64,
    /// Draws of all versions of the service.
    pub drawn_of: u64,
    /// Percent; none if nothing was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn_share: Option<f64>,
    /// From 0 to 1: how likely a difference of this size is where the share is kept, by the exact
    /// binomial test, two-sided.
    pub p_value: f64,
    /// Whether `p_value` is below 10⁻⁶.
    pub beyond_chance: bool,
}

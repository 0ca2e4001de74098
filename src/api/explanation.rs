//! An explanation: what a request would get, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a request would get.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    pub environment: String,
    pub service: String,
    /// The generation that is served; none of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Whom the trusted proxy names from which the request comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The word of the decision, as in `watershed-decision`.
    pub decision: String,
    /// The version that it gets, where that is sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Percentages of what it may get: of one version 100, where it is sure, and none where it gets
    /// no version.
    pub distribution: Vec<Chance>,
    /// Versions whose shares the others get, because no target of theirs is healthy; `share` is what they would get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub yielding: Vec<Chance>,
    /// The code of what it gets instead of a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How often requests may come, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateStep>,
    /// What came of the version that it asks for.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    /// As far as they were looked at, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<StickyStep>,
    /// Why what is declared is not what is served, and so explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// A version, and how likely it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chance {
    pub version: String,
    /// Percent.
    pub share: f64,
    /// The targets of its upstream, as they are declared; empty where a component serves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// Whether none of its targets takes requests now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unhealthy: bool,
}

/// The limit that a request has to pass first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateStep {
    /// By what requests count, as in the file.
    pub key: String,
    pub rate: String,
    pub burst: u32,
    /// Whether the request has no such key, and counts by its client's address.
    pub by_address: bool,
    /// How many requests of its key would pass at once; none of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
}

/// A version that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wish {
    pub version: String,
    /// `granted`, `unknown` or `denied`.
    pub result: String,
    pub why: String,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleStep {
    pub name: String,
    /// Whether the request is like it says.
    pub matches: bool,
    /// Whether it decided.
    pub decides: bool,
    pub why: String,
}

/// The sticky key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StickyStep {
    /// Where it is looked for, as in the file.
    pub key: String,
    /// `hash` or `pin`.
    pub mode: String,
    /// Of 10,000; none without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<u16>,
    /// 16 hexadecimal digits: XXH3-64 of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The version that the key is pinned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
}

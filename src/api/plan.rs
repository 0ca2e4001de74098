//! A plan: the difference between two descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::description::percent;
use super::standing::Fault;
use crate::config::Percent;

/// What is different after from what was before. Empty where a reload would do nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Plan {
    /// Those that change: in the order of declaration, then those that are removed.
    pub services: Vec<ServiceChange>,
    /// Of the main file, applied by a reload.
    pub settings: Vec<KeyChange>,
    /// Of the main file, applied by a restart.
    pub restart: Vec<KeyChange>,
    /// What no normal version was compiled from before.
    pub compile: Vec<Compilation>,
    /// Versions that cannot become normal as their files are.
    pub errors: Vec<VersionFault>,
    /// Versions that are in error before, and declared after too.
    pub in_error: Vec<VersionFault>,
}

/// Whether something is new, changed or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

/// What becomes of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceChange {
    pub environment: String,
    pub service: String,
    pub change: ChangeKind,
    /// Its own; a domain is added or removed.
    pub keys: Vec<KeyChange>,
    pub versions: Vec<VersionChange>,
    /// Of every version, before and after; empty if no share changes.
    pub shares: Vec<ShareChange>,
    /// How much of its traffic goes somewhere else than before: half the sum of the differences
    /// of the shares, where what no version gets counts like one. 0 for a service that is new.
    #[serde(with = "percent")]
    #[schemars(with = "f64", range(min = 0, max = 100))]
    pub moves: Percent,
    /// Versions that had a share before and have none after.
    pub unreachable: Vec<String>,
    /// Whether no version gets anything after: requests that ask for none get 503, or the rescue version.
    pub serves_nothing: bool,
    /// The rescue version, where it answers because no version gets anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescuer: Option<String>,
    /// Why what was declared before is not what is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Why what is declared after would not be what is served, where that is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// What becomes of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VersionChange {
    pub version: String,
    pub change: ChangeKind,
    /// Those that differ; of a version that is added, its component.
    pub keys: Vec<KeyChange>,
}

/// A key that says something else. Not set before: added; not set after: removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyChange {
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// A key that a rollback brings back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RestoredKey {
    /// The version; none where it is the service's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(flatten)]
    pub change: KeyChange,
}

/// A version's share of its service's traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShareChange {
    pub version: String,
    #[serde(with = "percent")]
    #[schemars(with = "f64", range(min = 0, max = 100))]
    pub before: Percent,
    #[serde(with = "percent")]
    #[schemars(with = "f64", range(min = 0, max = 100))]
    pub after: Percent,
}

/// A component to compile, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Compilation {
    pub digest: String,
    pub component: String,
    pub versions: Vec<VersionRef>,
}

/// The name of a version over all environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VersionRef {
    pub environment: String,
    pub service: String,
    pub version: String,
}

/// A version in error, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VersionFault {
    #[serde(flatten)]
    pub version: VersionRef,
    #[serde(flatten)]
    pub fault: Fault,
}

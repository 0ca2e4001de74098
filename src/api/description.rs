//! The description: what is declared and served, without anything secret: of a running process or of
//! files, in one shape that two sides can be compared in. An environment value is only ever its digest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::config::Percent;

/// All that a process serves, or that files declare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    /// The generation that is served; none in a description of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The directory of the main file, absolute.
    pub root: PathBuf,
    /// Settings of the main file that a reload applies.
    pub settings: Settings,
    /// Settings of the main file that only a restart applies: those that the process was started with.
    pub started_with: Settings,
    /// The environments that have services.
    pub environments: Vec<EnvironmentDescription>,
}

/// Keys and what they say.
pub type Settings = BTreeMap<String, Value>;

/// What a key says, to be shown and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Value {
    /// For people.
    pub text: String,
    /// The same where `text` names an absolute path: from the main file's directory on. Copies of
    /// a configuration say the same by this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentDescription {
    pub name: String,
    pub services: Vec<ServiceDescription>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceDescription {
    pub name: String,
    pub file: PathBuf,
    pub domains: Vec<String>,
    /// Parts of other domains: domain and path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    pub traffic: TrafficKind,
    /// What decides before the shares do, as far as it is said.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub policy: Settings,
    /// Why what is declared is not what is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The rescue version, where it answers because no version has a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescuer: Option<String>,
    /// What must not get traffic. Empty from a process that knows none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<QuarantineDescription>,
    /// In the order of declaration, then those that are only served.
    pub versions: Vec<VersionDescription>,
}

/// What must not get traffic, under any name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineDescription {
    /// The name that it had.
    pub version: String,
    /// Of its component.
    pub digest: String,
    /// Of its environment, where it is only bad with that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

/// How a service says who gets what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrafficKind {
    Latest,
    Split,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionDescription {
    pub name: String,
    #[serde(flatten)]
    pub backend: BackendDescription,
    /// Every other key.
    pub settings: Settings,
    /// Percent of the traffic: now, or as the files declare.
    #[serde(with = "percent")]
    #[schemars(with = "f64")]
    pub share: Percent,
    #[serde(flatten)]
    pub standing: Standing,
}

/// What serves a version, under the key that declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackendDescription {
    /// A guest, by the path of its component.
    Component(Value),
    /// The targets of an upstream.
    Upstream(Value),
}

/// A percentage as a JSON number.
pub mod percent {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use crate::config::Percent;

    pub fn serialize<S: Serializer>(percent: &Percent, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(f64::from(percent.hundredths()) / 100.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Percent, D::Error> {
        Percent::from_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

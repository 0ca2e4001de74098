//! The history of a service. A record is the same JSON here and in the file of the history, but for its time.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Table;

/// `GET /api/v1/history`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryDocument {
    /// The newest first.
    pub records: Vec<Record>,
    /// What the records name under `served`, by digest.
    #[serde(default, skip_serializing_if = "Parts::is_empty")]
    pub parts: Parts,
    /// The service's file as it was right last, if that is asked for and known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileText>,
}

/// A service's file as it was right when it was read last, with what it has in confidence.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileText {
    pub environment: String,
    pub service: String,
    /// Absolute.
    pub path: String,
    /// The digest of the text, without a byte order mark.
    pub digest: String,
    pub text: String,
}

impl fmt::Debug for FileText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileText").field(&self.path).field(&self.digest).finish()
    }
}

/// What a publish changed of one service.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
pub struct Record {
    pub generation: u64,
    /// When it was published; in the file of the history, milliseconds since 1970.
    #[serde(with = "super::moment")]
    #[schemars(with = "String")]
    pub at: u64,
    pub environment: String,
    pub service: String,
    pub author: Author,
    /// What was served before it: the versions with a share, in the order of declaration.
    pub before: Vec<Share>,
    /// What is served from then on.
    pub after: Vec<Share>,
    /// All that decided what is served from then on; none in the record of an older watershed, or of a
    /// service that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
    /// What was declared; nothing if the service was removed.
    pub versions: Vec<RecordedVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    pub outcome: RecordOutcome,
    /// The generation to which a rollback went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The SHA-256 of the service's file as it was when this was recorded, also where it was wrong or
    /// not what is served; none where there was no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_digest: Option<String>,
}

/// Something that a publish changed beside the shares.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct ChangedPart {
    /// The version; none where it is the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The key, as in the service's file.
    pub key: String,
}

impl fmt::Display for ChangedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} of {version}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// A version and its percent of the traffic.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
pub struct Share {
    pub version: String,
    pub share: f64,
}

/// A declared version as it stood.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct RecordedVersion {
    pub name: String,
    /// `creating`, `normal` or `error`.
    pub status: String,
    /// Of its component, if it is normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Who caused a change.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Author {
    /// Nobody: a process found it different from what was recorded when it began to record.
    Start,
    /// Somebody who edited a file.
    FileEdit,
    /// Somebody by a command of ours.
    Command { user: String, command: String },
}

/// Whether what was declared is what was served.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RecordOutcome {
    Published,
    /// What was served before went on, for this reason.
    Held {
        why: String,
    },
}

/// What decided what was served, by the digests of its parts.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct Served {
    /// Of `[traffic]` without the shares, and of domains and routes.
    pub policy: String,
    /// In the order of declaration.
    pub versions: Vec<ServedVersion>,
}

/// A version, and the digest of the part that tells of it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct ServedVersion {
    pub name: String,
    pub part: String,
}

/// Parts by their digests.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(transparent)]
pub struct Parts(
    #[schemars(with = "BTreeMap<String, BTreeMap<String, serde_json::Value>>")]
    BTreeMap<String, Table>,
);

impl Parts {
    /// The part with a digest.
    pub fn get(&self, digest: &str) -> Option<&Table> {
        self.0.get(digest)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each digest and its part.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Table)> {
        self.0.iter()
    }

    /// The parts, to be changed.
    pub fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.0.values_mut()
    }

    /// Adds a part under its digest.
    pub fn insert(&mut self, digest: String, part: Table) {
        self.0.insert(digest, part);
    }

    /// Adds the parts of another record.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

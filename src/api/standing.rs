//! Where a version stands by itself: its status, as processes tell it to each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Digest;

/// Where a version stands: as a process says, or as far as its files tell. Whether the version may
/// have traffic depends on its service too: see [`Eligibility`](crate::policy::Eligibility).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Standing {
    /// It is being made ready.
    Creating,
    Normal {
        /// Of what serves the version: of a guest, its component's. Written `sha256:…`.
        #[serde(with = "text")]
        #[schemars(with = "String")]
        digest: Digest,
    },
    Error(Fault),
}

/// Why a version is in error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    pub code: String,
    pub detail: String,
    /// What to do.
    pub suggestion: String,
    /// Whether the same files may succeed at the next try.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_pass: bool,
}

impl Standing {
    /// The digest of what serves the version, where that is known.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Normal { digest } => Some(*digest),
            Self::Creating | Self::Error(_) => None,
        }
    }
}

/// A digest as it is written everywhere.
mod text {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use crate::config::Digest;

    pub fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

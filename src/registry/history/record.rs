//! One record of the history: what a publish made of a service, and who caused it. It is JSON in the
//! file and in the API alike.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Change, Parts, Served};
use crate::config::{Digest, Percent};
use crate::registry::{ServiceEntry, Status, VersionEntry, VersionView};

/// Bytes of a service's file that are digested, at most. The loader takes none that is larger.
const LONGEST: u64 = 16 << 20;

/// What a publish changed of one service.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Record {
    pub generation: u64,
    /// Milliseconds since 1970.
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

/// A version and its percent of the traffic.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Share {
    pub version: String,
    pub share: f64,
}

/// A declared version as it stood.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RecordedVersion {
    pub name: String,
    /// `creating`, `normal` or `error`.
    pub status: String,
    /// Of its component, if it is normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Who caused a change.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
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
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RecordOutcome {
    Published,
    /// What was served before went on, for this reason.
    Held {
        why: String,
    },
}

/// What whoever has changed a service's file tells of it: the body of `POST /api/v1/reload`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    pub environment: String,
    pub service: String,
    pub user: String,
    pub command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The SHA-256 of the file as it was left, written as in a record.
    pub file_digest: String,
}

impl Attribution {
    /// Who this says it was.
    pub fn author(&self) -> Author {
        Author::Command { user: self.user.clone(), command: self.command.clone() }
    }
}

impl Record {
    /// The record of a change, and the parts that it names. Reads the service's file.
    pub fn of(generation: u64, change: &Change, author: Author) -> (Self, Parts) {
        let Change { key, before, entry, file } = change;
        let declared = entry.iter().flat_map(|entry| {
            let declared = entry.declared.versions.len();
            entry.versions.iter().take(declared).map(RecordedVersion::from)
        });
        let held = entry.as_ref().and_then(|entry| entry.held.clone());
        let mut parts = Parts::default();
        let served = entry.as_ref().map(|entry| Served::of(entry, &mut parts));
        let record = Self {
            generation,
            at: now(),
            environment: key.environment.to_string(),
            service: key.service.to_string(),
            author,
            before: before.clone(),
            after: entry.as_deref().map(shares_of).unwrap_or_default(),
            served,
            versions: declared.collect(),
            remark: None,
            outcome: held.map_or(RecordOutcome::Published, |why| RecordOutcome::Held { why }),
            restores: None,
            file_digest: digest_of(file),
        };
        (record, parts)
    }

    /// The record of a service that was removed while nobody recorded, of which this one is the
    /// newest.
    pub fn removed(self, generation: u64) -> Self {
        Self {
            generation,
            at: now(),
            author: Author::Start,
            before: self.after,
            after: Vec::new(),
            served: None,
            versions: Vec::new(),
            remark: None,
            outcome: RecordOutcome::Published,
            restores: None,
            file_digest: None,
            ..self
        }
    }

    /// The same, by the author that an attribution tells.
    pub fn attributed(self, attribution: &Attribution) -> Self {
        let Attribution { remark, restores, .. } = attribution;
        let author = attribution.author();
        Self { author, remark: remark.clone(), restores: *restores, ..self }
    }

    pub(super) fn key(&self) -> super::Key<'_> {
        (&self.environment, &self.service, self.generation)
    }

    /// Whether it says that the service is gone.
    pub fn is_removal(&self) -> bool {
        self.versions.is_empty() && self.file_digest.is_none()
    }

    /// Whether it came of an edit that left the file with a digest, or that removed it.
    pub fn is_of_edit(&self, file_digest: &str) -> bool {
        self.author == Author::FileEdit && self.is_with_file(file_digest)
    }

    /// Whether the service's file had this digest, or was removed: then there is none.
    pub fn is_with_file(&self, file_digest: &str) -> bool {
        self.file_digest.as_ref().is_none_or(|digest| digest == file_digest)
    }

    /// Whether something else is served or declared than in an earlier record. A version that is
    /// still being made may become what it was.
    pub fn differs_from(&self, earlier: &Self) -> bool {
        let known = |name: &str| earlier.versions.iter().find(|version| version.name == name);
        let differs = |version: &RecordedVersion| match known(&version.name) {
            Some(known) => version.status != CREATING && version.digest != known.digest,
            None => true,
        };
        self.after != earlier.after
            || self.versions.len() != earlier.versions.len()
            || self.versions.iter().any(differs)
            || self.is_served_unlike(earlier)
    }

    /// Whether something else decides, as far as it is known yet. What an older watershed recorded is
    /// recorded once more, with all of it.
    fn is_served_unlike(&self, earlier: &Self) -> bool {
        let (Some(served), Some(before)) = (&self.served, &earlier.served) else {
            return self.served.is_some() != earlier.served.is_some();
        };
        let is_creating = |name: &str| {
            let found = self.versions.iter().find(|version| version.name == name);
            found.is_some_and(|version| version.status == CREATING)
        };
        let mut others = served.versions.iter().filter(|version| !is_creating(&version.name));
        served.policy != before.policy || others.any(|version| !before.versions.contains(version))
    }
}

const CREATING: &str = Status::Creating.word();

impl From<&VersionView> for RecordedVersion {
    fn from(view: &VersionView) -> Self {
        let digest = match &view.status {
            Status::Normal(version) => Some(version.digest().to_string()),
            Status::Creating | Status::Error(_) => None,
        };
        Self { name: view.name.to_string(), status: view.status.word().to_owned(), digest }
    }
}

/// What a service serves: the versions with a share, in the order of declaration.
pub fn shares_of(entry: &ServiceEntry) -> Vec<Share> {
    let share = |(version, share): (&Arc<VersionEntry>, Percent)| Share {
        version: version.spec.name.to_string(),
        share: f64::from(share.hundredths()) / 100.0,
    };
    entry.serving.shares().into_iter().map(share).collect()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The digest of a file as it is now. A pipe or a device is not one.
fn digest_of(path: &Path) -> Option<String> {
    let read = || -> io::Result<Vec<u8>> {
        if !path.metadata()?.is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let digest = |bytes| Digest::from_bytes(Sha256::digest(bytes).into());
    read().ok().map(|bytes| digest(bytes).to_string())
}

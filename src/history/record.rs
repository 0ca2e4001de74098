//! What the records of the history tell: who caused a change, and whether it is one.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::api::{Attribution, Author, Record, RecordOutcome, RecordedVersion};

impl Attribution {
    /// Who this says it was.
    pub fn author(&self) -> Author {
        Author::Command { user: self.user.clone(), command: self.command.clone() }
    }
}

impl Record {
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

    /// Whether it came of a rollback: to a generation, or to a version, which restores none. Putting back
    /// what a rollback has written is none.
    pub fn is_rollback(&self) -> bool {
        let is_command = match &self.author {
            Author::Command { command, .. } => {
                command.starts_with(ROLLBACK) && !command.ends_with(PUT_BACK)
            }
            Author::Start | Author::FileEdit => false,
        };
        self.restores.is_some() || is_command
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

/// How the commands begin that roll back, as they are recorded.
pub const ROLLBACK: &str = "watershed rollback ";

/// How the commands end that put back what they had written, as they are recorded.
pub const PUT_BACK: &str = " (put back)";

/// The status of a version that is still being made.
pub const CREATING: &str = "creating";

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

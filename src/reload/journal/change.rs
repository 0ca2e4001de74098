//! The changes of a publish, service by service, and their records: translates snapshots to what
//! the history keeps.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Digest, Percent};
use crate::history::{
    Author, MadeOf, Parts, Record, RecordOutcome, RecordedVersion, Served, Share, now,
};
use crate::reload::outcome::ReloadHandle;
use crate::source::read_file;
use crate::versions::{ReadyVersion, ServiceEntry, ServiceKey, Snapshot, Status, VersionView};

/// The most bytes of a service file that are digested. The loader accepts no larger file.
const LONGEST: u64 = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A service that a publish changes.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: ServiceKey,
    /// What it served before.
    pub before: Vec<Share>,
    /// The service from now on; `None` if it is removed.
    pub entry: Option<Arc<ServiceEntry>>,
    /// The file that declares it, or declared it.
    pub file: PathBuf,
    /// The digest of the text that the loader has read of it last, if that is known.
    pub read: Option<Digest>,
}

impl Change {
    /// The change of a service that is served now, with no regard to what it served before.
    pub fn of(entry: &Arc<ServiceEntry>, before: Vec<Share>) -> Self {
        let (key, file) = (entry.key.clone(), entry.declared.file.clone());
        Self { key, before, entry: Some(entry.clone()), file, read: None }
    }

    fn removal(entry: &ServiceEntry) -> Self {
        let (key, file) = (entry.key.clone(), entry.declared.file.clone());
        Self { key, before: shares_of(entry), entry: None, file, read: None }
    }

    /// The same, of the text that the loader has read.
    pub fn with_read(self, reloads: &ReloadHandle) -> Self {
        let read = self.entry.as_ref().and_then(|_| reloads.file_digest(&self.file));
        Self { read, ..self }
    }

    /// The record of this change, and the parts that it names. Reads the service's file.
    pub fn record(&self, generation: u64, author: Author) -> (Record, Parts) {
        let Self { key, before, entry, file, read } = self;
        let declared = entry.iter().flat_map(|entry| {
            let declared = entry.declared.versions.len();
            entry.versions.iter().take(declared).map(recorded)
        });
        let held = entry.as_ref().and_then(|entry| entry.held.clone());
        let mut parts = Parts::default();
        let served = entry.as_ref().map(|entry| served(entry, &mut parts));
        let record = Record {
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
            file_digest: digest_of(file, *read),
        };
        (record, parts)
    }
}

/// The services that differ between two snapshots, removed ones last.
pub fn changes(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let known: HashMap<_, _> = before.services.iter().map(|entry| (&entry.key, entry)).collect();
    let there: HashSet<_> = after.services.iter().map(|entry| &entry.key).collect();
    let changed = after.services.iter().filter(|entry| entry.since == after.generation);
    let changed = changed.map(|entry| {
        let served = known.get(&entry.key).map(|known| shares_of(known));
        Change::of(entry, served.unwrap_or_default())
    });
    let removed = before.services.iter().filter(|entry| !there.contains(&entry.key));
    changed.chain(removed.map(|entry| Change::removal(entry))).collect()
}

/// As [`changes`], where only these services may have changed.
pub fn changes_of(before: &Snapshot, after: &Snapshot, keys: &HashSet<ServiceKey>) -> Vec<Change> {
    let (mut changed, mut removed) = (Vec::new(), Vec::new());
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_unstable_by_key(|key| (key.environment.as_str(), key.service.as_str()));
    for key in keys {
        match (before.get(key), after.get(key)) {
            (known, Some(entry)) if entry.since == after.generation => {
                let served = known.map(|known| shares_of(known));
                changed.push(Change::of(entry, served.unwrap_or_default()));
            }
            (Some(known), None) => removed.push(Change::removal(known)),
            _ => {}
        }
    }
    changed.append(&mut removed);
    changed
}

/// What a service serves: the versions with a share, in the order of declaration.
fn shares_of(entry: &ServiceEntry) -> Vec<Share> {
    let share = |(version, share): (&Arc<ReadyVersion>, Percent)| Share {
        version: version.spec.name.to_string(),
        share: f64::from(share.hundredths()) / 100.0,
    };
    entry.decider.shares().into_iter().map(share).collect()
}

/// Everything that decides what a service serves.
fn served(entry: &ServiceEntry, parts: &mut Parts) -> Served {
    let (declared, versions) = entry.decider.declared();
    let versions = versions.enumerate().map(|(index, (spec, entry))| {
        let made_of = entry.map(|entry| MadeOf {
            digest: Some(entry.digest().to_string()),
            secrets: entry.backend.secrets().to_vec(),
        });
        // While a version is being made again, the one before it serves.
        let spec = entry.map_or(spec, |entry| &entry.spec);
        let declaration = spec.written_with(declared.policy.reach_of(index));
        (spec.name.to_string(), declaration, made_of.unwrap_or_default())
    });
    Served::new(declared.written(), versions, parts)
}

fn recorded(view: &VersionView) -> RecordedVersion {
    let digest = match &view.status {
        Status::Normal(version) => Some(version.digest().to_string()),
        Status::Creating | Status::Error(_) => None,
    };
    RecordedVersion { name: view.name.to_string(), status: view.status.word().to_owned(), digest }
}

/// The digest of a file, as the loader has read it: somebody may have written the next text by now, which is another
/// change. A pipe or a device has none.
fn digest_of(path: &Path, read: Option<Digest>) -> Option<String> {
    let bytes = read_file(path, LONGEST).ok()?;
    // What is read is told without its byte order mark.
    let text = Digest::of(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes));
    let later = read.filter(|read| *read != text);
    Some(later.unwrap_or_else(|| Digest::of(&bytes)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_text_that_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("shop.toml");
        std::fs::write(&file, "\u{feff}now").unwrap();
        let of = |read: Option<&str>| digest_of(&file, read.map(Digest::of));
        let told = |text: &str| Some(Digest::of(text).to_string());
        assert_eq!(of(None), told("\u{feff}now"));
        assert_eq!(of(Some("now")), told("\u{feff}now"));
        assert_eq!(of(Some("before")), told("before"), "the file was written again since");
        assert_eq!(digest_of(directory.path(), None), None);
    }
}

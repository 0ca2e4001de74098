//! What a publish changes: two snapshots, service by service.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Share, shares_of};
use crate::registry::{ServiceEntry, ServiceKey, Snapshot};

/// A service that a publish changes.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: ServiceKey,
    /// What it served.
    pub before: Vec<Share>,
    /// As it is from now on; none if it is removed.
    pub entry: Option<Arc<ServiceEntry>>,
    /// Where it is, or was, declared.
    pub file: PathBuf,
}

impl Change {
    /// A service that is served now, whatever it served before.
    pub fn of(entry: &Arc<ServiceEntry>, before: Vec<Share>) -> Self {
        let (key, file) = (entry.key.clone(), entry.declared.file.clone());
        Self { key, before, entry: Some(entry.clone()), file }
    }

    fn removal(entry: &ServiceEntry) -> Self {
        let (key, file) = (entry.key.clone(), entry.declared.file.clone());
        Self { key, before: shares_of(entry), entry: None, file }
    }
}

/// The services that a snapshot changes of the one before it, those that it removes last.
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

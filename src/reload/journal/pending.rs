//! Records on their way into the history. The reloader's task makes [`PendingRecord`]s without
//! reading files; a blocking thread reads the service files and writes the history.

use std::collections::HashSet;

use super::change::Change;
use crate::config::{Digest, EnvironmentName, ServiceName};
use crate::history::{Attribution, Author, History, HistoryError, Parts, Record};
use crate::versions::{ServiceKey, Snapshot};

/// A command that has changed a service's file. It is the author of every change of the service that
/// its edit leads to, until no version of the service is being made.
#[derive(Clone, Debug)]
pub struct Command {
    pub attribution: Attribution,
    /// Whether the reload that the command asked for is still going on.
    pub is_new: bool,
}

/// A change to be recorded, as far as it is known without reading a file.
pub struct PendingRecord {
    pub change: Change,
    pub cause: Cause,
}

/// Why a service changed.
pub enum Cause {
    /// The service was found in this state when recording began. It is recorded only if the last
    /// record differs. Where the history was handed over, somebody may have edited the file meanwhile.
    Found { is_handed_over: bool },
    /// Somebody edited the file: the last of these commands that left it as it is, or somebody unknown.
    Edit(Vec<Attribution>),
}

/// The services that exist, by environment and name. A service that is only in the history was
/// removed while no process recorded.
pub type Known = HashSet<(String, String)>;

impl Command {
    pub fn is_of(&self, key: &ServiceKey) -> bool {
        let Attribution { environment, service, .. } = &self.attribution;
        key.environment.as_str() == environment && key.service.as_str() == service
    }

    /// The service of the change.
    pub fn key(&self) -> Option<ServiceKey> {
        key_of(&self.attribution)
    }

    /// Whether it is of an edit that left the same file with the same text.
    pub fn is_of_same(&self, other: &Attribution) -> bool {
        let Attribution { environment, service, file_digest, .. } = &self.attribution;
        *environment == other.environment
            && *service == other.service
            && *file_digest == other.file_digest
    }
}

/// Whether a command left the file as a record has found it. The command that removed a file tells the
/// digest of no text.
fn has_left(command: &Attribution, record: &Record) -> bool {
    match &record.file_digest {
        Some(digest) => *digest == command.file_digest,
        None => command.file_digest == Digest::of("").to_string(),
    }
}

/// The service of an attribution.
pub fn key_of(attribution: &Attribution) -> Option<ServiceKey> {
    let environment = EnvironmentName::new(&attribution.environment).ok()?;
    Some(ServiceKey { environment, service: ServiceName::new(&attribution.service).ok()? })
}

/// The services of a snapshot, and the services that its publish removes.
pub fn known(changes: &[Change], after: &Snapshot) -> Known {
    let changed = changes.iter().map(|change| &change.key);
    let keys = changed.chain(after.services.iter().map(|entry| &entry.key));
    keys.map(|key| (key.environment.to_string(), key.service.to_string())).collect()
}

/// Records that could not be written yet, in the order of generations, with the parts that they
/// name.
#[derive(Debug, Default)]
pub struct Unrecorded {
    pub records: Vec<Record>,
    pub parts: Parts,
}

impl Unrecorded {
    /// Adds later records, up to `most` records in all.
    pub fn keep(&mut self, later: Self, most: usize) {
        let room = most.saturating_sub(self.records.len());
        self.records.extend(later.records.into_iter().take(room));
        self.parts.extend(later.parts);
    }
}

/// Why records were not written.
pub struct Unwritten {
    pub why: HistoryError,
    /// The records to write later. Empty where the history could not be read, so that the records
    /// are not known.
    pub left: Unrecorded,
}

impl From<HistoryError> for Unwritten {
    fn from(why: HistoryError) -> Self {
        Self { why, left: Unrecorded::default() }
    }
}

/// Writes earlier records that were left over, and then the pending records. If there are none,
/// stores the generation only.
pub fn write(
    history: &History,
    generation: u64,
    mut left: Unrecorded,
    pending: Vec<PendingRecord>,
    known: Option<&Known>,
) -> Result<(), Unwritten> {
    if !left.records.is_empty() {
        // Pending records are compared with the newest one in the history.
        let written = history.record_with(&left.records, &left.parts);
        let kept = std::mem::take(&mut left);
        written.map_err(|why| Unwritten { why, left: kept })?;
    }
    let Unrecorded { mut records, mut parts } = left;
    for change in pending {
        if let Some((record, named)) = change.finish(history, generation, known.is_some())? {
            records.push(record);
            parts.extend(named);
        }
    }
    if let Some(known) = known {
        records.extend(removals(history, generation, known)?);
    }
    let written = match records.is_empty() {
        true => history.reach(generation),
        false => history.record_with(&records, &parts),
    };
    written.map_err(|why| Unwritten { why, left: Unrecorded { records, parts } })
}

impl PendingRecord {
    /// The record and its parts, made without the history. `None` for a service that was only found
    /// in its state, because the history decides whether to record that.
    pub fn remember(&self, generation: u64) -> Option<(Record, Parts)> {
        let Self { change, cause } = self;
        let Cause::Edit(commands) = cause else { return None };
        let (record, parts) = change.record(generation, Author::FileEdit);
        let author = commands.iter().rfind(|command| has_left(command, &record));
        Some(match author {
            Some(command) => (record.attributed(command), parts),
            None => (record, parts),
        })
    }

    /// The record and its parts; `None` where there is nothing new to record. `is_first` says whether recording begins with
    /// it: then another process may have recorded the same edit.
    fn finish(
        self,
        history: &History,
        generation: u64,
        is_first: bool,
    ) -> Result<Option<(Record, Parts)>, HistoryError> {
        let Self { mut change, cause: Cause::Found { is_handed_over } } = self else {
            let made = self.remember(generation);
            return match is_first && is_known(history, made.as_ref())? {
                true => Ok(None),
                false => Ok(made),
            };
        };
        let ServiceKey { environment, service } = &change.key;
        let newest = newest(history, environment.as_str(), service.as_str())?;
        change.before = newest.as_ref().map_or_else(Vec::new, |it| it.after.clone());
        let (mut record, parts) = change.record(generation, Author::Start);
        let is_edited = |newest: &Record| newest.file_digest != record.file_digest;
        if is_handed_over && newest.as_ref().is_some_and(is_edited) {
            record.author = Author::FileEdit;
        }
        let record = match offline(history, environment.as_str(), service.as_str())? {
            Some(command) if has_left(&command, &record) => record.attributed(&command),
            _ => record,
        };
        let is_known = newest.is_some_and(|newest| !record.differs_from(&newest));
        Ok((!is_known).then_some((record, parts)))
    }
}

/// Whether the newest record of a service says the same of the same file.
fn is_known(history: &History, made: Option<&(Record, Parts)>) -> Result<bool, HistoryError> {
    let Some((record, _)) = made else { return Ok(false) };
    let newest = newest(history, &record.environment, &record.service)?;
    Ok(newest.is_some_and(|newest| {
        newest.file_digest == record.file_digest && !record.differs_from(&newest)
    }))
}

/// The newest record of a service. A record that this version of watershed cannot read counts as none:
/// recording goes on after it.
fn newest(
    history: &History,
    environment: &str,
    service: &str,
) -> Result<Option<Record>, HistoryError> {
    match history.of(environment, service, 1) {
        Ok(mut newest) => Ok(newest.pop()),
        Err(HistoryError::Record { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The command that edited a service's file last, while no process ran. One that this version of
/// watershed cannot read counts as none.
fn offline(
    history: &History,
    environment: &str,
    service: &str,
) -> Result<Option<Attribution>, HistoryError> {
    match history.offline(environment, service) {
        Ok(found) => Ok(found.map(|(_, command)| command)),
        Err(HistoryError::Record { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn removals(
    history: &History,
    generation: u64,
    known: &Known,
) -> Result<Vec<Record>, HistoryError> {
    let mut removals = Vec::new();
    for service in history.services()?.into_iter().filter(|service| !known.contains(service)) {
        let newest = newest(history, &service.0, &service.1)?;
        let standing = newest.filter(|newest| !newest.is_removal());
        removals.extend(standing.map(|newest| newest.removed(generation)));
    }
    Ok(removals)
}

/// Names the authors of changes that were recorded as file edits before their commands told of them.
pub fn amend(history: &History, late: &[Attribution]) -> Result<(), HistoryError> {
    for attribution in late {
        let Attribution { environment, service, remark, restores, file_digest, .. } = attribution;
        let author = attribution.author();
        history.amend(environment, service, file_digest, &author, *restores, remark.as_deref())?;
    }
    Ok(())
}

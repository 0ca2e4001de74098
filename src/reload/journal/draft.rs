//! What a publish is to leave in the history, from what is known in memory to records on disk. The
//! journal makes drafts in passing; what reads files and writes runs on a thread that may wait.

use std::collections::HashSet;

use super::change::Change;
use crate::config::{EnvironmentName, ServiceName};
use crate::history::{Attribution, Author, History, HistoryError, Parts, Record};
use crate::versions::{ServiceKey, Snapshot};

/// A command that has changed a service's file. It is the author of all that comes of it, until the
/// versions of the service are settled.
#[derive(Clone, Debug)]
pub struct Command {
    pub attribution: Attribution,
    /// Whether the reload that it asked for is not over.
    pub is_new: bool,
    pub is_recorded: bool,
}

/// Something to be recorded, as far as it is known without reading.
pub struct Draft {
    pub change: Change,
    pub cause: Cause,
}

/// Why a service changed.
pub enum Cause {
    /// It was found so, if that is not what was recorded last.
    Found,
    FileEdit,
    Command(Command),
}

/// The services that exist, by environment and name: those of the history that are not among them
/// were removed while nobody recorded.
pub type Known = HashSet<(String, String)>;

impl Command {
    pub fn is_of(&self, key: &ServiceKey) -> bool {
        let Attribution { environment, service, .. } = &self.attribution;
        key.environment.as_str() == environment && key.service.as_str() == service
    }

    /// The service that it is about.
    pub fn key(&self) -> Option<ServiceKey> {
        key_of(&self.attribution)
    }

    pub fn is_of_same(&self, other: &Attribution) -> bool {
        let Attribution { environment, service, .. } = &self.attribution;
        *environment == other.environment && *service == other.service
    }

    /// Whether a record, made now, is of this command's doing. Of later ones, those of a file that
    /// somebody has edited since are not.
    fn has_caused(&self, record: &Record) -> bool {
        self.is_new || record.is_with_file(&self.attribution.file_digest)
    }
}

/// The service that an attribution is about.
pub fn key_of(attribution: &Attribution) -> Option<ServiceKey> {
    let environment = EnvironmentName::new(&attribution.environment).ok()?;
    Some(ServiceKey { environment, service: ServiceName::new(&attribution.service).ok()? })
}

/// Those of a publish, and those that it removes.
pub fn known(changes: &[Change], after: &Snapshot) -> Known {
    let changed = changes.iter().map(|change| &change.key);
    let keys = changed.chain(after.services.iter().map(|entry| &entry.key));
    keys.map(|key| (key.environment.to_string(), key.service.to_string())).collect()
}

/// What is to be recorded once that can be, in the order of generations, with the parts of it.
#[derive(Debug, Default)]
pub struct Unrecorded {
    pub records: Vec<Record>,
    pub parts: Parts,
}

impl Unrecorded {
    /// Adds what is later, as long as there is room.
    pub fn keep(&mut self, later: Self, most: usize) {
        let room = most.saturating_sub(self.records.len());
        self.records.extend(later.records.into_iter().take(room));
        self.parts.extend(later.parts);
    }
}

/// Why nothing came of drafts.
pub struct Unwritten {
    pub why: HistoryError,
    /// Nothing if it is not known what was to be recorded.
    pub left: Unrecorded,
}

impl From<HistoryError> for Unwritten {
    fn from(why: HistoryError) -> Self {
        Self { why, left: Unrecorded::default() }
    }
}

/// Records what is left from before, and what came of the drafts; the generation at least.
pub fn write(
    history: &History,
    generation: u64,
    mut left: Unrecorded,
    drafts: Vec<Draft>,
    known: Option<&Known>,
) -> Result<(), Unwritten> {
    if !left.records.is_empty() {
        // What is found is compared with these.
        let written = history.record_with(&left.records, &left.parts);
        let kept = std::mem::take(&mut left);
        written.map_err(|why| Unwritten { why, left: kept })?;
    }
    let Unrecorded { mut records, mut parts } = left;
    for draft in drafts {
        if let Some((record, named)) = draft.finish(history, generation)? {
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

impl Draft {
    /// The record that it becomes without a look into the history, and the parts of it: of what is
    /// found there is none.
    pub fn remember(&self, generation: u64) -> Option<(Record, Parts)> {
        let Self { change, cause } = self;
        if matches!(cause, Cause::Found) {
            return None;
        }
        let (record, parts) = change.record(generation, Author::FileEdit);
        Some(match cause {
            Cause::Command(command) if command.has_caused(&record) => {
                (record.attributed(&command.attribution), parts)
            }
            Cause::Found | Cause::FileEdit | Cause::Command(_) => (record, parts),
        })
    }

    /// The record that it becomes and the parts of it, if there is something to record.
    fn finish(
        self,
        history: &History,
        generation: u64,
    ) -> Result<Option<(Record, Parts)>, HistoryError> {
        let Self { mut change, cause: Cause::Found } = self else {
            return Ok(self.remember(generation));
        };
        let ServiceKey { environment, service } = &change.key;
        let newest = newest(history, environment.as_str(), service.as_str())?;
        change.before = newest.as_ref().map_or_else(Vec::new, |it| it.after.clone());
        let (record, parts) = change.record(generation, Author::Start);
        let is_known = newest.is_some_and(|newest| !record.differs_from(&newest));
        Ok((!is_known).then_some((record, parts)))
    }
}

/// The newest record of a service. One that a newer watershed wrote, and this one cannot read, is as
/// good as none: recording goes on behind it.
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

/// Gives the changes of these their authors, where they are recorded as somebody's edits.
pub fn amend(history: &History, late: &[Attribution]) -> Result<(), HistoryError> {
    for attribution in late {
        let Attribution { environment, service, remark, restores, file_digest, .. } = attribution;
        let author = attribution.author();
        history.amend(environment, service, file_digest, &author, *restores, remark.as_deref())?;
    }
    Ok(())
}

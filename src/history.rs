//! What was published when, and by whom: [`History`] keeps a record of every change of a service in
//! one file of the state directory, over restarts and kills. It knows records and their file, and
//! nothing of configurations or snapshots.
//!
//! The reloader records each publish before it is served; the admin listener and the command line
//! read. Files, in reading order: `record` (one change of a service), `served` (what the service
//! served after the change, cut into parts), `parts` (how parts are stored), `texts` (what services'
//! files said when they were right), `newest` (the newest records of all services), `offline` (edits
//! while no process ran), `retention` (which records are kept), `file` (opening the file, and moving
//! a damaged one aside), `close` (for another process), `reserve` (the last generation, where the history cannot be written).

mod close;
mod file;
mod newest;
mod offline;
mod parts;
mod record;
mod reserve;
mod retention;
mod served;
#[cfg(test)]
mod tests;
mod texts;

use std::fmt;
use std::ops::{Bound, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use file::Opened;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

pub use file::{FileState, HistoryError};
pub use record::{CREATING, PUT_BACK, ROLLBACK, now};
pub use reserve::{reserve, reserved};
pub use retention::AGE as RETENTION;
pub use served::{Contents, MADE_OF, MadeOf, VALUE};
pub use texts::Keep;

pub use crate::api::{
    Attribution, Author, FileText, Parts, Record, RecordOutcome, RecordedVersion, Served,
    ServedVersion, Share,
};

use offline::OFFLINE;
use parts::{Store, Stored};
use retention::{AGELESS, prune};
use texts::TEXTS;

/// Environment, service, generation.
type Key<'a> = (&'a str, &'a str, u64);

/// Records as JSON. In the order of keys, those of a service are together, the newest last.
const TABLE: TableDefinition<'_, Key<'static>, &[u8]> = TableDefinition::new("records");

/// The last generation that was given to a publish.
const GENERATION: TableDefinition<'_, (), u64> = TableDefinition::new("generation");

/// An open history. One process at a time has it; all clones are the same.
#[derive(Clone)]
pub struct History {
    path: PathBuf,
    database: Arc<Database>,
    opened: Arc<Opened>,
}

impl History {
    /// The name of its file in the state directory.
    pub const FILE: &str = "history.redb";

    /// The history in a state directory, made if it is missing. A file that is damaged is moved
    /// aside, with a warning that names both, and a new one begun.
    ///
    /// # Errors
    ///
    /// Where another process has it open, or the file cannot be written.
    pub fn open(directory: &Path) -> Result<Self, HistoryError> {
        file::open(directory).map(|(path, database, opened)| Self::new(path, database, opened))
    }

    /// The history in a state directory where no process runs; `None` where there is no file yet. The
    /// file is opened for writing, since a file of a process that was killed is mended first.
    ///
    /// # Errors
    ///
    /// Where a process has it open, the file is damaged, or it cannot be read and written.
    pub fn read(directory: &Path) -> Result<Option<Self>, HistoryError> {
        let path = directory.join(Self::FILE);
        match path.try_exists() {
            Ok(false) => Ok(None),
            Ok(true) => file::database(&path)
                .map(|(database, opened)| Some(Self::new(path, database, opened))),
            Err(reason) => Err(HistoryError::Unusable { path, reason }),
        }
    }

    fn new(path: PathBuf, database: Database, opened: Opened) -> Self {
        Self { path, database: Arc::new(database), opened: Arc::new(opened) }
    }

    /// Whether the file is still where it was opened, and as long as it was. A file that was removed
    /// or replaced can still be read by this process, but no other process will find it.
    pub fn file_state(&self) -> FileState {
        self.opened.file_state(&self.path)
    }

    /// Opens the history in a state directory anew, after this one's file is gone or was cut off. The
    /// new history has the records of the file that is there now, and those that this one can still
    /// read. A file that was cut off is moved aside. Beside the new history: how many records came
    /// from this one, or why none could.
    ///
    /// # Errors
    ///
    /// As those of [`History::open`].
    pub fn restore(
        &self,
        directory: &Path,
    ) -> Result<(Self, Result<usize, HistoryError>), HistoryError> {
        if self.file_state() == FileState::CutOff {
            let unusable = |reason| HistoryError::Unusable { path: self.path.clone(), reason };
            file::move_aside(&self.path).map_err(unusable)?;
        }
        let next = Self::open(directory)?;
        let taken = next.adopt(self);
        Ok((next, taken))
    }

    /// Takes over the records that only `other` has, and its last generation.
    fn adopt(&self, other: &Self) -> Result<usize, HistoryError> {
        let last = other.last_generation()?;
        let mut taken = 0;
        let read = other.database.begin_read().map_err(redb::Error::from);
        let read = read.map_err(|reason| HistoryError::of(&other.path, reason))?;
        self.write(|transaction| {
            let (from, mut to) = (read.open_table(TABLE)?, transaction.open_table(TABLE)?);
            let (parts, mut store) = (Stored::open(&read)?, Store::open(transaction)?);
            for entry in from.iter()? {
                let (key, value) = entry?;
                if to.get(key.value())?.is_none() {
                    let (environment, service, _) = key.value();
                    to.insert(key.value(), value.value())?;
                    store.adopt(environment, service, value.value(), &parts)?;
                    taken += 1;
                }
            }
            adopt(TEXTS, &read, transaction)?;
            adopt(OFFLINE, &read, transaction)?;
            raise(transaction, last)
        })?;
        Ok(taken)
    }

    /// Adds the records of one publish, and drops the oldest records of their services beyond what is
    /// kept. When this returns, the records are on disk, and their generation is the last that was
    /// given to a publish.
    ///
    /// # Errors
    ///
    /// Where the records cannot be written. Whether they are on disk is not known then, and this
    /// history takes no more records: open it again.
    pub fn record(&self, records: &[Record]) -> Result<(), HistoryError> {
        self.record_with(records, &Parts::default())
    }

    /// The same with the parts that the records name.
    ///
    /// # Errors
    ///
    /// As those of [`History::record`].
    pub fn record_with(&self, records: &[Record], parts: &Parts) -> Result<(), HistoryError> {
        let (values, parts) = (self.encoded(records)?, self.encoded_parts(parts)?);
        let last = records.iter().map(|record| record.generation).max();
        self.write(|transaction| {
            let mut table = transaction.open_table(TABLE)?;
            let mut store = Store::open(transaction)?;
            for (record, value) in records.iter().zip(&values) {
                store.keep(record, &parts)?;
                if let Some(replaced) = table.insert(record.key(), value.as_slice())? {
                    store.release(&record.environment, &record.service, replaced.value())?;
                }
                prune(&mut table, &mut store, record)?;
                offline::forget(transaction, &record.environment, &record.service)?;
            }
            raise(transaction, last.unwrap_or(0))
        })
    }

    /// Keeps the generation of a publish that changed no service.
    ///
    /// # Errors
    ///
    /// As those of [`History::record`].
    pub fn reach(&self, generation: u64) -> Result<(), HistoryError> {
        self.write(|transaction| raise(transaction, generation))
    }

    /// Names the author of the newest change of a service that left the file with this digest, if it was recorded as a
    /// file edit because the file was read before the author told of the edit. Others may have edited it since. Older
    /// records of the same edit get the same author. Returns whether there was such a change.
    ///
    /// # Errors
    ///
    /// As those of [`History::record`].
    pub fn amend(
        &self,
        environment: &str,
        service: &str,
        file_digest: &str,
        author: &Author,
        restores: Option<u64>,
        remark: Option<&str>,
    ) -> Result<bool, HistoryError> {
        let newest = self.of(environment, service, AGELESS)?;
        let by_then = newest.into_iter().skip_while(|record| !record.is_with_file(file_digest));
        let of_the_edit = by_then.take_while(|record| record.is_of_edit(file_digest));
        let amended: Vec<Record> = of_the_edit
            .map(|record| Record {
                author: author.clone(),
                restores,
                remark: remark.map(str::to_owned),
                ..record
            })
            .collect();
        if !amended.is_empty() {
            self.replace(&amended)?;
        }
        Ok(!amended.is_empty())
    }

    fn replace(&self, records: &[Record]) -> Result<(), HistoryError> {
        let values = self.encoded(records)?;
        self.write(|transaction| {
            let mut table = transaction.open_table(TABLE)?;
            for (record, value) in records.iter().zip(&values) {
                table.insert(record.key(), value.as_slice())?;
            }
            Ok(())
        })
    }

    /// The newest records of a service, at most `limit`, the newest first.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn of(
        &self,
        environment: &str,
        service: &str,
        limit: usize,
    ) -> Result<Vec<Record>, HistoryError> {
        let values = self.look(|transaction| {
            let table = transaction.open_table(TABLE)?;
            let newest = table.range(keys_of(environment, service))?.rev().take(limit);
            newest.map(|entry| Ok(entry?.1.value().to_vec())).collect::<Result<Vec<_>, _>>()
        })?;
        values.iter().map(|value| self.decoded(value)).collect()
    }

    /// The environment and name of every service that has records.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn services(&self) -> Result<Vec<(String, String)>, HistoryError> {
        self.look(|transaction| {
            let table = transaction.open_table(TABLE)?;
            let mut services: Vec<(String, String)> = Vec::new();
            loop {
                let after = match services.last() {
                    // From a service to the next, whatever the number of its records.
                    Some((environment, service)) => {
                        Bound::Excluded((environment.as_str(), service.as_str(), u64::MAX))
                    }
                    None => Bound::Unbounded,
                };
                let Some(next) = table.range::<Key<'_>>((after, Bound::Unbounded))?.next() else {
                    return Ok(services);
                };
                let (key, _) = next?;
                let (environment, service, _) = key.value();
                services.push((environment.to_owned(), service.to_owned()));
            }
        })
    }

    /// The last generation that was given to a publish; 0 if none was.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn last_generation(&self) -> Result<u64, HistoryError> {
        self.look(|transaction| {
            let last = transaction.open_table(GENERATION)?.get(())?;
            Ok(last.map_or(0, |last| last.value()))
        })
    }

    /// Runs a transaction, which is on disk when this returns: redb's durability is `Immediate`
    /// unless one asks for less. The reloader has one fsync to wait for.
    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), HistoryError> {
        self.committed(|| {
            let transaction = self.database.begin_write()?;
            change(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    fn committed(
        &self,
        commit: impl FnOnce() -> Result<(), redb::Error>,
    ) -> Result<(), HistoryError> {
        let committed = commit().map_err(|reason| HistoryError::of(&self.path, reason));
        self.opened.note_length(&self.path);
        committed
    }

    fn look<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, HistoryError> {
        let transaction = self.database.begin_read().map_err(redb::Error::from);
        let seen = transaction.and_then(|transaction| look(&transaction));
        seen.map_err(|reason| HistoryError::of(&self.path, reason))
    }

    fn encoded(&self, records: &[Record]) -> Result<Vec<Vec<u8>>, HistoryError> {
        let encode = |record: &Record| {
            let mut value = serde_json::to_value(record)?;
            // An older watershed reads the milliseconds only.
            let members = value.as_object_mut();
            members.and_then(|members| members.insert("at".to_owned(), record.at.into()));
            serde_json::to_vec(&value)
        };
        records.iter().map(|record| encode(record).map_err(|error| self.strange(error))).collect()
    }

    fn decoded(&self, value: &[u8]) -> Result<Record, HistoryError> {
        serde_json::from_slice(value).map_err(|error| self.strange(error))
    }

    fn strange(&self, reason: serde_json::Error) -> HistoryError {
        HistoryError::Record { path: self.path.clone(), reason }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("History").field(&self.path).finish()
    }
}

fn keys_of<'a>(environment: &'a str, service: &'a str) -> RangeInclusive<Key<'a>> {
    (environment, service, 0)..=(environment, service, u64::MAX)
}

/// Makes the tables, so that a reader finds them in a new file too.
fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(TABLE)?;
    transaction.open_table(GENERATION)?;
    Store::open(&transaction)?;
    transaction.open_table(TEXTS)?;
    transaction.open_table(OFFLINE)?;
    Ok(transaction.commit()?)
}

/// Takes over the entries of a table that only another history has.
fn adopt<V: redb::Value + 'static>(
    table: TableDefinition<'_, (&'static str, &'static str), V>,
    from: &ReadTransaction,
    to: &WriteTransaction,
) -> Result<(), redb::Error> {
    let (from, mut to) = (from.open_table(table)?, to.open_table(table)?);
    for entry in from.iter()? {
        let (key, value) = entry?;
        if to.get(key.value())?.is_none() {
            to.insert(key.value(), value.value())?;
        }
    }
    Ok(())
}

/// A generation only grows.
fn raise(transaction: &WriteTransaction, generation: u64) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(GENERATION)?;
    let last = table.get(())?.map_or(0, |last| last.value());
    table.insert((), last.max(generation))?;
    Ok(())
}

//! The text of each service's file as it was right last, beside the records: what an operator puts
//! back where a file is broken or gone. One text a service, of 16 MiB at most, as a file has; it stays
//! when the service is removed.

use redb::{Durability, ReadableTable, TableDefinition, WriteTransaction};

use super::{History, HistoryError};
use crate::api::FileText;

/// By environment and service: path, digest, text.
pub(super) const TEXTS: TableDefinition<'_, (&str, &str), (&str, &str, &str)> =
    TableDefinition::new("texts");

/// When a text must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// When the call returns.
    Now,
    /// With the next record, which spares a wait for the disk. A kill before it loses the text.
    WithNextRecord,
}

impl History {
    /// Keeps texts, each in the place of its service's last one.
    ///
    /// # Errors
    ///
    /// Where they cannot be written.
    pub fn keep_texts(&self, texts: &[FileText], keep: Keep) -> Result<(), HistoryError> {
        self.write_as(keep, |transaction| {
            let mut table = transaction.open_table(TEXTS)?;
            for FileText { environment, service, path, digest, text } in texts {
                let key = (environment.as_str(), service.as_str());
                table.insert(key, (path.as_str(), digest.as_str(), text.as_str()))?;
            }
            Ok(())
        })
    }

    /// The last good text of a service's file, if one was kept.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn text_of(
        &self,
        environment: &str,
        service: &str,
    ) -> Result<Option<FileText>, HistoryError> {
        self.look(|transaction| {
            let found = transaction.open_table(TEXTS)?.get((environment, service))?;
            Ok(found.map(|found| text((environment, service), found.value())))
        })
    }

    /// The environments that have a text of a service of this name.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn environments_with_text(&self, service: &str) -> Result<Vec<String>, HistoryError> {
        self.look(|transaction| {
            let mut found = Vec::new();
            for entry in transaction.open_table(TEXTS)?.iter()? {
                let (key, _) = entry?;
                let (environment, name) = key.value();
                if name == service {
                    found.push(environment.to_owned());
                }
            }
            Ok(found)
        })
    }

    /// Whether the text with this digest, of the file at a path, is kept already. One answer each.
    ///
    /// # Errors
    ///
    /// Where that cannot be read.
    pub fn has_texts<'a>(
        &self,
        texts: impl Iterator<Item = (&'a str, &'a str, &'a str, &'a str)>,
    ) -> Result<Vec<bool>, HistoryError> {
        self.look(|transaction| {
            let table = transaction.open_table(TEXTS)?;
            let is_there = |(environment, service, path, digest)| {
                let found = table.get((environment, service))?;
                Ok(found.is_some_and(|found| {
                    let (known_path, known_digest, _) = found.value();
                    (known_path, known_digest) == (path, digest)
                }))
            };
            texts.map(is_there).collect()
        })
    }

    /// Runs a transaction whose writes are on disk when it is said.
    fn write_as(
        &self,
        keep: Keep,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), HistoryError> {
        let commit = || {
            let mut transaction = self.database.begin_write()?;
            if keep == Keep::WithNextRecord {
                transaction.set_durability(Durability::None)?;
            }
            change(&transaction)?;
            Ok(transaction.commit()?)
        };
        self.committed(commit)
    }
}

fn text(
    (environment, service): (&str, &str),
    (path, digest, text): (&str, &str, &str),
) -> FileText {
    FileText {
        environment: environment.to_owned(),
        service: service.to_owned(),
        path: path.to_owned(),
        digest: digest.to_owned(),
        text: text.to_owned(),
    }
}

//! The parts of records in the history's file: each once a service, for as long as a record names it.

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use serde::Deserialize;

use super::{History, HistoryError};
use crate::api::{Parts, Record, Served};

/// Bytes that the parts of a service's records may take together. Beyond, the oldest records go, up
/// to the newest. A service's file, and so what is in it, has 16 MiB at most.
pub const LARGEST: u64 = 32 << 20;

/// Environment, service, digest.
type PartKey<'a> = (&'a str, &'a str, &'a str);

const PARTS: TableDefinition<'_, PartKey<'static>, &[u8]> = TableDefinition::new("parts");

/// How many records name a part.
const USES: TableDefinition<'_, PartKey<'static>, u64> = TableDefinition::new("part uses");

/// Bytes of all parts, by environment and service.
const SIZES: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("part sizes");

/// The parts, as a transaction changes them.
pub struct Store<'t> {
    parts: Table<'t, PartKey<'static>, &'static [u8]>,
    uses: Table<'t, PartKey<'static>, u64>,
    sizes: Table<'t, (&'static str, &'static str), u64>,
}

impl<'t> Store<'t> {
    /// Opens the tables, or makes them.
    pub fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            parts: transaction.open_table(PARTS)?,
            uses: transaction.open_table(USES)?,
            sizes: transaction.open_table(SIZES)?,
        })
    }

    /// Keeps the parts that a record names.
    pub fn keep(&mut self, record: &Record, parts: &Encoded) -> Result<(), redb::Error> {
        let (environment, service, _) = record.key();
        for digest in record.served.iter().flat_map(Served::parts) {
            self.add((environment, service, digest), || Ok(parts.get(digest).map(<[u8]>::to_vec)))?;
        }
        Ok(())
    }

    /// Keeps the parts that a record of another history, as it is stored, names.
    pub fn adopt(
        &mut self,
        environment: &str,
        service: &str,
        value: &[u8],
        from: &Stored,
    ) -> Result<(), redb::Error> {
        for digest in served(value).iter().flat_map(Served::parts) {
            let key = (environment, service, digest);
            self.add(key, || Ok(from.0.get(key)?.map(|part| part.value().to_vec())))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        key: PartKey<'_>,
        part: impl FnOnce() -> Result<Option<Vec<u8>>, redb::Error>,
    ) -> Result<(), redb::Error> {
        let uses = self.uses.get(key)?.map_or(0, |uses| uses.value());
        if uses == 0 {
            // What is not given cannot be named: such a record tells of its shares only.
            let Some(part) = part()? else { return Ok(()) };
            self.parts.insert(key, part.as_slice())?;
            self.grow(key.0, key.1, |size| size.saturating_add(length(&part)))?;
        }
        self.uses.insert(key, uses + 1)?;
        Ok(())
    }

    /// Lets go of the parts that a record, as it is stored, names.
    pub fn release(
        &mut self,
        environment: &str,
        service: &str,
        value: &[u8],
    ) -> Result<(), redb::Error> {
        for digest in served(value).iter().flat_map(Served::parts) {
            let key = (environment, service, digest);
            let uses = self.uses.get(key)?.map_or(0, |uses| uses.value());
            if uses > 1 {
                self.uses.insert(key, uses - 1)?;
                continue;
            }
            self.uses.remove(key)?;
            let part = self.parts.remove(key)?.map_or(0, |part| length(part.value()));
            self.grow(environment, service, |size| size.saturating_sub(part))?;
        }
        Ok(())
    }

    /// Whether the parts of a service take more than they may.
    pub fn is_too_large(&self, environment: &str, service: &str) -> Result<bool, redb::Error> {
        let size = self.sizes.get((environment, service))?.map_or(0, |size| size.value());
        Ok(size > LARGEST)
    }

    fn grow(
        &mut self,
        environment: &str,
        service: &str,
        change: impl FnOnce(u64) -> u64,
    ) -> Result<(), redb::Error> {
        let size = self.sizes.get((environment, service))?.map_or(0, |size| size.value());
        self.sizes.insert((environment, service), change(size))?;
        Ok(())
    }
}

/// What a record, as it is stored, names. What cannot be read was not written by us, and names nothing.
fn served(value: &[u8]) -> Option<Served> {
    #[derive(Deserialize)]
    struct Names {
        served: Option<Served>,
    }
    serde_json::from_slice(value).ok().and_then(|Names { served }| served)
}

/// The parts of another history.
pub struct Stored(ReadOnlyTable<PartKey<'static>, &'static [u8]>);

impl Stored {
    pub fn open(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        Ok(Self(transaction.open_table(PARTS)?))
    }
}

fn length(part: &[u8]) -> u64 {
    u64::try_from(part.len()).unwrap_or(u64::MAX)
}

/// Parts as JSON.
pub struct Encoded(std::collections::HashMap<String, Vec<u8>>);

impl Encoded {
    fn get(&self, digest: &str) -> Option<&[u8]> {
        self.0.get(digest).map(Vec::as_slice)
    }
}

impl History {
    pub(super) fn encoded_parts(&self, parts: &Parts) -> Result<Encoded, HistoryError> {
        let encode = |(digest, part): (&String, _)| {
            Ok((digest.clone(), serde_json::to_vec(part).map_err(|error| self.strange(error))?))
        };
        parts.iter().map(encode).collect::<Result<_, _>>().map(Encoded)
    }

    /// The parts that records of one service name, as far as they are there.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn parts(&self, records: &[Record]) -> Result<Parts, HistoryError> {
        let mut parts = Parts::default();
        let values = self.look(|transaction| {
            let table = transaction.open_table(PARTS)?;
            let mut values = std::collections::BTreeMap::new();
            for record in records {
                let (environment, service, _) = record.key();
                for digest in record.served.iter().flat_map(Served::parts) {
                    if values.contains_key(digest) {
                        continue;
                    }
                    if let Some(part) = table.get((environment, service, digest))? {
                        values.insert(digest.to_owned(), part.value().to_vec());
                    }
                }
            }
            Ok(values)
        })?;
        for (digest, value) in values {
            let part = serde_json::from_slice(&value).map_err(|error| self.strange(error))?;
            parts.insert(digest, part);
        }
        Ok(parts)
    }
}

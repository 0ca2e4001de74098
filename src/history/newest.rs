//! The newest records of all services.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use redb::ReadableTable;

use super::{History, HistoryError, Record, TABLE};

impl History {
    /// The newest records of all services, or of the services of one environment: at most `limit`, the newest
    /// first. Walks through the keys of all records.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn newest(
        &self,
        environment: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, HistoryError> {
        let values = self.look(|transaction| {
            let table = transaction.open_table(TABLE)?;
            // The oldest of those that were found is on top.
            let mut newest: BinaryHeap<Reverse<(u64, String, String)>> = BinaryHeap::new();
            for entry in table.iter()? {
                let (key, _) = entry?;
                let (own, service, generation) = key.value();
                let is_older = newest.len() >= limit
                    && newest.peek().is_none_or(|Reverse((oldest, ..))| *oldest >= generation);
                if is_older || environment.is_some_and(|environment| environment != own) {
                    continue;
                }
                newest.push(Reverse((generation, own.to_owned(), service.to_owned())));
                if newest.len() > limit {
                    newest.pop();
                }
            }
            let mut keys = newest.into_vec();
            keys.sort_unstable();
            let value = |Reverse((generation, environment, service)): Reverse<_>| {
                let (environment, service): (String, String) = (environment, service);
                let found = table.get((environment.as_str(), service.as_str(), generation))?;
                Ok(found.map(|found| found.value().to_vec()))
            };
            keys.into_iter().map(value).collect::<Result<Vec<_>, redb::Error>>()
        })?;
        values.iter().flatten().map(|value| self.decoded(value)).collect()
    }
}

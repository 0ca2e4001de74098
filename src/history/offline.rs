//! Commands that edited a service's file while no process ran. What the next start serves is theirs,
//! and a rollback among them is one: the next ones do not go back to what it left. The last command of
//! each service is kept, until the service has another record.

use redb::{TableDefinition, WriteTransaction};

use super::{History, HistoryError, now};
use crate::api::Attribution;

/// By environment and service: when, in milliseconds since 1970, and the attribution as JSON.
pub(super) const OFFLINE: TableDefinition<'_, (&str, &str), (u64, &[u8])> =
    TableDefinition::new("offline");

impl History {
    /// Keeps what a command tells of its edit, in the place of the one before it.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn keep_offline(&self, command: &Attribution) -> Result<(), HistoryError> {
        let value = serde_json::to_vec(command).map_err(|error| self.strange(error))?;
        self.write(|transaction| {
            let mut table = transaction.open_table(OFFLINE)?;
            let key = (command.environment.as_str(), command.service.as_str());
            table.insert(key, (now(), value.as_slice()))?;
            Ok(())
        })
    }

    /// The last command that edited a service's file while no process ran, and when, if the service
    /// has no record since.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn offline(
        &self,
        environment: &str,
        service: &str,
    ) -> Result<Option<(u64, Attribution)>, HistoryError> {
        let found = self.look(|transaction| {
            let found = transaction.open_table(OFFLINE)?.get((environment, service))?;
            Ok(found.map(|found| {
                let (at, value) = found.value();
                (at, value.to_vec())
            }))
        })?;
        let Some((at, value)) = found else { return Ok(None) };
        let command = serde_json::from_slice(&value).map_err(|error| self.strange(error))?;
        Ok(Some((at, command)))
    }
}

/// Forgets the command of a service that gets a record.
pub(super) fn forget(
    transaction: &WriteTransaction,
    environment: &str,
    service: &str,
) -> Result<(), redb::Error> {
    transaction.open_table(OFFLINE)?.remove((environment, service))?;
    Ok(())
}

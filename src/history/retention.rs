//! Which records are kept: the newest of each service, by their number, age and size.

use std::time::Duration;

use redb::{ReadableTable, Table};
use serde::Deserialize;

use super::parts::Store;
use super::{Key, Record, keys_of};

/// How many records of a service are kept.
pub(super) const RECORDS: usize = 1_000;

/// How many are kept of them whatever their age: what somebody might go back to.
pub(super) const AGELESS: usize = 20;

/// How long the others are kept.
pub const AGE: Duration = Duration::from_hours(90 * 24);

/// Drops the oldest records of one service: of the one that `record` is of. What a record costs does
/// not depend on the number of services.
pub(super) fn prune(
    table: &mut Table<'_, Key<'static>, &[u8]>,
    store: &mut Store<'_>,
    record: &Record,
) -> Result<(), redb::Error> {
    let (environment, service, _) = record.key();
    let count = table.range(keys_of(environment, service))?.count();
    let mut outlived = Vec::new();
    for (older, entry) in table.range(keys_of(environment, service))?.enumerate() {
        let (key, value) = entry?;
        let newer = count.saturating_sub(older + 1);
        let is_outlived = newer >= RECORDS
            || newer >= AGELESS && is_old(value.value(), record.at)
            || newer > 0 && store.is_too_large(environment, service)?;
        if !is_outlived {
            break;
        }
        store.release(environment, service, value.value())?;
        outlived.push(key.value().2);
    }
    for generation in outlived {
        table.remove((environment, service, generation))?;
    }
    Ok(())
}

/// Whether a record is older than the records that are kept. One that cannot be read counts as old.
fn is_old(value: &[u8], now: u64) -> bool {
    #[derive(Deserialize)]
    struct Stamp {
        at: u64,
    }
    let age = serde_json::from_slice(value).map(|Stamp { at }| now.saturating_sub(at));
    age.map_or(true, |age| u128::from(age) > AGE.as_millis())
}

//! What a rollback may go back to, so that it is kept although nothing declares it any more.

use std::path::Path;

use toml::{Table, Value};

use super::restore::serving;
use super::rollback::recorded_shares;
use crate::api::HistoryDocument;
use crate::config::Digest;
use crate::history::MADE_OF;

/// The newest generation that served a component, by its file and digest. A rollback may go back to it,
/// and needs the file then.
pub fn served_in(history: &HistoryDocument, component: &Path, digest: &Digest) -> Option<u64> {
    let digest = digest.to_string();
    let is_it = |part: &Table| {
        let said = |key: &str| part.get(key).and_then(Value::as_str);
        said(MADE_OF) == Some(&digest) && said("component").map(Path::new) == Some(component)
    };
    let found = history.records.iter().find(|record| {
        // A record of an older watershed tells of shares only: no rollback declares a version by it.
        record.contents(&history.parts).is_some_and(|contents| {
            serving(&contents, &recorded_shares(&record.after))
                .iter()
                .any(|name| contents.version(name).is_some_and(is_it))
        })
    });
    found.map(|record| record.generation)
}

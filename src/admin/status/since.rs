//! Since when a service's traffic is as it is, where the process found it so when it started: the history knows, over all
//! restarts.

use crate::api::{PublishDocument, Record, RecordedVersion, Share, moment};
use crate::history::History;
use crate::versions::{ServiceEntry, TrafficSince};

/// How many services one answer looks up at most: each is a read of the history.
const LOOKED_UP: usize = 32;

/// How many records of a service are looked at.
const RECORDS: usize = 100;

/// Looks services up in the history.
pub(super) struct Lookup {
    history: Option<History>,
    left: usize,
}

impl Lookup {
    /// Without a history, nothing is known.
    pub(super) fn new(history: Option<History>) -> Self {
        Self { history, left: LOOKED_UP }
    }

    /// The publish that began what a service serves, if another process made it. `None` also where it is not known: what
    /// was recorded is something else, or too long ago, or cannot be read.
    pub(super) fn of(&mut self, service: &ServiceEntry) -> Option<PublishDocument> {
        let TrafficSince { is_start: true, .. } = service.traffic_since else { return None };
        self.left = self.left.checked_sub(1)?;
        let (environment, name) = (service.key.environment.as_str(), service.key.service.as_str());
        let records = self.history.as_ref()?.of(environment, name, RECORDS).ok()?;
        let shares = service.decider.shares().into_iter().map(|(version, share)| Share {
            version: version.spec.name.to_string(),
            share: f64::from(share.hundredths()) / 100.0,
        });
        began(&records, &shares.collect::<Vec<_>>())
    }
}

/// The newest record since which these shares were served, by versions made of the same.
fn began(records: &[Record], shares: &[Share]) -> Option<PublishDocument> {
    let newest = records.first()?;
    let is_same = |record: &&Record| record.after == shares && is_made_like(record, newest);
    let same: Vec<_> = records.iter().take_while(is_same).collect();
    let changes = |record: &&&Record| record.before != record.after;
    let oldest = same.iter().find(changes).or(same.last())?;
    // Older ones may be gone.
    let is_known = oldest.before != oldest.after || same.len() < records.len();
    is_known.then(|| PublishDocument { generation: oldest.generation, at: moment::text(oldest.at) })
}

/// Whether the versions with a share are made of the same. A component that a record does not know yet may be the same.
fn is_made_like(record: &Record, other: &Record) -> bool {
    let digest = |record: &Record, name: &str| {
        let known = |version: &&RecordedVersion| version.name == name;
        record.versions.iter().find(known).and_then(|version| version.digest.clone())
    };
    let part = |record: &Record, name: &str| {
        let versions = record.served.as_ref().map(|served| &served.versions)?;
        versions.iter().find(|it| it.name == name).map(|it| it.part.clone())
    };
    record.after.iter().all(|Share { version, .. }| {
        let digests = digest(record, version).zip(digest(other, version));
        digests.is_none_or(|(one, two)| one == two) && part(record, version) == part(other, version)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(
        generation: u64,
        before: &[(&str, f64)],
        after: &[(&str, f64)],
        part: &str,
    ) -> Record {
        let shares = |shares: &[(&str, f64)]| {
            shares
                .iter()
                .map(|(version, share)| json!({ "version": version, "share": share }))
                .collect()
        };
        let (before, after): (Vec<_>, Vec<_>) = (shares(before), shares(after));
        serde_json::from_value(json!({
            "generation": generation, "at": "2026-11-26T04:16:36.123Z", "environment": "default",
            "service": "greeter", "author": { "kind": "start" }, "before": before, "after": after,
            "served": { "policy": "p", "versions": [{ "name": "v1", "part": part }] },
            "versions": [{ "name": "v1", "status": "normal" }], "outcome": { "kind": "published" },
        }))
        .unwrap()
    }

    #[test]
    fn the_traffic_is_as_it_is_since_the_publish_that_changed_it_last() {
        let (v1, both) = ([("v1", 100.0)], [("v1", 50.0), ("v2", 50.0)]);
        let share = |version: &str, share| Share { version: version.to_owned(), share };
        let now = [share("v1", 100.0)];
        let began = |records: &[Record]| began(records, &now).map(|it| it.generation);
        let first = record(1, &[], &v1, "a");
        assert_eq!(began(&[]), None);
        assert_eq!(began(std::slice::from_ref(&first)), Some(1));
        // A version that nobody gets was added, and later the shares changed and came back.
        let records = [record(5, &v1, &v1, "a"), record(4, &both, &v1, "a"), first.clone()];
        assert_eq!(began(&records), Some(4));
        // It is another one under its name.
        assert_eq!(began(&[record(5, &v1, &v1, "b"), first.clone()]), Some(5));
        // What is served is not what was recorded last.
        assert_eq!(began(&[record(5, &v1, &both, "a"), first]), None);
        // The record that began it is not kept any more.
        assert_eq!(began(&[record(9, &v1, &v1, "a")]), None);
    }
}

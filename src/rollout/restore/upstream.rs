//! What comes back of a version that an upstream serves, or served then.

use toml::{Table, Value};

use super::super::text::of;
use super::restoring::{Restoring, differing, from};
use super::{Change, Ground, Piece};
use crate::config::{GuestLimits, Reach, UpstreamSpec, VersionName, VersionSpec};
use crate::history::MADE_OF;

/// The key of an upstream in the words of its version.
pub const UPSTREAM: &str = "upstream";

/// Keys of a version that a component has and an upstream does not.
const OF_GUESTS: [&str; 4] = ["component", "digest", "env", "outbound"];

impl<G: Ground> Restoring<'_, G> {
    /// Compares what serves a version, where it is or was an upstream.
    pub fn upstream(&mut self, spec: &VersionSpec, then: &Table) {
        let (name, now) = (&spec.name, spec.written());
        let mut changes = Vec::new();
        match then.get(UPSTREAM) {
            Some(upstream) if spec.upstream().is_some() => {
                let key = &mut vec![UPSTREAM.to_owned()];
                differing(key, now.get(UPSTREAM), Some(upstream), &mut changes);
            }
            Some(upstream) => {
                changes.extend(without_guest(&now));
                let then = upstream.as_table().map(concise);
                changes.push(Change { key: vec![UPSTREAM.to_owned()], now: None, then });
            }
            None => {
                let key = vec![UPSTREAM.to_owned()];
                changes.push(Change { key, now: now.get(UPSTREAM).cloned(), then: None });
            }
        }
        let made = then.get(MADE_OF).and_then(Value::as_str);
        if let Some(made) = made.filter(|_| !changes.is_empty()) {
            self.made_of(name, made);
        }
        self.put(name, changes);
        if !then.contains_key(UPSTREAM) {
            self.guest_again(name, then);
        }
    }

    /// Declares a version of an upstream again.
    pub fn declare_upstream(&mut self, name: &VersionName, then: &Table, upstream: &Table) {
        let mut version = then.clone();
        version.insert(UPSTREAM.to_owned(), concise(upstream));
        self.found_piece(Piece::Declare { name: name.clone(), version });
    }

    /// A version that is an upstream now, and was a component.
    fn guest_again(&mut self, name: &VersionName, then: &Table) {
        let Some(stored) = self.copy(name, then, "is an upstream now") else { return };
        let then = from(then, stored.as_deref());
        let keys = ["component", "digest"].into_iter();
        let changes = keys.filter_map(|key| {
            let then = then.get(key).cloned()?;
            Some(Change { key: vec![key.to_owned()], now: None, then: Some(then) })
        });
        self.put(name, changes.collect());
        self.env(name, &[], &then);
    }
}

/// Takes away what an upstream does not have.
fn without_guest(now: &Table) -> impl Iterator<Item = Change> {
    let gone = |key: Vec<String>, now: &Value| Change { key, now: Some(now.clone()), then: None };
    let keys = OF_GUESTS.iter().filter_map(|key| Some((vec![(*key).to_owned()], now.get(*key)?)));
    let limits = now.get("limits").and_then(Value::as_table);
    let of_guests = GuestLimits::default().entries().into_iter();
    let limits = of_guests.filter_map(|(key, _)| {
        Some((vec!["limits".to_owned(), key.to_owned()], limits?.get(key)?))
    });
    let changes: Vec<_> = keys.chain(limits).map(|(key, now)| gone(key, now)).collect();
    changes.into_iter()
}

/// The words of an upstream without those that say a default; the targets alone, if there are no others.
fn concise(upstream: &Table) -> Value {
    let usual = UpstreamSpec::new(Vec::new()).written();
    let mut said = upstream.clone();
    said.retain(|key, value| key == "targets" || usual.get(key) != Some(value));
    match said.get("targets") {
        Some(targets) if said.len() == 1 => targets.clone(),
        _ => Value::Table(said),
    }
}

/// A version as it was recorded, without what a file does not say.
pub fn as_written(then: &Table) -> Table {
    let mut version = then.clone();
    version.remove(MADE_OF);
    if of(then, "reach") == Reach::Live.as_str() {
        version.remove("reach");
    }
    version
}

/// What served a version, in words.
pub fn origin(version: &Table) -> String {
    let Some(upstream) = version.get(UPSTREAM) else { return of(version, "component") };
    let targets = upstream.get("targets").unwrap_or(upstream).as_array();
    let address = |target: &Value| {
        let address = target.get("address").unwrap_or(target);
        address.as_str().unwrap_or_default().to_owned()
    };
    targets.into_iter().flatten().map(address).collect::<Vec<_>>().join(", ")
}

//! The changes of a service's file, on its parsed text. Each change leaves everything else as it is written. A part of
//! an unexpected shape is left alone: the check before the file is written reports it.

use std::path::{Component, Path};

use pathdiff::diff_paths;
use toml_edit::{Array, DocumentMut, Formatted, Item, Value};

use super::keys::{Keys, in_braces};
use super::{LimitText, NewBackend, NewVersion, list, restore};
use crate::config::{Digest, GuestLimits, Percent, Quarantined, TargetAddress, VersionName};

pub const VERSIONS: &str = "versions";
pub const TRAFFIC: &str = "traffic";
const QUARANTINE: &str = "quarantine";
const SPLIT: &str = "split";
const LATEST: &str = "latest";
pub const UPSTREAM: &str = "upstream";
pub const TARGETS: &str = "targets";
const LIMITS: &str = "limits";
/// The keys of a version that only components have, beside their limits.
const OF_GUESTS: [&str; 4] = ["component", "digest", "env", "outbound"];

/// Adds a version after the last one. `directory` is that of the file.
pub fn add_version(document: &mut DocumentMut, directory: &Path, version: &NewVersion) {
    let name = ("name".to_owned(), Value::from(version.name.as_str()));
    let keys = version_keys(directory, version);
    let env = variables(version.env());
    let env = (!env.is_empty()).then(|| ("env".to_owned(), Value::InlineTable(in_braces(env))));
    let limits = limits(version);
    let limits =
        (!limits.is_empty()).then(|| (LIMITS.to_owned(), Value::InlineTable(in_braces(limits))));
    let entries = [name].into_iter().chain(keys).chain(env).chain(limits).collect();
    let position = list::last_position(document, VERSIONS);
    list::push(document, VERSIONS, entries, position);
}

/// Replaces a version in its place, and keeps its limits, its reach, and a remark where none is given. An upstream in the
/// place of an upstream keeps its settings beside the targets. Adds the version if none has its name.
pub fn replace_version(document: &mut DocumentMut, directory: &Path, version: &NewVersion) {
    let found = list::find(document, VERSIONS, |table| is_named(table, &version.name));
    let Some(index) = found.first() else {
        return add_version(document, directory, version);
    };
    let Some(mut table) = list::table(document, VERSIONS, *index) else { return };
    match &version.backend {
        NewBackend::Component { .. } => table.remove(UPSTREAM),
        NewBackend::Upstream(_) => remove_guest(&mut table),
    }
    for (key, value) in version_keys(directory, version) {
        match table.get_mut(&key).filter(|_| key == UPSTREAM).and_then(Keys::of) {
            Some(mut upstream) => upstream.put(TARGETS, value),
            None => table.put(&key, value),
        }
    }
    if !version.env().is_empty() {
        table.put_table("env", variables(version.env()));
    }
    if !version.limits.is_empty() {
        table.put_table(LIMITS, limits(version));
    }
}

/// Removes what an upstream does not have.
fn remove_guest(version: &mut Keys<'_>) {
    OF_GUESTS.iter().for_each(|key| version.remove(key));
    let Some(mut limits) = version.get_mut(LIMITS).and_then(Keys::of) else { return };
    GuestLimits::default().entries().iter().for_each(|(key, _)| limits.remove(key));
    if limits.is_empty() {
        version.remove(LIMITS);
    }
}

/// Removes a version, and its share in the split.
pub fn remove_version(document: &mut DocumentMut, name: &VersionName) {
    for index in list::find(document, VERSIONS, |table| is_named(table, name)) {
        list::remove(document, VERSIONS, index);
    }
    let Some(mut traffic) = document.get_mut(TRAFFIC).and_then(Keys::of) else { return };
    let Some(mut split) = traffic.get_mut(SPLIT).and_then(Keys::of) else { return };
    if split.has(name.as_str()) {
        split.remove(name.as_str());
        // A split without versions is removed.
        if split.is_empty() {
            traffic.remove(SPLIT);
        }
    }
}

pub fn is_named(table: &mut Keys<'_>, name: &VersionName) -> bool {
    text_of(table, "name").as_deref() == Some(name.as_str())
}

fn text_of(table: &mut Keys<'_>, key: &str) -> Option<String> {
    table.get_mut(key)?.as_str().map(str::to_owned)
}

fn version_keys(directory: &Path, version: &NewVersion) -> Vec<(String, Value)> {
    let backend = match &version.backend {
        NewBackend::Component { component, .. } => vec![
            ("component", Value::from(path_in(directory, component))),
            ("digest", Value::from(version.digest.to_string())),
        ],
        NewBackend::Upstream(targets) => {
            let targets = targets.iter().map(TargetAddress::to_string);
            vec![(UPSTREAM, Value::Array(targets.collect::<Array>()))]
        }
    };
    let remark = version.remark.as_deref().map(|remark| ("remark", Value::from(remark)));
    backend.into_iter().chain(remark).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn variables(env: &[(String, String)]) -> Vec<(String, Value)> {
    env.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect()
}

fn limits(version: &NewVersion) -> Vec<(String, Value)> {
    let value = |text: &LimitText| match text {
        LimitText::Number(number) => Value::from(*number),
        LimitText::Text(text) => Value::from(text.as_str()),
    };
    version.limits.iter().map(|(key, text)| (key.clone(), value(text))).collect()
}

/// A path as it is written in a file of `directory`: relative if both share more than the root.
pub fn path_in(directory: &Path, path: &Path) -> String {
    let relative = (first_name(directory) == first_name(path)).then(|| diff_paths(path, directory));
    relative.flatten().as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

fn first_name(path: &Path) -> Option<Component<'_>> {
    path.components().find(|part| matches!(part, Component::Normal(_)))
}

/// Gives each version its share, and all others nothing.
pub fn set_split(document: &mut DocumentMut, shares: &[(VersionName, Percent)]) {
    let entries = shares.iter().map(|(name, share)| (name.to_string(), percent(*share))).collect();
    restore::make_traffic(document);
    let Some(mut traffic) = document.get_mut(TRAFFIC).and_then(Keys::of) else { return };
    if traffic.has(LATEST) && !traffic.has(SPLIT) {
        // The comments around the key say which version gets what, so they stay with it.
        traffic.replace(LATEST, SPLIT, Value::InlineTable(in_braces(entries)));
        return;
    }
    traffic.remove(LATEST);
    traffic.put_table(SPLIT, entries);
}

/// Whole percentages as whole numbers.
fn percent(share: Percent) -> Value {
    let hundredths = share.hundredths();
    if hundredths.is_multiple_of(100) {
        return Value::from(i64::from(hundredths / 100));
    }
    Value::Float(Formatted::new(f64::from(hundredths) / 100.0))
}

/// Adds an entry, unless one exists with the same effect.
pub fn quarantine(document: &mut DocumentMut, entry: &Quarantined) {
    if !entries_of(document, entry).is_empty() {
        return;
    }
    let Quarantined { digest, env, version, remark } = entry;
    let text = |key: &str, text: String| (key.to_owned(), Value::from(text));
    let first = [text("digest", digest.to_string()), text("version", version.to_string())];
    let env = env.map(|env| text("env", env.to_string()));
    let remark = remark.as_ref().map(|remark| text("remark", remark.clone()));
    let entries = first.into_iter().chain(env).chain(remark).collect();
    let all = [VERSIONS, TRAFFIC, QUARANTINE].map(|key| list::last_position(document, key));
    let end = all.into_iter().max().flatten();
    list::push(document, QUARANTINE, entries, end.map(|end| end + 1));
}

/// Removes every entry with the same effect.
pub fn release(document: &mut DocumentMut, entry: &Quarantined) {
    for index in entries_of(document, entry) {
        list::remove(document, QUARANTINE, index);
    }
    let items = document.get(QUARANTINE).and_then(Item::as_array);
    if items.is_some_and(toml_edit::Array::is_empty) {
        Keys::Table(document.as_table_mut()).remove(QUARANTINE);
    }
}

fn entries_of(document: &mut DocumentMut, entry: &Quarantined) -> Vec<usize> {
    list::find(document, QUARANTINE, |table| {
        let digest = |text: Option<String>| text.and_then(|text| text.parse::<Digest>().ok());
        let component = digest(text_of(table, "digest"));
        component == Some(entry.digest) && digest(text_of(table, "env")) == entry.env
    })
}

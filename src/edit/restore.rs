//! The changes that a rollback makes to a service's file: single keys of a version and of `[traffic]`, a version that
//! was deleted, and the rules. Values come in the words of the file, with absolute paths, as `config::model::written`
//! gives them.

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Formatted, Item, Table, Value};

use super::keys::{Keys, in_braces};
use super::list;
use super::service::{TARGETS, TRAFFIC, UPSTREAM, VERSIONS, is_named, path_in};
use crate::config::VersionName;

const RULES: &str = "rules";

/// A rule to write, in the words of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct PutRule {
    pub rule: toml::Table,
    /// Whether the file has the rule already. Then its text stays.
    pub is_kept: bool,
}

/// Sets a key of a version, or removes it.
pub fn set_in_version(
    document: &mut DocumentMut,
    directory: &Path,
    name: &VersionName,
    key: &[String],
    value: Option<&toml::Value>,
) {
    let found = list::find(document, VERSIONS, |table| is_named(table, name));
    let Some(index) = found.first() else { return };
    let Some(mut table) = list::table(document, VERSIONS, *index) else { return };
    if let [first, second, ..] = key
        && first == UPSTREAM
        && second != TARGETS
    {
        make_upstream_table(&mut table);
    }
    match (key, value) {
        // The short form has room for its targets only, and stays.
        ([first, second], Some(value))
            if second == TARGETS && table.get_mut(first).and_then(Keys::of).is_none() =>
        {
            table.put(first, plain(value));
        }
        _ => table.put_at(key, value.map(|value| with_paths(directory, key, value))),
    }
}

/// Makes the short form of an upstream, which is the targets alone, a table with room for other keys.
fn make_upstream_table(version: &mut Keys<'_>) {
    let Some(item) = version.get_mut(UPSTREAM) else { return };
    if let Some(targets) = item.as_array().cloned() {
        let targets = vec![(TARGETS.to_owned(), Value::Array(targets))];
        version.put(UPSTREAM, Value::InlineTable(in_braces(targets)));
    }
}

/// Sets a key of `[traffic]`, or removes it.
pub fn set_in_traffic(
    document: &mut DocumentMut,
    directory: &Path,
    key: &[String],
    value: Option<&toml::Value>,
) {
    make_traffic(document);
    let Some(mut traffic) = document.get_mut(TRAFFIC).and_then(Keys::of) else { return };
    traffic.put_at(key, value.map(|value| with_paths(directory, key, value)));
}

/// Adds a `[traffic]` behind the versions, if there is none.
pub fn make_traffic(document: &mut DocumentMut) {
    if document.get(TRAFFIC).is_none() {
        let mut table = Table::new();
        table.set_position(Some(list::last_position(document, VERSIONS).unwrap_or(0)));
        document.insert(TRAFFIC, Item::Table(table));
    }
}

/// Adds a version after the last one.
pub fn declare_version(document: &mut DocumentMut, directory: &Path, version: &toml::Table) {
    let entry = |(key, value): (&String, &toml::Value)| {
        (key.clone(), with_paths(directory, std::slice::from_ref(key), value))
    };
    let mut entries: Vec<_> = version.iter().map(entry).collect();
    // A version begins with its name, and its tables come last.
    let place = |key: &str| match key {
        "name" => 0,
        "component" | UPSTREAM => 1,
        "env" | "limits" => 3,
        _ => 2,
    };
    entries.sort_by_key(|(key, _)| place(key));
    let position = list::last_position(document, VERSIONS);
    list::push(document, VERSIONS, entries, position);
}

/// Makes the rules these, in this order.
pub fn set_rules(document: &mut DocumentMut, rules: &[PutRule]) {
    if !rules.is_empty() {
        make_traffic(document);
    }
    let Some(mut traffic) = document.get_mut(TRAFFIC).and_then(Keys::of) else { return };
    if rules.is_empty() {
        traffic.remove(RULES);
        return;
    }
    match traffic.get_mut(RULES) {
        Some(Item::ArrayOfTables(tables)) => in_sections(tables, rules),
        Some(Item::Value(Value::Array(items))) => in_brackets(items, rules),
        _ => {
            let item = |put: &PutRule| Value::InlineTable(in_braces(entries_of(&put.rule)));
            let items = rules.iter().map(item);
            traffic.put(RULES, Value::Array(items.collect()));
        }
    }
}

fn in_sections(tables: &mut ArrayOfTables, rules: &[PutRule]) {
    let mut positions = Vec::new();
    tables.iter().for_each(|table| visit(table, &mut positions));
    let first = positions.into_iter().min();
    let named = |name: Option<&str>| {
        tables.iter().find(|table| table.get("name").and_then(Item::as_str) == name).cloned()
    };
    let made = rules.iter().map(|PutRule { rule, is_kept }| {
        let mut table = named(rule.get("name").and_then(toml::Value::as_str)).unwrap_or_default();
        if !is_kept {
            say(&mut Keys::Table(&mut table), rule);
        }
        // Sections of one place stay in the order of the list, each with its sub-tables.
        place(&mut table, first);
        table
    });
    let made: Vec<Table> = made.collect();
    tables.clear();
    made.into_iter().for_each(|table| tables.push(table));
}

fn in_brackets(items: &mut Array, rules: &[PutRule]) {
    let named = |name: Option<&str>| {
        let is_it = |item: &&Value| {
            item.as_inline_table().and_then(|table| table.get("name")?.as_str()) == name
        };
        items.iter().find(is_it).cloned()
    };
    let made = rules.iter().map(|PutRule { rule, is_kept }| {
        let known = named(rule.get("name").and_then(toml::Value::as_str));
        let mut item = known.unwrap_or_else(|| Value::InlineTable(in_braces(Vec::new())));
        if let Some(mut keys) = Keys::of_value(&mut item).filter(|_| !is_kept) {
            say(&mut keys, rule);
        }
        item
    });
    let made: Vec<Value> = made.collect();
    items.clear();
    made.into_iter().for_each(|item| items.push_formatted(item));
}

/// Makes a rule say this, unless it does already. `otherwise` is not written where the file does not have it and its
/// value is the default.
fn say(keys: &mut Keys<'_>, rule: &toml::Table) {
    let mut gone = keys.names();
    gone.retain(|key| !rule.contains_key(key));
    for key in gone {
        keys.remove(&key);
    }
    for (key, value) in entries_of(rule) {
        let is_default = key == "otherwise" && value.as_str() == Some("next");
        if keys.has(&key) || !is_default {
            keys.put_deep(&key, value);
        }
    }
}

fn entries_of(rule: &toml::Table) -> Vec<(String, Value)> {
    let mut entries: Vec<_> = rule.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
    entries.sort_by_key(|(key, _)| match key.as_str() {
        "name" => 0,
        "match" => 1,
        "otherwise" => 3,
        _ => 2,
    });
    entries
}

fn visit(table: &Table, positions: &mut Vec<isize>) {
    positions.extend(table.position());
    table.iter().filter_map(|(_, item)| item.as_table()).for_each(|it| visit(it, positions));
}

fn place(table: &mut Table, position: Option<isize>) {
    table.set_position(position);
    for (_, item) in table.iter_mut() {
        if let Some(below) = item.as_table_mut() {
            place(below, position);
        }
    }
}

/// A value with its paths as they are written in a file of `directory`: the path of a component, and those of secrets
/// and certificates.
fn with_paths(directory: &Path, key: &[String], value: &toml::Value) -> Value {
    let keys: Vec<&str> = key.iter().map(String::as_str).collect();
    match (keys.as_slice(), value) {
        (["component"], toml::Value::String(path)) => {
            Value::from(path_in(directory, Path::new(path)))
        }
        (["env" | "override"], toml::Value::Table(table)) => {
            let entry = |(name, value): (&String, _)| (name.clone(), secret(directory, value));
            Value::InlineTable(in_braces(table.iter().map(entry).collect()))
        }
        (["env" | "override", _], value) => secret(directory, value),
        ([UPSTREAM, "tls", "ca" | "certificate" | "key"], toml::Value::String(path)) => {
            Value::from(path_in(directory, Path::new(path)))
        }
        ([UPSTREAM] | [UPSTREAM, "tls"], toml::Value::Table(table)) => {
            let entry = |(name, value): (&String, &toml::Value)| {
                let below: Vec<_> = key.iter().cloned().chain([name.clone()]).collect();
                (name.clone(), with_paths(directory, &below, value))
            };
            Value::InlineTable(in_braces(table.iter().map(entry).collect()))
        }
        (_, value) => plain(value),
    }
}

/// A text, or the place of a secret.
fn secret(directory: &Path, value: &toml::Value) -> Value {
    match value.get("file").and_then(toml::Value::as_str) {
        Some(file) => {
            let file = Value::from(path_in(directory, Path::new(file)));
            Value::InlineTable(in_braces(vec![("file".to_owned(), file)]))
        }
        None => plain(value),
    }
}

fn plain(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::Float(Formatted::new(*number)),
        toml::Value::Boolean(is_on) => Value::from(*is_on),
        // No key of ours is a date.
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        toml::Value::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.clone(), plain(value)));
            Value::InlineTable(in_braces(entries.collect()))
        }
    }
}

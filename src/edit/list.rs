//! A list of tables below a key of the file: `[[key]]` sections, or `key = [{ … }]`.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

use super::bracketed;
use super::comments;
use super::keys::{Keys, in_braces};

/// The numbers of the tables in a list for which a condition holds, the last first.
pub fn find(
    document: &mut DocumentMut,
    key: &str,
    holds: impl Fn(&mut Keys<'_>) -> bool,
) -> Vec<usize> {
    let count = count(document, key);
    (0..count)
        .rev()
        .filter(|index| table(document, key, *index).is_some_and(|mut it| holds(&mut it)))
        .collect()
}

fn count(document: &DocumentMut, key: &str) -> usize {
    match document.get(key) {
        Some(Item::ArrayOfTables(tables)) => tables.len(),
        Some(Item::Value(Value::Array(items))) => items.len(),
        _ => 0,
    }
}

/// A table of a list.
pub fn table<'a>(document: &'a mut DocumentMut, key: &str, index: usize) -> Option<Keys<'a>> {
    match document.get_mut(key)? {
        Item::ArrayOfTables(tables) => tables.get_mut(index).map(Keys::Table),
        Item::Value(Value::Array(items)) => items.get_mut(index).and_then(Keys::of_value),
        _ => None,
    }
}

/// Adds a table at the end of a list. Sections are placed behind those at `position`.
pub fn push(
    document: &mut DocumentMut,
    key: &str,
    entries: Vec<(String, Value)>,
    position: Option<isize>,
) {
    if let Some(Item::Value(Value::Array(items))) = document.get_mut(key) {
        bracketed::push(items, Value::InlineTable(in_braces(entries)));
        return;
    }
    let entries = entries.into_iter().map(|(key, value)| (key, Item::Value(value)));
    let mut table: Table = entries.collect();
    table.set_position(position);
    let list = document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    // A list of another shape is left alone: the check says what it must be.
    if let Item::ArrayOfTables(tables) = list {
        tables.push(table);
    }
}

/// Removes a table of a list, with everything below it.
pub fn remove(document: &mut DocumentMut, key: &str, index: usize) {
    match document.get_mut(key) {
        Some(Item::Value(Value::Array(items))) => bracketed::remove(items, index),
        Some(Item::ArrayOfTables(tables)) if index < tables.len() => {
            let removed = tables.remove(index);
            if tables.is_empty() {
                document.remove(key);
            }
            leave_comments(document, &removed);
        }
        _ => {}
    }
}

/// The last place in the file that belongs to a key.
pub fn last_position(document: &DocumentMut, key: &str) -> Option<isize> {
    let mut positions = Vec::new();
    if let Some(item) = document.get(key) {
        visit(item, &mut |table| positions.extend(table.position()));
    }
    positions.into_iter().max()
}

fn visit(item: &Item, seen: &mut impl FnMut(&Table)) {
    match item {
        Item::Table(table) => {
            seen(table);
            table.iter().for_each(|(_, item)| visit(item, seen));
        }
        Item::ArrayOfTables(tables) => tables.iter().for_each(|table| {
            seen(table);
            table.iter().for_each(|(_, item)| visit(item, seen));
        }),
        Item::None | Item::Value(_) => {}
    }
}

/// Puts the remaining lines above a removed section over the next section in the file.
fn leave_comments(document: &mut DocumentMut, removed: &Table) {
    let prefix = comments::text(removed.decor().prefix());
    let next = removed.position().and_then(|position| next_position(document, position));
    let Some(next) = next else {
        let trailing = comments::text(Some(document.trailing()));
        document.set_trailing(comments::without_own(&prefix, &trailing));
        return;
    };
    for (_, item) in document.iter_mut() {
        visit_mut(item, &mut |table| {
            // A table without a section of its own has no lines above it.
            if table.position() == Some(next) && !table.is_implicit() {
                let decor = table.decor_mut();
                let joined = comments::without_own(&prefix, &comments::text(decor.prefix()));
                decor.set_prefix(joined);
            }
        });
    }
}

fn next_position(document: &DocumentMut, after: isize) -> Option<isize> {
    let mut next = None;
    for (_, item) in document.iter() {
        visit(item, &mut |table| {
            let found = table.position().filter(|it| *it > after && !table.is_implicit());
            next = match (next, found) {
                (Some(next), Some(found)) => Some(found.min(next)),
                (next, found) => next.or(found),
            };
        });
    }
    next
}

fn visit_mut(item: &mut Item, seen: &mut impl FnMut(&mut Table)) {
    match item {
        Item::Table(table) => {
            seen(table);
            table.iter_mut().for_each(|(_, item)| visit_mut(item, seen));
        }
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| {
            seen(table);
            table.iter_mut().for_each(|(_, item)| visit_mut(item, seen));
        }),
        Item::None | Item::Value(_) => {}
    }
}

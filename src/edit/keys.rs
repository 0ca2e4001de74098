//! The keys of a table, in any form of TOML: `[table]`, `key.dotted = …` or `{ … }`. A new value stands where the old
//! one stood, with the comments around it.

use toml_edit::{InlineTable, Item, Table, TableLike, Value};

use super::bracketed;
use super::comments;

/// A table that is being changed.
pub enum Keys<'a> {
    Table(&'a mut Table),
    Inline(&'a mut InlineTable),
}

impl<'a> Keys<'a> {
    /// The table of an item, if the item is a table.
    pub fn of(item: &'a mut Item) -> Option<Self> {
        match item {
            Item::Table(table) => Some(Self::Table(table)),
            Item::Value(value) => Self::of_value(value),
            Item::None | Item::ArrayOfTables(_) => None,
        }
    }

    /// The table of a value, if the value is a table in braces.
    pub fn of_value(value: &'a mut Value) -> Option<Self> {
        value.as_inline_table_mut().map(Self::Inline)
    }

    fn table(&self) -> &dyn TableLike {
        match self {
            Self::Table(table) => *table,
            Self::Inline(table) => *table,
        }
    }

    fn table_mut(&mut self) -> &mut dyn TableLike {
        match self {
            Self::Table(table) => *table,
            Self::Inline(table) => *table,
        }
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Item> {
        self.table_mut().get_mut(key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.table().contains_key(key)
    }

    pub fn is_empty(&self) -> bool {
        self.table().is_empty()
    }

    pub fn names(&self) -> Vec<String> {
        self.table().iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// Sets a key: in its place, or behind the others.
    pub fn put(&mut self, key: &str, value: Value) {
        if let Some(item) = self.get_mut(key) {
            set(item, value);
            return;
        }
        match self {
            Self::Table(table) => {
                table.insert(key, Item::Value(value));
            }
            Self::Inline(table) => bracketed::insert(table, key, value),
        }
    }

    /// Sets a key below others, which are made where they are missing, or removes it.
    pub fn put_at(&mut self, key: &[String], value: Option<Value>) {
        match (key, value) {
            ([], _) => {}
            ([last], Some(value)) => self.put_deep(last, value),
            ([last], None) => self.remove(last),
            ([first, rest @ ..], value) => {
                if value.is_some() && self.get_mut(first).and_then(Keys::of).is_none() {
                    self.put(first, Value::InlineTable(InlineTable::new()));
                }
                if let Some(mut below) = self.get_mut(first).and_then(Keys::of) {
                    below.put_at(rest, value);
                }
            }
        }
    }

    /// Sets a key. A table that exists is changed where it differs, and keeps the form in which it is written.
    pub fn put_deep(&mut self, key: &str, value: Value) {
        let Value::InlineTable(wanted) = value else { return self.put(key, value) };
        let Some(mut table) = self.get_mut(key).and_then(Keys::of) else {
            return self.put(key, Value::InlineTable(wanted));
        };
        let gone: Vec<_> =
            table.names().into_iter().filter(|it| !wanted.contains_key(it)).collect();
        for (name, value) in wanted {
            table.put_deep(&name, value);
        }
        for name in gone {
            table.remove(&name);
        }
    }

    /// Removes a key with the comment right above it.
    pub fn remove(&mut self, key: &str) {
        match self {
            Self::Table(table) => remove_key(table, key),
            Self::Inline(table) => bracketed::remove_key(table, key),
        }
    }

    /// Gives a key another name and value, in its place and with the comments and spaces around it.
    pub fn replace(&mut self, key: &str, new: &str, value: Value) {
        let Some(decor) = self.table().key(key).map(|key| key.leaf_decor().clone()) else { return };
        let around = self.get_mut(key).and_then(|item| Some(item.as_value()?.decor().clone()));
        let table = self.table_mut();
        table.remove(key);
        table.insert(new, Item::Value(value));
        if let Some(mut key) = table.key_mut(new) {
            *key.leaf_decor_mut() = decor;
        }
        if let Some(value) = table.get_mut(new).and_then(Item::as_value_mut) {
            *value.decor_mut() = around.unwrap_or_default();
        }
    }

    /// Makes the table below a key exactly this one.
    pub fn put_table(&mut self, key: &str, entries: Vec<(String, Value)>) {
        match self.get_mut(key).and_then(Keys::of) {
            Some(mut table) => table.say(entries),
            None => self.put(key, Value::InlineTable(in_braces(entries))),
        }
    }

    fn say(&mut self, entries: Vec<(String, Value)>) {
        let is_wanted = |name: &String| entries.iter().any(|(wanted, _)| wanted == name);
        let gone: Vec<_> = self.names().into_iter().filter(|name| !is_wanted(name)).collect();
        for (name, value) in entries {
            self.put(&name, value);
        }
        for name in gone {
            self.remove(&name);
        }
    }
}

/// A table in braces.
pub fn in_braces(entries: Vec<(String, Value)>) -> InlineTable {
    entries.into_iter().collect()
}

/// Writes a value over another one, unless both mean the same.
fn set(item: &mut Item, mut value: Value) {
    match item {
        Item::Value(old) if is_same(old, &value) => {}
        Item::Value(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        Item::None | Item::Table(_) | Item::ArrayOfTables(_) => *item = Item::Value(value),
    }
}

/// Whether two texts or two numbers have the same value, however they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    if let (Some(one), Some(other)) = (one.as_str(), other.as_str()) {
        return one == other;
    }
    if let (Some(one), Some(other)) = (one.as_bool(), other.as_bool()) {
        return one == other;
    }
    number(one).is_some() && number(one) == number(other)
}

fn number(value: &Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share is at most 100")]
    let whole = value.as_integer().map(|number| number as f64);
    whole.or_else(|| value.as_float())
}

fn remove_key(table: &mut Table, key: &str) {
    let prefix = table.key(key).map(|key| comments::text(key.leaf_decor().prefix()));
    let next = table.iter().map(|(name, _)| name).skip_while(|name| *name != key).nth(1);
    let next = next.map(str::to_owned);
    table.remove(key);
    let Some((prefix, mut next)) = prefix.zip(next.and_then(|next| table.key_mut(&next))) else {
        return;
    };
    let decor = next.leaf_decor_mut();
    let joined = comments::without_own(&prefix, &comments::text(decor.prefix()));
    decor.set_prefix(joined);
}

//! Takes a parsed document apart, key by key, into the structs of `raw`. One walk over the document finds every misfit:
//! a value of the wrong type, an array with such an item, an unknown key. Each misfit is data with its place; `words`
//! puts it into a sentence. `document` calls [`file`].

mod advice;
mod elsewhere;
mod homes;
mod misfit;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod words;

pub use misfit::{Lost, Misfits};
pub use words::Words;

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use misfit::{Kind, Subject};

/// A type that a value in a file can have.
pub trait FromValue: Sized {
    /// What the value has to be, for a misfit.
    const KIND: Kind;

    /// The value; `None` where it is of another kind. What is wrong inside the value goes to `misfits`, and the value
    /// is made of the rest.
    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self>;
}

/// Where a value stands.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The keys that lead to the value; empty for the document itself.
    path: Option<&'a Path<'a>>,
    /// `None` for the document itself.
    span: Option<&'a Range<usize>>,
}

/// A key, and the table that it is in.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    table: At<'a>,
    key: &'a str,
}

/// Reads a whole document.
pub fn file<T: FromValue>(document: DeTable<'_>, misfits: &mut Misfits) -> Option<T> {
    T::from_value(&mut DeValue::Table(document), At { path: None, span: None }, misfits)
}

/// A table that is being read: each entry is taken out once. [`finish`](Self::finish) reports the entries that are
/// left.
pub struct Table<'a, 'd> {
    entries: &'a mut DeTable<'d>,
    at: At<'a>,
    misfits: &'a mut Misfits,
}

impl<'a, 'd> Table<'a, 'd> {
    /// `None` where the value is no table.
    pub fn of(value: &'a mut DeValue<'d>, at: At<'a>, misfits: &'a mut Misfits) -> Option<Self> {
        match value {
            DeValue::Table(entries) => Some(Self { entries, at, misfits }),
            _ => None,
        }
    }

    /// The value of a key; `None` where the table does not have the key, or the value does not fit.
    pub fn take<T: FromValue>(&mut self, key: &str) -> Option<T> {
        let mut value = self.entries.remove(key)?;
        read_entry(key, &mut value, self.at, self.misfits)
    }

    /// Reports each key that the table should not have, with the `allowed` ones.
    pub fn finish(self, allowed: &'static [&'static str]) {
        if self.entries.is_empty() {
            return;
        }
        let mut keys: Vec<_> = self.entries.keys().collect();
        keys.sort_unstable_by_key(|key| key.span().start);
        for key in keys {
            if self.misfits.is_full() {
                break;
            }
            self.misfits.add_unknown(self.at, key, allowed);
        }
    }
}

/// Reads the value of a key, and reports it where it does not fit.
fn read_entry<T: FromValue>(
    key: &str,
    value: &mut Spanned<DeValue<'_>>,
    table: At<'_>,
    misfits: &mut Misfits,
) -> Option<T> {
    let (path, span) = (Path { table, key }, value.span());
    let read = T::from_value(value.get_mut(), At { path: Some(&path), span: Some(&span) }, misfits);
    if read.is_none() {
        misfits.lose(table, key);
        misfits.add_wrong(table, Subject::Value(key.to_owned()), span, T::KIND, value.get_ref());
    }
    read
}

/// Reads an item of the array at `array`, and reports it where it does not fit.
fn read_item<T: FromValue>(
    value: &mut Spanned<DeValue<'_>>,
    array: At<'_>,
    misfits: &mut Misfits,
) -> Option<T> {
    let span = value.span();
    let read = T::from_value(value.get_mut(), At { span: Some(&span), ..array }, misfits);
    if read.is_none() {
        misfits.lose_item(array);
        let key = array.path.map(|path| path.key.to_owned()).unwrap_or_default();
        let table = array.path.map_or(array, |path| path.table);
        misfits.add_wrong(table, Subject::Item(key), span, T::KIND, value.get_ref());
    }
    read
}

impl Path<'_> {
    /// The keys from the top of the document on.
    fn keys(&self) -> Vec<String> {
        let mut keys = self.table.path.map(Path::keys).unwrap_or_default();
        keys.push(self.key.to_owned());
        keys
    }
}

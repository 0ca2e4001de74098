//! What does not fit in a file, as data.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeString, DeValue};

use super::super::source::PROBLEMS_MAX;
use super::super::suggest;
use super::{At, Path};

/// Something in a file that has no place in the structs of `raw`.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    pub span: Range<usize>,
    pub what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// A key that its table does not have.
    UnknownKey {
        /// The keys that lead to the table; empty at the top of the file.
        table: Vec<String>,
        key: String,
        /// The keys that the table has.
        allowed: &'static [&'static str],
        /// The one of them that was probably meant.
        meant: Option<&'static str>,
    },
    /// A value of another type than its key or its array has.
    WrongType { subject: Subject, expected: Kind, found: Found },
}

/// What has a wrong type.
#[derive(Debug, PartialEq, Eq)]
pub enum Subject {
    /// The value of this key.
    Value(String),
    /// An item of the array at this key.
    Item(String),
}

/// What a value can have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Boolean,
    /// A whole number of 64 bits.
    Whole,
    Number,
    /// A text such as "128MiB", or a whole number of bytes.
    Size,
    /// A text, or a table that says where to find one.
    TextOrSecret,
    Array,
    Table,
}

/// What a value is instead.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Text(String),
    Boolean(bool),
    /// A whole number as it is written, less its underscores.
    Whole(String),
    /// Another number, or what toml's parser takes for one until it is asked for: `1_0x`.
    Number(String),
    Date,
    /// An array in brackets.
    Array,
    /// Tables under `[[headers]]`.
    Tables,
    Table,
}

/// A value that was left out because of its type, so that nobody complains that it is missing.
pub struct Lost {
    /// Where the table or the array is that it is in; none for the top of the file.
    pub table: Option<Range<usize>>,
    /// The key, also of an array that is not whole; none for an item of an array.
    pub key: Option<String>,
}

/// The misfits of one file: the first ones, and whether there are more.
#[derive(Default)]
pub struct Misfits {
    pub found: Vec<Misfit>,
    pub lost: Vec<Lost>,
}

impl Misfits {
    /// Whether there are more of them than will be reported.
    pub fn is_full(&self) -> bool {
        self.found.len() > PROBLEMS_MAX
    }

    pub(super) fn add_unknown(
        &mut self,
        table: At<'_>,
        key: &Spanned<DeString<'_>>,
        allowed: &'static [&'static str],
    ) {
        let name = key.get_ref().as_ref();
        let meant = suggest::closest(name, allowed);
        self.lose(table, name);
        if let Some(meant) = meant {
            self.lose(table, meant);
        }
        let what = What::UnknownKey {
            table: table.path.map(Path::keys).unwrap_or_default(),
            key: name.to_owned(),
            allowed,
            meant,
        };
        self.found.push(Misfit { span: key.span(), what });
    }

    pub(super) fn add_wrong(
        &mut self,
        subject: Subject,
        span: Range<usize>,
        expected: Kind,
        value: &DeValue<'_>,
    ) {
        if !self.is_full() {
            let found = Found::of(value, &span);
            self.found.push(Misfit { span, what: What::WrongType { subject, expected, found } });
        }
    }

    /// Remembers that a key of a table is left out.
    pub(super) fn lose(&mut self, table: At<'_>, key: &str) {
        if !self.is_full() {
            let key = Some(key.to_owned());
            self.lost.push(Lost { table: table.span.cloned(), key });
        }
    }

    /// Remembers that an array is not whole.
    pub(super) fn lose_item(&mut self, array: At<'_>) {
        if let Some(path) = array.path {
            self.lose(path.table, path.key);
        }
        if !self.is_full() {
            self.lost.push(Lost { table: array.span.cloned(), key: None });
        }
    }
}

impl Found {
    fn of(value: &DeValue<'_>, span: &Range<usize>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.as_ref().to_owned()),
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Integer(number) if is_whole(number) => Self::Whole(number.to_string()),
            DeValue::Integer(number) => Self::Number(number.to_string()),
            DeValue::Float(number) => Self::Number(number.to_string()),
            DeValue::Datetime(_) => Self::Date,
            DeValue::Array(items) if is_under_headers(items, span) => Self::Tables,
            DeValue::Array(_) => Self::Array,
            DeValue::Table(_) => Self::Table,
        }
    }
}

fn is_whole(number: &DeInteger<'_>) -> bool {
    let digits = number.as_str().trim_start_matches(['+', '-']);
    !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(number.radix()))
}

/// Tables under `[[headers]]` stand where the first of them does.
fn is_under_headers(items: &DeArray<'_>, span: &Range<usize>) -> bool {
    items.first().is_some_and(|first| first.span() == *span)
}

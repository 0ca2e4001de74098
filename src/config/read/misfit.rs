//! The misfits of a file, as data.

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
    pub what: MisfitKind,
}

#[derive(Debug, PartialEq, Eq)]
pub enum MisfitKind {
    /// A key that its table does not have.
    UnknownKey {
        /// The keys that lead to the table; empty at the top of the file.
        table: Vec<String>,
        key: String,
        /// The keys that the table does have.
        allowed: &'static [&'static str],
        /// The key of the table that was probably meant.
        meant: Option<&'static str>,
    },
    /// A value of another type than its key or its array has.
    WrongType {
        /// The keys that lead to the table of the value, or of its array; empty at the top of the file.
        table: Vec<String>,
        subject: Subject,
        expected: Kind,
        found: Found,
    },
}

/// The value that has a wrong type.
#[derive(Debug, PartialEq, Eq)]
pub enum Subject {
    /// The value of this key.
    Value(String),
    /// An item of the array at this key.
    Item(String),
}

/// What a value has to be.
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
    /// Addresses, or a table with them.
    Upstream,
    /// An address, or a table with one.
    Target,
    FalseOrTable,
    Array,
    Table,
}

/// What a value is instead.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Text(String),
    Boolean(bool),
    /// A whole number as it is written, without its underscores.
    Whole(String),
    /// Another number, or a text such as `1_0x` that toml's parser takes for a number until its value is asked for.
    Number(String),
    Date,
    /// An array in brackets.
    Array,
    /// Tables under `[[headers]]`.
    Tables,
    Table,
}

/// A value that was left out because of its type, so that no check reports it as missing.
pub struct Lost {
    /// Where the value's table or array is; `None` for the top of the file.
    pub table: Option<Range<usize>>,
    /// The key of the value, or of an array that lost an item; `None` for an item of an array.
    pub key: Option<String>,
}

/// The first misfits of one file, and whether there are more.
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
        let what = MisfitKind::UnknownKey {
            table: table.path.map(Path::keys).unwrap_or_default(),
            key: name.to_owned(),
            allowed,
            meant,
        };
        self.found.push(Misfit { span: key.span(), what });
    }

    pub(super) fn add_wrong(
        &mut self,
        table: At<'_>,
        subject: Subject,
        span: Range<usize>,
        expected: Kind,
        value: &DeValue<'_>,
    ) {
        if !self.is_full() {
            let table = table.path.map(Path::keys).unwrap_or_default();
            let found = Found::of(value, &span);
            let what = MisfitKind::WrongType { table, subject, expected, found };
            self.found.push(Misfit { span, what });
        }
    }

    /// Remembers that a key of a table was left out.
    pub(super) fn lose(&mut self, table: At<'_>, key: &str) {
        if !self.is_full() {
            let key = Some(key.to_owned());
            self.lost.push(Lost { table: table.span.cloned(), key });
        }
    }

    /// Remembers that an array lost an item.
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

/// Tables under `[[headers]]` are placed where the first of them is.
fn is_under_headers(items: &DeArray<'_>, span: &Range<usize>) -> bool {
    items.first().is_some_and(|first| first.span() == *span)
}

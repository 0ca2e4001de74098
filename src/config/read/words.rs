//! Puts a misfit into a sentence, with what to do about it.

use super::super::source::{Complaint, Source};
use super::super::suggest;
use super::homes::Homes;
use super::misfit::{Found, Kind, Misfit, MisfitKind, Subject};

/// Reports what does not fit in one file.
pub struct Words<'a> {
    source: &'a Source,
    homes: Homes,
}

impl<'a> Words<'a> {
    pub fn of(source: &'a Source) -> Self {
        Self { source, homes: Homes::default() }
    }

    pub fn say(&self, misfit: &Misfit) -> Complaint {
        match &misfit.what {
            MisfitKind::UnknownKey { table, key, allowed, meant } => {
                self.unknown_key(table, key, allowed, *meant)
            }
            MisfitKind::WrongType { subject, expected, found } => {
                let has_header = found.is_header(self.written(misfit));
                wrong_type(subject, *expected, found, has_header)
            }
        }
    }

    /// The text of the file from a misfit on.
    fn written(&self, misfit: &Misfit) -> &str {
        self.source.text.get(misfit.span.start..).unwrap_or_default()
    }

    fn unknown_key(
        &self,
        table: &[String],
        key: &str,
        allowed: &[&str],
        meant: Option<&str>,
    ) -> Complaint {
        let place = match table {
            [] => "at the top of the file".to_owned(),
            path => format!("in `{}`", path.join(".")),
        };
        let list = format!("the keys here are {}", suggest::list(allowed));
        let help = if let Some(header) = nested(key).filter(|_| allowed.contains(&"traffic")) {
            format!("`{key}` is written `{header}`; {list}")
        } else {
            match self.homes.of(key).as_slice() {
                homes @ [_, ..] if meant.is_none() => {
                    format!("`{key}` belongs {}; {list}", homes.join(", or "))
                }
                _ => suggest::help(meant, &list),
            }
        };
        Complaint::new(format!("there is no key `{key}` {place}"), help)
    }
}

impl Found {
    /// Whether a value stands under a header, or was made by a dotted key: then there is no `=` in front of the value.
    fn is_header(&self, written: &str) -> bool {
        match self {
            Self::Tables => true,
            Self::Table => !written.starts_with('{'),
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Text(text) => format!("the string {text:?}"),
            Self::Boolean(value) => value.to_string(),
            Self::Whole(number) | Self::Number(number) => number.clone(),
            Self::Date => "a date or a time".to_owned(),
            Self::Array | Self::Tables => "an array".to_owned(),
            Self::Table => "a table".to_owned(),
        }
    }
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Boolean => "true or false",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Size => "a size such as \"128MiB\" or a whole number of bytes",
            Self::TextOrSecret => "a string or a table",
            Self::Array => "an array",
            Self::Table => "a table",
        }
    }
}

fn wrong_type(subject: &Subject, expected: Kind, found: &Found, has_header: bool) -> Complaint {
    let (named, key) = match subject {
        Subject::Value(key) => (format!("`{key}`"), key.as_str()),
        Subject::Item(key) => (format!("each item of `{key}`"), ""),
    };
    if *found == Found::Date {
        let message = format!("{named} cannot be a date or a time");
        return Complaint::new(message, "put it in quotation marks if it is meant as a text");
    }
    if let (Kind::Whole | Kind::Number | Kind::Size, Found::Whole(number)) = (expected, found) {
        let message = format!("{named} cannot be {number}, which has more than 64 bits");
        return Complaint::new(message, "write a number that is nearer to 0");
    }
    let message = format!("{named} must be {}, not {}", expected.words(), found.words());
    Complaint::new(message, advice(key, expected, has_header))
}

fn advice(key: &str, expected: Kind, has_header: bool) -> String {
    match expected {
        Kind::Array if has_header => {
            let (table, first) = (table(key), first_key(key));
            format!(
                "write `[[{table}]]`, in two pairs of brackets, above each of them, and its `{first}` below"
            )
        }
        Kind::Table if has_header => {
            format!("write `[{}]`, in one pair of brackets, and once only", table(key))
        }
        Kind::Table => format!("write `{}`, or a `[table]` of its own", example(key)),
        Kind::Text if key.ends_with("-time") || key.ends_with("-period") => {
            "write a whole number and a unit in quotation marks, such as `\"250ms\"`".to_owned()
        }
        other => plain_advice(other).to_owned(),
    }
}

fn plain_advice(expected: Kind) -> &'static str {
    match expected {
        Kind::Text => "write a text in quotation marks",
        Kind::Array => "write `[ … ]` around the value, with commas between items",
        Kind::TextOrSecret => {
            "write a text in quotation marks, `{ file = \"…\" }` or `{ from-env = \"…\" }`"
        }
        Kind::Boolean => "write `true` or `false`, without quotation marks",
        Kind::Whole => "write digits only, without quotation marks",
        Kind::Number => "write the number alone, without quotation marks and `%`",
        Kind::Size => "write a whole number and a unit in quotation marks",
        Kind::Table => "write `{ key = value }`, or a `[table]` of its own",
    }
}

/// The header of a table that always stands inside another one.
fn nested(key: &str) -> Option<String> {
    let table = table(key);
    let header = if key == "rules" { format!("[[{table}]]") } else { format!("[{table}]") };
    (table != key).then_some(header)
}

/// What stands in the brackets of a table's header.
fn table(key: &str) -> &str {
    match key {
        "rules" => "traffic.rules",
        "match" => "traffic.rules.match",
        "sticky" => "traffic.sticky",
        "override" => "traffic.override",
        "secret" => "traffic.override.secret",
        key => key,
    }
}

/// What each table of an array must have.
fn first_key(array: &str) -> &'static str {
    match array {
        "quarantine" => "digest",
        "routes" => "domain",
        _ => "name",
    }
}

fn example(key: &str) -> &'static str {
    match key {
        "match" => "{ path = \"/app/*\" }",
        "query" | "header" | "cookie" => "{ name = \"value\" }",
        "sticky" => "{ key = \"generated\" }",
        "override" => "{ header = true }",
        "secret" => "{ file = \"override.key\" }",
        "split" => "{ v1 = 90, v2 = 10 }",
        "env" => "{ NAME = \"value\" }",
        _ => "{ key = value }",
    }
}

//! Puts a misfit into a sentence, with what to do about it.

use super::super::source::{Complaint, Source};
use super::super::suggest;
use super::homes::Homes;
use super::misfit::{Found, Kind, Misfit, MisfitKind, Subject};
use super::{advice, elsewhere};

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
                match self.dotted(misfit.span.start).filter(|_| is_chosen(table)) {
                    Some(dotted) => advice::dotted(&dotted, Kind::Text),
                    None => self.unknown_key(table, key, allowed, *meant),
                }
            }
            MisfitKind::WrongType { table, subject, expected, found } => {
                let has_header = found.is_header(self.written(misfit));
                match self.dotted(misfit.span.end).filter(|_| *found == Found::Table) {
                    Some(dotted) if matches!(expected, Kind::Number | Kind::Text) => {
                        advice::dotted(&dotted, *expected)
                    }
                    _ if *found == Found::Tables && *expected == Kind::Table => {
                        self.one_table(subject, misfit)
                    }
                    _ => wrong_type(table, subject, *expected, found, has_header),
                }
            }
        }
    }

    /// The key at the start of a line or of an entry, if it has a dot at this place or right before it.
    fn dotted(&self, at: usize) -> Option<String> {
        let (line, at) = self.source.line(at);
        let (before, after) = line.split_at(at);
        let is_dotted = before.ends_with('.') || after.starts_with('.');
        if !is_dotted || line.trim_start().starts_with('[') {
            return None;
        }
        let start = before.rfind(['{', ',', ' ', '\t']).map_or(0, |at| at + 1);
        let end = at + after.find(['=', ' ', '\t']).unwrap_or(after.len());
        line.get(start..end).map(str::to_owned)
    }

    /// The text of the file from a misfit on.
    fn written(&self, misfit: &Misfit) -> &str {
        self.source.text.get(misfit.span.start..).unwrap_or_default()
    }

    /// About a table with a header of an array, which says where the table is.
    fn one_table(&self, subject: &Subject, misfit: &Misfit) -> Complaint {
        let complaint = wrong_type(&[], subject, Kind::Table, &Found::Tables, true);
        let header = self.written(misfit).strip_prefix("[[").and_then(|it| it.split_once("]]"));
        match header.filter(|(name, _)| !name.contains('\n')) {
            Some((name, _)) => {
                let help = format!("write `[{name}]`, in one pair of brackets, and once only");
                Complaint { help, ..complaint }
            }
            None => complaint,
        }
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
        let plain = key.to_lowercase().replace('_', "-");
        let is_slip = meant.is_some_and(|meant| meant.starts_with(&plain));
        let here = elsewhere::called_here(allowed, key).filter(|_| meant != Some(plain.as_str()));
        let called = here.or_else(|| elsewhere::called(table, allowed, key).filter(|_| !is_slip));
        let help = if let Some(header) =
            nested(key).filter(|_| allowed.contains(&"traffic") && key != "certificates")
        {
            format!("`{key}` is written `{header}`; {list}")
        } else if let Some(called) = called {
            match called.ends_with('?') {
                true => format!("{called} {}", suggest::capital(&list)),
                false => format!("{called}; {list}"),
            }
        } else {
            let is_slip = meant.is_some_and(|meant| suggest::is_slip(key, meant));
            match self.homes.of(key, table).as_slice() {
                homes @ [_, ..] if !is_slip => {
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
            Self::TextOrSecret | Self::Target => "a string or a table",
            Self::Upstream => "an array or a table",
            Self::FalseOrTable => "false or a table",
            Self::Array => "an array",
            Self::Table => "a table",
        }
    }
}

/// Whether people choose the keys of the table around this one.
fn is_chosen(table: &[String]) -> bool {
    table.iter().rev().nth(1).is_some_and(|around| around == "env")
}

fn wrong_type(
    table: &[String],
    subject: &Subject,
    expected: Kind,
    found: &Found,
    has_header: bool,
) -> Complaint {
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
    let help = match subject {
        Subject::Item(array) if expected == Kind::Table => {
            Some(advice::of_kind(array, Kind::Array, true))
        }
        Subject::Item(array) => advice::of_item(array, found),
        _ if key == "tls" && table == ["server"] && *found != Found::Boolean(false) => {
            Some(advice::HTTPS.to_owned())
        }
        _ if has_header && advice::is_of_texts(key) => Some(advice::texts(key)),
        _ if has_header && expected != Kind::Text => None,
        _ => advice::of_value(key, expected, found),
    };
    let help = help.unwrap_or_else(|| advice::of_kind(key, expected, has_header));
    Complaint::new(message, help)
}

/// The header of a table that always stands inside another one.
fn nested(key: &str) -> Option<String> {
    let table = advice::table(key);
    let header = if key == "rules" { format!("[[{table}]]") } else { format!("[{table}]") };
    (table != key).then_some(header)
}

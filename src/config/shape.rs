//! Puts what serde says about the shape of a file into plain words. Its errors are text, so this
//! room reads text; what it does not recognise it passes on as it is. `document` calls it.

use std::cell::OnceCell;

use serde_json::Value;

use super::schema;
use super::source::Complaint;
use super::suggest;

/// Which part of a document does not fit.
#[derive(Clone, Copy)]
pub enum Misfit<'a> {
    Root,
    /// A key, and the path of the table that it is in.
    Key {
        table: &'a [String],
        key: &'a str,
    },
    /// The value of a key, as it is written.
    Value {
        key: &'a str,
        written: &'a str,
    },
    /// An item of the array at a key.
    Item {
        key: &'a str,
    },
}

/// How toml names a date or a time to serde, which has no word for it.
const DATE: &str = "$__toml_private_datetime";

/// Where which key may stand; found out when it is asked for first.
#[derive(Default)]
pub struct Homes(OnceCell<[(Value, &'static str); 2]>);

/// What serde says about a misfit, with what to do, and for an unknown key the one that was
/// probably meant.
pub fn explain(message: &str, misfit: Misfit<'_>, homes: &Homes) -> (Complaint, Option<String>) {
    if let (Misfit::Key { table, .. }, Some(rest)) =
        (misfit, message.strip_prefix("unknown field "))
    {
        return unknown_key(rest, table, homes);
    }
    (wrong_type(message, misfit), None)
}

fn unknown_key(rest: &str, table: &[String], homes: &Homes) -> (Complaint, Option<String>) {
    // unknown field `a`, expected one of `b`, `c`; the field may have such quotes in it, the others
    // have not.
    let (key, allowed) = rest.rsplit_once("`, expected ").unwrap_or((rest, ""));
    let key = key.strip_prefix('`').unwrap_or(key);
    let allowed: Vec<&str> = allowed.split('`').skip(1).step_by(2).collect();
    let place = match table {
        [] => "at the top of the file".to_owned(),
        path => format!("in `{}`", path.join(".")),
    };
    let list = format!("the keys here are {}", suggest::list(&allowed));
    let complaint = |help| Complaint::new(format!("there is no key `{key}` {place}"), help);
    if let Some(header) = nested(key).filter(|_| allowed.contains(&"traffic")) {
        return (complaint(format!("`{key}` is written `{header}`; {list}")), None);
    }
    let meant = suggest::closest(key, &allowed);
    let help = match homes.of(key).as_slice() {
        homes @ [_, ..] if meant.is_none() => {
            format!("`{key}` belongs {}; {list}", homes.join(", or "))
        }
        _ => suggest::help(meant, &list),
    };
    (complaint(help), meant.map(str::to_owned))
}

/// What stands above a table that is always inside of another one.
fn nested(key: &str) -> Option<String> {
    let table = table(key);
    let header = if key == "rules" { format!("[[{table}]]") } else { format!("[{table}]") };
    (table != key).then_some(header)
}

impl Homes {
    /// Where there is such a key, in words.
    fn of(&self, key: &str) -> Vec<String> {
        let files = self.0.get_or_init(|| {
            let (watershed, service) = schema::schema();
            [(watershed, "watershed.toml"), (service, "a service's file")]
        });
        let places = files.iter().flat_map(|(schema, file)| {
            let all = schema::tables_with(schema, key);
            let tables: Vec<String> = all
                .iter()
                .filter(|table| !table.is_empty())
                .map(|table| format!("`{table}`"))
                .collect();
            let top = (tables.len() < all.len()).then(|| format!("at the top of {file}"));
            let below =
                (!tables.is_empty()).then(|| format!("in {} of {file}", tables.join(" or ")));
            top.into_iter().chain(below)
        });
        places.collect()
    }
}

fn wrong_type(message: &str, misfit: Misfit<'_>) -> Complaint {
    let subject = match misfit {
        Misfit::Root => "the file".to_owned(),
        Misfit::Key { key, .. } | Misfit::Value { key, .. } => format!("`{key}`"),
        Misfit::Item { key } => format!("each item of `{key}`"),
    };
    if message.contains(DATE) {
        let message = format!("{subject} cannot be a date or a time");
        return Complaint::new(message, "put it in quotation marks if it is meant as a text");
    }
    let typed = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "));
    match typed {
        Some((found, expected)) => {
            let (found, expected) = (found_words(found), expected_words(expected));
            let message = format!("{subject} must be {expected}, not {found}");
            Complaint::new(message, advice(expected, misfit))
        }
        // The text of `expecting` on an untagged enum says what is wanted, alone.
        None if message.starts_with("a ") => {
            Complaint::new(format!("{subject} must be {message}"), advice(message, misfit))
        }
        None => Complaint::new(format!("{subject}: {message}"), "correct this value"),
    }
}

fn expected_words(expected: &str) -> &str {
    match expected {
        "a sequence" => "an array",
        "a map" => "a table",
        "a boolean" => "true or false",
        "i64" => "a whole number",
        "f64" => "a number",
        other => other,
    }
}

fn found_words(found: &str) -> String {
    match found.split_once(' ') {
        _ if found == "sequence" => "an array".to_owned(),
        _ if found == "map" => "a table".to_owned(),
        Some(("integer" | "boolean", value)) => value.replace('`', ""),
        Some(("floating", value)) => value.replace("point ", "").replace('`', ""),
        Some(("string", value)) => format!("the string {value}"),
        _ => found.to_owned(),
    }
}

fn advice(expected: &str, misfit: Misfit<'_>) -> String {
    let key = match misfit {
        Misfit::Key { key, .. } | Misfit::Value { key, .. } => key,
        Misfit::Root | Misfit::Item { .. } => "",
    };
    // A header in brackets stands for the value that it opens.
    let header = match misfit {
        Misfit::Key { .. } => true,
        Misfit::Value { written, .. } => written.starts_with('[') && written.contains(key),
        Misfit::Root | Misfit::Item { .. } => false,
    };
    match expected {
        "an array" if header => {
            let (table, first) = (table(key), first_key(key));
            format!(
                "write `[[{table}]]`, in two pairs of brackets, above each of them, and its `{first}` below"
            )
        }
        "a table" if header => {
            format!("write `[{}]`, in one pair of brackets, and once only", table(key))
        }
        "a table" => format!("write `{}`, or a `[table]` of its own", example(key)),
        "a string" if key.ends_with("-time") || key.ends_with("-period") => {
            "write a whole number and a unit in quotation marks, such as `\"250ms\"`".to_owned()
        }
        _ => plain_advice(expected).to_owned(),
    }
}

/// What stands in the brackets of a table.
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

fn plain_advice(expected: &str) -> &'static str {
    match expected {
        "a string" => "write a text in quotation marks",
        "an array" => "write `[ … ]` around the value, with commas between items",
        "a string or a table" => {
            "write a text in quotation marks, `{ file = \"…\" }` or `{ from-env = \"…\" }`"
        }
        "true or false" => "write `true` or `false`, without quotation marks",
        "a whole number" => "write digits only, without quotation marks",
        "a number" => "write the number alone, without quotation marks and `%`",
        size if size.starts_with("a size") => "write a whole number and a unit in quotation marks",
        _ => "write one of these",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: Misfit<'_> = Misfit::Value { key: "x", written: "" };

    #[test]
    fn what_is_not_recognised_is_passed_on() {
        let (complaint, meant) = explain("the moon is full", VALUE, &Homes::default());
        assert_eq!(complaint.message, "`x`: the moon is full");
        assert_eq!(meant, None);
    }

    #[test]
    fn types_are_said_in_plain_words() {
        let say = |message| explain(message, VALUE, &Homes::default()).0.message;
        assert_eq!(
            say("invalid type: integer `3`, expected a string"),
            "`x` must be a string, not 3"
        );
        assert_eq!(
            say("invalid type: string \"a, expected b\", expected i64"),
            "`x` must be a whole number, not the string \"a, expected b\""
        );
        assert_eq!(
            say("invalid type: floating point `1.5`, expected a sequence"),
            "`x` must be an array, not 1.5"
        );
        assert_eq!(
            say("invalid type: map, expected a boolean"),
            "`x` must be true or false, not a table"
        );
    }

    #[test]
    fn a_key_that_is_elsewhere_is_told_where() {
        let homes = Homes::default();
        assert_eq!(homes.of("token-file"), ["in `[admin]` of watershed.toml"]);
        let shares = ["in `[[traffic.rules]]` or `[traffic]` of a service's file"];
        assert_eq!(homes.of("split"), shares);
        assert_eq!(homes.of("domains"), ["at the top of a service's file"]);
        let limits = [
            "in `[defaults.limits]` of watershed.toml",
            "in `[versions.limits]` of a service's file",
        ];
        assert_eq!(homes.of("memory"), limits);
        let names = [
            "in `[[environments]]` of watershed.toml",
            "at the top of a service's file",
            "in `[[traffic.rules]]` or `[traffic.sticky.cookie]` or `[[versions]]` of a service's file",
        ];
        assert_eq!(homes.of("name"), names);
        assert!(homes.of("moon").is_empty());
    }

    #[test]
    fn an_unknown_key_may_have_quotes_in_it() {
        let misfit = Misfit::Key { table: &[], key: "a`b" };
        let message = "unknown field `a`, expected `b`, expected one of `name`, `domains`";
        let (complaint, _) = explain(message, misfit, &Homes::default());
        assert_eq!(complaint.message, "there is no key `a`, expected `b` at the top of the file");
        assert_eq!(complaint.help, "the keys here are `name` and `domains`");
    }
}

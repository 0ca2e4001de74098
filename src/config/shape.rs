//! Puts what toml and serde say about the shape of a file into plain words. Their errors are text,
//! so this room reads text; what it does not recognise it passes on as it is. `document` calls it.

use super::source::Complaint;
use super::suggest;

/// Which part of a document does not fit.
pub enum Misfit<'a> {
    Root,
    /// A key that its table, named by its path, does not have.
    Key {
        table: &'a [String],
    },
    /// The value of a key.
    Value {
        key: &'a str,
    },
    /// An item of the array at a key.
    Item {
        key: &'a str,
    },
}

/// How toml names a date or a time to serde, which has no word for it.
const DATE: &str = "$__toml_private_datetime";

/// What toml's parser says, with what to do.
pub fn syntax(message: &str) -> Complaint {
    const HELP: [(&str, &str); 8] = [
        ("duplicate key", "keep one of the two"),
        ("must be quoted", "put the value in quotation marks"),
        ("string", "close the string with the quotation mark that opened it"),
        ("array table", "write `[[name]]` on a line of its own"),
        ("inline table", "write `{ key = value, other = value }`"),
        ("array", "write `[first, second]`"),
        ("table", "write `[name]` on a line of its own"),
        ("key", "write `key = value` on a line of its own"),
    ];
    let found = HELP.iter().find(|(part, _)| message.contains(part));
    let help = found.map_or("see https://toml.io for how TOML is written", |(_, help)| help);
    Complaint::new(format!("this is not TOML: {message}"), help)
}

/// What serde says about a misfit, with what to do, and for an unknown key the one that was
/// probably meant.
pub fn explain(message: &str, misfit: &Misfit<'_>) -> (Complaint, Option<String>) {
    if let (Misfit::Key { table }, Some(rest)) = (misfit, message.strip_prefix("unknown field ")) {
        return unknown_key(rest, table);
    }
    let subject = match misfit {
        Misfit::Root => "the file".to_owned(),
        Misfit::Key { .. } => "this key".to_owned(),
        Misfit::Value { key } => format!("`{key}`"),
        Misfit::Item { key } => format!("each item of `{key}`"),
    };
    (wrong_type(message, &subject), None)
}

fn unknown_key(rest: &str, table: &[String]) -> (Complaint, Option<String>) {
    // unknown field `a`, expected one of `b`, `c`
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let key = quoted.next().unwrap_or_default();
    let allowed: Vec<&str> = quoted.collect();
    let place = match table {
        [] => "at the top of the file".to_owned(),
        path => format!("in `{}`", path.join(".")),
    };
    let meant = suggest::closest(key, &allowed);
    let list = format!("the keys here are {}", suggest::list(&allowed));
    let help = suggest::help(meant, &list);
    let complaint = Complaint::new(format!("there is no key `{key}` {place}"), help);
    (complaint, meant.map(str::to_owned))
}

fn wrong_type(message: &str, subject: &str) -> Complaint {
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
            Complaint::new(message, advice(expected))
        }
        // The text of `expecting` on an untagged enum says what is wanted, alone.
        None if message.starts_with("a ") => {
            Complaint::new(format!("{subject} must be {message}"), advice(message))
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

fn advice(expected: &str) -> &'static str {
    match expected {
        "a string" => "write a text in quotation marks",
        "an array" => "write `[ … ]` around the value, with commas between items",
        "a table" => "write `{ key = value }`, or a `[table]` of its own",
        "a string or a table" => {
            "write a text in quotation marks, `{ file = \"…\" }` or `{ from-env = \"…\" }`"
        }
        "true or false" => "write it without quotation marks",
        "a whole number" => "write digits only, without quotation marks",
        "a number" => "write the number without quotation marks",
        _ => "write one of these",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_recognised_is_passed_on() {
        let (complaint, meant) = explain("the moon is full", &Misfit::Value { key: "memory" });
        assert_eq!(complaint.message, "`memory`: the moon is full");
        assert_eq!(meant, None);
    }

    #[test]
    fn types_are_said_in_plain_words() {
        let say = |message| explain(message, &Misfit::Value { key: "x" }).0.message;
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
}

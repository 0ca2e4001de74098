//! Puts what toml's parser says about a text that is not TOML into plain words. Its errors are text,
//! so this room reads text, and the line that they are about: most of what is not TOML was written
//! by somebody who had another language, or another keyboard, in mind. `document` calls it.

use super::source::Complaint;

/// Quotation marks that word processors and web pages make of straight ones, and others that are
/// none here.
const FALSE_QUOTES: [char; 9] = ['“', '”', '„', '‘', '’', '‚', '«', '»', '`'];

/// Where the parser stopped.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The line up to there.
    pub before: &'a str,
    /// The line from there on.
    pub after: &'a str,
    /// What the error is about; may be empty.
    pub token: &'a str,
}

/// What toml's parser says, with what to do.
pub fn explain(error: &str, place: Place<'_>) -> Complaint {
    let (message, help) = value(error, place)
        .or_else(|| string(error, place))
        .or_else(|| key(error, place))
        .unwrap_or_else(|| {
            (
                error.strip_suffix(", expected nothing").unwrap_or(error).to_owned(),
                help(error).to_owned(),
            )
        });
    Complaint::new(format!("this is not TOML: {message}"), help)
}

/// What is said of the rest, which toml describes well enough.
fn help(error: &str) -> &'static str {
    const HELP: [(&str, &str); 13] = [
        ("duplicate key", "keep one of the two"),
        ("extra `=`", "remove it"),
        ("carriage return", "end lines as on Unix (LF) or as on Windows (CRLF)"),
        ("recurs", "nothing here is in that many tables or arrays"),
        ("missing comma between array", "write `,` before this, or `]` where the array ends"),
        ("unclosed array table", "write `[[name]]` on a line of its own"),
        ("extra comma in inline", "remove it, or write a decimal with a point: `12.5`"),
        ("inline table", "write `{ key = value, other = value }`"),
        ("array", "write `[first, second]`"),
        ("unclosed table", "write `[name]` on a line of its own"),
        ("dotted key", "put a key that has a dot in quotation marks"),
        ("table", "write `[name]` on a line of its own"),
        ("key", "write `key = value` on a line of its own"),
    ];
    let found = HELP.iter().find(|(part, _)| error.contains(part));
    found.map_or("see https://toml.io for how TOML is written", |(_, help)| help)
}

fn value(error: &str, Place { token, after, .. }: Place<'_>) -> Option<(String, String)> {
    let is_word = ["values must be quoted", "invalid boolean", "invalid float", "opening quote"];
    if !is_word.iter().any(|part| error.contains(part)) {
        return None;
    }
    let message = if token.is_empty() {
        "a text must be in quotation marks".to_owned()
    } else {
        format!("`{token}` is no value")
    };
    let help = match token.to_lowercase().as_str() {
        _ if after.starts_with(FALSE_QUOTES) => {
            "write straight quotation marks: `\"…\"`".to_owned()
        }
        word @ ("true" | "false") => format!("write `{word}`"),
        "yes" | "on" => "write `true`, or put a text in quotation marks".to_owned(),
        "no" | "off" => "write `false`, or put a text in quotation marks".to_owned(),
        "null" | "nil" | "none" | "undefined" => {
            "leave the key out, or put a text in quotation marks".to_owned()
        }
        share if is_number(share.trim_end_matches('%')) && share.ends_with('%') => {
            format!("write `{}`, without `%`", share.trim_end_matches('%'))
        }
        _ => "put a text in quotation marks".to_owned(),
    };
    Some((message, help))
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

fn string(error: &str, Place { before, after, .. }: Place<'_>) -> Option<(String, String)> {
    if error.contains("escape") || error.contains("unicode value digits") {
        let letter = match before.rfind('\\') {
            Some(_) if error.contains("digits") => before.chars().next_back(),
            _ => after.trim_start_matches('\\').chars().next(),
        };
        let letter = letter.map(String::from).unwrap_or_default();
        let message = format!("`\\{letter}` stands for no character here");
        let help = "write `\\\\` for a backslash, or put the text in single quotation marks: `'…'`";
        return Some((message, help.to_owned()));
    }
    let is_open = error.contains("string") && (error.ends_with("`\"`") || error.ends_with("`'`"));
    if !is_open {
        return None;
    }
    let help = match before.chars().next_back().filter(|last| FALSE_QUOTES.contains(last)) {
        Some(last) => format!("close it with a straight quotation mark: `\"`, not `{last}`"),
        None => "close it with the quotation mark that opened it".to_owned(),
    };
    Some(("a text that begins with a quotation mark does not end with one".to_owned(), help))
}

fn key(error: &str, Place { before, after, token }: Place<'_>) -> Option<(String, String)> {
    if error.contains("expected key") && after.starts_with(['{', '}']) {
        let message = "there are no braces around a file".to_owned();
        return Some((message, "write lines of `key = value`; JSON is not read".to_owned()));
    }
    if error.contains("unquoted key") {
        return stranger(token.chars().chain(after.chars()).next()?);
    }
    if before.trim() == "---" {
        let message = "a file is one document, without lines between".to_owned();
        return Some((message, "remove this line".to_owned()));
    }
    let no_value = error.contains("with no value") || error.contains("missing assignment");
    let colon = before.trim_end().ends_with(':') || after.starts_with(':');
    if no_value && colon {
        let message = "there is a `:` where a `=` should be".to_owned();
        let help = "write `key = value`, and `[name]` above the keys of a table; \
                    JSON and YAML are not read";
        return Some((message, help.to_owned()));
    }
    if no_value && before.trim_start().starts_with("- ") {
        let message = "this is an item of a YAML list".to_owned();
        return Some((message, "write `key = [first, second]`".to_owned()));
    }
    None
}

/// A character that a key cannot have, and that may not be visible.
fn stranger(character: char) -> Option<(String, String)> {
    let help = match character {
        quote if FALSE_QUOTES.contains(&quote) => "write straight quotation marks: `\"…\"`",
        space if space.is_whitespace() => "write a plain space there: this one looks like it only",
        letter if letter.is_alphanumeric() => "put a key that is not in ASCII in quotation marks",
        _ => return None,
    };
    let code = u32::from(character);
    let shown = character.escape_debug();
    let message = format!("`{shown}` (U+{code:04X}) cannot be in a key without quotation marks");
    Some((message, help.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_recognised_is_passed_on() {
        let place = Place { before: "", after: "", token: "" };
        let complaint = explain("the moon is full, expected nothing", place);
        assert_eq!(complaint.message, "this is not TOML: the moon is full");
        assert_eq!(complaint.help, "see https://toml.io for how TOML is written");
    }
}

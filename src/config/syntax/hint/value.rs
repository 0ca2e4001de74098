//! Guesses what was meant by a value, and by what follows one.

use std::ops::Range;

use toml::de::DeValue;

use super::super::look_alike;
use super::{DELIMITERS, Hint, Place, is_bare};

/// The longest word, in bytes, that a hint repeats.
const REPEATED_MAX: usize = 80;

/// A word of a line, and what is before it.
struct Word<'a> {
    /// Without spaces at its end.
    head: &'a str,
    /// Without spaces at its end.
    word: &'a str,
    /// Where the word is in the line.
    span: Range<usize>,
}

impl<'a> Place<'a> {
    /// A hint about a value that TOML does not know.
    pub(super) fn value(&self) -> Option<Hint> {
        let Word { head, word, span } = self.word();
        if self.after.starts_with('=') && head.ends_with('=') {
            return Some(Hint::new("extra `=`", "remove it"));
        }
        let latest = head.chars().next_back().unwrap_or(self.latest);
        let is_begun = head.is_empty()
            && self.within == super::Within::Array
            && !self.before.trim().is_empty();
        if !"=[,".contains(latest) && !is_begun {
            return None;
        }
        let mark = self.line_start + span.start..self.line_start + span.end;
        if self.after.chars().next().is_some_and(look_alike::is_quote) {
            let message = match self.token {
                "" => "a text must be in quotation marks".to_owned(),
                token => format!("`{token}` is not a value"),
            };
            return Some(Hint::new(message, "write straight quotation marks: `\"…\"`"));
        }
        if word.is_empty() {
            let is_missing = head.ends_with('=') && self.rest().is_empty();
            let help = "write a value behind `=`, or remove the key";
            let missing = is_missing.then(|| Hint::new("there is no value here", help));
            return missing.or_else(|| self.look_alike());
        }
        // The value itself is right; what follows is wrong.
        let is_value = word.starts_with(DELIMITERS) || DeValue::parse(word).is_ok();
        (!is_value).then(|| self.no_value(word).at(mark))
    }

    fn no_value(&self, word: &str) -> Hint {
        if let Some(hint) = self.strange_value(word) {
            return hint;
        }
        if word.starts_with('>') && self.word().head.ends_with('=') {
            return Hint::new("`=>` is not `=`", "write `=`");
        }
        if word.starts_with('(') {
            let help = "write `{ … }` around a table, `[ … ]` around an array, and nothing around another value";
            return Hint::new("there are no values in parentheses", help);
        }
        let value = word.split_once(';').map(|(value, _)| value.trim_end());
        let value = value.filter(|value| !self.ends_after(word) && DeValue::parse(value).is_ok());
        if let Some(value) = value {
            let help = match self.depth {
                0 => "write each `key = value` on a line of its own",
                _ => "write `,` between two values",
            };
            return Hint::new(format!("there is a `;` behind `{value}`"), help);
        }
        let first = word.split_whitespace().next().unwrap_or_default();
        if self.depth > 0 && first != word && DeValue::parse(first).is_ok() {
            let message = format!("there is no `,` behind `{first}`");
            return Hint::new(message, "write `,` between two values");
        }
        Hint::new(format!("`{word}` is not a value"), self.word_help(word))
    }

    /// Whether a word ends with a `;`, and nothing but what closes a table or an array follows.
    fn ends_after(&self, word: &str) -> bool {
        let rest = self.line.get(self.word().span.end..).unwrap_or_default().trim_start();
        word.ends_with(';') && (rest.is_empty() || rest.starts_with(['}', ']', '#']))
    }

    /// A hint about a value with a character that only looks right.
    fn strange_value(&self, word: &str) -> Option<Hint> {
        let is_digit = |c: char| look_alike::ascii_of(c).is_some_and(|c| c.is_ascii_digit());
        let character = word.chars().find(|c| look_alike::is_strange(*c) || is_digit(*c))?;
        let meant = look_alike::in_ascii(word);
        let meant = meant.trim_end_matches(['%', ';']);
        if meant.chars().all(|c| c.is_ascii_digit() || "-.".contains(c)) {
            let message = format!("`{word}` is not a value");
            return Some(Hint::new(message, format!("write `{meant}`")));
        }
        Some(self.strange(character))
    }

    fn word_help(&self, word: &str) -> String {
        let number = word.trim_end_matches(['%', ';']).trim_end();
        let (value, end) = word.split_at(number.len());
        match word.to_lowercase().as_str() {
            lower @ ("true" | "false") => format!("write `{lower}`"),
            "yes" | "on" => "write `true`, or put a text in quotation marks".to_owned(),
            "no" | "off" => "write `false`, or put a text in quotation marks".to_owned(),
            "null" | "nil" | "none" | "undefined" => {
                "leave the key out, or put a text in quotation marks".to_owned()
            }
            _ if word.contains(" //") => "write `#` before a comment".to_owned(),
            _ if !end.is_empty() && DeValue::parse(value).is_ok() => {
                format!("write `{value}`, without `{}`", end.trim_start())
            }
            lower => match lower.parse::<f64>().ok().filter(|number| number.is_finite()) {
                Some(number) => format!("write `{number}`, or put a text in quotation marks"),
                None => in_quotes(value),
            },
        }
    }

    /// The word around the place.
    fn word(&self) -> Word<'a> {
        let is_end = |c: char| c.is_whitespace() || DELIMITERS.contains(&c);
        let first = self.before.rsplit(is_end).next().unwrap_or_default();
        let rest = self.after.get(self.token.len()..).unwrap_or_default();
        let last = rest.split(is_end).next().unwrap_or_default();
        let start = self.before.len() - first.len();
        let end = self.line.len() - rest.len() + last.len();
        let head = self.line.get(..start).unwrap_or_default().trim_end();
        let word = self.line.get(start..end).unwrap_or_default().trim_end();
        Word { head, word, span: start..start + word.len() }
    }

    pub(super) fn behind_value(&self) -> Hint {
        let is_torn = self.before.ends_with('\'') && self.after.starts_with(is_bare);
        if is_torn {
            return Hint::help("put a text that has `'` in it in double quotation marks: `\"…\"`");
        }
        if self.before.trim_end().ends_with("=>") {
            return Hint::new("`=>` is not `=`", "write `=`");
        }
        if self.after.starts_with("//") {
            return Hint::new("this is no comment", "write `#` before a comment");
        }
        if let Some(stray @ (';' | ',')) = self.after.chars().next() {
            return self.stray(stray);
        }
        if let Some(hint) = self.look_alike() {
            return hint;
        }
        Hint::help(match self.depth {
            0 => "write `key = value` on a line of its own",
            _ if self.after.starts_with(is_bare) => {
                "write `,` before this, or `}` where the table ends"
            }
            _ => "write `{ key = value, other = value }`",
        })
    }

    /// A hint about a `;` or a `,` behind a value.
    fn stray(&self, stray: char) -> Hint {
        let rest = self.after.get(1..).unwrap_or_default().trim_start();
        let is_between = self.depth > 0 && !rest.starts_with(['}', ']']) && !rest.is_empty();
        let message = format!("there is a `{stray}` behind the value");
        Hint::new(
            message,
            match (stray, is_between) {
                (';', true) => "write `,` between two values",
                (_, true) => "remove it",
                (_, false) if self.depth > 0 => "remove it",
                (_, false) => "remove it: a line ends without any mark",
            },
        )
    }

    pub(super) fn item(&self) -> Hint {
        if self.after.starts_with(';') {
            return self.stray(';');
        }
        if let Some(hint) = self.look_alike() {
            return hint;
        }
        if self.lacks_comma() {
            return Hint::help("write `,` before this, or `]` where the array ends");
        }
        if self.after.starts_with(',') {
            return Hint::help("remove it, or write an item before it");
        }
        Hint::help("write `[first, second]`")
    }
}

/// What to do about a text that lacks quotation marks.
fn in_quotes(word: &str) -> String {
    let variable = if word.starts_with('$') { "; variables are not replaced here" } else { "" };
    let is_short =
        word.len() <= REPEATED_MAX && !word.contains(['"', '\'']) && !word.starts_with("$ ");
    let mark = if word.contains('\\') { '\'' } else { '"' };
    match is_short && word != "$" {
        true => format!("put a text in quotation marks: `{mark}{word}{mark}`{variable}"),
        false => format!("put a text in quotation marks{variable}"),
    }
}

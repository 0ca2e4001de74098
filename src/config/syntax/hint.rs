//! Guesses what was meant at the place where the parser stopped.

use std::ops::Range;

use toml::de::DeValue;

use super::super::source::{Complaint, LINE_MAX, Source};
use super::scan::{Scanner, Within};

/// Quotation marks that word processors and web pages make of straight ones, and others that TOML does not know.
const FALSE_QUOTES: [char; 9] = ['“', '”', '„', '‘', '’', '‚', '«', '»', '`'];

/// Characters that end a word.
const DELIMITERS: [char; 9] = ['=', ',', '[', ']', '{', '}', '"', '\'', '#'];

/// Nesting from which on an error is only about the number of brackets or tables. toml's own limit is 80.
const DEPTH_MAX: usize = 64;

/// What to do about an error, and a better message than the parser's own.
pub struct Hint {
    message: Option<String>,
    help: String,
}

/// Where the parser stopped.
pub struct Place<'a> {
    line: &'a str,
    /// The line up to there.
    before: &'a str,
    /// The line from there on.
    after: &'a str,
    /// The text that the error marks; may be empty.
    token: &'a str,
    /// Whether the error marks a key, and the key is well written.
    is_key: bool,
    within: Within,
    depth: usize,
    /// Whether an array or an inline table is open that began on this line.
    has_opened_here: bool,
    /// The latest character before the place that is no space, on this line or an earlier one.
    latest: char,
}

/// Whether the key at a place is written correctly. Not asked for lines that are longer than anybody writes.
pub fn is_key(source: &Source, span: &Range<usize>) -> bool {
    let token = source.text.get(span.clone()).unwrap_or_default();
    let (line, at) = source.line(span.start);
    if line.len() > LINE_MAX {
        return false;
    }
    let (before, after) = line.split_at(at);
    let rest = after.get(token.len()..).unwrap_or_default().trim_start();
    let is_quoted = |mark| token.len() > 1 && token.starts_with(mark) && token.ends_with(mark);
    let is_bare = !token.is_empty() && token.chars().all(is_bare);
    let is_in_header = before.trim_start().starts_with('[');
    let ends = if is_in_header { [']', '.'] } else { ['=', '.'] };
    (is_bare || is_quoted('"') || is_quoted('\''))
        && rest.starts_with(ends)
        && before.trim_end().chars().next_back().is_none_or(|c| "[.{,".contains(c))
}

fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

impl Hint {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: Some(message.into()), help: help.into() }
    }

    /// Chooses the hint by the parser's message.
    fn help(help: impl Into<String>) -> Self {
        Self { message: None, help: help.into() }
    }

    pub fn complaint(self, error: &str) -> Complaint {
        let message = self.message.as_deref().unwrap_or(error);
        Complaint::new(format!("this is not TOML: {message}"), self.help)
    }
}

impl<'a> Place<'a> {
    /// The place of an error, up to which the scanner has read.
    pub fn of(source: &'a Source, span: &Range<usize>, scanner: &Scanner<'_>) -> Self {
        let (line, at) = source.line(span.start);
        let (before, after) = line.split_at(at);
        // The marked text may have several lines, as a text in three quotation marks has.
        let token = source.text.get(span.clone()).and_then(|token| token.lines().next());
        let token = token.unwrap_or_default();
        Self {
            line,
            before,
            after,
            token,
            is_key: is_key(source, span),
            within: scanner.within(),
            depth: scanner.depth(),
            has_opened_here: scanner.has_opened_here(),
            latest: scanner.latest(),
        }
    }

    /// Whether a comma is missing between two items of an array here.
    pub fn lacks_comma(&self) -> bool {
        self.within == Within::Array
            && self.token.is_empty()
            && !"[,".contains(self.latest)
            && !self.after.is_empty()
            && !self.after.starts_with([',', ']', '}', '='])
    }

    /// Whether a text that does not end hides what closes an array or an inline table: everything that follows is taken
    /// for a part of the text.
    pub fn hides_closing(&self) -> bool {
        self.within == Within::Quoted && self.after.is_empty() && self.has_opened_here
    }

    pub fn is_too_deep(&self) -> bool {
        let key = self.after.split(['=', ']', '"', '\'']).next().unwrap_or_default();
        self.depth >= DEPTH_MAX || key.bytes().filter(|byte| *byte == b'.').count() >= DEPTH_MAX
    }

    pub fn hint(&self) -> Hint {
        if self.is_too_deep() {
            return Hint::help("nothing here is in that many tables or arrays");
        }
        if self.before.ends_with('\r') && self.within != Within::Quoted {
            return Hint::help("end lines as on Unix (LF) or as on Windows (CRLF)");
        }
        match self.within {
            Within::Quoted => self.quoted(),
            Within::Header if self.is_key => Hint::help(self.twice()),
            Within::Header if self.before.trim_start().starts_with("[[") => {
                Hint::help("write `[[name]]` on a line of its own")
            }
            Within::Header => Hint::help("write `[name]` on a line of its own"),
            Within::Key => self.key(),
            Within::InlineKey => self.inline_key(),
            Within::Value => self.value().unwrap_or_else(|| self.behind_value()),
            Within::Array => self.value().unwrap_or_else(|| self.item()),
        }
    }

    fn quoted(&self) -> Hint {
        if self.after.is_empty() {
            let message = "a text that begins with a quotation mark does not end with one";
            let latest = self.before.chars().next_back();
            return match latest.filter(|latest| FALSE_QUOTES.contains(latest)) {
                Some(latest) => {
                    let help =
                        format!("close it with a straight quotation mark: `\"`, not `{latest}`");
                    Hint::new(message, help)
                }
                None => Hint::new(message, "close it with the quotation mark that opened it"),
            };
        }
        if let Some(character) = self.after.chars().next().filter(|c| c.is_control()) {
            let code = u32::from(character);
            return Hint::help(format!("write `\\u{code:04X}` in double quotation marks instead"));
        }
        let escape = self.escape();
        let message = format!("`\\{escape}` stands for no character here");
        let help = "write `\\\\` for a backslash, or put the text in single quotation marks: `'…'`";
        Hint::new(message, help)
    }

    /// What follows the backslash before the place, as far as it is meant as one character.
    fn escape(&self) -> String {
        let before = self.before.rsplit('\\').next().unwrap_or_default();
        let mut letters = before.chars().chain(self.after.chars());
        let letter = letters.next();
        let is_code = letter.is_some_and(|letter| "uUx".contains(letter));
        let digits = letters.take_while(|c| is_code && c.is_ascii_hexdigit()).take(8);
        letter.into_iter().chain(digits).collect()
    }

    /// A hint about a value that TOML does not know.
    fn value(&self) -> Option<Hint> {
        let (head, word) = self.word();
        if self.after.starts_with('=') && head.ends_with('=') {
            return Some(Hint::new("extra `=`", "remove it"));
        }
        let latest = head.chars().next_back().unwrap_or(self.latest);
        let is_begun =
            head.is_empty() && self.within == Within::Array && !self.before.trim().is_empty();
        if !"=[,".contains(latest) && !is_begun {
            return None;
        }
        if self.after.starts_with(FALSE_QUOTES) {
            let message = match self.token {
                "" => "a text must be in quotation marks".to_owned(),
                token => format!("`{token}` is not a value"),
            };
            return Some(Hint::new(message, "write straight quotation marks: `\"…\"`"));
        }
        if word.is_empty() {
            let is_missing = head.ends_with('=') && self.rest().is_empty();
            let help = "write a value behind `=`, or remove the key";
            return is_missing.then(|| Hint::new("there is no value here", help));
        }
        // The value itself is right; what follows is wrong.
        let is_value = word.starts_with(DELIMITERS) || DeValue::parse(word).is_ok();
        (!is_value).then(|| Hint::new(format!("`{word}` is not a value"), self.word_help(word)))
    }

    fn word_help(&self, word: &str) -> String {
        let number = word.trim_end_matches(['%', ';']).trim_end();
        match word.to_lowercase().as_str() {
            lower @ ("true" | "false") => format!("write `{lower}`"),
            "yes" | "on" => "write `true`, or put a text in quotation marks".to_owned(),
            "no" | "off" => "write `false`, or put a text in quotation marks".to_owned(),
            "null" | "nil" | "none" | "undefined" => {
                "leave the key out, or put a text in quotation marks".to_owned()
            }
            _ if word.contains(" //") => "write `#` before a comment".to_owned(),
            _ if number != word && number.parse::<f64>().is_ok() => {
                let end = word.get(number.len()..).unwrap_or_default().trim_start();
                format!("write `{number}`, without `{end}`")
            }
            lower => match lower.parse::<f64>().ok().filter(|number| number.is_finite()) {
                Some(number) => format!("write `{number}`, or put a text in quotation marks"),
                None if self.depth > 0 && word.contains(char::is_whitespace) => {
                    "write `,` between two values, and put texts in quotation marks".to_owned()
                }
                None => "put a text in quotation marks".to_owned(),
            },
        }
    }

    /// The line before the word with the error, and the word.
    fn word(&self) -> (&'a str, &'a str) {
        let is_end = |c: char| c.is_whitespace() || DELIMITERS.contains(&c);
        let first = self.before.rsplit(is_end).next().unwrap_or_default();
        let rest = self.after.get(self.token.len()..).unwrap_or_default();
        let last = rest.split(is_end).next().unwrap_or_default();
        let start = self.before.len() - first.len();
        let end = self.line.len() - rest.len() + last.len();
        let head = self.line.get(..start).unwrap_or_default();
        (head.trim_end(), self.line.get(start..end).unwrap_or_default().trim_end())
    }

    /// The line from the place on, without a comment.
    fn rest(&self) -> &'a str {
        self.after.split('#').next().unwrap_or_default().trim()
    }

    fn behind_value(&self) -> Hint {
        let is_torn = self.before.ends_with('\'') && self.after.starts_with(is_bare);
        if is_torn {
            return Hint::help("put a text that has `'` in it in double quotation marks: `\"…\"`");
        }
        Hint::help(match self.depth {
            _ if self.after.starts_with("//") => "write `#` before a comment",
            _ if self.after.starts_with([',', ';']) => "remove it",
            0 => "write `key = value` on a line of its own",
            _ if self.after.starts_with(is_bare) => {
                "write `,` before this, or `}` where the table ends"
            }
            _ => "write `{ key = value, other = value }`",
        })
    }

    fn item(&self) -> Hint {
        if self.lacks_comma() {
            return Hint::help("write `,` before this, or `]` where the array ends");
        }
        if self.after.starts_with(',') {
            return Hint::help("remove it, or write an item before it");
        }
        Hint::help("write `[first, second]`")
    }

    fn inline_key(&self) -> Hint {
        if let Some(hint) = self.colon().or_else(|| self.stranger()) {
            return hint;
        }
        let mut parts = self.before.rsplit(',').map(str::trim);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let decimals = parts.next().unwrap_or_default();
        let whole =
            parts.next().and_then(|part| part.rsplit(['=', ' ']).next()).unwrap_or_default();
        if is_number(decimals) && is_number(whole) {
            return Hint::help(format!("write a decimal with a point: `{whole}.{decimals}`"));
        }
        if self.is_key {
            return Hint::help(self.twice());
        }
        Hint::help("write `{ key = value, other = value }`")
    }

    fn key(&self) -> Hint {
        let start = self.before.trim_start();
        let line = if start.is_empty() { self.after } else { start };
        if start.is_empty() && self.after.starts_with(['{', '}']) {
            let help = "write lines of `key = value`; JSON is not read";
            return Hint::new("there are no braces around a file", help);
        }
        if line.starts_with("---") {
            let message = "a file is one document, without lines between";
            return Hint::new(message, "remove this line");
        }
        if line.starts_with("//") || line.starts_with(';') {
            return Hint::new("this is no comment", "write `#` before a comment");
        }
        if start.starts_with("- ") {
            return Hint::new("this is an item of a YAML list", "write `key = [first, second]`");
        }
        if let Some(hint) = self.colon().or_else(|| self.stranger()) {
            return hint;
        }
        Hint::help(match self.is_key {
            true => self.twice(),
            false => "write `key = value` on a line of its own",
        })
    }

    /// What to do about a well-written key.
    fn twice(&self) -> &'static str {
        let is_dotted =
            self.after.get(self.token.len()..).is_some_and(|rest| rest.starts_with('.'));
        match is_dotted && self.within != Within::Header {
            true => "put a key that has a dot in quotation marks",
            false => "keep one of the two",
        }
    }

    fn colon(&self) -> Option<Hint> {
        let is_colon = self.before.trim_end().ends_with(':') || self.after.starts_with(':');
        is_colon.then(|| {
            let help = "write `key = value`, and `[name]` above the keys of a table; \
                        JSON and YAML are not read";
            Hint::new("there is a `:` where a `=` should be", help)
        })
    }

    /// A character that a key cannot have, and that may be invisible.
    fn stranger(&self) -> Option<Hint> {
        let character = self.after.chars().next()?;
        let help = match character {
            quote if FALSE_QUOTES.contains(&quote) => "write straight quotation marks: `\"…\"`",
            c if c.is_ascii() => return None,
            c if c.is_whitespace() => "write a plain space there: this one looks like it only",
            c if c.is_alphanumeric() => "put a key that is not in ASCII in quotation marks",
            _ => "remove it, or put the key in quotation marks",
        };
        let code = u32::from(character);
        let shown = character.escape_debug();
        let message =
            format!("`{shown}` (U+{code:04X}) cannot be in a key without quotation marks");
        Some(Hint::new(message, help))
    }
}

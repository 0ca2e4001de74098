//! Guesses what was meant at the place where the parser stopped. `header`, `key` and `value` guess for one kind of place
//! each; this file decides which of them is asked.

mod header;
mod key;
mod value;

use std::ops::Range;

use super::super::source::{Complaint, LINE_MAX, Source};
use super::look_alike;
use super::scan::{Scanner, Within};

pub use header::section_end;

/// Characters that end a word.
const DELIMITERS: [char; 9] = ['=', ',', '[', ']', '{', '}', '"', '\'', '#'];

/// Nesting from which on an error is only about the number of brackets or tables. toml's own limit is 80.
const DEPTH_MAX: usize = 64;

/// How many bytes before a place are searched for what it repeats. A file that people write is shorter.
const SEARCHED_MAX: usize = 256 << 10;

/// Letters behind a backslash that have a meaning in regular expressions, and none in TOML.
const REGEX_ESCAPES: &str = "dDwWsSB.()[]{}|+*?^$/-";

/// What to do about an error, and a better message than the parser's own.
pub struct Hint {
    message: Option<String>,
    help: String,
    /// What to mark instead of the place of the error.
    mark: Option<Range<usize>>,
}

/// Where the parser stopped.
pub struct Place<'a> {
    source: &'a Source,
    line: &'a str,
    /// Where the line starts in the text.
    line_start: usize,
    /// The line up to the place.
    before: &'a str,
    /// The line from the place on.
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
        Self { message: Some(message.into()), help: help.into(), mark: None }
    }

    /// A hint beside the parser's own message.
    fn help(help: impl Into<String>) -> Self {
        Self { message: None, help: help.into(), mark: None }
    }

    /// The same about another place.
    fn at(self, mark: Range<usize>) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// The complaint, and what it is about: the place of the error unless the hint knows better.
    pub fn complaint(self, error: &str, span: Range<usize>) -> (Range<usize>, Complaint) {
        let message = self.message.as_deref().unwrap_or(error);
        let complaint = Complaint::new(format!("this is not TOML: {message}"), self.help);
        (self.mark.unwrap_or(span), complaint)
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
            source,
            line,
            line_start: source.line_start(span.start),
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

    /// Whether the place is a header of a table that exists already. Keys below it may be there twice because of that.
    pub fn is_second_header(&self) -> bool {
        self.within == Within::Header && self.is_key
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
            Within::Header => self.header(),
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
            return match latest.filter(|latest| look_alike::is_quote(*latest)) {
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
        let is_regex = escape.chars().all(|letter| REGEX_ESCAPES.contains(letter));
        match is_regex && !escape.is_empty() {
            true => {
                let note =
                    "a pattern is no regular expression: `*` stands for any run of characters";
                Hint::new(message, format!("{help}; {note}"))
            }
            false => Hint::new(message, help),
        }
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

    /// The lines before the place's, and where each starts in the text.
    fn earlier_lines(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let text = self.source.text.as_str();
        let start = text.floor_char_boundary(self.line_start.saturating_sub(SEARCHED_MAX));
        let before = text.get(start..self.line_start).unwrap_or_default();
        before.split_inclusive('\n').scan(start, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        })
    }

    /// The line from the place on, without a comment.
    fn rest(&self) -> &'a str {
        self.after.split('#').next().unwrap_or_default().trim()
    }

    /// The first character from the place on that looks like one of ASCII and is another one.
    fn look_alike(&self) -> Option<Hint> {
        let mut all = self.after.char_indices().take_while(|(_, c)| !c.is_ascii());
        let (_, character) = all.find(|(_, c)| look_alike::ascii_of(*c).is_some())?;
        Some(self.strange(character))
    }

    /// A hint about a character that looks like one of ASCII, or like nothing.
    fn strange(&self, character: char) -> Hint {
        let code = u32::from(character);
        let shown = character.escape_debug();
        match look_alike::ascii_of(character) {
            Some(' ') => Hint::new(
                format!("`{shown}` (U+{code:04X}) is a space that TOML does not know"),
                "write a plain space there",
            ),
            Some('"') => Hint::new(
                format!("`{shown}` (U+{code:04X}) is a quotation mark that TOML does not know"),
                "write straight quotation marks: `\"…\"`",
            ),
            Some(':') => Hint::new(
                format!("there is a `{shown}` (U+{code:04X}) where a `=` should be"),
                "write `key = value`",
            ),
            Some(';') => Hint::new(
                format!("there is a `{shown}` (U+{code:04X}), and TOML has no such mark"),
                "write `,` between two values, and no mark at the end of a line",
            ),
            Some('(' | ')') => Hint::new(
                format!("there is a `{shown}` (U+{code:04X}), and TOML has no parentheses"),
                "write `{ … }` around a table, `[ … ]` around an array, and nothing around another value",
            ),
            Some(ascii) => Hint::new(
                format!("`{shown}` (U+{code:04X}) looks like `{ascii}`, and is another character"),
                format!("write `{ascii}`"),
            ),
            None => Hint::new(
                format!("`{shown}` (U+{code:04X}) is a character that nobody sees"),
                "remove it: delete the text around it, and type that again",
            ),
        }
    }
}

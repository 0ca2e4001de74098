//! A rough look at a text that may not be TOML: where its texts, comments, arrays and inline tables begin and end.

use std::ops::Range;

/// Reads a text from its start up to any place.
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The arrays and inline tables around the place, the innermost last.
    open: Vec<Bracket>,
    /// How many of them were open where the line began.
    open_before_line: usize,
    /// The text in quotation marks around the place.
    quoted: Option<Quoted>,
    is_comment: bool,
    is_header: bool,
    /// Whether a `=` precedes the place, outside of all brackets.
    is_value: bool,
    /// The latest character that is neither a space nor in a comment.
    latest: u8,
    /// Whether that character is on the line of the place.
    is_latest_here: bool,
}

struct Bracket {
    at: usize,
    is_array: bool,
    /// Whether the place follows the `=` of a key of the inline table.
    is_value: bool,
}

#[derive(Clone, Copy)]
struct Quoted {
    at: usize,
    mark: u8,
    /// Whether the text has three marks, and may have many lines.
    is_long: bool,
}

/// What surrounds a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    Quoted,
    Header,
    /// At the start of a line, up to `=`.
    Key,
    /// In an inline table, up to `=`.
    InlineKey,
    /// After `=`.
    Value,
    Array,
}

/// Something that begins and does not end.
pub struct Opened {
    pub span: Range<usize>,
    pub bracket: &'static str,
    pub closing: &'static str,
    pub what: &'static str,
}

/// What is open at the end of a text. A text in single quotation marks ends with its line.
pub fn unclosed(text: &str) -> Option<Opened> {
    let mut scanner = Scanner::new(text);
    scanner.advance(text.len());
    let opened = |at: usize, bracket: &'static str, closing, what| {
        Some(Opened { span: at..at + bracket.len(), bracket, closing, what })
    };
    match (scanner.quoted, scanner.open.last()) {
        (Some(Quoted { at, mark: b'"', is_long: true }), _) => {
            opened(at, "\"\"\"", "\"\"\"", "text")
        }
        (Some(Quoted { at, is_long: true, .. }), _) => opened(at, "'''", "'''", "text"),
        // Its closing mark may be inside the text that should have ended.
        (Some(_), _) if scanner.has_opened_here() => None,
        (_, Some(Bracket { at, is_array: true, .. })) => opened(*at, "[", "]", "array"),
        (_, Some(Bracket { at, .. })) => opened(*at, "{", "}", "table"),
        (_, None) => None,
    }
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            open: Vec::new(),
            open_before_line: 0,
            quoted: None,
            is_comment: false,
            is_header: false,
            is_value: false,
            latest: b'\n',
            is_latest_here: false,
        }
    }

    /// Reads on up to a place.
    pub fn advance(&mut self, to: usize) {
        while self.at < to
            && let Some(byte) = self.text.get(self.at)
        {
            self.at += match self.quoted {
                Some(quoted) => self.in_quotes(quoted, *byte),
                None => self.plain(*byte),
            };
        }
    }

    pub fn within(&self) -> Within {
        match self.open.last() {
            _ if self.quoted.is_some() => Within::Quoted,
            Some(Bracket { is_array: true, .. }) => Within::Array,
            Some(Bracket { is_value: true, .. }) => Within::Value,
            Some(_) => Within::InlineKey,
            None if self.is_header => Within::Header,
            None if self.is_value => Within::Value,
            None => Within::Key,
        }
    }

    /// Whether an array or an inline table is open that began on this line.
    pub fn has_opened_here(&self) -> bool {
        self.open.len() > self.open_before_line
    }

    /// The number of arrays and inline tables around the place.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The latest character before the place that is neither a space nor in a comment.
    pub fn latest(&self) -> char {
        char::from(self.latest)
    }

    /// Returns how many bytes were read.
    fn in_quotes(&mut self, Quoted { mark, is_long, .. }: Quoted, byte: u8) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        // Three marks end a long text, and up to two more of its own may precede them.
        let run = rest.iter().take(5).take_while(|byte| **byte == mark).count();
        match byte {
            b'\n' if !is_long => {
                // Brackets of this line may be inside the text that should have ended.
                self.open.truncate(self.open_before_line);
                self.quoted = None;
                self.plain(byte)
            }
            b'\\' if mark == b'"' && rest.get(1).is_some_and(|next| *next != b'\n') => 2,
            _ if is_long && run >= 3 => {
                self.quoted = None;
                run
            }
            _ if !is_long && run >= 1 => {
                self.quoted = None;
                1
            }
            _ => 1,
        }
    }

    /// Returns how many bytes were read.
    fn plain(&mut self, byte: u8) -> usize {
        if byte == b'\n' {
            self.end_line();
        }
        if self.is_comment || byte.is_ascii_whitespace() {
            return 1;
        }
        // In brackets or not, `see [1]` is one word that lacks quotation marks.
        let is_in_word = self.is_latest_here && !b"=,[]{}\"'".contains(&self.latest);
        let length = match byte {
            b'#' => {
                self.is_comment = true;
                return 1;
            }
            b'"' | b'\'' => self.open_quotes(byte),
            b'[' if self.within() == Within::Key && !self.is_latest_here => {
                self.is_header = true;
                1
            }
            b'[' | b'{' if !is_in_word => self.open_bracket(byte == b'['),
            _ => self.punctuation(byte),
        };
        (self.latest, self.is_latest_here) = (byte, true);
        length
    }

    fn end_line(&mut self) {
        self.is_comment = false;
        self.is_latest_here = false;
        self.open_before_line = self.open.len();
        if self.open.is_empty() {
            (self.is_header, self.is_value) = (false, false);
        }
    }

    fn open_quotes(&mut self, mark: u8) -> usize {
        let is_long = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(&[mark; 3]));
        self.quoted = Some(Quoted { at: self.at, mark, is_long });
        if is_long { 3 } else { 1 }
    }

    fn open_bracket(&mut self, is_array: bool) -> usize {
        if matches!(self.within(), Within::Value | Within::Array) {
            self.open.push(Bracket { at: self.at, is_array, is_value: false });
        }
        1
    }

    fn punctuation(&mut self, byte: u8) -> usize {
        match (byte, self.open.last_mut()) {
            (b'=', None) => self.is_value = !self.is_header,
            (b'=', Some(bracket)) => bracket.is_value = true,
            (b',', Some(bracket)) => bracket.is_value = false,
            (b']', Some(Bracket { is_array: true, .. }))
            | (b'}', Some(Bracket { is_array: false, .. })) => drop(self.open.pop()),
            _ => {}
        }
        1
    }
}

//! Guesses what was meant by a key, at the start of a line or in an inline table.

use super::super::scan::Within;
use super::super::{foreign, look_alike};
use super::{Hint, Place, is_bare};

impl Place<'_> {
    pub(super) fn inline_key(&self) -> Hint {
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
            return self.twice();
        }
        let entry = self.before.rsplit(['{', ',']).next().unwrap_or_default().trim_start();
        if [entry, self.after].iter().any(|text| text.starts_with(['"', '\''])) {
            let help = "write `{ key = value, other = value }`, or `[ … ]` around values alone";
            return Hint::new("in braces, every value has a key in front of it", help);
        }
        if self.after.starts_with(',') {
            return Hint::help("remove it, or write an entry before it");
        }
        Hint::help("write `{ key = value, other = value }`")
    }

    pub(super) fn key(&self) -> Hint {
        let start = self.before.trim_start();
        let line = if start.is_empty() { self.after } else { start };
        let not_a_key = self.not_a_key(self.line.trim_start());
        if let Some(hint) = not_a_key {
            return hint;
        }
        if start.is_empty() && self.after.starts_with(['{', '}']) {
            let help = "write lines of `key = value`; braces are around a table on one line only";
            return Hint::new("there are no braces around a file or a part of it", help);
        }
        if line.starts_with("---") {
            let message = "a file is one document, without lines between";
            return Hint::new(message, "remove this line");
        }
        if start.starts_with("- ") {
            return Hint::new("this is an item of a YAML list", "write `key = [first, second]`");
        }
        if let Some(hint) = self.colon().or_else(|| self.stranger()) {
            return hint;
        }
        // The parser may report a key only behind it.
        let in_key = start.char_indices().find(|(_, c)| look_alike::is_strange(*c));
        if let Some((at, character)) = in_key.filter(|_| !start.contains(['"', '\''])) {
            let at = self.line_start + self.before.len() - start.len() + at;
            return self.strange(character).at(at..at + character.len_utf8());
        }
        match self.is_key {
            true => self.twice(),
            false => self.no_equals(start),
        }
    }

    /// A line that is no key at all.
    fn not_a_key(&self, line: &str) -> Option<Hint> {
        const COMMENTS: [&str; 6] = ["//", ";", "/*", "*", "<!--", "-- "];
        if foreign::is_marker(line) {
            return Some(Hint::new("this line is left over from a merge", "remove it"));
        }
        if COMMENTS.iter().any(|comment| line.starts_with(comment)) {
            return Some(Hint::new("this is no comment", "write `#` before a comment"));
        }
        let is_fence = line.starts_with("```");
        is_fence.then(|| Hint::new("this is a line of Markdown, and not of the file", "remove it"))
    }

    /// A line without a `=` behind its first word.
    fn no_equals(&self, start: &str) -> Hint {
        let words: Vec<&str> = start.split_whitespace().collect();
        let rest = self.rest();
        match words.as_slice() {
            [key] if key.chars().all(is_bare) => {
                let message = format!("there is no `=` behind `{key}`");
                if let (["export", ..], Some((name, _))) = (words.as_slice(), rest.split_once('='))
                {
                    let help = format!("write `{} = \"…\"`, without `export`", name.trim());
                    return Hint::new(message, help);
                }
                if let Some((more, _)) =
                    rest.split_once('=').filter(|(more, _)| more.trim().chars().all(is_bare))
                {
                    let key = format!("{key}-{}", more.trim());
                    return Hint::new(
                        "a key has no spaces",
                        format!("write it in one word, such as `{key}`"),
                    );
                }
                Hint::new(message, "write `key = value` on a line of its own")
            }
            _ => Hint::help("write `key = value` on a line of its own"),
        }
    }

    /// A well-written key that is there already.
    pub(super) fn twice(&self) -> Hint {
        let is_dotted =
            self.after.get(self.token.len()..).is_some_and(|rest| rest.starts_with('.'));
        if is_dotted && self.within != Within::Header {
            return Hint::help("put a key that has a dot in quotation marks");
        }
        let key = self.token;
        match self.first_line_of(key) {
            Some(line) => {
                let message = format!("`{key}` is here twice, the first time on line {line}");
                Hint::new(message, "keep one of the two")
            }
            // The short form of an upstream, and then a table of the long one.
            None if key == "upstream" => Hint::new(
                "`upstream` has a value above, and is a table here",
                "write the table `[versions.upstream]` with `targets = [\"…\"]` in place of the value",
            ),
            None => Hint::new(format!("`{key}` is here twice"), "keep one of the two"),
        }
    }

    /// The line on which the table around the place has a key first, as far as it is easily found.
    fn first_line_of(&self, key: &str) -> Option<usize> {
        let start = self.section_start();
        let mut lines = self.earlier_lines().skip_while(|(at, _)| *at < start);
        let has_key = |line: &str| {
            let rest = line.trim_start().strip_prefix(key).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with('='))
        };
        let found = lines.find(|(_, line)| self.within == Within::Key && has_key(line));
        found.map(|(at, _)| self.source.line_of(at))
    }

    fn colon(&self) -> Option<Hint> {
        let is_colon = self.before.trim_end().ends_with(':') || self.after.starts_with(':');
        let is_walrus = self.after.starts_with(":=") || self.after.starts_with('=');
        is_colon.then(|| {
            let help = match is_walrus {
                true => "write `=` alone",
                false => "write `key = value`, and `[name]` above the keys of a table; JSON and YAML are not read",
            };
            Hint::new("there is a `:` where a `=` should be", help)
        })
    }

    /// A character that a key cannot have, and that may be invisible.
    fn stranger(&self) -> Option<Hint> {
        let character = self.after.chars().next().filter(|c| !c.is_ascii() || *c == '`')?;
        if look_alike::is_strange(character) {
            return Some(self.strange(character));
        }
        let help = match character {
            '`' => "write straight quotation marks: `\"…\"`",
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

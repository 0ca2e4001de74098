//! Guesses what was meant by a header, and by a second one for the same table.

use std::ops::Range;

use super::{Hint, Place, is_bare};

/// The tables that are in an array, each with what one of them declares.
const ARRAYS: [(&str, &str); 7] = [
    ("versions", "version"),
    ("environments", "environment"),
    ("routes", "route"),
    ("traffic.rules", "rule"),
    ("quarantine", "entry"),
    ("server.tls.certificates", "certificate"),
    ("versions.upstream.targets", "target"),
];

/// A header, and where it is.
struct Header {
    span: Range<usize>,
    /// The name in the brackets, without quotation marks and spaces.
    name: String,
    /// Whether it has two pairs of brackets.
    is_array: bool,
}

impl Header {
    fn of(line: &str, start: usize) -> Option<Self> {
        let trimmed = line.trim();
        let (name, _) = trimmed.strip_prefix('[')?.split_once(']')?;
        let (is_array, name) = match name.strip_prefix('[') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let name = name.chars().filter(|c| !" \t\"'".contains(*c)).collect();
        let at = start + (line.len() - line.trim_start().len());
        let end = trimmed.rfind(']').unwrap_or_default() + 1;
        Some(Self { span: at..at + end, name, is_array })
    }

    fn written(&self) -> String {
        written(&self.name, self.is_array)
    }
}

fn written(name: &str, is_array: bool) -> String {
    if is_array { format!("[[{name}]]") } else { format!("[{name}]") }
}

/// What one table of the array declares, if the name is that of an array.
fn item_of(name: &str) -> Option<&'static str> {
    ARRAYS.iter().find(|(array, _)| *array == name).map(|(_, item)| *item)
}

/// Where the table ends whose header is before a place: at the next header.
pub fn section_end(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let mut at = from;
    for (number, line) in rest.split_inclusive('\n').enumerate() {
        if number > 0 && line.trim_start().starts_with('[') {
            return at;
        }
        at += line.len();
    }
    text.len()
}

impl Place<'_> {
    pub(super) fn header(&self) -> Hint {
        if self.is_key {
            return self.second_header();
        }
        let meant = self.meant_header();
        let on_its_own = format!("write `{meant}` on a line of its own");
        if let Some(hint) = self.look_alike() {
            return hint;
        }
        let is_closed = self.before.trim_end().ends_with(']');
        match self.rest() {
            "" => Hint::new("this header is not closed", on_its_own),
            _ if !is_closed => {
                Hint::new(format!("this is no header: `{}`", self.line.trim()), on_its_own)
            }
            rest if rest.starts_with("//") => {
                Hint::new("this is no comment", "write `#` before a comment")
            }
            rest if rest.starts_with([';', ',']) => {
                let stray = rest.get(..1).unwrap_or_default();
                Hint::new(format!("there is a `{stray}` behind the header"), "remove it")
            }
            _ => Hint::new("only a comment may follow a header on its line", on_its_own),
        }
    }

    /// The header that is probably meant by a broken one.
    fn meant_header(&self) -> String {
        let is_in_name = |c: char| is_bare(c) || c == '.';
        let start = self.line.trim_start().trim_start_matches(['[', ' ', '"', '\'']);
        let end = start.find(|c| !is_in_name(c)).unwrap_or(start.len());
        let name = start.get(..end).unwrap_or_default().trim_matches('.');
        let is_array = self.line.trim_start().starts_with("[[") || item_of(name).is_some();
        written(if name.is_empty() { "name" } else { name }, is_array)
    }

    /// Guesses why a table is there a second time.
    fn second_header(&self) -> Hint {
        let path = self.path();
        let here = Header::of(self.line, self.line_start);
        let earlier: Vec<_> = self.earlier_headers().collect();
        let same = earlier.iter().rev().find(|header| header.name == path);
        if let Some(item) = item_of(&path) {
            let message =
                |header: &Header| format!("`{}` has one pair of brackets", header.written());
            let help = format!("write `[[{path}]]`, in two pairs of brackets, above each {item}");
            let single = same.filter(|header| !header.is_array);
            let above = earlier.iter().find(|header| header.name.starts_with(&format!("{path}.")));
            let first = earlier.iter().find(|header| header.name == path);
            let line = first.map_or(self.line_start, |first| first.span.start);
            return match (here.filter(|header| !header.is_array), single, above) {
                (Some(here), _, _) => Hint::new(message(&here), help),
                (None, Some(single), _) => Hint::new(message(single), help).at(single.span.clone()),
                (None, None, Some(above)) if above.span.start < line => {
                    let (table, line) = (above.written(), self.source.line_of(line));
                    let message = format!("`{table}` is above the `[[{path}]]` that it belongs to");
                    let help = format!(
                        "move it below the keys of its `[[{path}]]`, the first of which is on line {line}"
                    );
                    Hint::new(message, help).at(above.span.clone())
                }
                _ => self.twice(),
            };
        }
        match same {
            Some(same) => {
                let line = self.source.line_of(same.span.start);
                let message =
                    format!("`{}` is here twice, the first time on line {line}", same.written());
                let array = ARRAYS.iter().find(|(array, _)| path.starts_with(&format!("{array}.")));
                let help = match array {
                    Some((array, item)) => {
                        format!(
                            "keep one of the two, or write `[[{array}]]` above this one if it is of another {item}"
                        )
                    }
                    None => "keep one of the two, with all keys below it".to_owned(),
                };
                Hint::new(message, help)
            }
            None => self.twice(),
        }
    }

    /// The name of the table that is there already: the header's, up to the marked key.
    fn path(&self) -> String {
        let name = self.before.trim_start().trim_start_matches('[');
        format!("{name}{}", self.token).chars().filter(|c| !" \t\"'".contains(*c)).collect()
    }

    fn earlier_headers(&self) -> impl Iterator<Item = Header> {
        self.earlier_lines().filter_map(|(start, line)| Header::of(line, start))
    }

    /// Where the table around the place begins.
    pub(super) fn section_start(&self) -> usize {
        self.earlier_headers().last().map_or(0, |header| header.span.end)
    }
}

//! Styled lines that know how wide they are on a terminal. What they show comes from another process, so control
//! characters are never passed on.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::cli::table::is_harmful;
use crate::plural::many;

pub const PLAIN: Style = Style::new();
pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const WRONG: Style = AnsiColor::Red.on_default();
pub const WAITING: Style = AnsiColor::Yellow.on_default();

/// Shown in place of what was cut off.
const CUT: &str = "…";

/// One line, in parts of one style each.
#[derive(Clone, Debug, Default)]
pub struct Line(Vec<(Style, String)>);

/// Lines from top to bottom.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub lines: Vec<Line>,
}

impl Line {
    pub fn new(style: Style, text: &str) -> Self {
        Self::default().and(style, text)
    }

    /// The line with a further part.
    #[must_use]
    pub fn and(mut self, style: Style, text: &str) -> Self {
        self.0.push((style, harmless(text)));
        self
    }

    /// The line without what is beyond this many columns.
    fn cut(&self, width: usize) -> Self {
        let all: String = self.0.iter().map(|(_, text)| text.as_str()).collect();
        if all.width() <= width {
            return self.clone();
        }
        let mut left = cut(&all, width).len().saturating_sub(CUT.len());
        let mut short = Self::default();
        for (style, text) in &self.0 {
            let part = text.get(..left.min(text.len())).unwrap_or_default();
            left -= part.len();
            short.0.push((*style, part.to_owned()));
        }
        short.and(PLAIN, CUT)
    }

    fn write(&self, colours: bool, out: &mut String) {
        for (style, text) in &self.0 {
            // Nothing is written to a string that can fail.
            match colours && *style != PLAIN {
                true => write!(out, "{style}{text}{style:#}").ok(),
                false => write!(out, "{text}").ok(),
            };
        }
    }
}

impl Page {
    pub fn push(&mut self, style: Style, text: &str) {
        self.lines.push(Line::new(style, text));
    }

    /// A text that is broken between words, after a beginning in a style that is not broken. Lines after the first are
    /// indented by `indent` columns.
    pub fn push_wrapped(
        &mut self,
        (style, beginning): (Style, &str),
        text: &str,
        columns: usize,
        indent: usize,
    ) {
        let mut lines = wrapped(beginning, text, columns, indent).into_iter();
        if let Some(first) = lines.next() {
            let rest = first.strip_prefix(beginning).unwrap_or_default();
            let beginning = if rest.is_empty() { beginning.trim_end() } else { beginning };
            self.lines.push(Line::new(style, beginning).and(PLAIN, rest));
        }
        lines.for_each(|line| self.push(PLAIN, &line));
    }

    /// An empty line, unless it would be the first.
    pub fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
    }

    /// All lines, each with a line feed at its end.
    pub fn text(&self, colours: bool) -> String {
        let mut text = String::new();
        for line in &self.lines {
            line.write(colours, &mut text);
            text.push('\n');
        }
        text
    }

    /// What fits in so many columns and rows, each line as text. If it is not everything, the last line says how much
    /// more there is.
    pub fn fitted(&self, columns: usize, rows: usize, colours: bool) -> Vec<String> {
        let shown = match self.lines.len() <= rows {
            true => self.lines.len(),
            false => rows.saturating_sub(1),
        };
        let more = self.lines.len() - shown;
        let note = (more > 0).then(|| {
            let more = many(more, "more line");
            Line::new(DIM, &format!("{more}: make the terminal taller"))
        });
        let lines = self.lines.iter().take(shown).chain(&note);
        let text = |line: &Line| {
            let mut text = String::new();
            line.cut(columns).write(colours, &mut text);
            text
        };
        lines.map(text).collect()
    }
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text in at most so many columns: its beginning and `…`, if it is longer.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(CUT.width()) else { return String::new() };
    let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
    let fits = |end: &usize| text.get(..*end).is_some_and(|part| part.width() <= room);
    let end = ends.take_while(fits).last().unwrap_or(0);
    format!("{}{CUT}", text.get(..end).unwrap_or_default())
}

/// A text in lines of at most so many columns, broken between words, after a beginning that is not broken. A longer word
/// has a line of its own, since it may be a path that somebody copies. Lines after the first are indented by `indent`
/// columns.
pub fn wrapped(beginning: &str, text: &str, columns: usize, indent: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), beginning.to_owned());
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= columns || line.trim().is_empty() {
            line.push_str(if gap == 1 && !line.ends_with(' ') { " " } else { "" });
        } else {
            lines.push(line);
            line = " ".repeat(indent);
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A text without characters that could move the cursor, or turn the direction of writing.
fn harmless(text: &str) -> String {
    let one = |char: char| match char {
        '\t' => ' ',
        char if is_harmful(char) => char::REPLACEMENT_CHARACTER,
        char => char,
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_what_it_takes_on_a_terminal() {
        assert_eq!(cut("greeter", 7), "greeter");
        assert_eq!(cut("greeter", 6), "greet…");
        assert_eq!(cut("版本一二", 8), "版本一二");
        assert_eq!(cut("版本一二", 7), "版本一…");
        assert_eq!(cut("版本一二", 6), "版本…", "half a character does not fit");
        assert_eq!(cut("e\u{301}e\u{301}e", 2), "e\u{301}…", "an accent stays with its letter");
        assert_eq!((cut("ab", 1).as_str(), cut("ab", 0).as_str()), ("…", ""));
    }

    #[test]
    fn text_is_broken_between_words_and_never_in_a_path() {
        let text = "there is no file /a/very/long/path.wasm here";
        let expected = ["there is no", "  file", "  /a/very/long/path.wasm", "  here"];
        assert_eq!(wrapped("", text, 12, 2), expected);
        assert_eq!(wrapped("  held:", "a b c", 10, 4), ["  held: a", "    b c"]);
        assert_eq!(wrapped("  held:", "", 12, 2), ["  held:"]);
    }

    /// A name is a file's, and a file may be called anything.
    #[test]
    fn no_text_moves_the_cursor() {
        let mut page = Page::default();
        page.push(PLAIN, "a\x1b[2Jb\rc\nd\te\u{202e}");
        assert_eq!(page.text(true), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d e\u{fffd}\n");
    }

    #[test]
    fn a_page_is_fitted_to_a_terminal() {
        let mut page = Page::default();
        page.lines.push(Line::new(BOLD, "greeter").and(PLAIN, "  serves v1"));
        page.push(PLAIN, "lab");
        page.push(PLAIN, "shop");
        assert_eq!(page.fitted(80, 3, false), ["greeter  serves v1", "lab", "shop"]);
        assert_eq!(page.fitted(5, 3, false), ["gree…", "lab", "shop"]);
        assert_eq!(page.fitted(5, 3, true)[0], "\x1b[1mgree\x1b[0m…");
        assert_eq!(page.fitted(80, 2, false)[1], "2 more lines: make the terminal taller");
        assert_eq!(page.fitted(80, 0, false).len(), 1);
    }
}

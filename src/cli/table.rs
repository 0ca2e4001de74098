//! Tables without borders, as commands print them: columns are two spaces apart, as wide as their content, and never
//! wrapped, so that each row is one line.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Shown where a value is not known.
pub(super) const NONE: &str = "-";

/// The lines of a table, its header first, without white space at their ends.
pub(super) fn lines<const N: usize>(
    header: [(&str, Align); N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.map(|(title, _)| title));
    table.add_rows(rows);
    for (column, (_, align)) in table.column_iter_mut().zip(header) {
        column.set_padding((0, 2));
        column.set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Whether a terminal obeys a character instead of showing it: it moves the cursor, or turns the direction of writing.
pub(super) fn is_harmful(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || char.is_control()
}

/// A text on one line, with what a terminal would obey escaped.
pub(super) fn harmless(text: &str) -> String {
    escaped(text, is_harmful)
}

/// The same of a text that may have several lines, with tabs in them.
pub(super) fn harmless_lines(text: &str) -> String {
    escaped(text, |char| is_harmful(char) && !matches!(char, '\n' | '\t'))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match is_escaped(char) {
            true => shown.extend(char.escape_default()),
            false => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let text = "a\tb\nc\u{1b}[2J\u{202e}d\u{9b}版";
        assert_eq!(harmless(text), "a\\tb\\nc\\u{1b}[2J\\u{202e}d\\u{9b}版");
        assert_eq!(harmless_lines(text), "a\tb\nc\\u{1b}[2J\\u{202e}d\\u{9b}版");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let header = [("NAME", Align::Left), ("N", Align::Right), ("MORE", Align::Left)];
        let rows = [["a", "1", ""], ["longer", "1000", "x y"]].map(|row| row.map(str::to_owned));
        let expected = ["NAME       N  MORE", "a          1", "longer  1000  x y"];
        assert_eq!(lines(header, rows), expected);
    }

    #[test]
    fn a_wide_table_is_not_wrapped() {
        let [header, row] = &lines([("A", Align::Left)], [["x ".repeat(500) + "y"]])[..] else {
            panic!("two lines");
        };
        assert_eq!((header.as_str(), row.len()), ("A", 1001));
    }
}

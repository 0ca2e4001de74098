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

/// Whether a character of somebody else's text is only shown: it does not move the cursor, and does not turn the
/// direction of what is written beside it.
pub(super) fn is_harmless(char: char) -> bool {
    !matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        && !char.is_control()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_or_turns_text_is_not_harmless() {
        assert!("aß→日… ".chars().all(is_harmless));
        assert!("\n\t\u{1b}\u{9b}\u{7f}\u{202e}\u{2066}".chars().all(|char| !is_harmless(char)));
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

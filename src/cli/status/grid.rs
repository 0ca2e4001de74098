//! Tables that fit a terminal. Where a table is too wide, columns that may be cut are cut; where that is not enough,
//! each row becomes a few lines that name their values. The first column is what a reader acts on, and never cut.

use super::page::{cut, width, wrapped};
use crate::cli::table::{Align, NONE};

/// Between two columns.
const GAP: usize = 2;

/// A column of a grid.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub align: Align,
    /// To how many characters its values may be cut, if they may.
    pub least: Option<usize>,
}

/// A table as lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Grid {
    /// None where rows name their values.
    pub header: Option<String>,
    /// The lines of each row.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// Lays out rows in so many columns of a terminal.
    pub fn new<const N: usize>(columns: [Column; N], rows: &[[String; N]], room: usize) -> Self {
        let widest = |index: usize| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            cells.map(|cell| width(cell)).max().unwrap_or(0)
        };
        let natural = columns.iter().enumerate();
        let mut widths: Vec<_> =
            natural.map(|(index, column)| widest(index).max(width(column.title))).collect();
        let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * (N.max(1) - 1);
        let mut over = total(&widths).saturating_sub(room);
        for (column, width) in columns.iter().zip(&mut widths) {
            let spare = column.least.map_or(0, |least| width.saturating_sub(least)).min(over);
            *width -= spare;
            over -= spare;
        }
        if over > 0 {
            let rows = rows.iter().map(|row| stacked(&columns, row, room));
            return Self { header: None, rows: rows.collect() };
        }
        let titles = columns.map(|column| column.title.to_owned());
        let header = Some(line(&columns, &titles, &widths));
        Self { header, rows: rows.iter().map(|row| vec![line(&columns, row, &widths)]).collect() }
    }
}

fn line<const N: usize>(columns: &[Column; N], cells: &[String; N], widths: &[usize]) -> String {
    let mut line = String::new();
    for ((column, cell), room) in columns.iter().zip(cells).zip(widths) {
        if !line.is_empty() {
            line.push_str(&" ".repeat(GAP));
        }
        let cell = cut(cell, *room);
        let pad = " ".repeat(room.saturating_sub(width(&cell)));
        line += &match column.align {
            Align::Left => cell + &pad,
            Align::Right => pad + &cell,
        };
    }
    line.trim_end().to_owned()
}

/// A row below its first cell: each value after the name of its column.
fn stacked<const N: usize>(columns: &[Column; N], row: &[String; N], room: usize) -> Vec<String> {
    let mut cells = columns.iter().zip(row);
    let key = cells.next().map(|(_, cell)| cell.clone()).unwrap_or_default();
    let mut lines = vec![key];
    let mut line = String::new();
    for (column, cell) in cells.filter(|(_, cell)| *cell != NONE && !cell.is_empty()) {
        let pair = format!("{} {cell}", column.title.to_lowercase());
        match !line.is_empty() && width(&line) + GAP + width(&pair) <= room {
            true => line = line + &" ".repeat(GAP) + &pair,
            false => {
                lines.extend((!line.is_empty()).then_some(line));
                line = format!("    {pair}");
            }
        }
    }
    lines.extend((!line.is_empty()).then_some(line));
    lines.into_iter().flat_map(|line| within(&line, room)).collect()
}

/// A line that is still too wide, broken between words.
fn within(line: &str, room: usize) -> Vec<String> {
    if width(line) <= room {
        return vec![line.to_owned()];
    }
    let indent = line.len() - line.trim_start().len();
    wrapped(&" ".repeat(indent), line, room, indent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column { title: "NAME", align: Align::Left, least: None },
        Column { title: "TRAFFIC", align: Align::Left, least: Some(8) },
        Column { title: "REQ/S", align: Align::Right, least: None },
    ];

    fn grid(room: usize) -> Grid {
        let rows = [["greeter", "v1 90 %, v2 10 %", "7.0"], ["版本", "v1 100 %", NONE]];
        Grid::new(COLUMNS, &rows.map(|row| row.map(str::to_owned)), room)
    }

    #[test]
    fn columns_are_as_wide_as_they_look() {
        let Grid { header, rows } = grid(80);
        assert_eq!(header.unwrap(), "NAME     TRAFFIC           REQ/S");
        let expected = [["greeter  v1 90 %, v2 10 %    7.0"], ["版本     v1 100 %              -"]];
        assert_eq!(rows, expected);
    }

    #[test]
    fn the_middle_is_cut_first() {
        let Grid { header, rows } = grid(26);
        assert_eq!(header.unwrap(), "NAME     TRAFFIC     REQ/S");
        let expected = [["greeter  v1 90 %, …    7.0"], ["版本     v1 100 %        -"]];
        assert_eq!(rows, expected);
    }

    /// Too narrow for columns, nothing is lost.
    #[test]
    fn a_narrow_terminal_gets_lines() {
        let Grid { header, rows } = grid(22);
        assert_eq!(header, None);
        let expected: [&[&str]; 2] = [
            &["greeter", "    traffic v1 90 %,", "    v2 10 %", "    req/s 7.0"],
            &["版本", "    traffic v1 100 %"],
        ];
        assert_eq!(rows, expected);
    }
}

//! Items in one pair of brackets or braces, with the space and comments between them. A comment behind an item, up to
//! the end of its line, belongs to the item, even behind the comma; a comment on a line of its own belongs to the item
//! below.

use toml_edit::{Array, InlineTable, RawString, Value};

/// The gaps of an array or an inline table. The gap before an item begins behind the comma of the item before.
trait Gaps {
    fn count(&self) -> usize;
    fn before(&self, index: usize) -> String;
    fn set_before(&mut self, index: usize, text: &str);
    fn behind(&self, index: usize) -> String;
    fn set_behind(&mut self, index: usize, text: &str);
    /// Whether the last item has a comma too.
    fn has_comma(&self) -> bool;
    fn end(&self) -> String;
    fn set_end(&mut self, text: &str);
}

/// The text of a decoration, or the default where it has none.
fn text(raw: Option<&RawString>, default: &str) -> String {
    raw.and_then(RawString::as_str).unwrap_or(default).to_owned()
}

impl Gaps for Array {
    fn count(&self) -> usize {
        self.len()
    }

    fn before(&self, index: usize) -> String {
        let default = if index == 0 { "" } else { " " };
        text(self.get(index).and_then(|item| item.decor().prefix()), default)
    }

    fn set_before(&mut self, index: usize, text: &str) {
        if let Some(item) = self.get_mut(index) {
            item.decor_mut().set_prefix(text);
        }
    }

    fn behind(&self, index: usize) -> String {
        text(self.get(index).and_then(|item| item.decor().suffix()), "")
    }

    fn set_behind(&mut self, index: usize, text: &str) {
        if let Some(item) = self.get_mut(index) {
            item.decor_mut().set_suffix(text);
        }
    }

    fn has_comma(&self) -> bool {
        self.trailing_comma()
    }

    fn end(&self) -> String {
        text(Some(self.trailing()), "")
    }

    fn set_end(&mut self, text: &str) {
        self.set_trailing(text);
    }
}

impl Gaps for InlineTable {
    fn count(&self) -> usize {
        self.iter().count()
    }

    fn before(&self, index: usize) -> String {
        let key = self.iter().nth(index).and_then(|(name, _)| self.key(name));
        text(key.and_then(|key| key.leaf_decor().prefix()), " ")
    }

    fn set_before(&mut self, index: usize, text: &str) {
        if let Some((mut key, _)) = self.iter_mut().nth(index) {
            key.leaf_decor_mut().set_prefix(text);
        }
    }

    fn behind(&self, index: usize) -> String {
        let default = if index + 1 == self.count() { " " } else { "" };
        text(self.iter().nth(index).and_then(|(_, value)| value.decor().suffix()), default)
    }

    fn set_behind(&mut self, index: usize, text: &str) {
        if let Some((_, value)) = self.iter_mut().nth(index) {
            value.decor_mut().set_suffix(text);
        }
    }

    fn has_comma(&self) -> bool {
        self.trailing_comma()
    }

    fn end(&self) -> String {
        text(Some(self.trailing()), "")
    }

    fn set_end(&mut self, text: &str) {
        self.set_trailing(text);
    }
}

/// Adds an item at the end of an array, written as the one before it.
pub fn push(array: &mut Array, value: Value) {
    let room = make_room(array);
    array.push_formatted(value);
    room.give(array);
}

/// Adds a key at the end of an inline table, written as the one before it.
pub fn insert(table: &mut InlineTable, key: &str, mut value: Value) {
    let room = make_room(table);
    value.decor_mut().set_prefix(" ");
    table.insert(key, value);
    room.give(table);
}

/// Removes an item of an array.
pub fn remove(array: &mut Array, index: usize) {
    if index < array.len() {
        let hole = Hole::at(array, index);
        array.remove(index);
        hole.close(array);
    }
}

/// Removes a key of an inline table.
pub fn remove_key(table: &mut InlineTable, key: &str) {
    let Some(index) = table.iter().position(|(name, _)| name == key) else { return };
    let hole = Hole::at(table, index);
    table.remove(key);
    hole.close(table);
}

/// The gaps around an item that is added at the end.
struct Room {
    before: String,
    behind: String,
}

/// Takes what belongs to the last item away from the final gap.
fn make_room(row: &mut impl Gaps) -> Room {
    let Some(last) = row.count().checked_sub(1) else {
        // In empty brackets there is no line to follow.
        let end = row.end();
        let is_broken = end.contains('\n');
        if is_broken {
            row.set_end(line_end(&end));
        }
        let before = if is_broken { format!("{}\n    ", end.trim_end()) } else { " ".to_owned() };
        return Room { before, behind: if is_broken { String::new() } else { " ".to_owned() } };
    };
    let indent = row.before(last).rsplit_once('\n').map_or("    ".to_owned(), |it| it.1.to_owned());
    if row.has_comma() {
        let end = row.end();
        if !end.contains('\n') {
            return Room { before: " ".to_owned(), behind: String::new() };
        }
        row.set_end(line_end(&end));
        return Room { before: format!("{}\n{indent}", end.trim_end()), behind: String::new() };
    }
    let behind = row.behind(last) + &row.end();
    row.set_end("");
    row.set_behind(last, "");
    if !behind.contains('\n') {
        return Room { before: " ".to_owned(), behind };
    }
    let before = format!("{}\n{indent}", behind.trim_end());
    Room { before, behind: line_end(&behind).to_owned() }
}

impl Room {
    fn give(self, row: &mut impl Gaps) {
        if let Some(last) = row.count().checked_sub(1) {
            row.set_before(last, &self.before);
            row.set_behind(last, &self.behind);
        }
    }
}

/// The last line end and what follows it.
fn line_end(text: &str) -> &str {
    text.rfind('\n').and_then(|at| text.get(at..)).unwrap_or(text)
}

/// The gaps around an item that is removed.
struct Hole {
    index: usize,
    before: String,
    behind: String,
}

impl Hole {
    fn at(row: &impl Gaps, index: usize) -> Self {
        Self { index, before: row.before(index), behind: row.behind(index) }
    }

    fn close(self, row: &mut impl Gaps) {
        let Self { index, before, behind } = self;
        if index < row.count() {
            let next = row.before(index);
            let joined = if next.contains('\n') { joined(&before, &next) } else { before };
            row.set_before(index, &joined);
        } else if row.has_comma() || index == 0 {
            let end = row.end();
            let end = if end.contains('\n') { end } else { behind };
            row.set_end(&joined(&before, &end));
        } else {
            row.set_behind(index - 1, &joined(&before, &(behind + &row.end())));
            row.set_end("");
        }
    }
}

/// The comment behind the item before, and the gap that follows without the comment behind the removed item.
fn joined(before: &str, after: &str) -> String {
    let kept = before.split_once('\n').map_or("", |(kept, _)| kept);
    match after.find('\n').and_then(|at| after.get(at..)) {
        Some(rest) => format!("{kept}{rest}"),
        // A comment would swallow the bracket.
        None if kept.trim_start().starts_with('#') => format!("{kept}\n"),
        None => after.to_owned(),
    }
}

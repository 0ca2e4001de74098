//! Which lines of a text are those of the text before it: to show a change to whoever has to make
//! it elsewhere, and to keep the ends of lines as they were.

use std::fmt::Write;

/// How many pairs of lines are compared between what both texts begin and end with. Beyond, all of
/// it counts as changed.
const PAIRS_MAX: usize = 4_000_000;

/// For each line of `new`, which line of `old` it is, if it was there.
pub fn kept(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(new).take_while(same).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
    let middle = |lines: usize| head..lines - tail;
    let inner = inner(
        old.get(middle(old.len())).unwrap_or_default(),
        new.get(middle(new.len())).unwrap_or_default(),
    );
    let inner = inner.into_iter().map(|line| line.map(|line| line + head));
    let last = (old.len() - tail..old.len()).map(Some);
    (0..head).map(Some).chain(inner).chain(last).collect()
}

/// The same by the longest common subsequence (Wagner and Fischer, 1974).
fn inner(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
    let width = new.len() + 1;
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        return vec![None; new.len()];
    }
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    let at = |lengths: &[u32], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or(0);
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let length = if one == other {
                at(&lengths, i + 1, j + 1) + 1
            } else {
                at(&lengths, i + 1, j).max(at(&lengths, i, j + 1))
            };
            if let Some(cell) = lengths.get_mut(i * width + j) {
                *cell = length;
            }
        }
    }
    let mut from = 0;
    let line = |(j, line): (usize, &&str)| {
        // Lines of the old text that are on no longest way are gone.
        while from < old.len() && old.get(from) != Some(line) {
            if at(&lengths, from + 1, j) < at(&lengths, from, j + 1) {
                return None;
            }
            from += 1;
        }
        let found = (from < old.len()).then_some(from);
        from += 1;
        found
    };
    new.iter().enumerate().map(line).collect()
}

/// What is different, as lines with `-` and `+` below the number of the line where they begin.
pub fn show(before: &str, after: &str) -> String {
    let [old, new] = [before, after].map(|text| text.lines().collect::<Vec<_>>());
    let kept = kept(&old, &new);
    let mut text = String::new();
    let (mut next, mut added) = (0, Vec::new());
    for (line, from) in new.iter().zip(&kept) {
        match from {
            Some(from) => {
                show_hunk(&mut text, next, old.get(next..*from), &mut added);
                next = from + 1;
            }
            None => added.push(*line),
        }
    }
    show_hunk(&mut text, next, old.get(next..), &mut added);
    text
}

fn show_hunk(text: &mut String, at: usize, removed: Option<&[&str]>, added: &mut Vec<&str>) {
    let removed = removed.unwrap_or_default();
    if removed.is_empty() && added.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    writeln!(text, "line {}:", at + 1).ok();
    for line in removed {
        writeln!(text, "- {line}").ok();
    }
    for line in added.drain(..) {
        writeln!(text, "+ {line}").ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_is_shown_by_its_lines() {
        let (before, after) = ("a\nb\nc\nd\n", "a\nB\nc\nd\ne\n");
        assert_eq!(show(before, after), "line 2:\n- b\n+ B\nline 5:\n+ e\n");
        assert_eq!(show(before, before), "");
        assert_eq!(show("", "a\n"), "line 1:\n+ a\n");
        assert_eq!(show("a\nb\n", "b\n"), "line 1:\n- a\n");
    }

    proptest! {
        #[test]
        fn kept_lines_are_the_same_in_the_same_order(
            old in prop::collection::vec("[abc]", 0..12),
            new in prop::collection::vec("[abc]", 0..12),
        ) {
            let [old, new] = [&old, &new].map(|it| it.iter().map(String::as_str).collect::<Vec<_>>());
            let kept = kept(&old, &new);
            prop_assert_eq!(kept.len(), new.len());
            let mut last = None;
            for (line, from) in new.iter().zip(kept) {
                if let Some(from) = from {
                    prop_assert_eq!(*line, old[from]);
                    prop_assert!(last < Some(from));
                    last = Some(from);
                }
            }
            let same = new.iter().filter(|line| old.contains(line)).count();
            prop_assert!(same == 0 || last.is_some());
        }
    }
}

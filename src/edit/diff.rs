//! Which lines of a text were in the text before: to show a change to a person who has to make it elsewhere, and to
//! keep the line ends as they were.

use std::fmt::Write;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

/// How long two texts are compared. After that, more lines count as changed than really are.
const COMPARING: Duration = Duration::from_secs(1);

/// For each line of `new`, the line of `old` that it was, if any.
pub fn kept(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
    let mut kept = vec![None; new.len()];
    let deadline = Some(Instant::now() + COMPARING);
    for change in capture_diff_slices_deadline(Algorithm::Myers, old, new, deadline) {
        let DiffOp::Equal { old_index, new_index, len } = change else { continue };
        let same = kept.iter_mut().skip(new_index).take(len);
        same.zip(old_index..).for_each(|(line, from)| *line = Some(from));
    }
    kept
}

/// The differences, as lines with `-` and `+` below the number of their first line.
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

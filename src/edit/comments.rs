//! Comments above something that is removed. The lines right above it are about it, and go with it; comments above an
//! empty line stay.

use toml_edit::RawString;

/// How a line begins that editors read, such as `#:schema …`.
const DIRECTIVE: &str = "#:";

/// The text of a decoration.
pub fn text(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str).unwrap_or_default().to_owned()
}

/// The lines above an item once the item before is removed: with those lines of the removed item that stay.
pub fn without_own(removed: &str, next: &str) -> String {
    let kept = Some(apart(removed)).filter(|kept| kept.contains('#'));
    // One empty line is enough; none is added where there was none.
    let is_enough = kept.map_or(!starts_blank(removed), ends_blank);
    let next = if is_enough { next.strip_prefix('\n').unwrap_or(next) } else { next };
    kept.unwrap_or_default().to_owned() + next
}

/// The lines up to the last one that is empty or for editors.
fn apart(text: &str) -> &str {
    let mut end = 0;
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        position += line.len();
        let stays = line.trim().is_empty() || line.trim_start().starts_with(DIRECTIVE);
        if line.ends_with('\n') && stays {
            end = position;
        }
    }
    text.get(..end).unwrap_or_default()
}

fn starts_blank(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim().is_empty())
}

fn ends_blank(text: &str) -> bool {
    text.lines().last().is_some_and(|line| line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_apart_stays() {
        for (removed, next, left) in [
            ("", "", ""),
            ("\n", "\n", "\n"),
            ("", "\n# b\n", "# b\n"),
            ("# a\n", "\n# b\n", "# b\n"),
            ("\n# a\n", "\n# b\n", "\n# b\n"),
            ("# top\n\n# a\n", "\n# b\n", "# top\n\n# b\n"),
            ("#:schema x\n", "\n", "#:schema x\n\n"),
            ("#:schema x\n# top\n\n", "\n", "#:schema x\n# top\n\n"),
            ("\n# section\n\n# a\n", "", "\n# section\n\n"),
        ] {
            assert_eq!(without_own(removed, next), left, "{removed:?} {next:?}");
        }
    }
}

//! The parts of a text that mean nothing in TOML and stay nevertheless: the byte order mark at its start, and its line
//! ends. The editor sees a text without a mark whose lines end with `\n`.

use super::diff;

/// The byte order mark that some editors put before UTF-8.
const MARK: char = '\u{feff}';
const CRLF: &str = "\r\n";

/// The text without its mark, with plain line ends.
pub fn plain(text: &str) -> String {
    text.trim_start_matches(MARK).replace(CRLF, "\n")
}

/// A plain text in the form of the text that it replaces: old lines end as they did, and new lines as the first line
/// does.
pub fn as_before(before: &str, plain: &str) -> String {
    let mark = before.strip_prefix(MARK).map(|_| MARK);
    let text = before.strip_prefix(MARK).unwrap_or(before);
    if !text.contains(CRLF) {
        return mark.into_iter().chain(plain.chars()).collect();
    }
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (old, new) = (lines(text), lines(plain));
    let (old, ends): (Vec<_>, Vec<_>) = old.into_iter().map(parts).unzip();
    let (new, _): (Vec<_>, Vec<_>) = new.into_iter().map(parts).unzip();
    let usual = ends.first().copied().unwrap_or("\n");
    let kept = diff::kept(&old, &new);
    let mut result: String = mark.into_iter().collect();
    for (line, from) in new.iter().zip(kept) {
        let end = from.and_then(|from| ends.get(from)).filter(|end| !end.is_empty());
        result.push_str(line);
        result.push_str(end.copied().unwrap_or(usual));
    }
    if !plain.ends_with('\n') {
        result.truncate(result.trim_end_matches(['\r', '\n']).len());
    }
    result
}

/// A line and its end.
fn parts(line: &str) -> (&str, &str) {
    let text = line.strip_suffix('\n').map_or(line, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    line.split_at(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_they_did_and_new_ones_as_the_first() {
        let before = "\u{feff}a\r\nb\nc\r\n";
        assert_eq!(plain(before), "a\nb\nc\n");
        assert_eq!(as_before(before, "a\nb\nc\n"), before);
        assert_eq!(as_before(before, "a\nx\nb\nc\ny\n"), "\u{feff}a\r\nx\r\nb\nc\r\ny\r\n");
        assert_eq!(as_before("a\nb", "a\nb\nc\n"), "a\nb\nc\n");
        assert_eq!(as_before("a\r\nb", "b\nc\n"), "b\r\nc\r\n");
        assert_eq!(as_before("a\r\nb\r\n", "a\nb"), "a\r\nb");
    }
}

//! Recognises a text that was not written as TOML at all: another language, a diff, a template that nobody filled in,
//! and a merge that nobody finished. Such a text has an error on most of its lines, and one cause.

use std::ops::Range;

use super::super::source::PROBLEMS_MAX;
use super::hint::Hint;

/// How lines begin that a version control system leaves in a file with a conflict: the two sides, what both come from,
/// and the end.
const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// What to do about a file in another language.
const WRITE_TOML: &str = "write TOML: lines of `key = value`, and `[name]` or `[[name]]` above the keys of a table; \
                          `watershed init DIR` writes files to begin with";

/// A part of a text with one cause for all of its errors.
pub struct Foreign {
    /// What to mark.
    pub mark: Range<usize>,
    /// Where all errors have this cause.
    pub whole: Range<usize>,
    pub hint: Hint,
}

/// Whether a line is one that a merge leaves behind.
pub fn is_marker(line: &str) -> bool {
    MARKERS.iter().any(|marker| {
        line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

/// The parts of a text that have errors and were not written as TOML, in the order of the text. `has_error` says
/// whether there is an error between two places.
pub fn parts(text: &str, has_error: impl Fn(&Range<usize>) -> bool) -> Vec<Foreign> {
    let conflicts = conflicts(text);
    let is_wrong = |part: &Foreign| has_error(&part.mark);
    let conflicts: Vec<_> = conflicts.into_iter().filter(is_wrong).take(PROBLEMS_MAX).collect();
    if !conflicts.is_empty() {
        return conflicts;
    }
    let whole = template(text, has_error).or_else(|| language(text));
    whole.into_iter().collect()
}

/// Each line of a text, and where it is.
fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        let line = line.trim_end();
        Some((start..start + line.len(), line))
    })
}

fn conflicts(text: &str) -> Vec<Foreign> {
    let mut conflicts: Vec<Foreign> = Vec::new();
    let mut begun: Option<Range<usize>> = None;
    for (number, (span, line)) in lines(text).enumerate().filter(|(_, (_, line))| is_marker(line)) {
        if line.starts_with("<<<<<<<") {
            begun = Some(span);
        } else if line.starts_with(">>>>>>>")
            && let Some(mark) = begun.take()
        {
            let message =
                format!("a merge left two versions of this text, up to line {}", number + 1);
            let help = "keep what is meant, and remove the lines that begin with `<<<<<<<`, `=======` and `>>>>>>>`";
            let whole = mark.start..span.end;
            conflicts.push(Foreign { mark, whole, hint: Hint::new(message, help) });
        }
    }
    conflicts
}

fn template(text: &str, has_error: impl Fn(&Range<usize>) -> bool) -> Option<Foreign> {
    let is_open = |line: &str| line.contains("{{") && line.contains("}}");
    let (mark, _) = lines(text).find(|(span, line)| is_open(line) && has_error(span))?;
    let help = "have the tool that the template is for, such as Helm, write the file";
    let hint = Hint::new("this is a template that nothing has filled in", help);
    Some(Foreign { mark, whole: 0..text.len(), hint })
}

/// The language of a text without a single line as TOML has them.
fn language(text: &str) -> Option<Foreign> {
    let said = |line: &&(Range<usize>, &str)| {
        let line = line.1.trim_start();
        !line.is_empty() && !line.starts_with('#')
    };
    let all: Vec<_> = lines(text).collect();
    let (first, line) = all.iter().find(said)?;
    let rest = || all.iter().filter(said).map(|(_, line)| line.trim());
    let is_diff = line.starts_with("diff --git ")
        || (line.starts_with("--- ") && rest().nth(1).is_some_and(|next| next.starts_with("+++ ")));
    let (message, help) = if is_diff {
        let help = "apply the diff to the file that it was made from, as `patch` or `git apply` do";
        ("this is a diff, and not what comes of it", help)
    } else if rest().any(is_toml) {
        return None;
    } else if rest().next().is_some_and(is_json) {
        ("this is JSON", WRITE_TOML)
    } else if line.trim_start().starts_with('<') {
        ("this is XML", WRITE_TOML)
    } else if rest().any(|line| line.ends_with(['{', ';'])) && rest().count() > 1 {
        ("this is another language, such as that of nginx", WRITE_TOML)
    } else if rest().filter(|line| is_yaml(line)).count() > 1 {
        ("this is YAML", WRITE_TOML)
    } else {
        return None;
    };
    let start = first.start + (line.len() - line.trim_start().len());
    Some(Foreign { mark: start..first.end, whole: 0..text.len(), hint: Hint::new(message, help) })
}

/// Whether a line is a header, or a key with a value.
fn is_toml(line: &str) -> bool {
    let is_in_key = |c: char| c.is_alphanumeric() || "_-. \"'".contains(c);
    let is_header = line
        .strip_prefix('[')
        .is_some_and(|rest| rest.trim_end_matches(']').chars().all(is_in_key));
    let has_value = line.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty() && key.trim_end().split(' ').count() == 1 && key.chars().all(is_in_key)
    });
    (is_header && line.contains(']') && line.len() > 2) || has_value
}

/// Whether a text of JSON begins with a line.
fn is_json(line: &str) -> bool {
    line.starts_with('{') || line == "[" || line.starts_with("[{")
}

/// Whether a line is a key of YAML.
fn is_yaml(line: &str) -> bool {
    let line = line.trim_start_matches("- ");
    let is_in_key = |c: char| c.is_alphanumeric() || "_-./\"'".contains(c);
    line.split_once(':').is_some_and(|(key, value)| {
        !key.is_empty()
            && key.chars().all(is_in_key)
            && (value.is_empty() || value.starts_with(' '))
    })
}

//! Suggests what was probably meant by a name that does not exist. `read` asks about keys, `validate` about versions
//! and words, the command line about services and environments.

/// How alike two names must be, from 0 to 1, before one is suggested for the other.
const LIKENESS_MIN: f64 = 0.6;

/// The longest name, in bytes, that is compared: the time grows with the product of both lengths.
const COMPARED_MAX: usize = 256;

/// How many names a list has before it only counts the rest.
const LISTED_MAX: usize = 20;

/// How many names an answer to an unknown name lists.
pub const AMONG_MAX: usize = 10;

/// How alike two names must be before a slip is likelier than the same name somewhere else.
const SLIP_MIN: f64 = 0.8;

/// Whether a name is hardly more than a slip of another one.
pub fn is_slip(written: &str, meant: &str) -> bool {
    likeness(&written.to_lowercase(), meant) >= SLIP_MIN
}

fn likeness(written: &str, name: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(written, name)
}

/// The existing name that is most like the written one, if any is alike enough.
pub fn closest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let short = |name: &str| name.len() <= COMPARED_MAX;
    let written = Some(written).filter(|name| short(name))?.to_lowercase();
    let liked = names
        .iter()
        .filter(|name| short(name))
        .map(|name| (likeness(&written, name), *name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
    let best = liked.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(best.1)
}

/// `a`, `b` and `c`.
pub fn list(names: &[&str]) -> String {
    list_at_most(LISTED_MAX, names)
}

/// The first names, and the number of the others.
pub fn list_at_most(count: usize, names: &[&str]) -> String {
    let mut quoted: Vec<String> =
        names.iter().take(count).map(|name| format!("`{name}`")).collect();
    match names.len() - quoted.len() {
        0 => {}
        more => quoted.push(format!("{more} more")),
    }
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// The suggestion, if there is one, and then the other names.
pub fn help(meant: Option<&str>, others: &str) -> String {
    match meant {
        Some(name) => format!("did you mean `{name}`? {}", capital(others)),
        None => others.to_owned(),
    }
}

/// The statuses of failures in a range such as `502-504`, each as a text of its own: what is a range elsewhere is a list
/// here.
pub fn failures(range: &str) -> Option<String> {
    let (first, last) = range.trim().split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let is_few = (500..600).contains(&first) && (first..first + 10).contains(&last) && last < 600;
    let each: Vec<_> = (first..=last).map(|status| format!("\"{status}\"")).collect();
    is_few.then(|| each.join(", "))
}

/// What may be meant by a name that does not exist, and which names exist.
pub fn among(written: &str, mut names: Vec<&str>) -> String {
    // Several environments may have a service of the same name.
    names.sort_unstable();
    names.dedup();
    let meant = closest(written, &names);
    let declared = match names.as_slice() {
        [] => "none is declared".to_owned(),
        [only] => format!("`{only}` is the only one"),
        names => format!("there are {}", list_at_most(AMONG_MAX, names)),
    };
    help(meant, &declared)
}

/// The text as the beginning of a sentence.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["listen", "threads", "sandboxes", "grace-period", "expose"];
        assert_eq!(closest("lisen", &names), Some("listen"));
        assert_eq!(closest("Listen", &names), Some("listen"));
        assert_eq!(closest("grace_period", &names), Some("grace-period"));
        assert_eq!(closest("upstream", &names), None);
        assert_eq!(closest("x", &[]), None);
    }

    #[test]
    fn what_is_too_long_to_compare_is_like_nothing() {
        let (written, name) = ("a".repeat(300_000), "a".repeat(299_999));
        assert_eq!(closest(&written, &[&name, "b"]), None);
        assert_eq!(closest("a", &[&name, "b"]), None);
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(list(&[]), "none");
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(help(Some("a"), "there is `a`"), "did you mean `a`? There is `a`");
        assert!(list(&["a"; 23]).ends_with("`a`, `a` and 3 more"));
    }
}

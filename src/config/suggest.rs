//! What somebody probably meant who wrote a name that does not exist. `shape` asks it about keys,
//! `validate` about versions and words.

/// How alike two names must be, from 0 to 1, before one is offered for the other.
const LIKENESS_MIN: f64 = 0.6;

/// The name that is most like the one written, if any is like it.
pub fn closest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    let liked = names
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&written, name), *name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
    let best = liked.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(best.1)
}

/// `a`, `b` and `c`.
pub fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// The suggestion, if there is one, and then what else there is.
pub fn help(meant: Option<&str>, others: &str) -> String {
    match meant {
        Some(name) => format!("did you mean `{name}`? {}", capital(others)),
        None => others.to_owned(),
    }
}

fn capital(text: &str) -> String {
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
    fn lists_read_like_sentences() {
        assert_eq!(list(&[]), "none");
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(help(Some("a"), "there is `a`"), "did you mean `a`? There is `a`");
    }
}

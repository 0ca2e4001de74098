//! Texts that are right and can hardly be meant: patterns that are written as regular expressions, and paths that are
//! written as for a shell, for Windows or for a registry. Each gets a warning. A `\` before a character of a pattern
//! says that the character is meant.

mod outside;

use super::super::source::Complaint;

pub use outside::{address, elsewhere, image, path, service, variable};

/// Letters that a backslash makes a class of characters in a regular expression.
const CLASSES: &str = "dDwWsSbB";

/// Characters that have a meaning in regular expressions.
const REGEX: &str = "^$.+?()[]{}|\\";

/// How many characters of a pattern an advice escapes.
const ESCAPES_MAX: usize = 16;

/// Modifiers of nginx in front of a path.
const MODIFIERS: [&str; 4] = ["^~ ", "~* ", "~ ", "= "];

/// What is strange about a pattern, if anything is.
pub fn pattern(text: &str, is_path: bool) -> Option<Complaint> {
    let plain = without_escapes(text);
    let sign = sign(text, &plain).or_else(|| path_sign(&plain).filter(|_| is_path))?;
    let message = match sign {
        "?" => format!("{text:?} matches no path: what follows a `?` is the query"),
        "%" => format!("{text:?} is compared with a path whose percent-encoding is undone"),
        "{" | ":" => format!(
            "{text:?} is a pattern in which `{sign}` stands for itself, and not for a parameter"
        ),
        sign if sign.starts_with('\\') => {
            let letter = sign.trim_start_matches('\\');
            format!(
                "{text:?} looks like a regular expression, and is a pattern: `{sign}` stands for `{letter}`"
            )
        }
        sign => format!(
            "{text:?} looks like a regular expression, and is a pattern: `{sign}` stands for itself"
        ),
    };
    let help = match sign {
        "?" => "write the path alone, and parameters under `query`".to_owned(),
        "%" => "write the character that `%` and its two digits stand for".to_owned(),
        "{" | ":" => "write `*` for any run of characters".to_owned(),
        _ => match glob_of(text) {
            Some(glob) => format!("write `{glob}`: `*` stands for any run of characters"),
            None => "write `*` for any run of characters; nothing else has a meaning in a pattern"
                .to_owned(),
        },
    };
    let help = match kept(text, is_path) {
        Some(kept) if sign != "?" => format!("{help}; to keep it as it is, write `{kept}`"),
        _ => help,
    };
    Some(Complaint::new(message, help))
}

/// The same pattern, written so that nothing is strange about it, with its quotation marks: a `\` is none of TOML's
/// escapes between double ones.
fn kept(text: &str, is_path: bool) -> Option<String> {
    let mut kept = text.to_owned();
    for _ in 0..ESCAPES_MAX {
        let plain = without_escapes(&kept);
        let sign = sign(&kept, &plain).or_else(|| path_sign(&plain).filter(|_| is_path));
        let Some(sign) = sign else {
            return Some(if kept.contains('\'') {
                format!("{kept:?}")
            } else {
                format!("'{kept}'")
            });
        };
        if sign.starts_with('\\') {
            return None;
        }
        let found = if sign == "$" { plain.rfind(sign) } else { plain.find(sign) };
        // An escaped character is one character of `plain` too, and may be longer.
        let place = plain.get(..found?)?.chars().count();
        let at = kept.char_indices().nth(place).map(|(at, _)| at)?;
        kept.insert(at, '\\');
    }
    None
}

/// The pattern that is probably meant by a regular expression.
pub fn glob_of(text: &str) -> Option<String> {
    let bare = MODIFIERS.iter().find_map(|modifier| text.strip_prefix(modifier)).unwrap_or(text);
    let (begins, bare) = bare.strip_prefix('^').map_or((false, bare), |rest| (true, rest));
    let (ends, bare) = bare.strip_suffix('$').map_or((false, bare), |rest| (true, rest));
    let bare = bare.replace("(.*)", ".*");
    let glob = bare.replace(".*", "*").replace(".+", "*").replace("\\.", ".");
    let is_rest = glob.chars().any(|c| c != '.' && REGEX.contains(c));
    if is_rest || glob.is_empty() {
        return None;
    }
    let (before, after) = match (begins, ends) {
        (true, false) => ("", "*"),
        (false, true) if !glob.starts_with('/') => ("*", ""),
        _ => ("", ""),
    };
    let mut glob = format!("{before}{glob}{after}");
    while glob.contains("**") {
        glob = glob.replace("**", "*");
    }
    Some(glob)
}

/// A pattern in which characters behind a `\` are letters.
fn without_escapes(text: &str) -> String {
    let mut is_escaped = false;
    let plain = text.chars().map(|c| {
        let was_escaped = std::mem::take(&mut is_escaped);
        is_escaped = c == '\\' && !was_escaped;
        if was_escaped { 'x' } else { c }
    });
    plain.collect()
}

/// What in a pattern has a meaning only in a regular expression.
fn sign(text: &str, plain: &str) -> Option<&'static str> {
    if plain.starts_with('^') {
        return Some("^");
    }
    // `(?i)` and the like.
    if plain.contains("(?") {
        return Some("(");
    }
    let classes = ["\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\b", "\\B"];
    let after = text.split('\\').skip(1).filter_map(|rest| rest.chars().next());
    if let Some(letter) = after.into_iter().find(|letter| CLASSES.contains(*letter)) {
        return classes.into_iter().find(|class| class.ends_with(letter));
    }
    let runs = [".*", ".+"].iter().map(|run| plain.matches(run).count()).sum::<usize>();
    let is_run = plain.starts_with(".*")
        || ["/.*", "(.*", ".+"].iter().any(|run| plain.contains(run))
        || runs > 1;
    if is_run {
        return Some(if plain.contains(".+") { ".+" } else { ".*" });
    }
    if plain.len() > 1 && plain.ends_with('$') {
        return Some("$");
    }
    let group = plain.find('(').and_then(|at| plain.get(at..));
    if group.is_some_and(|group| group.contains('|') && group.contains(')')) {
        return Some("(");
    }
    is_class(plain).then_some("[")
}

/// Whether a pattern has a class of characters, such as `[0-9]`, `[a-z]+` or `[Ff]`.
fn is_class(plain: &str) -> bool {
    let Some((inside, after)) = plain.split_once('[').and_then(|(_, rest)| rest.split_once(']'))
    else {
        return false;
    };
    let letters: Vec<char> = inside.chars().collect();
    let is_range = letters.windows(3).any(|three| match three {
        [from, '-', to] => from.is_ascii_alphanumeric() && to.is_ascii_alphanumeric(),
        _ => false,
    });
    let is_both_cases = matches!(letters.as_slice(), [one, other]
        if one != other && one.eq_ignore_ascii_case(other));
    is_range || is_both_cases || after.starts_with('+') || inside.starts_with('^')
}

/// What in a pattern for a path is no part of a path.
fn path_sign(plain: &str) -> Option<&'static str> {
    let mut segments = plain.split('/');
    if plain.contains('?') {
        return Some("?");
    }
    // `%2F` alone stays as it is sent.
    let encoded = plain.split('%').skip(1).filter_map(|rest| rest.get(..2));
    let is_code = |code: &str| code.bytes().all(|digit| digit.is_ascii_hexdigit());
    if encoded.into_iter().any(|code| is_code(code) && !code.eq_ignore_ascii_case("2f")) {
        return Some("%");
    }
    segments.find_map(|segment| {
        let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic());
        let in_braces = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if in_braces.is_some_and(is_name) {
            return Some("{");
        }
        segment.strip_prefix(':').is_some_and(is_name).then_some(":")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_are_told_from_patterns() {
        let paths = [
            ("/app/.*", Some("/app/*")),
            ("/app/(a|b)", None),
            ("/app/[0-9]+", None),
            ("/app$", Some("/app")),
            (r"/app/\d+", None),
            // istio/istio#1772, kubernetes/ingress-nginx#10281 and #10200
            ("/.well-known/acme-challenge/.*", Some("/.well-known/acme-challenge/*")),
            ("/wlmdb(.*)", Some("/wlmdb*")),
            ("/something(/|$)(.*)", None),
        ];
        for (text, glob) in paths {
            let complaint = pattern(text, true).unwrap_or_else(|| panic!("{text}"));
            assert!(complaint.message.contains("regular expression"), "{}", complaint.message);
            assert_eq!(glob_of(text).as_deref(), glob, "{text}");
        }
        let values = [
            ("^Moz.*$", Some("Moz*")),
            (".*Firefox.*", Some("*Firefox*")),
            ("^beta", Some("beta*")),
            ("[Ff]irefox", None),
            ("beta$", Some("*beta")),
            ("(?i)chrome", None),
            ("~ ^/app", Some("/app*")),
        ];
        for (text, glob) in values {
            assert_eq!(glob_of(text).as_deref(), glob, "{text}");
        }
        for text in ["/users/{id}", "/users/:id/posts", "/a?b=c", "/a%20b", "/%c3%bc"] {
            assert!(pattern(text, true).is_some(), "{text}");
            assert!(pattern(text, false).is_none(), "{text}");
        }
    }

    /// Typed as the advice says, with its quotation marks, a pattern is read, and gets no warning.
    #[test]
    fn a_pattern_is_kept_as_it_is_by_the_advice() {
        for text in [
            "/app/.*",
            "^Moz.*$",
            "/(a|b)/*",
            "/users/{id}/:x",
            "/a%20b/%c3",
            "(?i)it's",
            "ä[0-9]+$",
        ] {
            let Complaint { help, .. } = pattern(text, true).unwrap();
            let (_, advice) = help.split_once("to keep it as it is, write `").unwrap();
            let advice = advice.trim_end_matches('`');
            let table: toml::Table = toml::from_str(&format!("a = {advice}")).unwrap();
            let kept = table["a"].as_str().unwrap();
            assert!(pattern(kept, true).is_none(), "{kept}");
            assert_eq!(kept.replace('\\', ""), text);
        }
    }

    /// A warning that comes for what is meant teaches people to read past warnings.
    #[test]
    fn patterns_that_are_meant_are_left_alone() {
        for text in [
            "*",
            "/app/*",
            "/app.html",
            "/a/.well-known/*",
            "*.png",
            "1.*",
            "10.0.*",
            "index.*",
            "*Firefox*",
            "a[0]",
            "[FBAN/*",
            "$5",
            "a+b",
            "(x)",
            "/a:b",
            "/v1/x:cancel",
            r"/app/\.*",
            r"\^a",
            "Mozilla/5.0 (X11; *",
            "de|fr",
            "*@example.org",
            "/a%2Fb/%2f",
            "/100%",
        ] {
            let complaint = pattern(text, text.starts_with('/'));
            assert!(complaint.is_none(), "{complaint:?}");
        }
    }
}

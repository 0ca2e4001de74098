//! The lines of a token file: `TOKEN`, or `ROLE TOKEN [NAME]`. No error repeats what a line says, since a word in the
//! wrong place is often a token.

use std::collections::HashMap;

use crate::api::Role;

/// Longest name, in characters.
const NAME_MAX: usize = 64;

/// One token of the file.
pub struct Line {
    pub role: Role,
    pub token: String,
    pub name: Option<String>,
}

/// A line that is wrong. Lines count from 1.
#[derive(Debug, thiserror::Error)]
#[error("line {number} {fault}")]
pub struct WrongLine {
    number: usize,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("has a role and no token: write `ROLE TOKEN NAME`")]
    NoToken,
    #[error(
        "begins with no role: write `viewer TOKEN NAME`, `operator TOKEN NAME`, or a token alone, which has no spaces"
    )]
    NoRole,
    #[error("has a token of other characters than visible ASCII, which no client can send")]
    Unsendable,
    #[error("has a name of more than {NAME_MAX} characters, or with control characters in it")]
    Name,
    #[error("has the token of line {0} again: give each person a token of their own")]
    Repeated(usize),
}

/// The tokens of a file's text, in order. Empty lines and those that begin with `#` say nothing.
///
/// # Errors
///
/// Where a line is wrong: the first of them.
pub fn lines(text: &str) -> Result<Vec<Line>, WrongLine> {
    let mut known = HashMap::new();
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let said = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = said.map(|(number, text)| {
        let wrong = |fault| WrongLine { number, fault };
        let line = read(text).map_err(wrong)?;
        match known.insert(line.token.clone(), number) {
            Some(first) => Err(wrong(Fault::Repeated(first))),
            None => Ok(line),
        }
    });
    read.collect()
}

fn read(line: &str) -> Result<Line, Fault> {
    let (first, rest) = word(line);
    let (role, token, name) = match (role(first), rest) {
        (Some(_), "") => return Err(Fault::NoToken),
        (Some(role), rest) => {
            let (token, name) = word(rest);
            (role, token, name)
        }
        (None, "") => (Role::Operator, first, ""),
        (None, _) => return Err(Fault::NoRole),
    };
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::Unsendable);
    }
    if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Fault::Name);
    }
    let name = Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(Line { role, token: token.to_owned(), name })
}
fn role(word: &str) -> Option<Role> {
    match word {
        "viewer" => Some(Role::Viewer),
        "operator" => Some(Role::Operator),
        _ => None,
    }
}

/// The first word of a text, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_token_or_a_role_a_token_and_a_name() {
        let text =
            "# for the shop's team\n\nfirst\r\nviewer  second\n\toperator third\tAnn van  Dam \n";
        let shown: Vec<_> =
            lines(text).unwrap().into_iter().map(|it| (it.role, it.token, it.name)).collect();
        let ann = Some("Ann van  Dam".to_owned());
        assert_eq!(
            shown,
            [
                (Role::Operator, "first".to_owned(), None),
                (Role::Viewer, "second".to_owned(), None),
                (Role::Operator, "third".to_owned(), ann),
            ]
        );
        assert!(lines("\n # nothing\n").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_line_is_named_and_not_repeated() {
        let long = format!("viewer s3cret {}", "n".repeat(NAME_MAX + 1));
        for (text, says) in [
            ("fine\ns3cret ann", "line 2 begins with no role"),
            ("\n\nadmin s3cret ann", "line 3 begins with no role"),
            ("Operator s3cret", "line 1 begins with no role"),
            ("operator", "line 1 has a role and no token"),
            ("fine\n# x\nviewer \n", "line 3 has a role and no token"),
            ("s3cr\u{e9}t", "line 1 has a token of other characters"),
            ("\u{feff}s3cret", "line 1 has a token of other characters"),
            ("operator s3cret a\u{7}b", "line 1 has a name of"),
            (&long, "line 1 has a name of more than 64 characters"),
            ("s3cret\n\nviewer s3cret bob", "line 3 has the token of line 1 again"),
        ] {
            let Err(wrong) = lines(text) else { panic!("{text:?}") };
            let told = wrong.to_string();
            assert!(told.starts_with(says), "{text:?}: {told}");
            assert!(!told.contains("s3cr") && !format!("{wrong:?}").contains("s3cr"), "{told}");
        }
    }
}

//! A pattern for a text of a request: `*` stands for any run of characters, including none, and `\` takes the next
//! character literally. `routing` matches requests by a pattern's parts; this file answers what a configuration can ask
//! about patterns without a request.

use std::fmt;

/// A pattern. Two patterns are equal only if they are written alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(String);

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This byte.
    Byte(u8),
    /// Any run of bytes, including none.
    Run,
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    #[error("it has {0} bytes, and {MAX} is the most", MAX = Glob::MAX)]
    TooLong(usize),
    #[error("it ends with `\\`, which takes the next character as it is")]
    Dangling,
}

impl Glob {
    /// The longest pattern, in bytes. It bounds what a match costs.
    pub const MAX: usize = 256;

    /// # Errors
    ///
    /// When the text is too long, or ends in the middle of an escape.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        if text.len() > Self::MAX {
            return Err(GlobError::TooLong(text.len()));
        }
        let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes % 2 == 1 {
            return Err(GlobError::Dangling);
        }
        Ok(Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts in order; never two runs in a row.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::with_capacity(self.0.len());
        let mut bytes = self.0.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'*' if parts.last() == Some(&Part::Run) => {}
                b'*' => parts.push(Part::Run),
                b'\\' => parts.extend(bytes.next().map(Part::Byte)),
                byte => parts.push(Part::Byte(byte)),
            }
        }
        parts
    }

    /// Whether this pattern matches every text that `other` matches. Answers no where the answer is hard to find.
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.parts(), &other.parts())
    }
}

/// Matches the other pattern as a text, in which only a run matches a run.
fn covers(pattern: &[Part], text: &[Part]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to continue if what follows the latest run does not match: then the run takes one more part.
    let mut retry = None;
    loop {
        match (pattern.get(at), text.get(seen)) {
            (Some(Part::Run), _) => {
                at += 1;
                retry = Some((at, seen));
            }
            (Some(part), Some(other)) if part == other => {
                at += 1;
                seen += 1;
            }
            (None, None) => return true,
            _ => match retry {
                Some((after, from)) if from < text.len() => {
                    (at, seen) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                _ => return false,
            },
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::new(text).unwrap()
    }

    #[test]
    fn parts_are_bytes_and_runs() {
        let parts = |text| glob(text).parts();
        assert_eq!(parts("a*"), [Part::Byte(b'a'), Part::Run]);
        assert_eq!(parts("**"), [Part::Run]);
        assert_eq!(parts(r"\*\\"), [Part::Byte(b'*'), Part::Byte(b'\\')]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        assert_eq!(Glob::new(r"a\"), Err(GlobError::Dangling));
        assert!(Glob::new(r"a\\").is_ok());
        assert_eq!(Glob::new(&"x".repeat(257)), Err(GlobError::TooLong(257)));
    }

    #[test]
    fn a_pattern_covers_what_is_narrower() {
        for (wide, narrow) in [
            ("*", ""),
            ("*", "*"),
            ("1*", "1*"),
            ("1*", "12*"),
            ("1*", "1"),
            ("*a*", "*ba*c"),
            ("/a/*", "/a/b/*"),
            ("a*c", "abc"),
        ] {
            assert!(glob(wide).covers(&glob(narrow)), "{wide} {narrow}");
        }
        for (one, other) in
            [("1*", "*"), ("a", "a*"), ("a*c", "a*"), ("12*", "1*"), ("*a", "*"), ("", "*")]
        {
            assert!(!glob(one).covers(&glob(other)), "{one} {other}");
        }
        assert!(!glob(r"\*").covers(&glob("*")));
    }
}

//! Counts in sentences. Whoever tells people a number of things asks here, so that one thing is never "1 things".

use std::fmt::Display;

/// A count of things: "1 version", "2 versions", "0 entries".
pub fn many<N: Display + PartialEq + From<u8>>(count: N, thing: &str) -> String {
    let things = noun(&count, thing);
    format!("{count} {things}")
}

/// The word for so many things, for whoever writes the number in another way.
pub fn noun<N: PartialEq + From<u8>>(count: &N, thing: &str) -> String {
    if *count == N::from(1) {
        return thing.to_owned();
    }
    let is_vowel = |letter: char| "aeiou".contains(letter);
    match thing.strip_suffix('y').filter(|stem| !stem.ends_with(is_vowel)) {
        Some(stem) => format!("{stem}ies"),
        None => format!("{thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        assert_eq!(many(1_usize, "problem"), "1 problem");
        assert_eq!(many(0_u64, "file"), "0 files");
        assert_eq!(many(2_u32, "entry"), "2 entries");
        assert_eq!(many(3_u8, "key"), "3 keys");
    }
}

//! Characters that look like those of TOML and are others: from another keyboard, from a word processor, or from a web
//! page.

/// Quotation marks that word processors and web pages make of straight ones, and others that TOML does not know.
const QUOTES: [char; 16] =
    ['“', '”', '„', '‘', '’', '‚', '«', '»', '`', '「', '」', '『', '』', '＂', '＇', '″'];

/// Whether a character is a quotation mark that TOML does not know.
pub fn is_quote(character: char) -> bool {
    QUOTES.contains(&character)
}

/// The character of ASCII that another one looks like; a quotation mark or a space, too.
pub fn ascii_of(character: char) -> Option<char> {
    match character {
        '`' => None,
        quote if is_quote(quote) => Some('"'),
        '、' => Some(','),
        '。' => Some('.'),
        '‐' | '‑' | '‒' | '–' | '—' | '−' => Some('-'),
        // Unicode, "Halfwidth and Fullwidth Forms": the same order as in ASCII.
        '！'..='～' => {
            let offset = u32::from('！') - u32::from('!');
            char::from_u32(u32::from(character) - offset)
        }
        space if space.is_whitespace() && !space.is_ascii() => Some(' '),
        _ => None,
    }
}

/// Whether nobody sees the character.
pub fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// Whether a character looks like one of TOML's own, or like nothing.
pub fn is_strange(character: char) -> bool {
    is_invisible(character) || ascii_of(character).is_some_and(|ascii| !ascii.is_alphanumeric())
}

/// A text with ASCII in place of what looks like it.
pub fn in_ascii(text: &str) -> String {
    text.chars().map(|character| ascii_of(character).unwrap_or(character)).collect()
}

//! The line at which the Tab key was pressed, as far as it can be told from its words.

use std::path::PathBuf;

use crate::cli::DEFAULT_CONFIG;

/// The words after the program's name. The last one is being typed.
pub(super) struct Line(Vec<String>);

impl Line {
    /// The line that a shell asks about: it calls `watershed -- watershed traffic gr…`.
    pub fn typed() -> Self {
        let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        Self(words.skip_while(|word| word != "--").skip(2).collect())
    }

    #[cfg(test)]
    pub fn of(words: Vec<String>) -> Self {
        Self(words)
    }

    /// The main file.
    pub fn config(&self) -> PathBuf {
        self.value("--config").unwrap_or(DEFAULT_CONFIG).into()
    }

    /// The value of an option, unless it is being typed.
    pub fn value(&self, option: &str) -> Option<&str> {
        let done = self.0.split_last().map_or(&[][..], |(_, done)| done);
        let mut following = done.iter().skip(1);
        done.iter().find_map(|word| {
            let next = following.next();
            match word.strip_prefix(option) {
                Some("") => next.map(String::as_str),
                Some(value) => value.strip_prefix('='),
                None => None,
            }
        })
    }

    /// Whether the line has this name. A service may have the name of a command, so the command itself does not count.
    pub fn names(&self, name: &str) -> bool {
        let done = self.0.split_last().map_or(&[][..], |(_, done)| done);
        let command = done.iter().position(|word| is_command(word));
        done.iter().enumerate().any(|(at, word)| Some(at) != command && word == name)
    }

    /// The versions and their shares so far, as `v1=90`; options are none.
    pub fn shares(&self) -> impl Iterator<Item = (&str, &str)> {
        let words = self.0.iter().filter(|word| !word.starts_with('-'));
        words.filter_map(|word| word.split_once('='))
    }

    /// Whether the share of a version is being typed.
    pub fn is_in_share(&self) -> bool {
        self.0.last().is_some_and(|word| !word.starts_with('-') && word.contains('='))
    }
}

fn is_command(word: &str) -> bool {
    crate::cli::help::command().find_subcommand(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::of(text.split(' ').map(ToOwned::to_owned).collect())
    }

    #[test]
    fn the_line_says_which_configuration_is_meant() {
        let config = |text: &str| line(text).config().display().to_string();
        assert_eq!(config("traffic gr"), DEFAULT_CONFIG);
        assert_eq!(config("--config a.toml traffic gr"), "a.toml");
        assert_eq!(config("traffic --config=b.toml gr"), "b.toml");
        assert_eq!(config("traffic --config"), DEFAULT_CONFIG);
        assert_eq!(config("traffic --config typed"), DEFAULT_CONFIG);
    }

    #[test]
    fn a_service_may_have_the_name_of_a_command() {
        assert!(line("promote promote v").names("promote"));
        assert!(!line("promote greeter v").names("promote"));
        assert!(!line("promote greeter").names("greeter"), "it is being typed");
    }
}

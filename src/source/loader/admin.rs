//! Where operators reach the process, read from a main file that may be wrong: they may need to know because it is.

use super::Loader;
use super::text::raw_text;
use crate::config::{self, AdminSettings, Report, Source};

/// The table of the admin listener.
const TABLE: &str = "[admin]";

impl Loader {
    /// The admin settings of the main file, even if other parts of it are wrong.
    ///
    /// # Errors
    ///
    /// Where the main file cannot be read, or is not TOML.
    pub fn admin(&self) -> Result<AdminSettings, Report> {
        self.main().map(|(main, _)| main.admin).map_err(|rejected| rejected.report)
    }

    /// What the `[admin]` table of a main file that is not TOML says by itself. A guess: whoever uses it must see that
    /// the process there serves this main file. `None` where the file cannot be read or the table is wrong as well.
    pub fn guess_admin(&self) -> Option<AdminSettings> {
        let text = raw_text(&self.path).ok()?;
        let part = table(&text);
        if part.is_empty() {
            return Some(AdminSettings::default());
        }
        // That all else is missing is no news.
        let mut problems = Vec::new();
        config::read_main(Source::new(&self.path, part), &mut problems).map(|main| main.admin)
    }
}

/// The lines of the table, as far as they are next to each other.
fn table(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.trim() != TABLE);
    let rest = lines
        .enumerate()
        .take_while(|(number, line)| *number == 0 || !line.trim_start().starts_with('['));
    rest.fold(String::new(), |text, (_, line)| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn guessed(text: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("watershed.toml");
        fs::write(&main, text).unwrap();
        let loader = Loader::new(&main);
        assert!(loader.admin().is_err(), "{text}");
        loader.guess_admin().map(|settings| settings.listen.to_string())
    }

    #[test]
    fn the_listener_is_found_in_a_file_that_is_no_toml() {
        let admin = "[admin]\nlisten = \"127.0.0.1:9191\"\n";
        let found = Some("127.0.0.1:9191".to_owned());
        assert_eq!(guessed(&format!("{admin}\n[server\nlisten = 1\n")), found);
        assert_eq!(guessed(&format!("[server\n\n{admin}\n[[environments]\n")), found);
        assert_eq!(guessed("[server\n"), Some(AdminSettings::default().listen.to_string()));
        assert_eq!(
            guessed("[admin]\nlisten = \"127.0.0.1:9191\n"),
            None,
            "the table is wrong itself"
        );
    }
}

//! `watershed completions` and `watershed man`: what a package installs beside the program.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use super::CliError;
use super::manual::{self, Page};
use crate::code::{Coded, ErrorCode};

const EXAMPLES: &str = "\
Examples:
  source <(watershed completions bash)      in ~/.bashrc
  source <(watershed completions zsh)       in ~/.zshrc
  watershed completions fish > ~/.config/fish/completions/watershed.fish

For all users, write the script of zsh to a file `_watershed` in a directory of `fpath`, and that of bash to
/usr/share/bash-completion/completions/watershed.

The script asks the program at each Tab: services and versions are those of the files.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

const MAN: &str = "\
Examples:
  watershed man | man -l -
  watershed man /usr/local/share/man/man1";

#[derive(Debug, clap::Args)]
#[command(after_help = MAN)]
pub(super) struct ManArguments {
    /// Where to write a page for each command; the directory is created if it is missing [default: the main page goes
    /// to standard output]
    directory: Option<PathBuf>,
}

/// The variable by which the scripts ask for completions: its value is the shell. It is not clap's `COMPLETE`, because
/// a server may be started with a `COMPLETE` that is meant for another program.
pub(super) const VARIABLE: &str = "WATERSHED_COMPLETE";

pub(super) fn completions(arguments: &Arguments) -> Result<ExitCode, CliError> {
    // They call the program by name, so that they still work when the program is moved.
    let script = match arguments.shell {
        Shell::Bash => include_str!("completions/watershed.bash"),
        Shell::Zsh => include_str!("completions/watershed.zsh"),
        Shell::Fish => include_str!("completions/watershed.fish"),
    };
    io::stdout().lock().write_all(script.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Why the manual was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {reason}", .path.display())]
pub struct ManError {
    path: PathBuf,
    reason: io::Error,
}

impl Coded for ManError {
    fn code(&self) -> ErrorCode {
        ErrorCode::WriteFailed
    }

    fn help(&self) -> Option<String> {
        Some("give a directory that you may write to".to_owned())
    }
}

pub(super) fn man(arguments: &ManArguments) -> Result<ExitCode, CliError> {
    let pages = manual::pages()?;
    match &arguments.directory {
        Some(directory) => write(&pages, directory)?,
        None => {
            let main = pages.last().map(|page| page.text.as_str()).unwrap_or_default();
            io::stdout().lock().write_all(main.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(pages: &[Page], directory: &Path) -> Result<(), ManError> {
    let failed = |path: &Path, reason| ManError { path: path.to_owned(), reason };
    fs::create_dir_all(directory).map_err(|reason| failed(directory, reason))?;
    for Page { name, text } in pages {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|reason| failed(&path, reason))?;
    }
    Ok(())
}

//! `watershed completions` and `watershed man`: what a package installs beside the program.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::{Cli, CliError};

const EXAMPLES: &str = "\
Examples:
  source <(watershed completions bash)                      in ~/.bashrc
  source <(watershed completions zsh)                       in ~/.zshrc
  watershed completions fish > ~/.config/fish/completions/watershed.fish

The script asks the program at each Tab: services and versions are those of the files.

Exit codes: 0 printed, 1 failed, 2 wrong usage.";

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
  watershed man /usr/local/share/man/man1

Exit codes: 0 done, 1 failed, 2 wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = MAN)]
pub(super) struct ManArguments {
    /// Where to write a page for each command; the directory is created if it is missing [default: the main page goes
    /// to standard output]
    directory: Option<PathBuf>,
}

/// The variable by which the scripts ask for completions. It is not clap's `COMPLETE`, because a server may be started
/// with a `COMPLETE` that is meant for another program.
pub(super) const VARIABLE: &str = "WATERSHED_COMPLETE";

pub(super) fn completions(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    // Calls the program by name, so that the script still works when the program is moved.
    shell.write_registration(VARIABLE, "watershed", "watershed", "watershed", &mut script)?;
    std::io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(arguments: &ManArguments) -> Result<ExitCode, CliError> {
    let command = Cli::command();
    match &arguments.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            clap_mangen::generate_to(command, directory)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            std::io::stdout().lock().write_all(&page)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! The command line: one file a command, each of them thin.

mod check;
mod common;
mod compile;
mod env;
mod plan;
mod process;
mod run;
mod schema;
mod select;
mod status;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use process::ProcessError;
pub use select::SelectError;

use crate::config::Report;
use crate::runtime::{EngineError, ProgramError};
use crate::server::StartError;

/// Splits live traffic between sandboxed versions of services.
///
/// A service's versions are WebAssembly components (wasi:http); its file says who gets what share
/// of the traffic. Files are followed while it runs: an edit is served at once, and a bad edit
/// changes nothing and says why.
#[derive(Debug, Parser)]
#[command(name = "watershed", version)]
pub struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = "config/watershed.toml")]
    config: PathBuf,
    /// Default: run.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    Run,
    /// Load, validate and compile everything without serving; print every problem at once.
    Check(check::Arguments),
    /// Say what a reload of the files would do to what is served; do nothing.
    ///
    /// Compares the files with what a running process serves, or with another configuration: what
    /// is added, changed and removed, how much traffic moves, what is to be compiled, and what
    /// takes a restart.
    Plan(plan::Arguments),
    /// Show what a running process serves, and how each version does.
    ///
    /// Shares, request rates, errors and times are those of the last minute.
    Status(status::Arguments),
    /// Environments.
    #[command(subcommand)]
    Env(env::Command),
    /// Print the JSON Schema of a configuration file.
    Schema(schema::Arguments),
    /// Compile what is on standard input, for the server that has started this.
    #[command(hide = true)]
    Compile(compile::Arguments),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("{0}")]
    Config(Report),
    #[error("error: {0}")]
    Engine(#[from] EngineError),
    #[error("error: {0}")]
    Start(#[from] StartError),
    #[error("error: {0}")]
    Process(#[from] ProcessError),
    /// A plan needs no process.
    #[error("error: {0}; or compare with files by `--from PATH`")]
    NoneToCompare(ProcessError),
    #[error("error: {0}")]
    Select(#[from] SelectError),
    /// The bare message, as whoever has started the compiler wants it.
    #[error("{0}")]
    Compile(#[from] ProgramError),
    #[error("error: cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// Whether whoever read the output has seen enough, as `head` does: no error to tell.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// What the process ends with. A compiler tells by it whether the component is at fault.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Compile(ProgramError::CompilerStopped(_)) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Cli {
    /// Whether it logs. A compiler says one thing on standard error, or nothing.
    pub fn logs(&self) -> bool {
        !matches!(self.command, Some(Command::Compile(_)))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Whatever kept it from doing its work, ready to be printed.
    pub fn execute(self) -> Result<ExitCode, CliError> {
        match self.command.unwrap_or(Command::Run) {
            Command::Run => run::run(&self.config),
            Command::Check(arguments) => check::check(&self.config, &arguments),
            Command::Plan(arguments) => plan::plan(&self.config, &arguments),
            Command::Status(arguments) => status::status(&self.config, &arguments),
            Command::Env(command) => env::env(&self.config, &command),
            Command::Schema(arguments) => schema::schema(&arguments),
            Command::Compile(arguments) => compile::compile(&arguments),
        }
    }
}

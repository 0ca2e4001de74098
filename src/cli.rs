//! The command line: one file for each command, each of them thin.

mod arguments;
mod broken;
mod check;
mod common;
mod compile;
mod complete;
mod completions;
mod components;
mod consent;
mod delete;
mod deploy;
mod env;
mod error;
mod explain;
mod files;
mod help;
mod history;
mod init;
mod json;
mod manual;
mod plan;
mod process;
mod progress;
mod records;
mod remote;
mod restart;
mod rollback;
mod run;
mod schema;
mod select;
mod site;
mod status;
mod summary;
mod table;
mod target;
mod traffic;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;

pub use broken::BrokenError;
pub use completions::ManError;
pub use consent::ConsentError;
pub use explain::RampError;
pub use init::InitError;
pub use json::{wants_json, write_usage};
pub use process::ProcessError;
pub use restart::RestartError;
pub use rollback::RestoreFileError;
pub use select::SelectError;
pub use site::SiteError;

use crate::code::{Coded, ErrorCode};
use crate::config::Report;
use crate::history::HistoryError;
use crate::policy::explain::QuestionError;
use crate::rollout::Refusal;
use crate::runtime::{EngineError, ProgramError};
use crate::server::StartError;
use crate::source::{ComponentStoreError, EditError};
use crate::telemetry::Telemetry;
use crate::versions::StatusError;

/// The exit code where something was refused, or has failed.
const FAILED: u8 = 1;

/// The exit code where something would change, of what changes nothing itself.
const WOULD_CHANGE: u8 = 2;

/// The exit code for wrong usage: `EX_USAGE` of sysexits.h. clap's own would be 2, which says that something would
/// change.
pub const USAGE: u8 = 64;

/// The exit code of a compiler that could not do its work. [`FAILED`] would blame the component.
const COMPILER_STOPPED: u8 = 2;

/// The main file where `--config` does not name one.
const DEFAULT_CONFIG: &str = "config/watershed.toml";

const EXAMPLES: &str = "\
Examples:
  watershed init demo                          writes a small configuration
  watershed run --config demo/watershed.toml   serves it
  watershed help deploy                        explains a command

Environment:
  WATERSHED_LOG  what is logged: `debug`, or `watershed::proxy=trace` for one
                 part [default: info]
  NO_COLOR       with any value: no colours; CLICOLOR_FORCE=1 has them in files
                 and pipes too
  USER           who did it, in the history; under sudo, SUDO_USER";

const RUN: &str = "\
Examples:
  watershed run
  watershed run --config /etc/watershed/watershed.toml 2>>watershed.log

SIGTERM and SIGINT end it once the requests in flight are finished, or cut off after `grace-period`.
A second one ends it at once, with exit code 1. SIGHUP reads every file again. SIGUSR2 starts the program
anew, and hands over to it; see `watershed restart`.";

/// Split live traffic between sandboxed versions of services.
///
/// A service's versions are WebAssembly components (wasi:http); its file says which share of the traffic each version
/// gets. Watershed follows the files while it runs: it serves an edit at once, and a bad edit changes nothing and is
/// reported.
#[derive(Debug, Parser)]
#[command(name = "watershed", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The main file of the configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// What to do [default: run]
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    ///
    /// Prints the addresses and services on standard output, and the log on standard error.
    #[command(after_help = RUN)]
    Run,
    /// Write a small configuration with a component, to begin with.
    ///
    /// It has one service with two versions and a split, and comments that say what to try next. The component is part
    /// of this program. Nothing that exists is
    /// overwritten.
    Init(init::Arguments),
    /// Check all files and compile what they name, without serving.
    ///
    /// Prints every problem of every file at once, and warns of everything that a start would not serve.
    Check(check::Arguments),
    /// Show what a reload of the files would change, and change nothing.
    ///
    /// Compares the files with what a running process serves, or with another configuration. Shows what is added,
    /// changed and removed, how much traffic moves, what has to be compiled, and what needs a restart.
    Plan(plan::Arguments),
    /// Add a version to a service, and give it traffic once it is normal.
    ///
    /// Adds the version to the service's file, and keeps the comments and the order of the file. Tells a running
    /// process, and waits until the version is normal or in error. A version that cannot become normal gets no traffic:
    /// the shares stay as they were.
    Deploy(deploy::Arguments),
    /// Set the shares of versions: percentages that add up to 100.
    Traffic(traffic::Arguments),
    /// Give a version all of the traffic.
    Promote(traffic::PromoteArguments),
    /// Replace a running process by its program, started anew.
    ///
    /// The new process takes over the sockets, and no request is lost. If the new process does not become ready, the old one goes on.
    Restart(restart::Arguments),
    /// Go back to what was served before.
    ///
    /// Shares, components, environments, limits and rules come back.
    Rollback(rollback::Arguments),
    /// Show what a service served, since when, and who changed it.
    History(history::Arguments),
    /// Take versions without traffic out of a service's file.
    Delete(delete::Arguments),
    /// Show what a running process serves, and how each version does.
    ///
    /// What has a problem comes first, with what to do. Figures begin when a publish last changed the traffic.
    Status(status::Arguments),
    /// Say which version a request would get, and why.
    Explain(explain::Arguments),
    /// List environments.
    #[command(subcommand, after_help = env::EXAMPLES)]
    Env(env::Command),
    /// Print the JSON Schema of a configuration file, or of what `--json` prints.
    Schema(schema::Arguments),
    /// Print a script by which a shell completes commands and names.
    ///
    /// The names are those of the files, and of the process that serves them: services, versions, generations.
    Completions(completions::Arguments),
    /// Print the manual, or write it as man pages.
    Man(completions::ManArguments),
    /// Compile the component on standard input, for the server that started this process.
    #[command(hide = true)]
    Compile(compile::Arguments),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The message is the first problem's.
    #[error("{}", .0.problems.first().map_or("the files are wrong", |first| &first.message))]
    Config(Report),
    #[error("{0}")]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Init(#[from] InitError),
    #[error("{0}")]
    Man(#[from] ManError),
    #[error("{0}")]
    Process(#[from] ProcessError),
    #[error("{0}")]
    Edit(Box<EditError>),
    #[error("{0}")]
    Store(#[from] ComponentStoreError),
    #[error("{0}")]
    History(#[from] HistoryError),
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("the process rejected the edit and serves what it served before; the file is changed")]
    Rejected(Report),
    /// What is served instead, and why.
    #[error("{0}")]
    Held(String),
    #[error(transparent)]
    NotConfirmed(#[from] ConsentError),
    #[error(transparent)]
    Broken(#[from] BrokenError),
    #[error(transparent)]
    RestoreFile(#[from] RestoreFileError),
    #[error(transparent)]
    Restart(#[from] RestartError),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Ramp(#[from] RampError),
    #[error("--component ({}): {}", .0.code.as_str(), .0.detail)]
    Component(#[from] StatusError),
    /// The files are right, and versions that they declare cannot be served.
    #[error("{} cannot be served", .0.names)]
    InError(Box<error::InError>),
    #[error("`--offline` gives every version 0 %")]
    OfflineShares,
    #[error("`--env {0}=…` is given twice")]
    EnvTwice(String),
    #[error("`--upstream {0}` is given twice")]
    TargetTwice(String),
    /// People are warned of each silent target before.
    #[error("no target of {version} answers from here, and it is to get traffic")]
    NoTargetAnswers { version: String, silent: Vec<String> },
    #[error("{0:?} is neither a generation nor a version")]
    NotATarget(String),
    /// A plan needs no process.
    #[error("{0}")]
    NoneToCompare(ProcessError),
    #[error("{0}")]
    Select(#[from] SelectError),
    #[error("{0}")]
    Question(#[from] QuestionError),
    /// The bare message: the server that started the compiler adds its own words.
    #[error("{0}")]
    Compile(#[from] ProgramError),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<EditError> for CliError {
    fn from(error: EditError) -> Self {
        Self::Edit(Box::new(error))
    }
}

impl CliError {
    /// Whether the reader of the output has left, as `head` does. That is no error.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The exit code. By a compiler's code the server knows whether the component is at fault.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Compile(ProgramError::CompilerStopped(_)) => ExitCode::from(COMPILER_STOPPED),
            _ if self.code() == ErrorCode::Usage => ExitCode::from(USAGE),
            _ => ExitCode::from(FAILED),
        }
    }
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// What clap answers instead of running a command: help, the version, or what is wrong with the command line.
    pub fn read() -> Result<Self, clap::Error> {
        let mut command = help::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        let mut matches = matches.map_err(help::corrected)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }

    /// What is wrong with a command line, in the colours of a terminal, and where to read on.
    pub fn wrong_usage(answer: &clap::Error) -> String {
        let text = answer.render().ansi().to_string();
        // clap's own last line names no command.
        match text.split_once("\nFor more information") {
            Some((what, _)) => {
                format!("{what}\nhelp: {}\n", help::advice(answer, std::env::args_os()))
            }
            None => text,
        }
    }

    /// Answers a shell that asks for completions of its line, and then exits. Must be called first.
    pub fn complete() {
        CompleteEnv::with_factory(help::command).var(completions::VARIABLE).complete();
    }

    /// Whether the command logs. A compiler writes one message to standard error, or nothing.
    pub fn logs(&self) -> bool {
        !matches!(self.command, Some(Command::Compile(_)))
    }

    /// Whether the command serves. Then its output must never wait for a reader.
    pub fn serves(&self) -> bool {
        matches!(self.command, None | Some(Command::Run))
    }

    /// Runs the command, which counts in `telemetry` if it serves.
    ///
    /// # Errors
    ///
    /// Whatever kept the command from doing its work, ready to be printed.
    pub fn execute(self, telemetry: Telemetry) -> Result<ExitCode, CliError> {
        match self.command.unwrap_or(Command::Run) {
            Command::Run => run::run(&self.config, telemetry),
            Command::Init(arguments) => init::init(&self.config, &arguments),
            Command::Check(arguments) => check::check(&self.config, &arguments),
            Command::Plan(arguments) => plan::plan(&self.config, &arguments),
            Command::Deploy(arguments) => deploy::deploy(&self.config, &arguments),
            Command::Traffic(arguments) => traffic::traffic(&self.config, &arguments),
            Command::Promote(arguments) => traffic::promote(&self.config, &arguments),
            Command::Rollback(arguments) => rollback::rollback(&self.config, &arguments),
            Command::History(arguments) => history::history(&self.config, &arguments),
            Command::Delete(arguments) => delete::delete(&self.config, &arguments),
            Command::Completions(arguments) => completions::completions(&arguments),
            Command::Man(arguments) => completions::man(&arguments),
            Command::Status(arguments) => status::status(&self.config, &arguments),
            Command::Explain(arguments) => explain::explain(&self.config, &arguments),
            Command::Restart(arguments) => restart::restart(&self.config, &arguments),
            Command::Env(command) => env::env(&self.config, &command),
            Command::Schema(arguments) => schema::schema(&arguments),
            Command::Compile(arguments) => compile::compile(&arguments),
        }
    }
}

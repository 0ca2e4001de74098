//! The command line: one file a command, each of them thin.

mod arguments;
mod check;
mod common;
mod compile;
mod complete;
mod completions;
mod delete;
mod deploy;
mod env;
mod explain;
mod files;
mod history;
mod outcome;
mod plan;
mod process;
mod progress;
mod refusal;
mod rollback;
mod run;
mod schema;
mod select;
mod site;
mod standing;
mod status;
mod table;
mod target;
mod traffic;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::CompleteEnv;

pub use process::ProcessError;
pub use refusal::Refusal;
pub use select::SelectError;

use crate::config::Report;
use crate::history::HistoryError;
use crate::policy::explain::QuestionError;
use crate::rollout::{RollbackError, SharesError};
use crate::runtime::{EngineError, ProgramError};
use crate::server::StartError;
use crate::source::EditError;
use crate::telemetry::Telemetry;
use crate::versions::StatusError;

/// What clap ends with where a command line makes no sense.
const USAGE: u8 = 2;

/// The main file, unless it is said.
const DEFAULT_CONFIG: &str = "config/watershed.toml";

/// Splits live traffic between sandboxed versions of services.
///
/// A service's versions are WebAssembly components (wasi:http); its file says who gets what share
/// of the traffic. Files are followed while it runs: an edit is served at once, and a bad edit
/// changes nothing and says why.
#[derive(Debug, Parser)]
#[command(name = "watershed", version)]
pub struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
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
    /// Add a version to a service, and give it traffic once it is normal.
    ///
    /// The service's file gets the version; its comments and its order stay. A running process is
    /// told, and asked until the version is normal or in error. If it cannot become normal, the
    /// traffic is as it was.
    Deploy(deploy::Arguments),
    /// Set who gets what: percentages that add up to 100.
    Traffic(traffic::Arguments),
    /// Give a version all of the traffic.
    Promote(traffic::PromoteArguments),
    /// Go back to what was served before: shares, components, environments, limits and rules.
    Rollback(rollback::Arguments),
    /// Say what was published of a service, when and by whom.
    History(history::Arguments),
    /// Take versions without traffic out of a service's file.
    Delete(delete::Arguments),
    /// Show what a running process serves, and how each version does.
    ///
    /// Shares, request rates, errors and times are those of the last minute.
    Status(status::Arguments),
    /// Say which version a request would get, and why.
    Explain(explain::Arguments),
    /// Environments.
    #[command(subcommand)]
    Env(env::Command),
    /// Print the JSON Schema of a configuration file.
    Schema(schema::Arguments),
    /// Print what makes a shell complete commands, services and versions.
    Completions(completions::Arguments),
    /// Print the manual, as groff.
    Man(completions::ManArguments),
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
    #[error("error: {0}")]
    Edit(Box<EditError>),
    #[error("error: {0}")]
    History(#[from] HistoryError),
    #[error("error: {0}")]
    Refused(Box<Refusal>),
    #[error("error: {0}")]
    Shares(#[from] SharesError),
    #[error("error: {0}")]
    Rollback(Box<RollbackError>),
    #[error("error: --component: {0}")]
    Component(#[from] StatusError),
    #[error("error: {refusal}\n{left}")]
    Failed { refusal: Box<Refusal>, left: String },
    #[error("error: `--offline` gives nobody anything: leave the shares out, or leave it out")]
    OfflineShares,
    #[error("error: `--env {0}=…` is given twice: give each variable once")]
    EnvTwice(String),
    #[error(
        "error: {0:?} is neither a generation nor a version: give a number or a name for `--to`"
    )]
    NotATarget(String),
    /// A plan needs no process.
    #[error("error: {0}; or compare with files by `--from PATH`")]
    NoneToCompare(ProcessError),
    #[error("error: {0}")]
    Select(#[from] SelectError),
    #[error("error: {0}")]
    Question(#[from] QuestionError),
    /// The bare message, as whoever has started the compiler wants it.
    #[error("{0}")]
    Compile(#[from] ProgramError),
    #[error("error: cannot write to standard output: {0}")]
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

impl From<RollbackError> for CliError {
    fn from(error: RollbackError) -> Self {
        Self::Rollback(Box::new(error))
    }
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
            Self::OfflineShares | Self::EnvTwice(_) | Self::NotATarget(_) | Self::Question(_) => {
                ExitCode::from(USAGE)
            }
            _ => ExitCode::FAILURE,
        }
    }
}

impl Cli {
    /// Answers a shell that asks what could stand on its line, and ends then. To be called first.
    pub fn complete() {
        CompleteEnv::with_factory(Self::command).var(completions::VARIABLE).complete();
    }

    /// Whether it logs. A compiler says one thing on standard error, or nothing.
    pub fn logs(&self) -> bool {
        !matches!(self.command, Some(Command::Compile(_)))
    }

    /// Whether it serves. What it says may then wait for nobody.
    pub fn serves(&self) -> bool {
        matches!(self.command, None | Some(Command::Run))
    }

    /// Runs the command, which counts in `telemetry` if it serves.
    ///
    /// # Errors
    ///
    /// Whatever kept it from doing its work, ready to be printed.
    pub fn execute(self, telemetry: Telemetry) -> Result<ExitCode, CliError> {
        match self.command.unwrap_or(Command::Run) {
            Command::Run => run::run(&self.config, telemetry),
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
            Command::Env(command) => env::env(&self.config, &command),
            Command::Schema(arguments) => schema::schema(&arguments),
            Command::Compile(arguments) => compile::compile(&arguments),
        }
    }
}

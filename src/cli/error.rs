//! An error of a command, as a terminal shows it and as `--json` prints it: one set of parts for both.

use std::fmt::Write;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::CliError;
use super::process::ProcessError;
use super::table::harmless_lines;
use crate::api::{ErrorDocument, ErrorPlace, RefusalDocument};
use crate::code::{Coded, ErrorCode};
use crate::config::{Problem, Report};

/// Versions that the files declare and that cannot be served. Help and place are those of the first.
#[derive(Debug)]
pub struct InError {
    /// `v1 of greeter and v2 of shop`.
    pub(super) names: String,
    pub(super) help: Option<String>,
    pub(super) place: Option<ErrorPlace>,
}

impl InError {
    /// Of versions of services, of which there is at least one.
    pub(super) fn of<'a>(
        versions: impl Iterator<Item = (&'a str, &'a str)>,
        help: Option<String>,
        place: Option<ErrorPlace>,
    ) -> Option<Self> {
        let names: Vec<_> =
            versions.map(|(version, service)| format!("{version} of {service}")).collect();
        let names = match names.split_last()? {
            (only, []) => only.clone(),
            (last, others) => format!("{} and {last}", others.join(", ")),
        };
        Some(Self { names, help, place })
    }
}

/// What `--json` prints where something is wrong, beside what the command printed anyway.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FailureDocument {
    error: ErrorDocument,
    #[serde(flatten)]
    details: Details,
}

/// What belongs to some errors.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Details {
    /// Everything that is wrong in the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    /// The edit that was not made: lines with their numbers, `-` and `+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
    /// The files that are in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
    /// Targets that do not answer from where the command runs, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    silent: Vec<String>,
    #[serde(flatten)]
    refusal: RefusalDocument,
}

impl FailureDocument {
    /// The same beside a document that has the problems already.
    pub(super) fn without_problems(self) -> Self {
        Self { details: Details { problems: Vec::new(), ..self.details }, ..self }
    }
}

impl CliError {
    /// The error as a terminal shows it. What a file or a process says may have characters that a terminal would obey.
    pub fn text(&self) -> String {
        match self {
            // A report begins each of its problems with "error" already, and a program reads a compiler's line.
            Self::Config(report) => harmless_lines(&report.to_string()),
            Self::Compile(_) => self.to_string(),
            _ => harmless_lines(&self.words()),
        }
    }

    fn words(&self) -> String {
        let mut text = format!("error: {self}");
        let Details { change, files, refusal, .. } = self.details();
        for file in files {
            // Writing to a string does not fail.
            write!(text, "\n  {}", file.display()).ok();
        }
        if let Some(help) = self.help() {
            write!(text, "\n  help: {help}").ok();
        }
        refusal.left.iter().for_each(|left| text.extend(["\n", left]));
        change.iter().for_each(|change| text.extend(["\n\n", change]));
        if let Some(report) = self.report() {
            write!(text, "\n\n{report}").ok();
        }
        text
    }

    /// The error as `--json` prints it.
    pub(super) fn document(&self) -> FailureDocument {
        let error = match self {
            // The process's own error. Its code stays, unless it is none that scripts know.
            Self::Process(ProcessError::Refused { error, .. }) => {
                let code = self.code().as_str().to_owned();
                ErrorDocument { code, help: self.help(), ..(**error).clone() }
            }
            _ => {
                let error = ErrorDocument::of(self);
                // A terminal lists files behind a colon, and they are a member of their own here.
                let message = error.message.trim_end_matches(':').to_owned();
                ErrorDocument { place: self.place(), message, ..error }
            }
        };
        FailureDocument { error, details: self.details() }
    }

    fn place(&self) -> Option<ErrorPlace> {
        if let Self::InError(error) = self {
            return error.place.clone();
        }
        self.report()?.problems.first().map(ErrorPlace::from)
    }

    fn report(&self) -> Option<&Report> {
        match self {
            Self::Config(report) | Self::Rejected(report) => Some(report),
            Self::Edit(error) => error.report(),
            Self::Broken(error) => error.report(),
            _ => None,
        }
    }

    fn details(&self) -> Details {
        let problems = self.report().map_or_else(Vec::new, |report| report.problems.clone());
        let details = Details { problems, ..Details::default() };
        match self {
            Self::Edit(error) => Details { change: error.change().map(str::to_owned), ..details },
            Self::Init(error) => Details { files: error.files().to_vec(), ..details },
            Self::Component(error) => {
                let fault = Some(error.into());
                let refusal = RefusalDocument { fault, ..RefusalDocument::default() };
                Details { refusal, ..details }
            }
            Self::Refused(refusal) => Details { refusal: (&**refusal).into(), ..details },
            Self::NoTargetAnswers { silent, .. } => Details { silent: silent.clone(), ..details },
            _ => details,
        }
    }
}

impl Coded for CliError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Config(report) if report.is_transient() => ErrorCode::UnreadableConfiguration,
            Self::Config(_) => ErrorCode::InvalidConfiguration,
            Self::Engine(_) => ErrorCode::NoSandboxes,
            Self::Start(_) => ErrorCode::CannotStart,
            Self::Init(error) => error.code(),
            Self::Man(error) => error.code(),
            Self::Process(error) | Self::NoneToCompare(error) => error.code(),
            Self::Edit(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::History(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::Rejected(_) => ErrorCode::Rejected,
            Self::Held(_) => ErrorCode::Held,
            Self::NotConfirmed(error) => error.code(),
            Self::Broken(error) => error.code(),
            Self::RestoreFile(error) => error.code(),
            Self::Restart(error) => error.code(),
            Self::Site(error) => error.code(),
            Self::Ramp(error) => error.code(),
            Self::Component(_) => ErrorCode::InvalidComponent,
            Self::InError(_) => ErrorCode::VersionInError,
            Self::OfflineShares
            | Self::EnvTwice(_)
            | Self::TargetTwice(_)
            | Self::NotATarget(_) => ErrorCode::Usage,
            Self::NoTargetAnswers { .. } => ErrorCode::VersionUnhealthy,
            Self::Select(error) => error.code(),
            Self::Question(error) => error.code(),
            Self::Compile(_) => ErrorCode::CompileFailed,
            Self::Output(_) => ErrorCode::OutputFailed,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Config(report) => {
                return report.problems.first().map(|problem| problem.help.clone());
            }
            Self::Init(error) => return error.help(),
            Self::Man(error) => return error.help(),
            Self::Process(error) => return error.help(),
            Self::NoneToCompare(error) => {
                let other = "compare with files by `--from PATH`";
                let help = error.help().map(|help| format!("{help}; or {other}"));
                return Some(help.unwrap_or_else(|| other.to_owned()));
            }
            Self::Edit(error) => return error.help(),
            Self::Store(error) => return error.help(),
            Self::History(error) => return error.help(),
            Self::Refused(refusal) => return refusal.help(),
            Self::Broken(error) => return error.help(),
            Self::RestoreFile(error) => return error.help(),
            Self::Site(error) => return error.help(),
            Self::Ramp(error) => return error.help(),
            Self::NotConfirmed(error) => return error.help(),
            Self::Component(error) => error.suggestion,
            Self::Select(error) => return error.help(),
            Self::Question(error) => return error.help(),
            Self::OfflineShares => "leave out the shares, or `--offline`",
            Self::EnvTwice(_) => "give each variable once",
            Self::TargetTwice(_) => "give each target once",
            Self::InError(error) => return error.help.clone(),
            Self::NoTargetAnswers { .. } => {
                "start one first, or leave out `--traffic`; `--force` gives it traffic all the same"
            }
            Self::Restart(error) => return Some(error.help()),
            Self::NotATarget(_) => "give a number or a name for `--to`",
            Self::Engine(_)
            | Self::Start(_)
            | Self::Rejected(_)
            | Self::Held(_)
            | Self::Compile(_)
            | Self::Output(_) => return None,
        };
        Some(help.to_owned())
    }
}

//! Asks before a command takes traffic away: on a terminal by a question, and without one by `--yes`. `--dry-run` shows
//! what a command would do. Every command that changes something flattens [`Consent`] into its arguments.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use super::CliError;
use super::target::Target;
use crate::code::{Coded, ErrorCode};
use crate::rollout::Edit;

/// Longest answer that is read, in bytes.
const LONGEST: u64 = 1024;

/// Flattened into the arguments of each command that changes something.
#[derive(Debug, clap::Args)]
pub(super) struct Consent {
    /// Do what takes traffic away without a question; needed where standard input is not a terminal.
    #[arg(long, short)]
    yes: bool,
    /// Print what would change, as `watershed plan` does, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Why a command did nothing: nobody agreed to what takes traffic away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    #[error("nothing was done, since the answer was not yes")]
    Declined,
    #[error("nothing was done: `{question}?` is asked first, and {stream} is not a terminal")]
    NobodyToAsk { question: String, stream: &'static str },
}

impl Coded for ConsentError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Declined => ErrorCode::NotConfirmed,
            Self::NobodyToAsk { .. } => ErrorCode::NobodyToAsk,
        }
    }

    fn help(&self) -> Option<String> {
        let help = "give `--yes` to do it, or `--dry-run` to see what it would do";
        matches!(self, Self::NobodyToAsk { .. }).then(|| help.to_owned())
    }
}

/// What a command is about to do.
pub(super) struct Intent<'a> {
    pub edit: &'a Edit,
    /// The command, as the history names it.
    pub command: &'a str,
    /// What is asked, without its mark: `Delete v1 of greeter`.
    pub question: &'a str,
    pub json: bool,
}

impl Consent {
    /// Agreed to what is asked about already.
    pub(super) fn is_given(&self) -> bool {
        self.yes && !self.dry_run
    }

    /// Whether nothing is to be done but shown.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether a command goes on. A dry run breaks off with its exit code, once it has shown the plan. What takes traffic
    /// away is shown and asked about, unless `--yes` is given.
    ///
    /// # Errors
    ///
    /// Where the edit would be refused, the answer is not yes, or nobody can be asked.
    pub(super) fn settle(
        &self,
        target: &mut Target,
        intent: &Intent<'_>,
    ) -> Result<ControlFlow<ExitCode>, CliError> {
        if self.is_given() {
            return Ok(ControlFlow::Continue(()));
        }
        let Intent { edit, command, question, json } = *intent;
        let preview = target.preview(edit, command)?;
        if self.dry_run {
            return Ok(ControlFlow::Break(target.beside_others(preview)?.print(json)?));
        }
        if preview.takes_away() {
            ask(&target.beside_others(preview)?.text(), question, json)?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Shows a text and asks a question, which a person at a terminal answers with `y` or `yes`. Anything else is a no, and so
/// are the end of the input and an answer that cannot be read. Both go to standard error, so that standard output has
/// nothing but the result; where only standard output is a terminal, and not for `--json`, they go there.
///
/// # Errors
///
/// Where the answer is not yes, or nobody can be asked.
pub(super) fn ask(shown: &str, question: &str, json: bool) -> Result<(), ConsentError> {
    let (input, errors, output) = (io::stdin(), io::stderr(), io::stdout());
    let here = Terminals {
        input: input.is_terminal(),
        errors: errors.is_terminal(),
        output: output.is_terminal() && !json,
    };
    let text = format!("{}\n\n{question}? [y/N] ", shown.trim_end());
    let nobody = |stream| ConsentError::NobodyToAsk { question: question.to_owned(), stream };
    let written = match here.seen().map_err(nobody)? {
        Seen::Errors => write(&mut errors.lock(), &text),
        Seen::Output => write(&mut output.lock(), &text),
    };
    let mut answer = String::new();
    // A question that could not be shown has no answer.
    let read = written.and_then(|()| input.lock().take(LONGEST).read_line(&mut answer));
    match read.is_ok() && is_yes(&answer) {
        true => Ok(()),
        false => Err(ConsentError::Declined),
    }
}

fn write(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether a line says yes. What is cut off before its end, as where the terminal hangs up, is no line.
fn is_yes(answer: &str) -> bool {
    answer.ends_with('\n') && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Which of the streams are terminals.
#[derive(Clone, Copy)]
struct Terminals {
    input: bool,
    errors: bool,
    /// Of standard output, which must be free for the question too.
    output: bool,
}

/// Where a person sees the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Errors,
    Output,
}

impl Terminals {
    /// Or else the stream that keeps everybody from answering.
    fn seen(self) -> Result<Seen, &'static str> {
        match self {
            Self { input: false, .. } => Err("standard input"),
            Self { errors: true, .. } => Ok(Seen::Errors),
            Self { output: true, .. } => Ok(Seen::Output),
            _ => Err("standard error"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for answer in ["y\n", "Y\n", "yes\r\n", " YES \n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "no\n", "yep\n", "y n\n", "да\n", "y"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }

    #[test]
    fn the_question_goes_where_a_person_sees_it() {
        let seen = |input, errors, output| Terminals { input, errors, output }.seen();
        assert_eq!(seen(true, true, true), Ok(Seen::Errors));
        assert_eq!(seen(true, true, false), Ok(Seen::Errors));
        assert_eq!(seen(true, false, true), Ok(Seen::Output));
        assert_eq!(seen(true, false, false), Err("standard error"));
        // The answer of a pipe, as of `yes |`, is nobody's.
        assert_eq!(seen(false, true, true), Err("standard input"));
    }
}

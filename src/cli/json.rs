//! What `--json` prints: one object, which begins with `ok`, whatever the command did.

use std::ffi::OsStr;
use std::io::{self, Write};

use serde::Serialize;

use super::error::FailureDocument;
use super::{CliError, help};
use crate::api::ErrorDocument;
use crate::code::ErrorCode;

/// An object with `ok` before its members.
#[derive(Serialize)]
struct Outcome<'a, E, D> {
    ok: bool,
    #[serde(flatten)]
    error: Option<E>,
    #[serde(flatten)]
    document: &'a D,
}

/// Nothing beside the error.
#[derive(Serialize)]
struct Nothing {}

/// Prints what a command has to say where nothing is wrong.
pub(super) fn write_json(out: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    write(out, &Outcome { ok: true, error: None::<Nothing>, document })
}

/// Prints an error, and what the command has to say all the same.
pub(super) fn write_failed(
    out: &mut impl Write,
    failure: FailureDocument,
    document: &impl Serialize,
) -> io::Result<()> {
    write(out, &Outcome { ok: false, error: Some(failure), document })
}

/// Prints the same as [`write_json`] on one line, for a command that prints one after the other.
pub(super) fn write_json_line(out: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    write_line(out, &Outcome { ok: true, error: None::<Nothing>, document })
}

/// Prints an error on one line, and the command goes on.
pub(super) fn write_failed_line(out: &mut impl Write, error: &CliError) -> io::Result<()> {
    write_line(out, &Outcome { ok: false, error: Some(error.document()), document: &Nothing {} })
}

fn write_line(out: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(document)?)
}

fn write(out: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string_pretty(document)?)
}

impl CliError {
    /// The error as the one object on standard output.
    ///
    /// # Errors
    ///
    /// Where standard output cannot be written to.
    pub fn write_json(&self) -> io::Result<()> {
        write_failed(&mut io::stdout().lock(), self.document(), &Nothing {})
    }
}

/// Prints what is wrong with a command line.
///
/// # Errors
///
/// Where standard output cannot be written to.
pub fn write_usage(wrong: &clap::Error) -> io::Result<()> {
    let error = usage(&wrong.render().to_string(), &help::advice(wrong, std::env::args_os()));
    write(
        &mut io::stdout().lock(),
        &Outcome { ok: false, error: Some(Usage { error }), document: &Nothing {} },
    )
}

#[derive(Serialize)]
struct Usage {
    error: ErrorDocument,
}

/// Takes clap's text apart: a message, perhaps tips, the usage, and where to read more.
fn usage(text: &str, advice: &str) -> ErrorDocument {
    let mut parts = text.split("\n\n").map(str::trim);
    let message = parts.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    // A list of missing arguments stands on lines of its own.
    let message: Vec<_> = message.lines().map(str::trim).collect();
    let help: Vec<_> = parts.filter_map(|part| part.strip_prefix("tip: ")).collect();
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let help = match (help.as_slice(), usage) {
        ([], Some(usage)) => Some(format!("write it as `{usage}`")),
        ([], None) => Some(advice.to_owned()),
        (tips, _) => Some(tips.join("; ")),
    };
    let code = ErrorCode::Usage.as_str().to_owned();
    ErrorDocument { code, message: message.join(" "), help, place: None }
}

/// Whether a command line, perhaps a wrong one, asks for JSON.
pub fn wants_json(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> bool {
    let mut words = arguments.into_iter().take_while(|word| word.as_ref() != "--");
    words.any(|word| word.as_ref() == "--json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_taken_apart() {
        let text = "error: unexpected argument '--trafic' found\n\n  tip: a similar argument exists: '--traffic'\n\n\
                    Usage: watershed deploy <SERVICE>\n\nFor more information, try '--help'.\n";
        let ErrorDocument { code, message, help, place } = usage(text, "see the help");
        assert_eq!((code.as_str(), place), ("usage", None));
        assert_eq!(message, "unexpected argument '--trafic' found");
        assert_eq!(help.as_deref(), Some("a similar argument exists: '--traffic'"));
        let text = "error: the following required arguments were not provided:\n  <SERVICE>\n  <VERSION>\n\n\
                    Usage: watershed promote <SERVICE> <VERSION>\n\nFor more information, try '--help'.\n";
        let ErrorDocument { message, help, .. } = usage(text, "see the help");
        assert_eq!(
            message,
            "the following required arguments were not provided: <SERVICE> <VERSION>"
        );
        assert_eq!(help.as_deref(), Some("write it as `watershed promote <SERVICE> <VERSION>`"));
    }

    #[test]
    fn what_follows_two_dashes_is_no_flag() {
        assert!(wants_json(["watershed", "status", "--json"]));
        assert!(!wants_json(["watershed", "status"]));
        assert!(!wants_json(["watershed", "traffic", "--", "--json"]));
    }
}

//! `watershed restart`: has a running process start its program anew and hand over, and waits until the new process
//! serves. `preview` is what that would change.

mod preview;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::CliError;
use super::common::{Common, write_json};
use super::consent::{Consent, ask};
use super::process::{Process, ProcessError};
use super::progress::Waiting;
use crate::api::{self, RestartDocument, RestartRequest};
use crate::config::{parse_duration, show_duration};
pub(super) use preview::Preview;

/// How often the process is asked.
const LOOK: Duration = Duration::from_millis(100);
/// How long neither process may answer, while one takes over from the other.
const SILENCE: Duration = Duration::from_secs(15);
/// The shortest and the longest timeout.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_600);

const EXAMPLES: &str = "\
Examples:
  watershed restart                  after the program was replaced
  watershed restart --timeout 10m    where components take long to compile
  watershed restart --json | jq .pid

The process starts its program anew, from the path by which it was started, with
the same arguments and variables. The new process reads the files, makes all
versions ready, and takes over the listening sockets and the history. The old one
then finishes its requests, within `grace-period`. No request fails.

If the new process does not become ready, or would not serve what the old one
serves, the old one goes on, and nothing has changed.

A restart asks first where it takes traffic away: where nobody listens any more at
an address, or a version gets less. Without a terminal it refuses then, unless
`--yes`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// How long the new process may take from one sign of life to the next [default: 60s]
    ///
    /// Each version that becomes ready is one.
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<Duration>,
    #[command(flatten)]
    consent: Consent,
    /// The admin listener of the running process [default: `[admin] listen` of the files]
    #[arg(long, value_name = "URL", add = super::complete::admins())]
    admin: Option<String>,
    /// The file with the token of that listener [default: `[admin] token-file` of the files]
    #[arg(long, value_name = "FILE")]
    token_file: Option<std::path::PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document {
    /// The process that served before.
    predecessor: u32,
    /// The process that serves now.
    pid: u32,
    /// What it serves.
    generation: u64,
    /// Whether the process before still finishes requests.
    finishing: bool,
}

/// Why a process was not restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// The reason, in the process's own words.
    #[error("the process goes on as before: {0}")]
    Failed(String),
    /// What is known before it is begun.
    #[error("process {pid} would go on as before: {why}")]
    WouldFail { pid: u32, why: String },
    #[error("process {before} was to be replaced by {}, and neither answers", named(*.successor))]
    Lost { before: u32, successor: Option<u32> },
    #[error("process {pid} answers, which is neither process {before} nor its successor")]
    Another { before: u32, pid: u32 },
}

impl RestartError {
    /// Where to look for more than the message says.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::WouldFail { .. } => "`watershed check` looks at the files",
            Self::Failed(_) => {
                "`watershed check` looks at the files; the log, to which both processes write, has more"
            }
            Self::Lost { .. } | Self::Another { .. } => {
                "the log has more; both processes write to it"
            }
        }
    }
}

fn named(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another".to_owned(), |pid| format!("process {pid}"))
}

pub(super) fn restart(config: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { timeout, consent, admin, token_file, json } = arguments;
    let (admin, token_file) = (admin.clone(), token_file.clone());
    let common = Common { environment: None, admin, token_file, json: *json };
    let process = common.process(config)?;
    if consent.is_dry_run() {
        return Preview::of(&process)?.print(*json);
    }
    if !consent.is_given() {
        match Preview::of(&process) {
            Ok(preview) if preview.takes_away() => {
                ask(&preview.to_string(), &preview.question(), *json)?;
            }
            // What was wrong may be right by now: the process says itself why it refuses.
            Ok(_) | Err(CliError::Restart(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let request = RestartRequest { timeout_seconds: timeout.map(|timeout| timeout.as_secs()) };
    let (_, began): (u16, RestartDocument) = process.post(api::RESTART, &request)?;
    let waiting = Waiting::start(format!("process {} starts its successor", began.pid));
    let after = follow(&process, &began, &waiting)?;
    waiting.end();
    let document = Document {
        predecessor: began.pid,
        pid: after.pid,
        generation: after.generation,
        finishing: after.predecessor == Some(began.pid),
    };
    let mut out = io::stdout().lock();
    match json {
        true => write_json(&mut out, &document)?,
        false => print(&mut out, &document, process.url())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks again and again, until the new process answers. Which one answers is said by its process ID.
fn follow(
    process: &Process,
    began: &RestartDocument,
    waiting: &Waiting,
) -> Result<RestartDocument, CliError> {
    let (mut heard, mut successor) = (Instant::now(), None);
    loop {
        thread::sleep(LOOK);
        let now: RestartDocument = match process.get(api::RESTART) {
            Ok(now) => now,
            // Between two processes, a connection may break off.
            Err(ProcessError::NotRunning { .. } | ProcessError::Unreachable { .. })
                if heard.elapsed() < SILENCE =>
            {
                continue;
            }
            Err(ProcessError::NotRunning { .. } | ProcessError::Unreachable { .. }) => {
                return Err(RestartError::Lost { before: began.pid, successor }.into());
            }
            Err(error) => return Err(error.into()),
        };
        heard = Instant::now();
        successor = now.successor.or(successor);
        if now.pid != began.pid {
            return match successor.is_none_or(|pid| pid == now.pid) {
                true => Ok(now),
                false => Err(RestartError::Another { before: began.pid, pid: now.pid }.into()),
            };
        }
        if let Some(failure) = now.failure.filter(|failure| failure.restart >= began.restart) {
            return Err(RestartError::Failed(failure.message).into());
        }
        waiting.say(match (now.phase.as_str(), now.prepared, now.versions) {
            ("preparing", Some(prepared), Some(versions)) => {
                format!("the new process has made {prepared} of {versions} versions ready")
            }
            ("taking-over" | "handed-over", _, _) => "the new process takes over".to_owned(),
            _ => "the new process starts".to_owned(),
        });
    }
}

fn print(out: &mut impl Write, document: &Document, url: &str) -> io::Result<()> {
    let Document { predecessor, pid, generation, finishing } = document;
    writeln!(out, "process {pid} serves generation {generation} at {url}")?;
    match finishing {
        true => writeln!(out, "process {predecessor} finishes its requests, and ends"),
        false => writeln!(out, "process {predecessor} has ended"),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text).map_err(|error| error.to_string())?;
    match TIMEOUTS.contains(&timeout) {
        true => Ok(timeout),
        false => Err(format!(
            "a time from {} to {} is expected",
            show_duration(*TIMEOUTS.start()),
            show_duration(*TIMEOUTS.end())
        )),
    }
}

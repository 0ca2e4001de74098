//! `watershed restart`: has a running process start its program anew and hand over, and waits until the new process
//! serves. `preview` is what that would change.

mod preview;

use std::io::{self, Write};
use std::net::SocketAddr;
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
use crate::code::ErrorCode;
use crate::config::{parse_duration, show_duration};
pub(super) use preview::Preview;

/// How often the process is asked.
const LOOK: Duration = Duration::from_millis(100);
/// How long neither process may answer, while one takes over from the other.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the new process may take to answer at another address, once the old one has said that it serves.
const ELSEWHERE: Duration = Duration::from_secs(3);
/// What the system says of an address that somebody else has.
const IN_USE: &str = "Address already in use";
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
    /// Where it answers.
    admin: String,
    /// What it serves; not known of a process that does not answer here.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// Whether the process before still finishes requests.
    finishing: bool,
}

/// Why a process was not restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// The reason, in the process's own words.
    #[error("the process goes on as before: {why}")]
    Failed { why: String, predecessor: Option<u32> },
    /// Somebody else has begun one; in the process's own words.
    #[error("{0}")]
    UnderWay(String),
    /// What is known before it is begun.
    #[error("process {pid} would go on as before: {why}")]
    WouldFail { pid: u32, why: String },
    #[error("process {before} was to be replaced by {}, and neither answers", named(*.successor))]
    Lost { before: u32, successor: Option<u32> },
    #[error("process {pid} answers, which is neither process {before} nor its successor")]
    Another { before: u32, pid: u32 },
}

impl RestartError {
    /// What to do, or where to look for more than the message says.
    pub(super) fn help(&self) -> String {
        let help = match self {
            Self::WouldFail { .. } => "`watershed check` looks at the files",
            Self::Failed { why, predecessor: Some(pid) } if why.contains(IN_USE) => {
                return format!(
                    "process {pid}, which served before, has it until it ends: try again"
                );
            }
            // Whatever is wrong with files names one, or a service that would not be served.
            Self::Failed { why, .. }
                if why.contains(".toml") || why.contains("would not serve") =>
            {
                "`watershed check` looks at the files; the log, to which both processes write, has more"
            }
            Self::UnderWay(_) => "wait until it is over, and restart again if it is still needed",
            Self::Another { .. } => "another restart followed; `watershed status` says what serves",
            Self::Failed { .. } | Self::Lost { .. } => {
                "the log has more; both processes write to it"
            }
        };
        help.to_owned()
    }

    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::UnderWay(_) => ErrorCode::RestartUnderWay,
            _ => ErrorCode::RestartFailed,
        }
    }
}

/// Why none is begun.
fn refused(error: ProcessError) -> CliError {
    match error {
        ProcessError::Refused { error, .. }
            if error.code == ErrorCode::RestartUnderWay.as_str() =>
        {
            RestartError::UnderWay(error.message).into()
        }
        error => error.into(),
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
        // What would fail by what is known may succeed by now, so that is no reason not to ask.
        let preview = Preview::of(&process)?;
        if let Some(question) = preview.question() {
            ask(&preview.to_string(), &question, *json)?;
        }
    }
    let request = RestartRequest { timeout_seconds: timeout.map(|timeout| timeout.as_secs()) };
    let (_, began): (u16, RestartDocument) =
        process.post(api::RESTART, &request).map_err(refused)?;
    let waiting = Waiting::start(format!("process {} starts its successor", began.pid));
    let document = Following::new(process, began).end(&waiting)?;
    waiting.end();
    let mut out = io::stdout().lock();
    match json {
        true => write_json(&mut out, &document)?,
        false => print(&mut out, &document)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks again and again, until the new process answers. Which one answers is said by its process ID.
struct Following {
    process: Process,
    began: RestartDocument,
    /// When either process was heard last.
    heard: Instant,
    successor: Option<u32>,
    /// Where the new process answers, if not where the old one does.
    moved_to: Option<SocketAddr>,
    /// When the old process has first said that the new one serves.
    over: Option<Instant>,
}

impl Following {
    fn new(process: Process, began: RestartDocument) -> Self {
        let heard = Instant::now();
        Self { process, began, heard, successor: None, moved_to: None, over: None }
    }

    fn end(mut self, waiting: &Waiting) -> Result<Document, CliError> {
        loop {
            thread::sleep(LOOK);
            if let Some(moved) = self.moved() {
                return Ok(moved);
            }
            let now: RestartDocument = match self.process.get(api::RESTART) {
                Ok(now) => now,
                // Between two processes, a connection may break off.
                Err(ProcessError::NotRunning { .. } | ProcessError::Unreachable { .. })
                    if self.heard.elapsed() < SILENCE =>
                {
                    continue;
                }
                Err(ProcessError::NotRunning { .. } | ProcessError::Unreachable { .. }) => {
                    let Self { began, successor, .. } = self;
                    return Err(RestartError::Lost { before: began.pid, successor }.into());
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(document) = self.hear(now, waiting)? {
                return Ok(document);
            }
        }
    }

    /// Hears what a process says, which ends it where the new one does.
    fn hear(
        &mut self,
        now: RestartDocument,
        waiting: &Waiting,
    ) -> Result<Option<Document>, CliError> {
        let before = self.began.pid;
        self.heard = Instant::now();
        self.successor = now.successor.or(self.successor);
        if now.pid != before {
            return match self.successor.is_none_or(|pid| pid == now.pid) {
                true => Ok(Some(self.document(&now, self.process.url()))),
                false => Err(RestartError::Another { before, pid: now.pid }.into()),
            };
        }
        if let Some(failure) = now.failure.filter(|it| it.restart >= self.began.restart) {
            let (why, predecessor) = (failure.message, now.predecessor);
            return Err(RestartError::Failed { why, predecessor }.into());
        }
        self.moved_to = now.moved_to.and_then(|address| address.parse().ok());
        self.over = self.over.or_else(|| (now.phase == "handed-over").then(Instant::now));
        waiting.say(match (now.phase.as_str(), now.prepared, now.versions) {
            ("preparing", Some(prepared), Some(versions)) => {
                format!("the new process has made {prepared} of {versions} versions ready")
            }
            ("taking-over" | "handed-over", _, _) => "the new process takes over".to_owned(),
            _ => "the new process starts".to_owned(),
        });
        Ok(None)
    }

    /// The new process, where it answers at another address than the old one; or what the old one has said of it, where
    /// that address is not reached from here.
    fn moved(&self) -> Option<Document> {
        let (address, pid) = (self.moved_to?, self.successor?);
        let process = self.process.moved(address);
        let is_reached = process.is_some();
        let now = process.and_then(|process| {
            let now = process.get::<RestartDocument>(api::RESTART).ok()?;
            (now.pid == pid).then(|| self.document(&now, process.url()))
        });
        now.or_else(|| {
            let is_over = |over: &Instant| !is_reached || over.elapsed() > ELSEWHERE;
            self.over.filter(is_over).map(|_| Document {
                predecessor: self.began.pid,
                pid,
                admin: format!("http://{address}"),
                generation: None,
                finishing: true,
            })
        })
    }

    fn document(&self, now: &RestartDocument, url: &str) -> Document {
        Document {
            predecessor: self.began.pid,
            pid: now.pid,
            admin: url.to_owned(),
            generation: Some(now.generation),
            finishing: now.predecessor == Some(self.began.pid),
        }
    }
}

fn print(out: &mut impl Write, document: &Document) -> io::Result<()> {
    let Document { predecessor, pid, admin, generation, finishing } = document;
    match generation {
        Some(generation) => {
            writeln!(out, "process {pid} serves generation {generation} at {admin}")?;
        }
        None => {
            writeln!(
                out,
                "process {pid} serves, and answers at {admin}, which is not reached from here"
            )?;
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_about_the_reason() {
        let help = |why: &str, predecessor| {
            RestartError::Failed { why: why.to_owned(), predecessor }.help()
        };
        let in_use = "process 8: cannot listen on 127.0.0.1:80: Address already in use";
        assert!(help(in_use, Some(7)).starts_with("process 7, which served before, has it"));
        assert!(!help(in_use, None).contains("watershed check"));
        assert!(!help("process 8 has shown no sign of life", Some(7)).contains("watershed check"));
        assert!(
            help("/etc/watershed.toml:3: the key is not there", None).contains("watershed check")
        );
        assert!(help("process 8 would not serve default/lab", None).contains("watershed check"));
    }
}

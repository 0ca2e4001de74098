//! What a restart would change, as far as the running process knows before its successor has tried: settings that only a
//! restart applies, and services of which the new process would serve something else.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use super::RestartError;
use crate::api::{
    self, KeyChange, RestartDocument, ServiceDocument, Share, StatusDocument, StatusQuery,
};
use crate::cli::json::write_json;
use crate::cli::process::Process;
use crate::cli::table::{NONE, harmless_lines};
use crate::cli::{CliError, WOULD_CHANGE};
use crate::config::Problem;

/// The settings that say where clients connect, and how.
const LISTEN: [&str; 2] = ["server.listen", "server.tls.listen"];
/// By another protocol, the connections of some clients are closed.
const PROTOCOL: &str = "server.proxy-protocol";

/// How many reasons a question has.
const REASONS: usize = 3;

/// What `--json` prints for a dry run.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Preview {
    outcome: &'static str,
    /// Whether there is anything to do: always.
    changes: bool,
    /// The admin listener of the process.
    process: String,
    /// The process that would be replaced.
    pid: u32,
    /// What it serves.
    generation: u64,
    /// What the main file says that only a restart applies.
    settings: Vec<KeyChange>,
    /// The services of which the new process would serve something else.
    services: Vec<ServiceAfter>,
    /// Why the process would refuse, as far as it knows.
    #[serde(skip)]
    obstacle: Option<String>,
}

/// What becomes of a service.
#[derive(Debug, Serialize, JsonSchema)]
struct ServiceAfter {
    environment: String,
    service: String,
    /// The versions with a share.
    before: Vec<Share>,
    after: Vec<Share>,
}

impl Preview {
    /// Asks the process.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub(super) fn of(process: &Process) -> Result<Self, CliError> {
        let RestartDocument { pid, generation, .. } = process.get(api::RESTART)?;
        let status: StatusDocument = process.get(&StatusQuery::default().path())?;
        let obstacle = obstacle(&status);
        let settings = status.last_reload.map(|last| last.restart_changes).unwrap_or_default();
        let services = status.environments.into_iter().flat_map(|environment| {
            let name = environment.name;
            environment.services.into_iter().filter_map(move |it| ServiceAfter::of(&name, it))
        });
        let (outcome, process) = ("would-restart", process.url().to_owned());
        let services = services.collect();
        Ok(Self { outcome, changes: true, process, pid, generation, settings, services, obstacle })
    }

    /// What is asked before traffic is taken away, with the reasons; nothing where none is. A service of which nothing
    /// would be served is no reason: the process refuses that by itself.
    pub(super) fn question(&self) -> Option<String> {
        let settings = self.settings.iter().filter_map(taken_away);
        let services = self.services.iter().filter(|it| !it.after.is_empty());
        let reasons = settings.chain(services.map(ServiceAfter::told)).collect::<Vec<_>>();
        let more = reasons.len().saturating_sub(REASONS);
        let more = (more > 0).then(|| format!("{more} more of the kind"));
        let told: Vec<_> = reasons.into_iter().take(REASONS).chain(more).collect();
        if told.is_empty() {
            return None;
        }
        Some(format!("Restart process {}, although {}", self.pid, told.join(", and ")))
    }

    /// Prints it for `--dry-run`.
    ///
    /// # Errors
    ///
    /// Where the process knows already why a restart would fail.
    pub(super) fn print(&self, json: bool) -> Result<ExitCode, CliError> {
        if let Some(why) = self.obstacle.clone() {
            return Err(RestartError::WouldFail { pid: self.pid, why }.into());
        }
        let mut out = std::io::stdout().lock();
        match json {
            true => write_json(&mut out, self)?,
            false => write!(out, "{self}")?,
        }
        Ok(ExitCode::from(WOULD_CHANGE))
    }
}

/// What a setting takes away from clients.
fn taken_away(change: &KeyChange) -> Option<String> {
    let KeyChange { key, before, after } = change;
    let list = |value: &Option<String>| {
        let value = value.as_deref().unwrap_or_default();
        value.split(", ").filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    match key.as_str() {
        PROTOCOL => Some(format!("{PROTOCOL} changes what clients have to speak")),
        key if LISTEN.contains(&key) => {
            let mut closed = list(before);
            closed.retain(|address| !list(after).contains(address));
            let closed = closed.join(" and ");
            (!closed.is_empty()).then(|| format!("nobody would listen at {closed} any more"))
        }
        _ => None,
    }
}

/// Why the process would refuse a restart, as far as it knows.
fn obstacle(status: &StatusDocument) -> Option<String> {
    let main = std::path::Path::new(&status.config);
    let report = status.last_reload.as_ref().and_then(|last| last.report.as_ref());
    // What is wrong with certificates and ticket keys may be told where the main file names them.
    let of_https = |problem: &&Problem| {
        status.certificates.iter().any(|it| it.problem.as_ref() == Some(problem))
            || status.troubles.iter().any(|trouble| trouble.contains(&problem.message))
    };
    let mut problems = report.iter().flat_map(|report| &report.problems);
    let wrong = problems.find(|problem| problem.file == main && !of_https(problem));
    // What the files name no more is missed by nobody.
    let certificates = status.certificates.iter().filter(|it| !it.names.is_empty() && !it.retired);
    let lost = certificates.filter_map(|it| it.problem.as_ref()).find(|it| !it.is_transient);
    if let Some(problem) = wrong.or(lost) {
        return Some(format!("{}: {}", problem.file.display(), problem.message));
    }
    let services = status.environments.iter().flat_map(|it| {
        let name = it.name.as_str();
        it.services.iter().map(move |service| (name, service))
    });
    let lost = services.filter(|(_, service)| {
        service.serving != "nothing" && service.after_restart.as_ref().is_some_and(Vec::is_empty)
    });
    let lost: Vec<_> = lost.map(|(name, service)| format!("{name}/{}", service.name)).collect();
    (!lost.is_empty()).then(|| format!("a new one would not serve {}", lost.join(", nor ")))
}

impl ServiceAfter {
    fn of(environment: &str, service: ServiceDocument) -> Option<Self> {
        let ServiceDocument { name, versions, after_restart, .. } = service;
        let after = after_restart?;
        let before = versions.into_iter().filter(|version| version.share > 0.0);
        let before = before.map(|it| Share { version: it.name, share: it.share }).collect();
        Some(Self { environment: environment.to_owned(), service: name, before, after })
    }

    /// What becomes of it, in a question.
    fn told(&self) -> String {
        let Self { environment, service, before, after } = self;
        let (before, after) = (shares(before), shares(after));
        format!("{environment}/{service} would serve {after}, not {before}")
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, pid, generation, settings, services, .. } = self;
        let mut text =
            format!("before  {process}, generation {generation}\nafter   watershed restart\n\n");
        if !settings.is_empty() || !services.is_empty() {
            text += "after a restart\n";
        }
        for KeyChange { key, before, after } in settings {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| NONE.to_owned());
            text += &format!("  {key}  {} → {}\n", value(before), value(after));
        }
        for ServiceAfter { environment, service, before, after } in services {
            text += &format!("  {environment}/{service}  {} → {}\n", shares(before), shares(after));
        }
        if !settings.is_empty() || !services.is_empty() {
            text += "\n";
        }
        text += &format!("process {pid} would be replaced by its program, started anew\n");
        f.write_str(&harmless_lines(&text))
    }
}

fn shares(shares: &[Share]) -> String {
    match shares {
        [] => "nothing".to_owned(),
        _ => {
            let each = shares.iter().map(|it| format!("{} {} %", it.version, it.share));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

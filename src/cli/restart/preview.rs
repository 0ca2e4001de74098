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
    /// Where it does not answer, or knows already why a restart would fail.
    pub(super) fn of(process: &Process) -> Result<Self, CliError> {
        let RestartDocument { pid, generation, .. } = process.get(api::RESTART)?;
        let status: StatusDocument = process.get(&StatusQuery::default().path())?;
        if let Some(why) = obstacle(&status) {
            return Err(RestartError::WouldFail { pid, why }.into());
        }
        let settings = status.last_reload.map(|last| last.restart_changes).unwrap_or_default();
        let services = status.environments.into_iter().flat_map(|environment| {
            let name = environment.name;
            environment.services.into_iter().filter_map(move |it| ServiceAfter::of(&name, it))
        });
        let (outcome, process) = ("would-restart", process.url().to_owned());
        let services = services.collect();
        Ok(Self { outcome, changes: true, process, pid, generation, settings, services })
    }

    /// Whether nobody listens any more where clients connect now, or a version gets less than it gets.
    pub(super) fn takes_away(&self) -> bool {
        let closes = |change: &KeyChange| match change.key.as_str() {
            PROTOCOL => true,
            key if LISTEN.contains(&key) => {
                let after = change.after.as_deref().unwrap_or_default();
                let before = change.before.as_deref().unwrap_or_default();
                let mut before = before.split(", ").filter(|address| !address.is_empty());
                before.any(|address| after.split(", ").all(|it| it != address))
            }
            _ => false,
        };
        self.settings.iter().any(closes) || !self.services.is_empty()
    }

    pub(super) fn question(&self) -> String {
        format!("Restart process {}", self.pid)
    }

    /// Prints it for `--dry-run`.
    pub(super) fn print(&self, json: bool) -> Result<ExitCode, CliError> {
        let mut out = std::io::stdout().lock();
        match json {
            true => write_json(&mut out, self)?,
            false => write!(out, "{self}")?,
        }
        Ok(ExitCode::from(WOULD_CHANGE))
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
    let certificates = status.certificates.iter().filter(|it| !it.names.is_empty());
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

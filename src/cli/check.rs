//! `watershed check`: everything that a start or a reload does, except serving.

mod https;
mod mute;
mod unserved;

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinSet;

use super::components::Digests;
use super::error::InError;
use super::json::{write_failed, write_json};
use super::{CliError, trial};
use crate::admin::{TokenError, TokenFile};
use crate::api::ErrorPlace;
use crate::config::{BackendSpec, Config, Place, Problem, Report, Service, VersionSpec, Warnings};
use crate::plural::many;
use crate::policy::{Fault, Standing};
use crate::source::{self, Rejected};
use crate::versions::{Preparer, ServiceKey, StatusError, declared};

const EXAMPLES: &str = "\
Examples:
  watershed check
  watershed check --no-compile --config new/watershed.toml
  watershed check --json | jq -r '.problems[].message'

Warnings alone are no failure. What was compiled is kept in the state directory, for the next start.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Check the files only: components are read, and not compiled.
    #[arg(long)]
    no_compile: bool,
}

/// What the check found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Findings {
    /// Problems in the files.
    problems: Vec<Problem>,
    /// Warnings about the files: what is right and yet can hardly be meant, and what would not be served.
    warnings: Vec<Problem>,
    /// How many versions the files declare.
    declared: usize,
    /// Findings about the components that the files name; `None` if nothing was to be compiled.
    versions: Vec<Version>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Version {
    environment: String,
    service: String,
    version: String,
    file: String,
    /// The line of the file that names what serves the version.
    line: Option<usize>,
    #[serde(skip)]
    place: Place,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'static str>,
}

pub(super) fn check(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let (config, mut report) = match source::inspect(path) {
        Ok(config) => (Some(Box::new(config)), None),
        Err(Rejected { report, rest, .. }) => (rest, Some(report)),
    };
    if let Some(problem) = config.as_deref().and_then(|config| token_problem(path, config)) {
        report.get_or_insert_with(|| Report { problems: Vec::new() }).problems.push(problem);
    }
    let (of_https, doubts) = config.as_deref().map(https::findings).unwrap_or_default();
    if !of_https.is_empty() {
        let report = report.get_or_insert_with(|| Report { problems: Vec::new() });
        report.problems.extend(of_https);
    }
    let declared = config.as_deref().map_or(0, |config| declared(config).count());
    let to_prepare = config.as_deref().filter(|_| !arguments.no_compile);
    let versions = to_prepare.map_or(Ok(Vec::new()), prepare_all)?;
    let problems = report.as_ref().map_or(&[][..], |report| &report.problems);
    let mut warnings =
        config.as_deref().map_or(Ok(Vec::new()), |it| warnings(it, problems, &versions))?;
    warnings.extend(doubts);
    let mut out = std::io::stdout().lock();
    if let Some(report) = report.as_ref().filter(|_| !arguments.json) {
        writeln!(out, "{report}")?;
    }
    if !warnings.is_empty() && !arguments.json {
        writeln!(out, "{}", Warnings(&warnings))?;
    }
    let problems = report.map_or(Vec::new(), |report| report.problems);
    let findings = Findings { problems, warnings, declared, versions };
    let error = findings.error();
    match &error {
        _ if !arguments.json => print(&mut out, path, &findings, arguments.no_compile)?,
        None => write_json(&mut out, &findings)?,
        Some(error) => write_failed(&mut out, error.document().without_problems(), &findings)?,
    }
    Ok(error.map_or(ExitCode::SUCCESS, |error| error.exit_code()))
}

impl Findings {
    /// What is wrong, files before versions.
    fn error(&self) -> Option<CliError> {
        if !self.problems.is_empty() {
            return Some(CliError::Config(Report { problems: self.problems.clone() }));
        }
        let wrong = || self.versions.iter().filter(|version| version.code.is_some());
        let first = wrong().next()?;
        let place = first.place.problem(Path::new(&first.file), "", "");
        let names = wrong().map(|it| (it.version.as_str(), it.service.as_str()));
        let help = first.suggestion.map(str::to_owned);
        let error = InError::of(names, help, Some(ErrorPlace::from(&place)))?;
        Some(CliError::InError(Box::new(error)))
    }
}

/// What is wrong with the file of the admin listener's token: `run` would not start.
fn token_problem(path: &Path, config: &Config) -> Option<Problem> {
    let file = config.admin.token_file.clone()?;
    let error = TokenFile::open(file).err()?;
    let help = match error {
        TokenError::Unreadable { .. } | TokenError::NotAFile { .. } => {
            "create the file, or correct the path; it is relative to this file"
        }
        TokenError::TooLarge { .. } | TokenError::Empty { .. } | TokenError::Wrong { .. } => {
            "have a token on each line of it, as `TOKEN` or `ROLE TOKEN NAME`"
        }
    };
    Some(Problem::of_file(path, error.to_string(), help))
}

/// Warnings about what can hardly be meant, and about what a start would not serve.
fn warnings(
    config: &Config,
    problems: &[Problem],
    versions: &[Version],
) -> Result<Vec<Problem>, CliError> {
    let digests = Digests::of(config)?;
    let standing = |key: &ServiceKey, spec: &VersionSpec| {
        let mut made = versions.iter().filter(|it| it.code.is_some() && it.is(key, spec));
        made.next().and_then(Version::fault).map_or_else(|| digests.standing(spec), Standing::Error)
    };
    // The problems of a file say more than these warnings would.
    let is_right = |service: &Service| problems.iter().all(|problem| problem.file != service.file);
    let unserved = unserved::warnings(config, is_right, standing);
    let substituted = digests.warnings(config);
    let mute = mute::warnings(config);
    Ok(config.warnings.iter().cloned().chain(substituted).chain(unserved).chain(mute).collect())
}

impl Version {
    fn is(&self, key: &ServiceKey, spec: &VersionSpec) -> bool {
        self.environment == key.environment.as_str()
            && self.service == key.service.as_str()
            && self.version == spec.name.as_str()
    }

    /// Why the version is in error, if it is. What to do about it is said with the version, and not once more with what
    /// a start would serve without it.
    fn fault(&self) -> Option<Fault> {
        Some(Fault {
            code: self.code?.to_owned(),
            detail: self.detail.clone()?,
            suggestion: String::new(),
            may_pass: false,
        })
    }
}

fn print(
    out: &mut impl Write,
    path: &Path,
    findings: &Findings,
    no_compile: bool,
) -> Result<(), CliError> {
    let environments: HashSet<_> = findings.versions.iter().map(|it| &it.environment).collect();
    let several = environments.len() > 1;
    for it in &findings.versions {
        let Version { environment, service, version, file, place, status, .. } = it;
        let Version { code, detail, suggestion, .. } = it;
        let service = match several {
            true => format!("{environment}/{service}"),
            false => service.clone(),
        };
        match (code, detail, suggestion) {
            (Some(code), Some(detail), Some(suggestion)) => {
                let message = format!("version {version} of service {service}: {detail}");
                let problem = place.problem(Path::new(file), message, *suggestion);
                writeln!(out, "{}", problem.with_code(code))?;
            }
            _ => writeln!(out, "{service} {version}: {status}")?,
        }
    }
    let verdict = match (findings.error().is_none(), no_compile) {
        (true, true) => format!("good: {}, not compiled", many(findings.declared, "version")),
        (true, false) => format!("good: {}", many(findings.versions.len(), "version")),
        (false, _) => format!("not good: {}", wrong(findings, no_compile)),
    };
    writeln!(out, "{} is {verdict}", path.display())?;
    Ok(())
}

/// The totals of problems and errors.
fn wrong(findings: &Findings, no_compile: bool) -> String {
    let Findings { problems, versions, .. } = findings;
    let files: HashSet<_> = problems.iter().map(|problem| &problem.file).collect();
    let in_error = versions.iter().filter(|version| version.code.is_some()).count();
    let mut parts = Vec::new();
    if !problems.is_empty() {
        parts.push(format!("{} in {}", many(problems.len(), "problem"), many(files.len(), "file")));
    }
    if in_error > 0 {
        parts.push(format!("{in_error} of {} in error", many(versions.len(), "version")));
    }
    if versions.is_empty() && !no_compile {
        parts.push("no version was tried".to_owned());
    }
    parts.join(", ")
}

/// Makes every declared version as far as possible.
fn prepare_all(config: &Config) -> Result<Vec<Version>, CliError> {
    let preparer = trial::preparer(config)?;
    trial::wait_for(gather(config, &preparer))
}

async fn gather(config: &Config, preparer: &Preparer) -> Vec<Version> {
    let mut preparing = JoinSet::new();
    for (number, (key, service, spec)) in declared(config).enumerate() {
        let (service, mut spec, preparer) = (Arc::clone(service), spec.clone(), preparer.clone());
        // Whether targets are healthy is a question for the process that serves, and its answer is not the files'.
        if let BackendSpec::Upstream(upstream) = &mut spec.backend {
            upstream.health = None;
        }
        preparing.spawn(async move {
            let error = preparer.prepare(&key, &spec).await.err();
            (number, version(&key, &service, &spec, error))
        });
    }
    let total = preparing.len();
    let mut versions = Vec::with_capacity(total);
    while let Some(prepared) = preparing.join_next().await {
        versions.extend(prepared.ok());
        progress(versions.len(), total);
    }
    versions.sort_by_key(|(number, _)| *number);
    versions.into_iter().map(|(_, version)| version).collect()
}

fn version(
    key: &ServiceKey,
    service: &Service,
    spec: &VersionSpec,
    error: Option<StatusError>,
) -> Version {
    Version {
        environment: key.environment.to_string(),
        service: key.service.to_string(),
        version: spec.name.to_string(),
        file: service.file.display().to_string(),
        line: spec.place.line(),
        place: spec.place.clone(),
        status: if error.is_some() { "error" } else { "normal" },
        code: error.as_ref().map(|error| error.code.as_str()),
        detail: error.as_ref().map(|error| error.detail.clone()),
        suggestion: error.map(|error| error.suggestion),
    }
}

/// Shows progress to a person who waits; a script's log stays clean.
fn progress(done: usize, total: usize) {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let end = if done == total { "\r\x1b[K" } else { "" };
        // A terminal that is gone needs no progress.
        write!(err, "\rchecked {done} of {}{end}", many(total, "version")).ok();
    }
}

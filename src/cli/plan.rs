//! `watershed plan`: shows what a reload of the files would do.

use std::collections::HashSet;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use super::components::Digests;
use super::error::InError;
use super::json::{write_failed, write_json};
use super::process::{Process, ProcessError};
use super::site::here;
use super::table::harmless_lines;
use super::{CliError, WOULD_CHANGE, complete};
use crate::api::{ConfigQuery, Description, ErrorPlace, Plan, VersionRef, WayDocument};
use crate::config::{Config, Problem, Report, Warnings};
use crate::plan::Text;
use crate::source::Loader;

const EXAMPLES: &str = "\
Examples:
  watershed plan                                the files, and their process
  watershed plan --admin http://127.0.0.1:9090  the files, and that process
  watershed plan --config new/watershed.toml --from /etc/watershed
                                                two configurations, no process
  watershed plan --json | jq .services          for scripts";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The admin listener of the process to compare with [default: `[admin] listen` of the files]
    #[arg(long, value_name = "URL", add = complete::admins())]
    admin: Option<String>,
    /// The file with the token of that listener [default: `[admin] token-file` of the files]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Compare with another configuration: a watershed.toml, or its directory.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["admin", "token_file"])]
    from: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    /// Whether there is anything to do.
    changes: bool,
    before: &'a Place,
    after: &'a Place,
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(flatten)]
    beside: Beside<'a>,
}

/// What is told beside the plan.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Beside<'a> {
    /// What is right in the files and yet can hardly be meant.
    pub(super) warnings: &'a [Problem],
    /// Where a rollback goes.
    #[serde(flatten)]
    pub(super) way: Option<WayDocument>,
    /// Where the first version that cannot be normal is declared.
    #[serde(skip)]
    pub(super) place: Option<ErrorPlace>,
}

/// Where one side of the plan is from: a process, files, or a command that would edit them.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(super) struct Place {
    /// The admin listener of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    /// What the process serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// The main file.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<PathBuf>,
    /// The command, with its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

impl Place {
    pub(super) fn files(path: &Path) -> Self {
        Self { config: Some(path.to_owned()), ..Self::default() }
    }

    pub(super) fn command(command: &str) -> Self {
        Self { command: Some(command.to_owned()), ..Self::default() }
    }

    fn process(url: &str, generation: Option<u64>) -> Self {
        Self { process: Some(url.to_owned()), generation, ..Self::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, generation, config, command } = self;
        process.iter().try_for_each(|url| f.write_str(url))?;
        generation.iter().try_for_each(|generation| write!(f, ", generation {generation}"))?;
        config.iter().try_for_each(|path| write!(f, "{}", path.display()))?;
        command.iter().try_for_each(|command| f.write_str(command))
    }
}

pub(super) fn plan(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { admin, token_file, .. } = arguments;
    here(Loader::new(path).path(), admin.as_deref(), token_file.as_deref())?;
    let files = match Files::load(path) {
        Ok(files) => files,
        Err(report) if arguments.json => return Err(CliError::Config(report)),
        Err(report) => {
            writeln!(std::io::stdout().lock(), "{report}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let (before, place) = match &arguments.from {
        Some(from) => before_by_files(from)?,
        None => served(arguments, &files.config)?,
    };
    let (after, substituted) = files.describe(Some(&before))?;
    let plan = Plan::between(&before, &after);
    let warnings = [files.config.warnings.clone(), substituted].concat();
    let place_of_error = self::place(&plan, &files.config);
    let beside = Beside { warnings: &warnings, way: None, place: place_of_error };
    print(&plan, &place, &Place::files(path), beside, arguments.json)
}

/// Prints a plan, and says by the exit code whether it changes something. What is beside it changes nothing about that.
pub(super) fn print(
    plan: &Plan,
    before: &Place,
    after: &Place,
    beside: Beside<'_>,
    json: bool,
) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    let changes = !plan.is_empty();
    if json {
        let error = error(plan, beside.place.clone());
        let document = Document { changes, before, after, plan, beside };
        match error {
            None => write_json(&mut out, &document)?,
            Some(error) => write_failed(&mut out, error.document(), &document)?,
        }
    } else {
        write!(out, "before  {before}\nafter   {after}\n\n{}", text(plan))?;
        if !beside.warnings.is_empty() {
            writeln!(out, "\n{}", Warnings(beside.warnings))?;
        }
    }
    Ok(match (plan.errors.is_empty(), changes) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(WOULD_CHANGE),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// A plan for people, with paths as they lead from the current directory, and without what a terminal would obey: names
/// are as a process says them.
pub(super) fn text(plan: &Plan) -> String {
    let base = std::env::current_dir().unwrap_or_default();
    harmless_lines(&Text { plan, base: &base }.to_string())
}

fn served(arguments: &Arguments, config: &Config) -> Result<(Description, Place), CliError> {
    let Arguments { admin, token_file, .. } = arguments;
    let process = Process::new(admin.as_deref(), token_file.as_deref(), &config.admin);
    let process = process.map_err(CliError::NoneToCompare)?;
    described(&process, &ConfigQuery::default()).map_err(CliError::NoneToCompare)
}

/// That versions cannot be normal after the reload.
fn error(plan: &Plan, place: Option<ErrorPlace>) -> Option<CliError> {
    let versions = plan.errors.iter().map(|it| &it.version);
    let names = versions.map(|it| (it.version.as_str(), it.service.as_str()));
    let help = plan.errors.first().map(|first| first.fault.suggestion.clone());
    Some(CliError::InError(Box::new(InError::of(names, help, place)?)))
}

/// Where the files declare what serves the first version that cannot be normal.
fn place(plan: &Plan, config: &Config) -> Option<ErrorPlace> {
    let VersionRef { environment, service, version } = &plan.errors.first()?.version;
    let mut declared = config.environments.iter().filter(|it| it.name.as_str() == environment);
    let mut services = declared.next()?.services.iter();
    let service = services.find(|it| it.name.as_str() == service)?;
    let spec = service.versions.iter().find(|it| it.name.as_str() == version)?;
    Some(ErrorPlace::from(&spec.place.problem(&service.file, "", "")))
}

/// What a process serves of what a query asks for.
pub(super) fn described(
    process: &Process,
    query: &ConfigQuery,
) -> Result<(Description, Place), ProcessError> {
    let description: Description = process.get(&query.path())?;
    let generation = description.generation;
    Ok((description, Place::process(process.url(), generation)))
}

fn before_by_files(from: &Path) -> Result<(Description, Place), CliError> {
    let path = if from.is_dir() { from.join("watershed.toml") } else { from.to_owned() };
    let files = Files::load(&path).map_err(CliError::Config)?;
    Ok((files.describe(None)?.0, Place::files(&path)))
}

/// A configuration, and its directory.
struct Files {
    directory: PathBuf,
    config: Config,
}

impl Files {
    fn load(path: &Path) -> Result<Self, Report> {
        let mut loader = Loader::new(path);
        let config = loader.inspect().map_err(|rejected| rejected.report)?;
        Ok(Self { directory: loader.directory().to_owned(), config })
    }

    /// What a process that serves `before` would serve after the reload, and how far each version would get without
    /// compilation.
    fn describe(
        &self,
        before: Option<&Description>,
    ) -> Result<(Description, Vec<Problem>), CliError> {
        let Self { directory, config } = self;
        let mut digests = Digests::of(config)?;
        if let Some(process) = before.filter(|before| before.generation.is_some()) {
            let made: HashSet<_> = process.versions().filter_map(|(_, it)| it.digest()).collect();
            digests = digests.beside(config, |digest| made.contains(digest));
        }
        let standing = |spec: &_| digests.standing(spec);
        let description = Description::of_files(config, directory, before, standing);
        Ok((description, digests.warnings(config)))
    }
}

//! `watershed plan`: shows what a reload of the files would do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::CliError;
use super::common::write_json;
use super::components::Digests;
use super::process::Process;
use super::site::here;
use crate::api::{self, Description, Plan};
use crate::config::{Config, Problem, Report};
use crate::plan::Text;
use crate::source::Loader;

/// The exit code where there is something to do; 1 is an error.
const CHANGES: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  watershed plan                                  the files, and the process that they configure
  watershed plan --admin http://127.0.0.1:9090    the files, and that process
  watershed --config new/watershed.toml plan --from /etc/watershed
                                                  two configurations; no process is asked
  watershed plan --json | jq .services            for scripts

Exit codes: 0 nothing to do, 2 changes, 1 errors.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The admin listener of the process to compare with [default: `[admin] listen` of the files]
    #[arg(long, value_name = "URL")]
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
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// Whether there is no error.
    ok: bool,
    /// Whether there is anything to do.
    changes: bool,
    before: &'a str,
    after: &'a str,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// What `--json` prints where the files are wrong.
#[derive(Debug, Serialize)]
struct Wrong<'a> {
    ok: bool,
    problems: &'a [Problem],
}

pub(super) fn plan(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { admin, token_file, .. } = arguments;
    here(Loader::new(path).path(), admin.as_deref(), token_file.as_deref())?;
    let files = match Files::load(path) {
        Ok(files) => files,
        Err(report) => return wrong(&report, arguments.json),
    };
    let (before, name) = match &arguments.from {
        Some(from) => before_by_files(from)?,
        None => served(arguments, &files.config)?,
    };
    let after = files.describe(Some(&before))?;
    let plan = Plan::between(&before, &after);
    print(&plan, &name, &path.display().to_string(), arguments.json)?;
    Ok(match (plan.errors.is_empty(), plan.is_empty()) {
        (false, _) => ExitCode::FAILURE,
        (true, false) => ExitCode::from(CHANGES),
        (true, true) => ExitCode::SUCCESS,
    })
}

fn wrong(report: &Report, json: bool) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    if json {
        write_json(&mut out, &Wrong { ok: false, problems: &report.problems })?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(ExitCode::FAILURE)
}

fn print(plan: &Plan, before: &str, after: &str, json: bool) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    if json {
        let (ok, changes) = (plan.errors.is_empty(), !plan.is_empty());
        write_json(&mut out, &Document { ok, changes, before, after, plan })?;
        return Ok(());
    }
    let base = std::env::current_dir().unwrap_or_default();
    write!(out, "before  {before}\nafter   {after}\n\n{}", Text { plan, base: &base })?;
    Ok(())
}

/// What a process serves, and the name of that process in the output.
fn served(arguments: &Arguments, config: &Config) -> Result<(Description, String), CliError> {
    let Arguments { admin, token_file, .. } = arguments;
    let process = Process::new(admin.as_deref(), token_file.as_deref(), &config.admin);
    let process = process.map_err(CliError::NoneToCompare)?;
    let description: Description = process.get(api::CONFIG).map_err(CliError::NoneToCompare)?;
    let name = match description.generation {
        Some(generation) => format!("{}, generation {generation}", process.url()),
        None => process.url().to_owned(),
    };
    Ok((description, name))
}

fn before_by_files(from: &Path) -> Result<(Description, String), CliError> {
    let path = if from.is_dir() { from.join("watershed.toml") } else { from.to_owned() };
    let files = Files::load(&path).map_err(CliError::Config)?;
    Ok((files.describe(None)?, path.display().to_string()))
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
    fn describe(&self, before: Option<&Description>) -> Result<Description, CliError> {
        let Self { directory, config } = self;
        let digests = Digests::of(config)?;
        let standing = |spec: &_| digests.standing(spec);
        Ok(Description::of_files(config, directory, before, standing))
    }
}

//! `watershed env`: the environments that the files declare. It needs no process.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use schemars::JsonSchema;
use serde::Serialize;

use super::CliError;
use super::common::write_json;
use super::table::{self, Align};
use crate::source::{Loaded, Loader, Reading};

pub(super) const EXAMPLES: &str = "\
Examples:
  watershed env list
  watershed env list --json | jq -r '.environments[].domain'";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the environments of the files.
    #[command(after_help = EXAMPLES)]
    List {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What `--json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document {
    /// The main file, absolute.
    config: String,
    environments: Vec<Environment>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Environment {
    name: String,
    domain: String,
    /// The `services` path of the environment, as the main file has it.
    files: String,
    /// How many services it has.
    services: usize,
    /// How many of its files are wrong.
    wrong_files: usize,
}

pub(super) fn env(config: &Path, command: &Command) -> Result<ExitCode, CliError> {
    let Command::List { json } = command;
    let document = list(config)?;
    let mut out = std::io::stdout().lock();
    if *json {
        write_json(&mut out, &document)?;
    } else {
        print(&mut out, &document)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(path: &Path) -> Result<Document, CliError> {
    let mut loader = Loader::new(path);
    let loaded =
        loader.load(Reading::Everything).map_err(|wrong| CliError::Config(wrong.report))?;
    let Loaded { config, rejected, places, .. } = loaded;
    let mut wrong: HashMap<&str, usize> = HashMap::new();
    for rejection in &rejected {
        *wrong.entry(rejection.environment.as_str()).or_default() += 1;
    }
    let environments = config.environments.iter().zip(places);
    let environments = environments.map(|(environment, files)| Environment {
        name: environment.name.to_string(),
        domain: environment.domain.clone(),
        files,
        services: environment.services.len(),
        wrong_files: wrong.get(environment.name.as_str()).copied().unwrap_or(0),
    });
    let config = loader.path().display().to_string();
    Ok(Document { config, environments: environments.collect() })
}

fn print(out: &mut impl Write, document: &Document) -> Result<(), CliError> {
    let header = [
        ("ENVIRONMENT", Align::Left),
        ("DOMAIN", Align::Left),
        ("SERVICES", Align::Right),
        ("FILES", Align::Left),
        ("WRONG", Align::Right),
    ];
    let rows = document.environments.iter().map(|environment| {
        let Environment { name, domain, files, services, wrong_files } = environment;
        let (name, domain, files) = (name.clone(), domain.clone(), files.clone());
        [name, domain, services.to_string(), files, wrong_files.to_string()]
    });
    for line in table::lines(header, rows) {
        writeln!(out, "{line}")?;
    }
    if document.environments.iter().any(|environment| environment.wrong_files > 0) {
        writeln!(out, "\nsome files are wrong: `watershed check` says why")?;
    }
    Ok(())
}

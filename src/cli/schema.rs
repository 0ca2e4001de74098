//! `watershed schema`: what editors use to check and complete configuration files, and scripts to read output.

mod output;

use std::io::Write;
use std::process::ExitCode;

use clap::ValueEnum;

use super::CliError;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  watershed schema service > config/schema/service.json
  watershed schema output | jq '.[\"$defs\"].deploy'

An editor with the first line `#:schema schema/watershed.json` of a file checks and completes it.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// What to describe [default: one object with all of them]
    file: Option<File>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum File {
    /// watershed.toml
    Watershed,
    /// services/*.toml
    Service,
    /// What commands print with `--json`
    Output,
}

pub(super) fn schema(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let (watershed, service) = config::schema();
    let schema = match arguments.file {
        Some(File::Watershed) => watershed,
        Some(File::Service) => service,
        Some(File::Output) => output::schema(),
        None => {
            let output = output::schema();
            serde_json::json!({ "watershed": watershed, "service": service, "output": output })
        }
    };
    writeln!(std::io::stdout().lock(), "{schema:#}")?;
    Ok(ExitCode::SUCCESS)
}

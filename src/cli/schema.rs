//! `watershed schema`: what editors check and complete configuration files by.

use std::io::Write;
use std::process::ExitCode;

use clap::ValueEnum;

use super::CliError;
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose schema; without it, one object with both.
    file: Option<File>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum File {
    /// watershed.toml
    Watershed,
    /// services/*.toml
    Service,
}

pub(super) fn schema(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let (watershed, service) = config::schema();
    let schema = match arguments.file {
        Some(File::Watershed) => watershed,
        Some(File::Service) => service,
        None => serde_json::json!({ "watershed": watershed, "service": service }),
    };
    writeln!(std::io::stdout().lock(), "{schema:#}")?;
    Ok(ExitCode::SUCCESS)
}

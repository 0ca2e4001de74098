//! `watershed run`: serve until a signal.

use std::path::PathBuf;
use std::process::ExitCode;

use super::CliError;
use crate::{config, server};

pub(super) fn run(path: PathBuf) -> Result<ExitCode, CliError> {
    let config = config::load(&path).map_err(CliError::Config)?;
    server::run(path, config)?;
    Ok(ExitCode::SUCCESS)
}

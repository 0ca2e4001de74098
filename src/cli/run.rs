//! `watershed run`: serve until a signal.

use std::path::Path;
use std::process::ExitCode;

use super::CliError;
use crate::config::{Loaded, Loader, Reading, Report};
use crate::server;
use crate::telemetry::Telemetry;

pub(super) fn run(path: &Path, telemetry: Telemetry) -> Result<ExitCode, CliError> {
    let mut loader = Loader::new(path);
    let loaded =
        loader.load(Reading::Everything).map_err(|wrong| CliError::Config(wrong.report))?;
    let Loaded { config, rejected, .. } = &loaded;
    // One wrong file must not keep the other services down when a machine comes up again.
    if config.services().next().is_none() && !rejected.is_empty() {
        return Err(CliError::Config(Report::of(rejected)));
    }
    loader.keep(&loaded);
    server::run(loader, loaded, telemetry)?;
    Ok(ExitCode::SUCCESS)
}

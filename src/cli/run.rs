//! `watershed run`: serves until a signal.

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use super::CliError;
use crate::certificates::CertificateStore;
use crate::config::{Config, Report};
use crate::server::{self, Origin, StartError};
use crate::source::{Loaded, Loader, Reading, Rejected, Rejection};
use crate::telemetry::Telemetry;

pub(super) fn run(path: &Path, telemetry: Telemetry) -> Result<ExitCode, CliError> {
    let origin = Origin::find().map_err(StartError::from)?;
    let concerned = origin.concerned();
    serve(path, telemetry, origin).inspect_err(|error| concerned.hear(&in_short(error)))
}

fn serve(path: &Path, telemetry: Telemetry, origin: Origin) -> Result<ExitCode, CliError> {
    let mut loader = Loader::new(path);
    let loaded = load(&mut loader).map_err(|wrong| CliError::Config(wrong.report))?;
    let Loaded { config, rejected, .. } = &loaded;
    // One wrong file must not keep the other services down when a machine comes up again.
    let is_wrong = rejected.iter().any(|rejection| !rejection.report.is_transient());
    if config.services().next().is_none() && is_wrong {
        return Err(CliError::Config(Rejection::summary(rejected)));
    }
    let certificates = certificates(config)?;
    loader.keep(&loaded);
    server::run(loader, loaded, certificates, telemetry, origin)?;
    Ok(ExitCode::SUCCESS)
}

/// The certificates of HTTPS, if there is any. Those that cannot be used are told of, once the process runs.
fn certificates(config: &Config) -> Result<CertificateStore, CliError> {
    let wanted = config.server.tls.as_ref().map(|tls| tls.certificates.as_slice());
    let wrong = |problems| CliError::Config(Report { problems });
    CertificateStore::open(wanted.unwrap_or_default()).map_err(wrong)
}

/// An error in one line.
fn in_short(error: &CliError) -> String {
    match error {
        CliError::Config(report) => match report.problems.first() {
            Some(first) => format!("{}: {}", first.place(), first.message),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// Loads the files, and waits a few seconds for a transient error to pass: a file system may be mounted, or a server
/// reached, a little later than this process starts.
fn load(loader: &mut Loader) -> Result<Loaded, Rejected> {
    for pause in [100, 200, 400, 800, 1600].map(Duration::from_millis) {
        match loader.load(Reading::Everything) {
            Err(rejected) if rejected.is_transient => sleep(pause),
            loaded => return loaded,
        }
    }
    loader.load(Reading::Everything)
}

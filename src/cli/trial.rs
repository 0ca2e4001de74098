//! Whether a version can become normal, where no process runs that would say: it is made here, as
//! `check` does.

use super::CliError;
use crate::config::{Config, EnvironmentName, ServiceName, VersionSpec};
use crate::plan::Fault;
use crate::registry::{Programs, ServiceKey, StatusCode};
use crate::runtime::Engine;
use crate::server::pool_size;
use crate::telemetry::Telemetry;

/// Why a version cannot become normal. That its secrets are not on this machine is no reason: they
/// need not be.
///
/// # Errors
///
/// Where it cannot be tried here.
pub(super) fn try_out(
    config: &Config,
    environment: &EnvironmentName,
    service: &ServiceName,
    spec: &VersionSpec,
) -> Result<Option<Fault>, CliError> {
    let programs = Programs::new(Engine::new(pool_size(config))?, None, Telemetry::default());
    let key = ServiceKey { environment: environment.clone(), service: service.clone() };
    let runtime = tokio::runtime::Runtime::new()?;
    let made = runtime.block_on(programs.prepare(&key, spec));
    let error = made.err().filter(|error| error.code != StatusCode::SecretUnavailable);
    Ok(error.as_ref().map(Fault::from))
}

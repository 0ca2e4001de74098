//! Makes versions where no process runs, to find out whether they can become normal.

use super::CliError;
use crate::config::{Config, EnvironmentName, ServiceName, VersionSpec};
use crate::policy::Fault;
use crate::runtime::{CompileCache, Engine};
use crate::server::pool_size;
use crate::telemetry::Telemetry;
use crate::versions::{Preparer, ServiceKey, StatusCode};

/// Makes versions ready for a command. Compiled components are cached in the state directory, as by a server. Where
/// that directory cannot be used, a log line says so and all components are compiled.
///
/// # Errors
///
/// Where this machine has no room for the sandboxes that the files ask for.
pub(super) fn preparer(config: &Config) -> Result<Preparer, CliError> {
    let engine = Engine::new(pool_size(config))?;
    let cache = CompileCache::open_beside(&config.state.directory)
        .inspect_err(|error| tracing::info!("no compile cache: {error}"))
        .ok();
    Ok(Preparer::new(engine, cache, Telemetry::default()))
}

/// Why a version cannot become normal. Secrets that are missing on this machine are no reason.
///
/// # Errors
///
/// Where the version cannot be tried here.
pub(super) fn try_out(
    config: &Config,
    environment: &EnvironmentName,
    service: &ServiceName,
    spec: &VersionSpec,
) -> Result<Option<Fault>, CliError> {
    let preparer = preparer(config)?;
    let key = ServiceKey { environment: environment.clone(), service: service.clone() };
    let runtime = tokio::runtime::Runtime::new()?;
    let made = runtime.block_on(preparer.prepare(&key, spec));
    let error = made.err().filter(|error| error.code != StatusCode::SecretUnavailable);
    Ok(error.as_ref().map(Fault::from))
}

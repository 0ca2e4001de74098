//! Whether versions can become normal, where no process runs that would say: they are made here.

use super::CliError;
use crate::config::{Config, EnvironmentName, ServiceName, VersionSpec};
use crate::policy::Fault;
use crate::runtime::{CompileCache, Engine};
use crate::server::pool_size;
use crate::telemetry::Telemetry;
use crate::versions::{Preparer, ServiceKey, StatusCode};

/// Makes versions ready for a command. Compiled components come from the state directory and go there,
/// as with a server; where that directory cannot be used, a log line says so and all are compiled.
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
    let preparer = preparer(config)?;
    let key = ServiceKey { environment: environment.clone(), service: service.clone() };
    let runtime = tokio::runtime::Runtime::new()?;
    let made = runtime.block_on(preparer.prepare(&key, spec));
    let error = made.err().filter(|error| error.code != StatusCode::SecretUnavailable);
    Ok(error.as_ref().map(Fault::from))
}

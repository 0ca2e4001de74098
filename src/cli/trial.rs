//! Makes versions where no process runs, to find out whether they can become normal.

use std::path::PathBuf;
use std::time::Duration;

use super::CliError;
use crate::config::{Config, Digest, EnvironmentName, ServiceName, VersionSpec};
use crate::policy::Fault;
use crate::runtime::{CompileCache, Engine};
use crate::server::pool_size;
use crate::source::ComponentStore;
use crate::telemetry::Telemetry;
use crate::versions::{Preparer, ServiceKey, StatusCode};

/// Where components may be whose files are gone or changed: the store, and the compile cache.
#[derive(Clone, Debug)]
pub(super) struct Elsewhere {
    pub(super) store: ComponentStore,
    /// The state directory.
    pub(super) state: PathBuf,
}

impl Elsewhere {
    pub(super) fn of(config: &Config) -> Self {
        let store = ComponentStore::new(&config.components.directory);
        Self { store, state: config.state.directory.clone() }
    }

    /// Where a start would find a component: `store` or `cache`. `None` also where this user may not look.
    pub(super) fn holds(&self, service: &ServiceName, digest: &Digest) -> Option<&'static str> {
        if self.store.find(service, digest).is_some() {
            return Some("store");
        }
        // A command that only looks makes no directory.
        let cache = CompileCache::directory(&self.state).exists();
        let cache = cache.then(|| CompileCache::open_beside(&self.state).ok()).flatten()?;
        cache.holds(digest.as_bytes()).map(|_| "cache")
    }
}

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
    let store = ComponentStore::new(&config.components.directory);
    Ok(Preparer::new(engine, cache, Telemetry::default()).with_store(store))
}

/// What is left to do in other threads once a trial is over, such as to write the compile cache, has this long.
const REST: Duration = Duration::from_secs(1);

/// Waits for what versions are made ready by, and for nothing that has been given up: the resolver of the system may hang
/// for minutes, and nobody can interrupt it.
///
/// # Errors
///
/// Where this machine has no threads for it.
pub(super) fn wait_for<F: Future>(trial: F) -> Result<F::Output, CliError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let tried = runtime.block_on(trial);
    runtime.shutdown_timeout(REST);
    Ok(tried)
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
    let made = wait_for(preparer.prepare(&key, spec))?;
    let error = made.err().filter(|error| error.code != StatusCode::SecretUnavailable);
    Ok(error.as_ref().map(Fault::from))
}

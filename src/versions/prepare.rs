//! From a declared version to one that can serve: [`Preparer`] makes the version's backend ready and
//! looks up its counters. The reloader has every new version prepared, and `check` those of files.

use std::sync::Arc;

use super::backend::Backend;
use super::guest::{self, ProgramCache};
use super::snapshot::ServiceKey;
use super::status::StatusError;
use super::version::ReadyVersion;
use crate::config::{BackendSpec, VersionSpec};
use crate::outbound::Network;
use crate::runtime::{CompileCache, Engine};
use crate::source::ComponentStore;
use crate::telemetry::Telemetry;
use crate::upstream::{Targets, Upstream};

/// Makes versions ready, and keeps what several of them share. Cheap to clone: clones share it too.
#[derive(Clone, Debug)]
pub struct Preparer {
    programs: ProgramCache,
    targets: Targets,
    telemetry: Telemetry,
    network: Network,
}

impl Preparer {
    /// A preparer that has compiled nothing yet.
    pub fn new(engine: Engine, cache: Option<CompileCache>, telemetry: Telemetry) -> Self {
        let (programs, network) = (ProgramCache::new(engine, cache), guest::network());
        Self { programs, targets: Targets::default(), telemetry, network }
    }

    /// The same, which takes components from a store where their files are gone or changed.
    #[must_use]
    pub fn with_store(self, store: ComponentStore) -> Self {
        Self { programs: self.programs.with_store(store), ..self }
    }

    /// The network that the guests of all versions call into.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Takes a version from declared to normal.
    ///
    /// # Errors
    ///
    /// Why the version cannot become normal as its files are now, as its status says it.
    pub async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<ReadyVersion>, StatusError> {
        let backend = match &spec.backend {
            BackendSpec::Guest(declared) => {
                let shared = (&self.network, &self.telemetry);
                Backend::Guest(guest::prepare(&self.programs, shared, key, spec, declared).await?)
            }
            BackendSpec::Upstream(declared) => {
                Backend::Upstream(Upstream::prepare(declared, &spec.limits, &self.targets).await?)
            }
        };
        let meter = self.telemetry.version(
            key.environment.as_str(),
            key.service.as_str(),
            spec.name.as_str(),
        );
        let meter = match backend.usage() {
            Some(usage) => meter.using(usage),
            None => meter,
        };
        Ok(Arc::new(ReadyVersion::new(spec.clone(), backend, meter)))
    }

    /// Forgets every compiled program that none of these backends runs.
    pub fn keep_only<'a>(&self, backends: impl Iterator<Item = &'a Backend>) {
        self.programs.keep_only(&backends.filter_map(Backend::program).collect());
    }

    /// Forgets every program that did not compile, so that the next version which needs one tries
    /// again.
    pub fn forget_failed(&self) {
        self.programs.forget_failed();
    }
}

//! How the reloader has versions prepared. [`Preparer`] does it; tests have stand-ins.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::VersionSpec;
use crate::versions::{Backend, Preparer, ReadyVersion, ServiceKey, StatusError};

/// Prepares versions. A trait, so that tests can decide when each version is ready.
#[async_trait]
pub trait Prepare: Send + Sync {
    /// Takes a version from declared to normal, or says why it cannot be.
    async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<ReadyVersion>, StatusError>;

    /// Frees compiled code that none of these backends uses.
    fn keep_only(&self, normal: &[&Backend]);

    /// Forgets failed compilations, so that the next request for one tries again.
    fn forget_failed(&self);
}

#[async_trait]
impl Prepare for Preparer {
    async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<ReadyVersion>, StatusError> {
        Self::prepare(self, key, spec).await
    }

    fn keep_only(&self, normal: &[&Backend]) {
        Self::keep_only(self, normal.iter().copied());
    }

    fn forget_failed(&self) {
        Self::forget_failed(self);
    }
}

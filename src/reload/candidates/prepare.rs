//! What makes versions ready, as the reloader sees it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::VersionSpec;
use crate::versions::{Backend, Preparer, ReadyVersion, ServiceKey, StatusError};

/// What makes versions ready. A trait, so that a test can say when each is.
#[async_trait]
pub trait Prepare: Send + Sync {
    /// Takes a version from declared to normal, or says why it cannot be.
    async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<ReadyVersion>, StatusError>;

    /// Forgets what none of these backends uses.
    fn keep_only(&self, normal: &[&Backend]);

    /// Has everything that failed tried anew by whoever wants it next.
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

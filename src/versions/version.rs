//! A version that is ready to serve: its declaration, its backend, its counters, and the requests
//! that it still admits.

use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::backend::{Backend, Reserved};
use crate::config::{Digest, VersionSpec};
use crate::policy::Incumbent;
use crate::telemetry::VersionMeter;

/// A version whose status is `normal`. ReloadHandle that do not change the version keep this value.
#[derive(Debug)]
pub struct ReadyVersion {
    pub spec: VersionSpec,
    pub backend: Backend,
    /// The version's name, as the value of a response header.
    pub header: Option<HeaderValue>,
    pub meter: VersionMeter,
    /// Requests that the version may take beside those in flight.
    free: Arc<Semaphore>,
}

/// The right to serve one request of a version, and what its backend has reserved for that.
#[derive(Debug)]
pub struct Admission<'a> {
    pub reserved: Reserved<'a>,
    /// Given back when dropped.
    pub permit: OwnedSemaphorePermit,
}

impl ReadyVersion {
    /// A version that can take requests from now on.
    pub fn new(spec: VersionSpec, backend: Backend, meter: VersionMeter) -> Self {
        let concurrency = usize::try_from(spec.limits.concurrency.get()).unwrap_or(usize::MAX);
        let free = Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)));
        let header = HeaderValue::from_str(spec.name.as_str()).ok();
        Self { spec, backend, header, meter, free }
    }

    /// Admits one request. Waits for room at most as long as the version's queue time; `None` where
    /// there was none until then.
    pub async fn admit(&self) -> Option<Admission<'_>> {
        if let Some(admission) = self.try_admit() {
            return Some(admission);
        }
        let admission = async {
            let permit = self.free.clone().acquire_owned().await.ok()?;
            Some(Admission { reserved: self.backend.reserve().await?, permit })
        };
        tokio::time::timeout(self.spec.limits.queue_time, admission).await.ok().flatten()
    }

    fn try_admit(&self) -> Option<Admission<'_>> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Admission { reserved: self.backend.try_reserve()?, permit })
    }

    /// Whether nothing of what is to serve its requests can be asked.
    pub fn is_unhealthy(&self) -> bool {
        self.backend.upstream().is_some_and(|upstream| !upstream.is_healthy())
    }

    /// What it is made of.
    pub fn incumbent(&self) -> Incumbent<'_> {
        Incumbent { name: &self.spec.name, digest: Some(self.digest()), env: Some(self.spec.env()) }
    }

    /// Whether another version answers as this one does: it is made of the same, with the same environment and limits.
    pub fn is_made_as(&self, other: &Self) -> bool {
        let Self { spec: VersionSpec { name, remark: _, backend, limits, place: _ }, .. } = self;
        *name == other.spec.name
            && *backend == other.spec.backend
            && *limits == other.spec.limits
            && self.digest() == other.digest()
            && self.backend.secrets() == other.backend.secrets()
    }

    /// The digest of what serves the version: see [`Backend::digest`].
    pub fn digest(&self) -> Digest {
        self.backend.digest()
    }
}

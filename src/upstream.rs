//! The only client of the network. An [`Upstream`] is what serves a version over HTTP: a set of targets, with
//! their health, connections and counters. Each request is one [`Exchange`] with one target.

mod exchange;
mod failure;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;

use crate::config::{Digest, Limits, UpstreamSpec};
use crate::exchange::Fed;

pub use exchange::{Event, Exchange};
pub use failure::{Failure, FailureKind, PrepareError, Sent};
pub use target::Target;

/// What serves a version over the network.
#[derive(Debug)]
pub struct Upstream {
    spec: UpstreamSpec,
    limits: Limits,
    targets: Vec<Arc<Target>>,
    turn: AtomicUsize,
}

/// What is known of a request before one more attempt.
#[derive(Debug, Default)]
pub struct Attempt<'a> {
    /// What chooses the target where `balance = "hash"`.
    pub hash: u64,
    /// The targets that failed this request. They are asked again only if there is no other.
    pub tried: &'a [Arc<Target>],
    /// Whether the connection must be a new one, because a kept one had been closed.
    pub on_new_connection: bool,
}

impl Upstream {
    /// Looks up names, reads certificates, and begins to check targets.
    ///
    /// # Errors
    ///
    /// Where no address is known, or a file of TLS cannot be used.
    pub async fn prepare(spec: &UpstreamSpec, limits: &Limits) -> Result<Arc<Self>, PrepareError> {
        let targets = spec.targets.iter().map(|it| Arc::new(Target::new(it))).collect();
        let turn = AtomicUsize::new(0);
        Ok(Arc::new(Self { spec: spec.clone(), limits: limits.clone(), targets, turn }))
    }

    /// The digest of the declaration.
    pub fn digest(&self) -> Digest {
        self.spec.digest()
    }

    /// How requests are sent again.
    pub fn spec(&self) -> &UpstreamSpec {
        &self.spec
    }

    /// Starts a request at one target. Nothing is sent before the first event is pulled.
    ///
    /// # Errors
    ///
    /// Where no target is healthy. The request comes back.
    pub fn start(
        self: &Arc<Self>,
        request: Request<()>,
        body: Option<Fed>,
        _attempt: &Attempt<'_>,
    ) -> Result<Exchange, (Failure, Request<()>)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match self.targets.get(turn % self.targets.len().max(1)) {
            Some(target) => Ok(Exchange::new(self, target, request, body, &self.limits)),
            None => Err((Failure::unhealthy(), request)),
        }
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {}
}

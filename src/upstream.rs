//! The only client of the network. An [`Upstream`] is what serves a version over HTTP: a set of targets, with
//! their health, connections and counters. Each request is one [`Exchange`] with one target.

mod call;
mod connect;
mod exchange;
mod failure;
mod http1;
mod http2;
mod pool;
mod resolve;
mod stream;
mod target;
mod targets;
mod timer;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use http::Request;
use tokio::time::Instant;

use crate::config::{Digest, Limits, TargetAddress, UpstreamSpec};
use crate::exchange::Fed;

pub use call::Call;
pub use exchange::{Event, Exchange};
pub use failure::{Failure, FailureKind, PrepareError, Sent};
pub use target::{Counters, Settings, Target};
pub use targets::Targets;

/// What serves a version over the network.
#[derive(Debug)]
pub struct Upstream {
    spec: UpstreamSpec,
    limits: Limits,
    registry: Targets,
    settings: Settings,
    /// Read by every request, replaced when names stand for other addresses.
    set: ArcSwap<Vec<Arc<Target>>>,
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
    /// Looks up names, reads certificates, and begins to check targets. Targets that other versions name with the same
    /// settings are theirs too.
    ///
    /// # Errors
    ///
    /// Where no address is known, or a file of TLS cannot be used.
    pub async fn prepare(
        spec: &UpstreamSpec,
        limits: &Limits,
        targets: &Targets,
    ) -> Result<Arc<Self>, PrepareError> {
        let mut addresses = Vec::new();
        for target in &spec.targets {
            addresses.push(look_up(&target.address).await?);
        }
        let upstream = Self {
            settings: Settings::new(spec, None),
            spec: spec.clone(),
            limits: limits.clone(),
            registry: targets.clone(),
            set: ArcSwap::default(),
            turn: AtomicUsize::new(0),
        };
        upstream.renew(&addresses);
        Ok(Arc::new(upstream))
    }

    /// Takes other addresses for the declared targets: of each target those of its name, in the order of declaration.
    /// What is known of addresses that stay, stays.
    pub fn renew(&self, addresses: &[Vec<SocketAddr>]) {
        let mut set = Vec::new();
        for (target, addresses) in self.spec.targets.iter().zip(addresses) {
            for address in addresses {
                set.push(self.registry.get(&target.address, *address, &self.settings));
            }
        }
        self.set.store(Arc::new(set));
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
        attempt: &Attempt<'_>,
    ) -> Result<Exchange, (Failure, Request<()>)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let set = self.set.load();
        match set.get(turn % set.len().max(1)) {
            Some(target) => {
                let call = Call::new(self.clone(), target.clone(), Instant::now());
                Ok(Exchange::new(call, request, body, &self.limits, attempt.on_new_connection))
            }
            None => Err((Failure::unhealthy(), request)),
        }
    }

    /// Whether one more retry is within the budget. Takes it from there.
    pub fn may_retry(&self) -> bool {
        true
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        for target in self.set.load().iter() {
            target.pool().sweep();
        }
    }

    fn count_failure(&self, _target: &Arc<Target>, _why: &str) {}

    fn count_success(&self, _target: &Arc<Target>) {}
}

/// Every address of a target.
async fn look_up(target: &TargetAddress) -> Result<Vec<SocketAddr>, PrepareError> {
    let (name, port) = match target {
        TargetAddress::Address(address) => return Ok(vec![*address]),
        TargetAddress::Name(name, port) => (name, *port),
    };
    let unresolved = |reason: String| PrepareError::Unresolved { name: name.clone(), reason };
    let found = tokio::net::lookup_host((name.as_str(), port)).await;
    let found: Vec<_> = found.map_err(|error| unresolved(error.to_string()))?.collect();
    match found.is_empty() {
        true => Err(unresolved("it has no address".to_owned())),
        false => Ok(found),
    }
}

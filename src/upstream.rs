//! The only client of the network. An [`Upstream`] is what serves a version over HTTP: a set of targets, with
//! their health, connections and counters. Each request is one [`Exchange`] with one target.

mod balance;
mod budget;
mod call;
mod connect;
mod eject;
mod exchange;
mod failure;
mod health;
mod http1;
mod http2;
mod moment;
mod pool;
mod probe;
mod resolve;
mod shared;
mod state;
mod stream;
mod target;
mod targets;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config::{Digest, Limits, Protocol, TargetAddress, UpstreamSpec};
use crate::exchange::{Fed, RequestHead};
use balance::{Member, TargetSet};
use budget::Budget;
use eject::Ejection;
use resolve::{Following, Found, Names};
use tls::Tls;

pub use call::Call;
pub use exchange::{Event, Exchange};
pub use failure::{Failure, FailureKind, PrepareError, Sent};
pub use probe::{Silent, silent};
pub use state::{Health, Standing, TargetState};
pub use target::{Counters, Settings, Target};
pub use targets::Targets;

/// What serves a version over the network.
#[derive(Debug)]
pub struct Upstream {
    spec: UpstreamSpec,
    limits: Limits,
    registry: Targets,
    settings: Settings,
    /// What the names of the targets stand for.
    found: ArcSwap<Found>,
    following: OnceLock<Following>,
    /// Read by every request, replaced when names stand for other addresses.
    set: ArcSwap<TargetSet>,
    renewed: Arc<Notify>,
    budget: Budget,
    /// Held while it is decided whether one more target may be ejected.
    ejecting: Mutex<()>,
    checking: OnceLock<AbortHandle>,
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
    /// settings are theirs too. Waits for the first check of each target, three seconds at most.
    ///
    /// # Errors
    ///
    /// Where no address is known, or a file of TLS cannot be used.
    pub async fn prepare(
        spec: &UpstreamSpec,
        limits: &Limits,
        targets: &Targets,
    ) -> Result<Arc<Self>, PrepareError> {
        let tls = match &spec.protocol {
            Protocol::Tls(tls) => Some(Arc::new(Tls::prepare(tls, targets.roots()).await?)),
            Protocol::Http1 | Protocol::H2c => None,
        };
        let declared: Vec<_> = spec.targets.iter().map(|target| target.address.clone()).collect();
        let found = Found::first(targets.names(), &declared).await?;
        let upstream = Arc::new(Self::new(spec, limits, targets, tls));
        upstream.renew(&found.addresses);
        upstream.follow(targets.names(), declared, found);
        if spec.health.is_some() {
            let checking = tokio::spawn(health::keep_checking(Arc::downgrade(&upstream)));
            upstream.checking.get_or_init(|| checking.abort_handle());
            health::first_checks(upstream.set().members()).await;
        }
        Ok(upstream)
    }

    fn new(spec: &UpstreamSpec, limits: &Limits, targets: &Targets, tls: Option<Arc<Tls>>) -> Self {
        Self {
            settings: Settings::new(spec, tls),
            spec: spec.clone(),
            limits: limits.clone(),
            registry: targets.clone(),
            found: ArcSwap::default(),
            following: OnceLock::new(),
            set: ArcSwap::from_pointee(TargetSet::new(Vec::new(), spec.balance)),
            renewed: Arc::default(),
            budget: Budget::new(spec.retry.budget),
            ejecting: Mutex::default(),
            checking: OnceLock::new(),
        }
    }

    /// Takes other addresses for the declared targets: of each target those of its name, in the order of declaration.
    /// Each has the target's weight. What is known of addresses that stay, stays.
    pub fn renew(&self, addresses: &[Vec<SocketAddr>]) {
        let UpstreamSpec { targets, health, host, eject, balance, .. } = &self.spec;
        let mut members: Vec<Member> = Vec::new();
        for (spec, addresses) in targets.iter().zip(addresses) {
            for address in addresses {
                let target = self.registry.get(&spec.address, *address, &self.settings);
                // A resolver may say an address twice.
                if members.iter().any(|member| Arc::ptr_eq(&member.target, &target)) {
                    continue;
                }
                let checks = health.as_ref().map(|health| target.checks(health, host));
                let ejection = eject.as_ref().map(|eject| target.ejection(eject));
                members.push(Member::new(target, spec.weight.get(), checks, ejection));
            }
        }
        self.set.store(Arc::new(TargetSet::new(members, *balance)));
        self.renewed.notify_one();
    }

    /// Looks names up again for as long as the upstream is there.
    fn follow(self: &Arc<Self>, names: &Names, targets: Vec<TargetAddress>, found: Found) {
        let (upstream, every) = (Arc::downgrade(self), self.spec.resolve);
        self.found.store(Arc::new(found.clone()));
        let take = move |found: &Found| match upstream.upgrade() {
            Some(upstream) => {
                upstream.renew(&found.addresses);
                upstream.found.store(Arc::new(found.clone()));
                true
            }
            None => false,
        };
        let following = resolve::follow(names.clone(), targets, every, found, take);
        self.following.get_or_init(|| Following::spawn(following));
    }

    /// The targets whose names cannot be looked up now, and why. What was known of them before stays.
    pub fn unresolved(&self) -> Vec<(TargetAddress, String)> {
        let found = self.found.load();
        let targets = self.spec.targets.iter().zip(&found.troubles);
        targets.filter_map(|(target, why)| Some((target.address.clone(), why.clone()?))).collect()
    }

    /// Why a process that starts now would know no address of any target, where that is so.
    pub fn lost(&self) -> Option<PrepareError> {
        let unresolved = self.unresolved();
        let is_all = unresolved.len() == self.spec.targets.len();
        let (target, reason) = unresolved.into_iter().next().filter(|_| is_all)?;
        Some(PrepareError::Unresolved { name: target.host(), reason })
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
    /// Where no target is healthy.
    pub fn start(
        self: &Arc<Self>,
        request: impl Into<RequestHead>,
        body: Option<Fed>,
        attempt: &Attempt<'_>,
    ) -> Result<Exchange, Failure> {
        let now = Instant::now();
        if attempt.tried.is_empty() && !attempt.on_new_connection {
            self.budget.count_request(now);
        }
        let set = self.set.load();
        match set.pick(attempt, now) {
            Some(member) => {
                let call = Call::new(self, member, now);
                let request = request.into();
                Ok(Exchange::new(call, request, body, &self.limits, attempt.on_new_connection))
            }
            None => Err(Failure::unhealthy()),
        }
    }

    /// Whether one more retry is within the budget. Takes it from there.
    pub fn may_retry(&self) -> bool {
        self.budget.take(Instant::now())
    }

    /// Whether some target may be asked. Targets are unhealthy by their checks only: failed requests never take the
    /// last one. Cheap enough to be asked for every request.
    pub fn is_healthy(&self) -> bool {
        self.spec.health.is_none() || self.set.load().is_healthy()
    }

    /// Each target as it is now.
    pub fn states(&self) -> Vec<TargetState> {
        let now = Instant::now();
        self.set.load().members().iter().map(|member| TargetState::of(member, now)).collect()
    }

    /// Where its targets stand, to be compared with how they stood before. Cheaper than [`states`](Self::states).
    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        let set = self.set.load();
        Standing {
            targets: set
                .members()
                .iter()
                .map(|it| (it.target.address(), state::word(it, now)))
                .collect(),
            unresolved: self.found.load().troubles.iter().map(Option::is_some).collect(),
        }
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        for member in self.set.load().members() {
            member.target.pool().sweep();
        }
    }

    fn set(&self) -> Arc<TargetSet> {
        self.set.load_full()
    }

    /// Notified once for each time that targets were renewed.
    fn renewed(&self) -> Arc<Notify> {
        self.renewed.clone()
    }

    fn limits_of_checks(&self, timeout: Duration) -> Limits {
        Limits { wall_time: timeout, ..self.limits.clone() }
    }

    /// Ejects a target for its failures. Where too few would be left, the one that was ejected first returns for it.
    fn eject(&self, target: &Arc<Target>, ejection: &Ejection, why: &str, now: Instant) {
        let Some(spec) = &self.spec.eject else { return };
        let _deciding = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let set = self.set.load();
        if !set.may_eject(target, spec.at_most, now) {
            let returns = set.to_return(target, now).and_then(|member| member.ejection.as_ref());
            let Some(returns) = returns else { return };
            returns.end(now);
        }
        let length = ejection.eject(now, why);
        let (declared, address) = (target.declared(), target.address());
        tracing::warn!(%address, "target {declared} gets no requests for {length:?}: {why}");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.checking.get().map(AbortHandle::abort);
    }
}

#[cfg(test)]
mod tests;

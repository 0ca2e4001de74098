//! One request at a target, counted from its start to its end. An [`Exchange`](super::Exchange) holds it and says what
//! comes of it.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::balance::Member;
use super::eject::Ejection;
use super::failure::{Failure, FailureKind, Sent};
use super::{Target, Upstream};

/// A request under way at a target. It ends when it is dropped. What is not told of is not the target's fault: where the
/// client goes away, nothing but the request is counted.
#[derive(Debug)]
pub struct Call {
    upstream: Arc<Upstream>,
    target: Arc<Target>,
    ejection: Option<Arc<Ejection>>,
    started: Instant,
    is_counted: bool,
    /// Whether the target did what it should, as far as the response went.
    is_good: bool,
}

impl Call {
    pub(super) fn new(upstream: &Arc<Upstream>, member: &Member, now: Instant) -> Self {
        member.target.counters().begin();
        Self {
            upstream: upstream.clone(),
            target: member.target.clone(),
            ejection: member.ejection.clone(),
            started: now,
            is_counted: true,
            is_good: false,
        }
    }

    /// A call that no client's request is behind, and that nothing is concluded from.
    pub(super) fn uncounted(upstream: Arc<Upstream>, target: Arc<Target>) -> Self {
        let started = Instant::now();
        Self { upstream, target, ejection: None, started, is_counted: false, is_good: false }
    }

    /// The target that was asked.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// The upstream that asks.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// When the request was given to the target.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The head of the response has come.
    pub fn answered(&mut self, status: StatusCode) {
        if !self.is_counted {
            return;
        }
        self.target.counters().count_latency(self.started.elapsed());
        self.is_good = !status.is_server_error();
        if !self.is_good {
            self.count_fault(&format!("status {}", status.as_u16()), true);
        }
    }

    /// The target failed the request. A kept connection that its target had closed, and a request that the target did
    /// not take, are no faults: both are what targets do that restart in good order.
    pub fn failed(&mut self, failure: &Failure) {
        let is_fault = !failure.is_stale && failure.sent != Sent::Refused;
        if self.is_counted && is_fault && failure.kind != FailureKind::Unhealthy {
            self.is_good = false;
            // A response may pause for reasons that are not the target's: it ejects nobody.
            self.count_fault(&failure.detail, failure.kind != FailureKind::IdleTime);
        }
    }

    fn count_fault(&self, why: &str, may_eject: bool) {
        self.target.counters().count_error();
        let Some(ejection) = self.ejection.as_ref().filter(|_| may_eject) else { return };
        let now = Instant::now();
        if ejection.count_failure(now) {
            self.upstream.eject(&self.target, ejection, why, now);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.is_counted {
            self.target.counters().end();
        }
        if let Some(ejection) = self.ejection.as_ref().filter(|_| self.is_good) {
            ejection.count_success();
        }
    }
}

//! One request at a target, counted from its start to its end. An [`Exchange`](super::Exchange) holds it and says what
//! comes of it.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::failure::{Failure, FailureKind, Sent};
use super::{Target, Upstream};

/// A request under way at a target. It ends when it is dropped. What is not told of is not the target's fault: where the
/// client goes away, nothing but the request is counted.
#[derive(Debug)]
pub struct Call {
    upstream: Arc<Upstream>,
    target: Arc<Target>,
    started: Instant,
    /// Whether the target did what it should, as far as the response went.
    is_good: bool,
}

impl Call {
    pub(super) fn new(upstream: Arc<Upstream>, target: Arc<Target>, now: Instant) -> Self {
        target.counters().begin();
        Self { upstream, target, started: now, is_good: false }
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
        if is_fault && failure.kind != FailureKind::Unhealthy {
            self.is_good = false;
            self.count_fault(&failure.detail, failure.kind != FailureKind::IdleTime);
        }
    }

    fn count_fault(&self, why: &str, may_eject: bool) {
        self.target.counters().count_error();
        if may_eject {
            self.upstream.count_failure(&self.target, why);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.target.counters().end();
        if self.is_good {
            self.upstream.count_success(&self.target);
        }
    }
}

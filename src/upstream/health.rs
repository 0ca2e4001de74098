//! Active health: targets are asked whether they are well.
//!
//! [`Checks`] are what is known of a target by the checks of one [`HealthSpec`]. They belong to the target, so upstreams
//! that check it in the same way share them, over reloads too; upstreams that check it in another way know it in another
//! way. Whoever of them comes first when a check is due does it, so a target is not checked more often where more
//! upstreams name it. Each upstream has one task for that, which ends with it.
//!
//! The first check is made at once, and a version waits for it before it is `normal`; so no request goes to a target
//! that was down all along. That check decides alone, and where it fails, so does the first success; from then on
//! `healthy` and `unhealthy` count.

mod ask;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use rand::RngExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::balance::Member;
use super::moment::Moment;
use super::{Target, Upstream};
use crate::config::HealthSpec;

/// How long a version that is being made waits for its first checks. They go on, if they take longer.
const WAIT: Duration = Duration::from_secs(3);

/// How far two intervals may differ from the declared one, so that checks of many targets and replicas spread out.
const JITTER: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// What checks say of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The first check is under way.
    Unchecked,
    Healthy,
    Unhealthy,
}

/// The checks of one target by one specification.
#[derive(Debug)]
pub(super) struct Checks {
    spec: HealthSpec,
    verdict: AtomicU8,
    /// When the target became healthy again.
    returned: Moment,
    last: Mutex<Last>,
    decided: Notify,
}

/// What is known beside the verdict.
#[derive(Clone, Debug)]
pub(super) struct Last {
    /// Since when the verdict is what it is.
    pub since: SystemTime,
    /// How the last check failed; none if it did not.
    pub why: Option<String>,
    /// Checks that speak against the verdict.
    in_a_row: u32,
    was_healthy: bool,
    /// When the next check is due. None while one is made.
    due: Option<Instant>,
}

impl Checks {
    pub fn new(spec: &HealthSpec) -> Self {
        let last = Last {
            since: SystemTime::now(),
            why: None,
            in_a_row: 0,
            was_healthy: false,
            due: Some(Instant::now()),
        };
        Self {
            spec: spec.clone(),
            verdict: AtomicU8::new(Verdict::Unchecked as u8),
            returned: Moment::none(),
            last: Mutex::new(last),
            decided: Notify::new(),
        }
    }

    pub fn verdict(&self) -> Verdict {
        match self.verdict.load(Ordering::Relaxed) {
            verdict if verdict == Verdict::Healthy as u8 => Verdict::Healthy,
            verdict if verdict == Verdict::Unhealthy as u8 => Verdict::Unhealthy,
            _ => Verdict::Unchecked,
        }
    }

    /// When the target became healthy again, if it was unhealthy.
    pub fn returned(&self) -> Option<Instant> {
        self.returned.get()
    }

    pub fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first check.
    async fn decided(&self) {
        loop {
            let decided = self.decided.notified();
            if self.verdict() != Verdict::Unchecked {
                return;
            }
            decided.await;
        }
    }

    /// Takes the check that is due; none where another takes it, or it is not due.
    fn claim(self: &Arc<Self>, now: Instant) -> Option<Claim> {
        let mut last = self.last();
        last.due.take_if(|due| *due <= now)?;
        Some(Claim(self.clone()))
    }

    /// When somebody should look again: where a check is under way, it is not known when it ends.
    fn next(&self, now: Instant) -> Instant {
        self.last().due.unwrap_or(now + self.spec.timeout + self.spec.interval)
    }

    fn set(&self, verdict: Verdict) {
        self.verdict.store(verdict as u8, Ordering::Relaxed);
        self.decided.notify_waiters();
    }

    /// Takes the result of a check.
    pub fn note(&self, target: &Target, result: Result<(), String>, now: Instant) {
        let mut last = self.last();
        let is_well = result.is_ok();
        // What made it unhealthy is told for as long as it is.
        if !is_well || self.verdict() != Verdict::Unhealthy {
            last.why = result.err();
        }
        let (needed, next) = match self.verdict() {
            Verdict::Unchecked => (1, if is_well { Verdict::Healthy } else { Verdict::Unhealthy }),
            Verdict::Healthy if is_well => return last.in_a_row = 0,
            Verdict::Unhealthy if !is_well => return last.in_a_row = 0,
            Verdict::Healthy => (self.spec.unhealthy.get(), Verdict::Unhealthy),
            Verdict::Unhealthy if !last.was_healthy => (1, Verdict::Healthy),
            Verdict::Unhealthy => (self.spec.healthy.get(), Verdict::Healthy),
        };
        last.in_a_row += 1;
        if last.in_a_row < needed {
            return;
        }
        if next == Verdict::Healthy && last.was_healthy {
            self.returned.set(now);
        }
        if is_well {
            last.why = None;
        }
        last.was_healthy |= next == Verdict::Healthy;
        (last.in_a_row, last.since) = (0, SystemTime::now());
        tell(target, next, last.why.as_deref());
        self.set(next);
    }
}

fn tell(target: &Target, verdict: Verdict, why: Option<&str>) {
    let (declared, address) = (target.declared(), target.address());
    match why {
        Some(why) => tracing::warn!(%address, "target {declared} is unhealthy: {why}"),
        None if verdict == Verdict::Healthy => {
            tracing::info!(%address, "target {declared} is healthy");
        }
        None => tracing::info!(%address, "target {declared} is not checked yet"),
    }
}

/// The right to make one check. The next one is due an interval after it is dropped, however it ends.
#[derive(Debug)]
struct Claim(Arc<Checks>);

impl Drop for Claim {
    fn drop(&mut self) {
        let factor = rand::rng().random_range(JITTER);
        let next = Instant::now() + self.0.spec.interval.mul_f64(factor);
        self.0.last().due = Some(next);
    }
}

/// Waits until every target had its first check, but no longer than a version should take to be made.
pub(super) async fn first_checks(members: &[Member]) {
    let checks = members.iter().filter_map(|member| member.checks.as_ref());
    let all = async {
        for checks in checks {
            checks.decided().await;
        }
    };
    // Targets that are slow to answer are asked when no other is left, until their check ends.
    tokio::time::timeout(WAIT, all).await.ok();
}

/// Checks the targets of an upstream, as long as it lasts.
pub(super) async fn keep_checking(upstream: Weak<Upstream>) {
    let mut under_way = JoinSet::new();
    while let Some(strong) = upstream.upgrade() {
        let now = Instant::now();
        let mut next = now + *HealthSpec::INTERVAL.end();
        for member in strong.set().members() {
            let Some(checks) = &member.checks else { continue };
            if let Some(claim) = checks.claim(now) {
                under_way.spawn(check(claim, strong.clone(), member.target.clone()));
            }
            next = next.min(checks.next(now));
        }
        let renewed = strong.renewed();
        drop(strong);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = renewed.notified() => {}
            // Its next check may be due before all others. A check that panicked is told of by `check`.
            Some(_) = under_way.join_next() => {}
        }
    }
}

async fn check(claim: Claim, upstream: Arc<Upstream>, target: Arc<Target>) {
    let spec = claim.0.spec.clone();
    let asking = ask::ask(upstream, target.clone(), spec.clone());
    // In a task of its own: where a library panics, the check has failed, and the next ones are made all the same.
    let mut asking = JoinSet::from_iter([tokio::time::timeout(spec.timeout, asking)]);
    let result = match asking.join_next().await {
        Some(Ok(Ok(result))) => result,
        Some(Ok(Err(_))) => Err(format!("no answer within {:?}", spec.timeout)),
        Some(Err(panicked)) => Err(format!("the check stopped: {panicked}")),
        None => return,
    };
    claim.0.note(&target, result, Instant::now());
}

#[cfg(test)]
mod tests;

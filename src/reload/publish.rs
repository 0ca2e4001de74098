//! Publishing: makes the next generation from the stale services, records it in the history, and
//! gives it to requests. Called by the reloader only.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::stale::Stale;
use super::{LOG, Reloader};
use crate::versions::{Decider, ServiceEntry, ServiceKey, Snapshot, Update};

/// How long a publish waits for versions that need no compilation, so that most edits are one
/// generation and not two.
pub(super) const PUBLISH_PATIENCE: Duration = Duration::from_millis(150);

/// The longest such wait while the versions of the start are compiled. A publish takes longer the
/// more services there are, and without this wait a start with a hundred thousand services would
/// mostly publish.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// The nice value of the reloading thread, see nice(2). On a machine without a core to spare, it gets a
/// third of a serving thread's time: at 10 it would be a tenth, and a version that must be cut off
/// would wait.
const NICE: i32 = 5;

impl Reloader {
    /// Publishes the next generation, after a short wait for versions that are nearly ready.
    pub(super) async fn publish(&mut self) {
        self.await_turn().await;
        let patience = tokio::time::sleep(self.patience);
        tokio::pin!(patience);
        while self.versions.are_creating() {
            tokio::select! {
                prepared = self.versions.prepared() => { self.accept(prepared); }
                () = &mut patience => break,
            }
        }
        let started = Instant::now();
        let before = self.live.load();
        let generation = self.journal.next(before.generation).await;
        let (snapshot, keys) = self.next(generation, &before);
        let snapshot = Arc::new(snapshot);
        // Recorded before it is served, so that the history has every generation that was served,
        // even if the process is killed.
        self.journal.record(&before, &snapshot, keys.as_ref()).await;
        self.telemetry.published(generation);
        let (changed, gone) = differences(&before, &snapshot, keys.as_ref());
        for service in &changed {
            let ServiceKey { environment, service: name } = &service.key;
            match &service.held {
                Some(why) if service.is_settled() => {
                    let instead = instead(&service.decider);
                    tracing::warn!(target: LOG, %environment, service = %name, "{instead}: {why}");
                }
                Some(why) => {
                    tracing::debug!(target: LOG, %environment, service = %name, "not served yet: {why}");
                }
                None => {}
            }
            if let Some(warning) = service.warning() {
                tracing::warn!(target: LOG, %environment, service = %name, "{warning}");
            }
        }
        if !gone.is_empty() {
            let what = "not declared any more: requests for its domains get 404 `no-service`";
            tracing::warn!(target: LOG, services = named(&gone), "{what}");
        }
        changed.iter().chain(&gone).for_each(|service| self.news.of(&service.key));
        let services = (!changed.is_empty()).then(|| named(&changed));
        drop((changed, gone));
        self.journal.settle(&snapshot);
        self.live.publish(snapshot);
        self.news.tell(&self.live);
        let took_us = started.elapsed().as_micros();
        tracing::info!(target: LOG, generation, took_us, services, "published");
        if self.versions.are_creating() {
            if !self.is_settled {
                self.patience = (started.elapsed() * 3).clamp(PUBLISH_PATIENCE, START_PATIENCE);
            }
            return;
        }
        if !std::mem::replace(&mut self.is_settled, true) {
            yield_to_requests();
        }
        self.patience = PUBLISH_PATIENCE;
        self.versions.forget_others();
        self.reloads.settle();
    }

    /// The next generation, and the services in which it may differ from the one before; `None` if
    /// any may differ.
    fn next(
        &mut self,
        generation: u64,
        before: &Snapshot,
    ) -> (Snapshot, Option<HashSet<ServiceKey>>) {
        let stale = std::mem::replace(&mut self.stale, Stale::none());
        let is_few = |services: usize| services * 8 < before.services.len() + 64;
        let services = match stale {
            Stale::Some(services) if before.generation > 0 && is_few(services.len()) => services,
            _ => {
                let statuses = self.versions.statuses(&self.config);
                let next = Snapshot::numbered(generation, before, &self.config, &statuses);
                let secretive = next.services.iter().filter(|service| service.has_secret());
                self.with_secret = secretive.map(|service| service.key.clone()).collect();
                return (next, None);
            }
        };
        let keys: HashSet<_> = services.keys().cloned().collect();
        let updates = services.into_iter().map(|(key, now)| {
            let now = now.map(|now| {
                let statuses = self.versions.statuses_of(&key, &now);
                (now, statuses)
            });
            Update { key, now }
        });
        let next = Snapshot::updated(generation, before, updates.collect());
        for key in &keys {
            self.with_secret.remove(key);
            if next.get(key).is_some_and(|service| service.has_secret()) {
                self.with_secret.insert(key.clone());
            }
        }
        (next, Some(keys))
    }

    /// Marks the services whose override secret has changed. Returns whether there are any.
    pub(super) fn has_stale_secret(&mut self) -> bool {
        let live = self.live.load();
        let entries = self.with_secret.iter().filter_map(|key| live.get(key));
        let mut is_any = false;
        for entry in entries.filter(|entry| entry.has_stale_secret()) {
            self.stale.touch(&entry.key, || Some(entry.declared.clone()));
            is_any = true;
        }
        is_any
    }
}

/// Lowers the priority of the thread that publishes, so that requests go first. Files are read by
/// threads for blocking work, which keep their priority.
fn yield_to_requests() {
    // On Linux, this sets the priority of the calling thread only.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(target: LOG, "the priority of the reloader is not lowered: {error}");
    }
}

/// What requests get of a service that is not served as it is declared.
fn instead(decider: &Decider) -> String {
    let shares = decider.shares();
    let shares = shares.iter().map(|(version, share)| format!("{} {share} %", version.spec.name));
    match (decider.takes_traffic(), decider.is_nothing()) {
        (true, _) => {
            let shares = shares.collect::<Vec<_>>().join(", ");
            format!("what is declared is not served, but {shares}")
        }
        (false, true) => decider.instead_of_nothing(),
        (false, false) => "it stays offline, and requests get 503 `offline`".to_owned(),
    }
}

/// How many services one publish names in the log; the others are counted.
const NAMED: usize = 5;

/// The services that a publish changes, and those that it takes away. `keys` are the services that
/// may differ; without them, any may.
fn differences<'a>(
    before: &'a Snapshot,
    after: &'a Snapshot,
    keys: Option<&HashSet<ServiceKey>>,
) -> (Vec<&'a Arc<ServiceEntry>>, Vec<&'a Arc<ServiceEntry>>) {
    let is_changed = |entry: &&Arc<ServiceEntry>| entry.since == after.generation;
    let is_gone = |entry: &&Arc<ServiceEntry>| after.get(&entry.key).is_none();
    match keys {
        Some(keys) => (
            keys.iter().filter_map(|key| after.get(key)).filter(is_changed).collect(),
            keys.iter().filter_map(|key| before.get(key)).filter(is_gone).collect(),
        ),
        None => (
            after.services.iter().filter(is_changed).collect(),
            before.services.iter().filter(is_gone).collect(),
        ),
    }
}

fn name(ServiceKey { environment, service }: &ServiceKey) -> String {
    format!("{environment}/{service}")
}

/// The names of services with their environments, sorted; of more than a few, how many more there are.
fn named(services: &[&Arc<ServiceEntry>]) -> String {
    let mut names: Vec<_> = services.iter().map(|entry| name(&entry.key)).collect();
    names.sort_unstable();
    let rest = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let names = names.join(", ");
    if rest > 0 { format!("{names} and {rest} more") } else { names }
}

//! Notices that targets of upstreams stand otherwise than before. The end of an ejection is no event, but a moment that
//! passes: so one task looks at all targets several times a second, for all clients, and only while there are any.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::upstream::Standing;
use crate::versions::{Change, Live, ServiceEntry, ServiceKey, Snapshot};

/// How often targets are looked at.
const LOOKS: Duration = Duration::from_millis(200);

/// What was seen last.
#[derive(Debug, Default)]
pub struct Targets {
    /// `None` while nobody listens.
    seen: Mutex<Option<Seen>>,
    woken: Notify,
}

/// The standing of each service's targets; services without any are left out.
type Seen = HashMap<Arc<ServiceKey>, Vec<Standing>>;

impl Targets {
    /// Looks and tells, for as long as anybody listens, until dropped.
    pub async fn watch(&self, live: &Live) {
        loop {
            if live.changes().are_heard() {
                self.look(live);
                tokio::time::sleep(LOOKS).await;
            } else {
                *self.lock() = None;
                self.woken.notified().await;
            }
        }
    }

    /// Looks, and tells what differs from the last look, if there was one. Cheap: some 50 ns a target.
    pub fn look(&self, live: &Live) {
        let snapshot = live.load();
        let mut seen = self.lock();
        let now = standings(&snapshot, seen.as_ref());
        if let Some(before) = seen.as_ref() {
            let differs = |key: &&Arc<ServiceKey>| {
                before.get(*key).is_some_and(|before| now.get(*key) != Some(before))
            };
            for key in now.keys().filter(differs) {
                let (generation, service) = (snapshot.generation, Some(key.clone()));
                live.changes().tell(Change { generation, service });
            }
        }
        *seen = Some(now);
        drop(seen);
        self.woken.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standings(snapshot: &Snapshot, before: Option<&Seen>) -> Seen {
    let standing = |service: &Arc<ServiceEntry>| {
        let all = targets(service);
        if all.is_empty() {
            return None;
        }
        let known = before.and_then(|before| before.get_key_value(&service.key));
        let key = known.map_or_else(|| Arc::new(service.key.clone()), |(key, _)| key.clone());
        Some((key, all))
    };
    snapshot.services.iter().filter_map(standing).collect()
}

fn targets(service: &ServiceEntry) -> Vec<Standing> {
    let normal = service.versions.iter().filter_map(|view| view.status.normal());
    let serving = service.decider.entries();
    let upstreams = normal.chain(serving).filter_map(|version| version.backend.upstream());
    upstreams.map(|upstream| upstream.standing()).collect()
}

//! `/livez` and `/readyz`, for orchestrators and balancers.

use std::sync::Arc;

use axum::extract::{RawQuery, State};

use super::Admin;
use super::error::AdminError;
use crate::api::ReadinessQuery;
use crate::telemetry::Ailment;

/// How many services that are not ready a probe is told about.
const NAMED: usize = 100;

/// 200, unless only a restart of the process helps. Takes any query, so that no probe ends a process for one.
pub async fn livez(State(admin): State<Arc<Admin>>) -> Result<&'static str, AdminError> {
    match admin.lost() {
        None => Ok("ok\n"),
        Some(lost) => Err(AdminError::NotAlive(lost)),
    }
}

/// 200 once every service that should have traffic has normal versions for it, in the generation that the probe asks
/// for, and until the drain is announced.
pub async fn readyz(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<String, AdminError> {
    let query = ReadinessQuery::parse(&query.unwrap_or_default())?;
    admin.readiness(query).map_err(AdminError::NotReady)
}

impl Admin {
    /// The answer of a process that is ready, or why it is not.
    fn readiness(&self, query: ReadinessQuery) -> Result<String, String> {
        let snapshot = self.live.load();
        let generation = snapshot.generation;
        if self.drain.is_announced() {
            return Err("draining".to_owned());
        }
        if let Some(lost) = self.lost() {
            return Err(lost);
        }
        if let Some(wanted) = query.generation.filter(|wanted| *wanted > generation) {
            return Err(format!("generation {generation} is served, and not yet {wanted}"));
        }
        if snapshot.is_ready() {
            // This is no reason to send requests elsewhere: they are served as before.
            let failing = self.telemetry.health().with(Ailment::Failing);
            return Ok(match failing.as_slice() {
                [] => "ready\n".to_owned(),
                tasks => {
                    let tasks = tasks.join(", ");
                    format!("ready, but see the log: {tasks} panics again and again\n")
                }
            });
        }
        let waiting = snapshot.services.iter().filter(|service| !service.is_ready());
        let waiting = waiting.map(|service| service.key.service.as_str());
        let names: Vec<_> = waiting.take(NAMED).collect();
        let more = snapshot.unready().saturating_sub(names.len());
        Err(match (names.as_slice(), more) {
            ([], _) => "starting".to_owned(),
            (names, 0) => names.join(", "),
            (names, more) => format!("{} and {more} more", names.join(", ")),
        })
    }

    /// Names the tasks that cannot do their work any more, if any.
    fn lost(&self) -> Option<String> {
        let lost = self.telemetry.health().with(Ailment::Lost);
        (!lost.is_empty()).then(|| format!("{} cannot work, see the log", lost.join(", ")))
    }
}

//! The calls of one version's guests: what they may reach, how many they may make, and what is told of them.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::allow_list::{AllowList, Destination, Grade};
use super::connections::Connections;
use super::lookup::Lookups;
use super::{Carried, Network, Served, call};
use crate::config::{EnvironmentName, GuestLimits, Limits, Origin, ServiceName};
use crate::runtime::{Answer, Call, CallError, Outbound, Sending};
use crate::telemetry::{CallCounts, OutboundMeter};

/// What the calls of one version's guests go through. Cheap to clone: clones share everything.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub allowed: AllowList,
    pub connections: Connections,
    pub lookups: Lookups,
    network: Network,
    most: u32,
    room: Arc<Semaphore>,
    most_at_once: usize,
    meter: OutboundMeter,
}

impl Egress {
    /// For a version of this environment that may reach these origins.
    pub fn new(
        network: Network,
        environment: EnvironmentName,
        origins: Vec<Origin>,
        (limits, guest): (&Limits, &GuestLimits),
        meter: OutboundMeter,
    ) -> Self {
        let most_at_once = usize::try_from(guest.outbound_concurrency.get())
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            allowed: AllowList::new(environment, origins),
            connections: Connections::new(limits.clone(), network.targets().apart()),
            lookups: network.lookups(),
            network,
            most: guest.outbound_requests.get(),
            room: Arc::new(Semaphore::new(most_at_once)),
            most_at_once,
            meter,
        }))
    }

    /// The calls so far, and how many are in flight.
    pub fn counts(&self) -> (CallCounts, usize) {
        let Shared { meter, room, most_at_once, .. } = &*self.0;
        (meter.counts(), most_at_once.saturating_sub(room.available_permits()))
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        self.0.connections.sweep();
    }
}

impl Outbound for Egress {
    fn carried(&self, request: &HeaderMap) -> HeaderMap {
        let Carried { everywhere, within } = self.0.network.carried();
        let names = everywhere.iter().chain(within);
        let fields = names.filter_map(|name| Some((name.clone(), request.get(name)?.clone())));
        fields.collect()
    }

    fn send(&self, call: Call) -> Sending {
        let shared = self.0.clone();
        Box::pin(async move {
            let to = Destination::of(call.request.uri());
            let answer = shared.send(call, to.as_ref()).await;
            let to = to.as_ref().map(|to| to as &dyn std::fmt::Display);
            match &answer {
                Ok(_) => shared.meter.answered(),
                Err(error) => {
                    let (outcome, is_refusal) = outcome(error);
                    let to = to.unwrap_or(&"a place that is no URL");
                    shared.meter.failed(
                        outcome,
                        is_refusal,
                        &format_args!("a call to {to}: {error}"),
                    );
                }
            }
            answer
        })
    }
}

/// The word for an error in metrics and logs, and whether we refused the call.
fn outcome(error: &CallError) -> (&'static str, bool) {
    match error {
        CallError::Denied(_) | CallError::AddressDenied(_) => ("denied", true),
        CallError::Limit(_) => ("limit", true),
        CallError::BadUrl(_) => ("bad-url", true),
        CallError::Tunnel => ("tunnel", true),
        CallError::Lookup(_) => ("lookup", false),
        CallError::Connect(_) => ("connect", false),
        CallError::Tls(_) => ("tls", false),
        CallError::Timeout(_) => ("timeout", false),
        CallError::Reset(_) => ("reset", false),
        CallError::Protocol(_) => ("protocol", false),
        CallError::Body(_) => ("body", false),
    }
}

impl Shared {
    async fn send(
        &self,
        mut call: Call,
        to: Result<&Destination, &super::UrlError>,
    ) -> Result<Answer, CallError> {
        let to = to.map_err(|error| CallError::BadUrl(error.to_string()))?;
        if *call.request.method() == Method::CONNECT {
            return Err(CallError::Tunnel);
        }
        let permit = self.admit(&call)?;
        let grade = self.allowed.grade(to);
        // Who may call no service and nothing of this name need not be looked for among the services, except to say
        // which line is missing.
        if self.allowed.has_services() || grade.is_none() {
            let allowed = |environment: &EnvironmentName, name: &ServiceName| {
                self.allowed.has_service(environment, name)
            };
            call = match self.network.serve(call, &allowed) {
                Served::Here(answer) => return answer.await.map(|it| call::keep(it, permit)),
                Served::NotListed(call, environment, name) if grade.is_none() => {
                    let entry = Origin::Service { environment: Some(environment), name };
                    drop(call);
                    return Err(denied(&entry));
                }
                Served::NotListed(call, ..) | Served::Elsewhere(call) => call,
            };
        }
        let grade: Grade = grade.ok_or_else(|| denied(&to.entry()))?;
        call::send(self, call, to, grade, permit).await
    }

    /// Counts a call, if the request and the version may make one more.
    fn admit(&self, call: &Call) -> Result<OwnedSemaphorePermit, CallError> {
        let most = self.most;
        if call.caller.count() >= most {
            let why = format!("the request has made its {most} calls (`outbound-requests`)");
            return Err(CallError::Limit(why));
        }
        self.room.clone().try_acquire_owned().map_err(|_| {
            let why = "the version's guests have made as many calls as they may at once \
                       (`outbound-concurrency`)";
            CallError::Limit(why.to_owned())
        })
    }

    /// Adds the fields that a call over the network carries on.
    pub fn carry(&self, call: &mut Call, is_within: bool) {
        let Carried { everywhere, within } = self.network.carried();
        let is_wanted =
            |name: &HeaderName| everywhere.contains(name) || is_within && within.contains(name);
        call.caller.carry(call.request.headers_mut(), is_wanted);
    }
}

/// The error of a call that an entry would allow.
pub(super) fn denied(entry: &Origin) -> CallError {
    CallError::Denied(format!("it is not allowed; {}", advice(entry)))
}

/// The line that would allow a call.
pub(super) fn advice(entry: &Origin) -> String {
    format!("to allow it, write `outbound = [\"{entry}\"]` for the version")
}

#[cfg(test)]
mod tests;

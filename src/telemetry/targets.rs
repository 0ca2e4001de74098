//! The targets of upstreams in `/metrics`. Made for each scrape, like the [`States`](super::States) that they are told
//! with: a target that no version names any more has no series, so that there are as many as the configuration has
//! targets. A target that several versions share is told of with each, since each may alert on it; whoever adds its
//! requests up takes one of them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::VersionLabels;
use super::label::Label;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    #[prometheus(flatten)]
    version: VersionLabels,
    /// As it is declared.
    target: Label,
    /// Where connections go.
    address: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    #[prometheus(flatten)]
    target: TargetLabels,
    state: &'static str,
}

/// How one target does.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetState<'a> {
    /// As it is declared.
    pub target: &'a str,
    /// Where connections go.
    pub address: &'a str,
    pub is_healthy: bool,
    /// Whether it gets none for a while, because requests failed.
    pub is_ejected: bool,
    pub requests: u64,
    pub errors: u64,
    pub in_flight: u64,
    /// Connections with a request.
    pub active: u64,
    /// Connections without one.
    pub idle: u64,
}

/// What is to be shown of targets.
#[derive(Debug, Default)]
pub struct Targets {
    healthy: Family<TargetLabels, Gauge>,
    requests: Family<TargetLabels, Counter>,
    errors: Family<TargetLabels, Counter>,
    ejected: Family<TargetLabels, Gauge>,
    in_flight: Family<TargetLabels, Gauge>,
    connections: Family<ConnectionLabels, Gauge>,
}

impl Targets {
    /// Takes note of a target of a version.
    pub(super) fn target(&self, version: VersionLabels, state: &TargetState<'_>) {
        let TargetState { target, address, is_healthy, is_ejected, requests, errors, .. } = *state;
        let labels = TargetLabels { version, target: target.into(), address: address.into() };
        self.healthy.get_or_create_owned(&labels).set(is_healthy.into());
        self.requests.get_or_create_owned(&labels).inc_by(requests);
        self.errors.get_or_create_owned(&labels).inc_by(errors);
        self.ejected.get_or_create_owned(&labels).set(is_ejected.into());
        self.in_flight.get_or_create_owned(&labels).set(gauge(state.in_flight));
        for (name, count) in [("active", state.active), ("idle", state.idle)] {
            let labels = ConnectionLabels { target: labels.clone(), state: name };
            self.connections.get_or_create_owned(&labels).set(gauge(count));
        }
    }

    pub(super) fn register(self, registry: &mut Registry) {
        let Self { healthy, requests, errors, ejected, in_flight, connections } = self;
        registry.register("upstream_healthy", "1 for a target that takes requests", healthy);
        registry.register(
            "upstream_requests",
            "Attempts to have a request answered by a target",
            requests,
        );
        registry.register(
            "upstream_errors",
            "Attempts that failed, or were answered with a status of 500 or more",
            errors,
        );
        registry.register(
            "upstream_ejected",
            "1 for a target that gets no requests for a while because they failed",
            ejected,
        );
        registry.register("upstream_in_flight", "Requests that a target is serving", in_flight);
        registry.register("upstream_connections", "Connections to a target", connections);
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

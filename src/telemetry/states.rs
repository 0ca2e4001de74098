//! Where versions and services stand, in `/metrics`: how many versions have each status, and a series for each version
//! and service that needs somebody's attention. Ten thousand services that are as they should be add three lines. Made
//! for each scrape, so that a state that has ended has no series.

use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::label::Label;
use super::targets::{TargetState, Targets};
use super::{PREFIX, VersionLabels};

/// Every status, so that a count that is 0 is shown.
const STATUSES: [&str; 3] = ["creating", "normal", "error"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StandingLabels {
    #[prometheus(flatten)]
    version: VersionLabels,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    environment: Label,
    service: Label,
}

/// What is to be shown of versions and services.
#[derive(Debug, Default)]
pub struct States {
    versions: Family<StatusLabels, Gauge>,
    standings: Family<StandingLabels, Gauge>,
    quarantined: Family<VersionLabels, Gauge>,
    held: Family<ServiceLabels, Gauge>,
    offline: Family<ServiceLabels, Gauge>,
    targets: Targets,
}

/// A service, whose states are being told.
pub struct ServiceStates<'a> {
    states: &'a States,
    environment: &'a str,
    service: &'a str,
}

impl States {
    /// Takes note of a service.
    pub fn service<'a>(&'a self, environment: &'a str, service: &'a str) -> ServiceStates<'a> {
        ServiceStates { states: self, environment, service }
    }

    /// Writes the states, without the mark that ends a scrape.
    pub(super) fn write(self, text: &mut String) -> fmt::Result {
        let Self { versions, standings, quarantined, held, offline, targets } = self;
        for status in STATUSES {
            versions.get_or_create_owned(&StatusLabels { status }).inc_by(0);
        }
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register("versions", "Versions that are declared or served, by status", versions);
        registry.register(
            "version_status",
            "1 for the status of a version that is not normal",
            standings,
        );
        registry.register(
            "version_quarantined",
            "1 for a version that gets no traffic after a rollback with --bad",
            quarantined,
        );
        registry.register(
            "service_held",
            "1 for a service of which something else is served than its file declares",
            held,
        );
        registry.register(
            "service_offline",
            "1 for a service whose file gives every version 0 %",
            offline,
        );
        targets.register(&mut registry);
        encode_registry(text, &registry)
    }
}

impl ServiceStates<'_> {
    /// Something else is served of it than is declared.
    pub fn held(&self) {
        self.states.held.get_or_create_owned(&self.labels()).set(1);
    }

    /// It gives every version nothing.
    pub fn offline(&self) {
        self.states.offline.get_or_create_owned(&self.labels()).set(1);
    }

    /// One of its versions, its status, and whether it is quarantined.
    pub fn version(&self, version: &str, status: &'static str, is_quarantined: bool) {
        self.states.versions.get_or_create_owned(&StatusLabels { status }).inc();
        if status != "normal" {
            let labels = StandingLabels { version: self.of(version), status };
            self.states.standings.get_or_create_owned(&labels).set(1);
        }
        if is_quarantined {
            self.states.quarantined.get_or_create_owned(&self.of(version)).set(1);
        }
    }

    /// A target of one of its versions.
    pub fn target(&self, version: &str, state: &TargetState<'_>) {
        self.states.targets.target(self.of(version), state);
    }

    fn of(&self, version: &str) -> VersionLabels {
        VersionLabels {
            environment: self.environment.into(),
            service: self.service.into(),
            version: version.into(),
        }
    }

    fn labels(&self) -> ServiceLabels {
        ServiceLabels { environment: self.environment.into(), service: self.service.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_attention_has_a_series() {
        let states = States::default();
        for number in 0..10_000 {
            states.service("prod", &format!("service-{number}")).version("v1", "normal", false);
        }
        let shop = states.service("prod", "shop");
        shop.held();
        shop.version("v2", "error", false);
        shop.version("v3", "normal", true);
        states.service("prod", "\"a\"\\\n").offline();
        let target = TargetState {
            target: "api.internal:80",
            address: "10.0.0.7:80",
            is_healthy: true,
            requests: 7,
            idle: 2,
            ..TargetState::default()
        };
        shop.target("v2", &target);
        let mut text = String::new();
        states.write(&mut text).unwrap();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        for sample in [
            r#"watershed_versions{status="normal"} 10001"#,
            r#"watershed_versions{status="error"} 1"#,
            r#"watershed_versions{status="creating"} 0"#,
            r#"watershed_version_status{environment="prod",service="shop",version="v2",status="error"} 1"#,
            r#"watershed_version_quarantined{environment="prod",service="shop",version="v3"} 1"#,
            r#"watershed_service_held{environment="prod",service="shop"} 1"#,
            r#"watershed_service_offline{environment="prod",service="\"a\"\\\n"} 1"#,
            r#"watershed_upstream_healthy{environment="prod",service="shop",version="v2",target="api.internal:80",address="10.0.0.7:80"} 1"#,
            r#"watershed_upstream_requests_total{environment="prod",service="shop",version="v2",target="api.internal:80",address="10.0.0.7:80"} 7"#,
            r#"watershed_upstream_connections{environment="prod",service="shop",version="v2",target="api.internal:80",address="10.0.0.7:80",state="idle"} 2"#,
        ] {
            assert!(samples.contains(&sample), "{sample}\n{text}");
        }
        assert_eq!(samples.len(), 14, "{text}");
    }
}

//! `GET /metrics`: what is counted, for Prometheus, in the format that the scraper prefers.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};

use super::error::AdminError;
use super::{Admin, status};
use crate::certificates::CertificateState;
use crate::config::Traffic;
use crate::telemetry::{
    CertificateSample, Format, Scrape, ServiceStates, Sockets, States, TargetState,
};
use crate::upstream::{Health, Upstream};
use crate::versions::Snapshot;

/// Takes any query, as scrapers add their own.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, AdminError> {
    let format = preferred(&headers);
    let snapshot = admin.live.load();
    let seen = admin.descriptors.look();
    let sockets = Sockets {
        open: seen.open,
        max: seen.limit,
        connections: seen.clients,
        connections_max: seen.clients_max.min(admin.live.max_connections()),
    };
    let mut shares = status::shares(&snapshot, Instant::now());
    // A split of which nothing was drawn says nothing yet.
    shares.retain(|share| share.observed.since_publish.of > 0);
    let (generations, states) = (admin.live.generations(), states(&snapshot));
    let certificates = certificates(&admin);
    let scrape =
        Scrape { generations, shares: &shares, states, sockets, certificates: &certificates };
    let text = admin.telemetry.render(scrape, format);
    let text = text.map_err(|error| AdminError::Internal(error.to_string()))?;
    let head = [(CONTENT_TYPE, format.media_type()), (VARY, ACCEPT.as_str())];
    Ok((head, text).into_response())
}

/// How the certificates of HTTPS stand.
fn certificates(admin: &Admin) -> Vec<CertificateSample> {
    let sample = |state: &CertificateState| CertificateSample {
        certificate: state.files.certificate.path.display().to_string(),
        name: state
            .served
            .iter()
            .flat_map(|facts| &facts.names)
            .next()
            .cloned()
            .unwrap_or_default(),
        not_after: state.served.as_ref().map(|facts| facts.not_after),
        is_bad: state.bad.is_some() || state.held.is_some(),
    };
    admin.reloads.listener().certificates.iter().map(sample).collect()
}

/// Where versions and services stand.
fn states(snapshot: &Snapshot) -> States {
    let states = States::default();
    for entry in &snapshot.services {
        let service = states.service(entry.key.environment.as_str(), entry.key.service.as_str());
        if entry.held.is_some() {
            service.held();
        }
        if matches!(&entry.declared.traffic, Traffic::Split(split) if split.is_offline()) {
            service.offline();
        }
        for version in &entry.versions {
            let is_quarantined = version.is_quarantined();
            service.version(version.name.as_str(), version.status.word(), is_quarantined);
            let upstream = version.status.normal().and_then(|it| it.backend.upstream());
            upstream.into_iter().for_each(|it| targets(&service, version.name.as_str(), it));
        }
    }
    states
}

/// How the targets of a version do.
fn targets(service: &ServiceStates<'_>, version: &str, upstream: &Upstream) {
    for state in upstream.states() {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (target, address) = (state.declared.to_string(), state.address.to_string());
        let state = TargetState {
            target: &target,
            address: &address,
            is_healthy: state.health == Health::Healthy,
            is_ejected: state.health == Health::Ejected,
            requests: state.requests,
            errors: state.errors,
            in_flight: count(state.in_flight),
            active: count(state.open.saturating_sub(state.idle)),
            idle: count(state.idle),
        };
        service.target(version, &state);
    }
}

/// The format that a scraper prefers. One that names no format of ours gets the older text, as
/// [Prometheus asks of targets](https://prometheus.io/docs/instrumenting/content_negotiation/): a 406 would only keep
/// strict agents from reading what they can (besu-eth/besu#1345).
fn preferred(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> = accepted.flat_map(|value| value.split(',')).map(Range::of).collect();
    let open_metrics = quality(&ranges, "application", "openmetrics-text", "1.0.0");
    match open_metrics > quality(&ranges, "text", "plain", "0.0.4") {
        true => Format::OpenMetrics,
        false => Format::Text,
    }
}

/// One of the media ranges of `Accept` ([RFC 9110, section
/// 12.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1)).
#[derive(Debug)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    /// From 0 to 1.
    quality: f32,
}

impl<'a> Range<'a> {
    fn of(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next().and_then(|it| it.split_once('/')).unwrap_or_default();
        let mut range = Self { kind, subtype, version: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = value.trim().parse().unwrap_or(0.0),
                "version" => range.version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        range
    }

    /// How exactly this means a format; `None` if it means others.
    fn means(&self, kind: &str, subtype: &str, version: &str) -> Option<u8> {
        let is = |own: &str, wanted: &str| own.eq_ignore_ascii_case(wanted);
        match (is(self.kind, kind), self.version) {
            (true, None) if is(self.subtype, subtype) => Some(2),
            (true, Some(own)) if is(self.subtype, subtype) => (own == version).then_some(3),
            (true, _) if self.subtype == "*" => Some(1),
            _ => (self.kind == "*" && self.subtype == "*").then_some(0),
        }
    }
}

/// The quality of a format: that of the range which means it most exactly.
fn quality(ranges: &[Range<'_>], kind: &str, subtype: &str, version: &str) -> f32 {
    let meant = ranges
        .iter()
        .filter_map(|range| Some((range.means(kind, subtype, version)?, range.quality)));
    let exact = meant.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    exact.map_or(0.0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn preferred(accept: &str) -> Format {
        let value = HeaderValue::from_str(accept).unwrap();
        super::preferred(&HeaderMap::from_iter([(ACCEPT, value)]))
    }

    /// Prometheus names formats that we do not write before those that we do
    /// (kubernetes/kube-state-metrics#3010).
    #[test]
    fn prometheus_gets_open_metrics() {
        for accept in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\"",
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        ] {
            assert_eq!(preferred(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn everybody_else_gets_the_text_that_everybody_reads() {
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/json",
            "application/vnd.google.protobuf",
            "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.5",
            "application/openmetrics-text;q=0.1, */*;q=0.9",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=much",
            ";;;,/,=",
        ] {
            assert_eq!(preferred(accept), Format::Text, "{accept}");
        }
        assert_eq!(super::preferred(&HeaderMap::new()), Format::Text);
    }
}

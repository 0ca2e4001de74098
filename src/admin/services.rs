//! `GET /api/v1/services`: all services in short. Cheap for thousands of them: what a list does not show is not
//! gathered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Admin;
use super::status::{Observed, milliseconds, percent, ratio, taker};
use crate::api::{ServiceSummary, ServicesDocument, VersionSummary};
use crate::config::Percent;
use crate::policy::health::{Signs, VersionSigns};
use crate::source::Rejection;
use crate::telemetry::Recent;
use crate::transport::Urls;
use crate::versions::{ReadyVersion, ServiceEntry, ServiceKey, VersionView};

/// The document of all services as they are now.
pub fn document(admin: &Admin) -> ServicesDocument {
    let (rejected, snapshot) = (admin.reloads.rejected(), admin.live.load());
    let (urls, now) = (&admin.urls, Instant::now());
    let key = |rejection: &Rejection| {
        let (environment, service) = (rejection.environment.clone(), rejection.serves.clone()?);
        Some(ServiceKey { environment, service })
    };
    let of_service: HashMap<_, _> =
        rejected.iter().filter_map(|rejection| Some((key(rejection)?, rejection))).collect();
    let summary =
        |service: &ServiceEntry| summary(service, of_service.get(&service.key).copied(), urls, now);
    let services = snapshot.services.iter().map(|service| summary(service)).collect();
    ServicesDocument { generation: snapshot.generation, services }
}

fn summary(
    service: &ServiceEntry,
    rejected: Option<&Rejection>,
    urls: &Urls,
    now: Instant,
) -> ServiceSummary {
    let observed = Observed::of(service, now);
    let mut recent = Recent::default();
    let mut in_flight = 0;
    let takers = service.versions.iter().filter_map(|view| taker(service, view));
    for taker in takers {
        recent.add(&taker.meter.recent(observed.lately(), now));
        in_flight += taker.meter.in_flight();
    }
    let warning = service.warning();
    let signs = signs(service, rejected, warning.as_deref(), &observed, &recent);
    let (health, reason) = signs.health();
    ServiceSummary {
        environment: service.key.environment.to_string(),
        name: service.key.service.to_string(),
        url: urls.of(&service.default_domain()),
        health: health.as_str().to_owned(),
        reason,
        versions: service.versions.iter().map(|view| version(service, view)).collect(),
        requests_per_second: observed.rate(),
        error_ratio: recent.error_ratio().map(ratio),
        p99_ms: recent.quantile(0.99).map(milliseconds),
        in_flight,
    }
}

fn version(service: &ServiceEntry, view: &VersionView) -> VersionSummary {
    VersionSummary {
        name: view.name.to_string(),
        status: view.status.word().to_owned(),
        share: percent(view.share),
        unhealthy: taker(service, view).is_some_and(|taker| taker.is_unhealthy()),
        quarantined: view.is_quarantined(),
    }
}

fn signs<'a>(
    service: &'a ServiceEntry,
    rejected: Option<&'a Rejection>,
    warning: Option<&'a str>,
    observed: &Observed<'_>,
    recent: &Recent,
) -> Signs<'a> {
    let problem = rejected.and_then(|rejection| rejection.report.problems.first());
    let version = |view: &'a VersionView| {
        let substitute = |version: &&Arc<ReadyVersion>| version.backend.substitute().is_some();
        let place = service.decider.place(&view.name);
        VersionSigns {
            name: view.name.as_str(),
            has_traffic: view.share > Percent::ZERO,
            error: view.status.error().map(|error| error.code.as_str()),
            is_unhealthy: taker(service, view).is_some_and(|taker| taker.is_unhealthy()),
            yields: place.is_some_and(|place| service.decider.yields(place)),
            is_beyond_chance: observed.is_beyond_chance(&view.name),
            is_substituted: view.status.normal().filter(substitute).is_some(),
        }
    };
    Signs {
        is_offline: service.decider.is_offline(),
        serves_nothing: !service.is_ready() && service.is_settled(),
        held: service.held.as_deref(),
        rejected: problem.map(|problem| problem.message.as_str()),
        warning,
        requests: recent.ended(),
        error_ratio: recent.error_ratio(),
        versions: service.versions.iter().map(version).collect(),
    }
}

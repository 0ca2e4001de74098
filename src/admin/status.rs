//! `GET /api/v1/status`: gathers the document from the snapshot that is served, the counters of its
//! versions, and the last reload.

mod certificate;
mod observed;
mod since;
mod upstream;

use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::error::AdminError;
use super::{Admin, TokenFile, find};
use crate::api::{
    CertificateDocument, DescriptorsDocument, EnvironmentDocument, ErrorPlace, Fault, KeyChange,
    OutboundDocument, RateLimitDocument, RejectionDocument, ReloadDocument, ReportDocument,
    ServiceDocument, Share, StatusDocument, StatusQuery, SubstituteDocument, VersionDocument,
    moment,
};
use crate::config::{
    Percent, Problem, RateLimit, Reach, Report, RestartChange, Service, Setting, Traffic,
    VersionName,
};
use crate::descriptors::Use;
use crate::reload::Reload;
use crate::source::Rejection;
use crate::telemetry::{CallCounts, Recent};
use crate::transport::Urls;
use crate::versions::{EnvironmentView, ReadyVersion, ServiceEntry, Snapshot, VersionView};
pub(super) use observed::{Observed, rounded, shares};

/// The document of what is served now, reduced to the services that the query asks for.
pub(super) fn document(admin: &Admin, query: &StatusQuery) -> Result<StatusDocument, AdminError> {
    let (last, rejected) = (admin.reloads.last(), admin.reloads.rejected());
    let snapshot = admin.live.load();
    let (urls, now) = (&admin.urls, Instant::now());
    let mut services = wanted(admin, &snapshot, query)?.into_iter().peekable();
    let mut began = since::Lookup::new(admin.reloads.history().ok());
    let environment = |EnvironmentView { name, domain }: &EnvironmentView| {
        let own =
            iter::from_fn(|| services.next_if(|it| it.key.environment == *name)).map(|service| {
                ServiceDocument {
                    file_digest: file_digest(admin, service),
                    traffic_began: began.of(service),
                    ..service_document(service, &rejected, urls, now)
                }
            });
        EnvironmentDocument {
            name: name.to_string(),
            domain: domain.clone(),
            services: own.collect(),
        }
    };
    let descriptors = admin.descriptors.look();
    Ok(StatusDocument {
        generation: snapshot.generation,
        ready: snapshot.is_ready() && !admin.drain.is_announced(),
        draining: admin.drain.is_announced(),
        config: admin.config.display().to_string(),
        environments: snapshot.environments.iter().map(environment).collect(),
        rejected: rejected.iter().map(rejection_document).collect(),
        warnings: admin.reloads.warnings().to_vec(),
        last_reload: last.as_deref().map(reload_document),
        certificates: certificates(admin),
        descriptors: Some(DescriptorsDocument {
            connections_max: descriptors.clients_max.min(admin.live.max_connections()),
            ..descriptors.into()
        }),
        troubles: troubles(admin, descriptors),
    })
}

fn file_digest(admin: &Admin, service: &ServiceEntry) -> Option<String> {
    Some(admin.reloads.file_digest(&service.declared.file)?.to_string())
}

/// The services that a query asks for, in the order of the snapshot.
pub(super) fn wanted<'a>(
    admin: &Admin,
    snapshot: &'a Snapshot,
    query: &StatusQuery,
) -> Result<Vec<&'a Arc<ServiceEntry>>, AdminError> {
    let StatusQuery { environment, service, process_alone } = query;
    let environment = environment.as_deref();
    if let Some(name) = service {
        return find::services(admin, snapshot, environment, name);
    }
    let within = environment.map(|name| find::environment(snapshot, name)).transpose()?;
    let is_within = |entry: &&Arc<ServiceEntry>| {
        !process_alone && within.is_none_or(|name| entry.key.environment == *name)
    };
    Ok(snapshot.services.iter().filter(is_within).collect())
}

fn certificates(admin: &Admin) -> Vec<CertificateDocument> {
    let (listener, now) = (admin.reloads.listener(), SystemTime::now());
    listener.certificates.iter().map(|state| certificate::document(state, now)).collect()
}

fn troubles(admin: &Admin, descriptors: Use) -> Vec<String> {
    let token = admin.token.as_ref().and_then(TokenFile::fault);
    let token = token.map(|fault| {
        format!("the last good tokens of this listener stay until the process ends: {fault}")
    });
    let near = descriptors.is_near().then(|| descriptors.to_string());
    let tickets = admin.reloads.listener().tickets.clone();
    let tickets = tickets.map(|problem| {
        let Problem { message, help, .. } = &problem;
        format!("{}: {message}; the keys from before stay in use; {help}", problem.place())
    });
    token.into_iter().chain(near).chain(tickets).collect()
}

impl From<Use> for DescriptorsDocument {
    fn from(seen: Use) -> Self {
        let Use { open, limit, reserve, clients, clients_max } = seen;
        Self { open, limit, reserve, connections: clients, connections_max: clients_max }
    }
}

/// The document of one service. `rejected` are all files that are wrong, and `port` is the one at which services are
/// reached.
pub fn service_document(
    service: &ServiceEntry,
    rejected: &[Rejection],
    urls: &Urls,
    now: Instant,
) -> ServiceDocument {
    let declared = &service.declared;
    let rejected = rejected.iter().find(|rejection| {
        rejection.environment == service.key.environment
            && rejection.serves.as_ref() == Some(&service.key.service)
    });
    let observed = Observed::of(service, now);
    let mut all = Recent::default();
    let versions: Vec<_> = service
        .versions
        .iter()
        .enumerate()
        .map(|(index, view)| {
            let taker = taker(service, view);
            let recent = taker.map(|taker| taker.meter.recent(observed.lately(), now));
            recent.iter().for_each(|recent| all.add(recent));
            VersionDocument {
                reach: reach(service, index),
                place: view.status.error().and_then(|_| place(declared, &view.name)),
                observed: observed.document(&view.name),
                requests_per_second: observed.rate_of(&view.name),
                in_flight: taker.map_or(0, |taker| taker.meter.in_flight()),
                ..version_document(view, taker, &recent.unwrap_or_default())
            }
        })
        .collect();
    let since = service.traffic_since;
    ServiceDocument {
        name: service.key.service.to_string(),
        url: urls.of(&service.default_domain()),
        domains: declared.domains.iter().map(ToString::to_string).collect(),
        routes: declared.routes.iter().map(ToString::to_string).collect(),
        file: declared.file.display().to_string(),
        file_digest: None,
        latest: declared.traffic == Traffic::Latest,
        since_generation: service.since,
        serving: serving(service).to_owned(),
        rescuer: service.decider.stand_in().map(|version| version.spec.name.to_string()),
        traffic_since: moment::text(milliseconds_since_1970(since.at)),
        traffic_generation: since.generation,
        traffic_age_seconds: rounded(service.tally.age(now).as_secs_f64(), 1000.0),
        traffic_since_start: since.is_start,
        traffic_began: None,
        requests_per_second: observed.rate(),
        error_ratio: all.error_ratio().map(ratio),
        p50_ms: all.quantile(0.5).map(milliseconds),
        p99_ms: all.quantile(0.99).map(milliseconds),
        in_flight: versions.iter().map(|version| version.in_flight).sum(),
        rate_limit: rate_limit(service, now),
        held: service.held.clone(),
        after_restart: after_restart(service, rejected),
        warning: service.warning(),
        rejected: rejected.map(|rejection| (&rejection.report).into()),
        versions,
    }
}

fn rate_limit(service: &ServiceEntry, now: Instant) -> Option<RateLimitDocument> {
    let RateLimit { key, rate, burst } = service.declared.policy.rate_limit.as_ref()?;
    Some(RateLimitDocument {
        key: key.to_string(),
        rate: rate.to_string(),
        burst: burst.get(),
        refused_last_minute: service.refusals.in_minute(now),
        refused: service.refusals.total(),
    })
}

/// What requests get that no override decides.
fn serving(service: &ServiceEntry) -> &'static str {
    match &service.decider {
        decider if decider.is_offline() => "offline",
        decider if decider.stand_in().is_some() => "rescue",
        decider if !decider.takes_traffic() => "nothing",
        _ if service.held.is_some() => "held",
        _ => "declared",
    }
}

/// What takes the requests of a version. While a version is being made anew, or cannot be, what it was before may still
/// take them.
pub(super) fn taker<'a>(
    service: &'a ServiceEntry,
    view: &'a VersionView,
) -> Option<&'a Arc<ReadyVersion>> {
    let served = service.decider.entries().find(|entry| entry.spec.name == view.name);
    served.or(view.status.normal())
}

/// The state of a version, without its place in the service.
fn version_document(
    view: &VersionView,
    taker: Option<&Arc<ReadyVersion>>,
    recent: &Recent,
) -> VersionDocument {
    let own = view.status.normal();
    let is_own = |taker: &Arc<ReadyVersion>| own.is_some_and(|own| Arc::ptr_eq(own, taker));
    VersionDocument {
        name: view.name.to_string(),
        status: view.status.word().to_owned(),
        predecessor_serves: taker.is_some_and(|taker| !is_own(taker)),
        share: percent(view.share),
        reach: None,
        declared_share: percent(view.declared_share),
        observed: None,
        requests_per_second: None,
        error_ratio: recent.error_ratio().map(ratio),
        p50_ms: recent.quantile(0.5).map(milliseconds),
        p99_ms: recent.quantile(0.99).map(milliseconds),
        in_flight: 0,
        quarantined: view.is_quarantined(),
        digest: view.status.normal().map(|entry| entry.digest().to_string()),
        remark: view.remark.clone(),
        error: view.status.error().map(Fault::from),
        place: None,
        substitute: substitute(view),
        unhealthy: taker.is_some_and(|taker| taker.is_unhealthy()),
        upstream: taker.and_then(|taker| taker.backend.upstream()).map(|it| upstream::document(it)),
        outbound: taker.and_then(|taker| taker.backend.calls()).map(outbound),
    }
}

fn outbound((counts, in_flight): (CallCounts, usize)) -> OutboundDocument {
    let CallCounts { answered, refused, failed } = counts;
    OutboundDocument { answered, refused, failed, in_flight }
}

fn substitute(view: &VersionView) -> Option<SubstituteDocument> {
    let substitute = view.status.normal()?.backend.substitute()?;
    let (fault, source) = (&substitute.fault, substitute.source());
    Some(SubstituteDocument {
        code: fault.code.as_str().to_owned(),
        detail: fault.detail.clone(),
        from: source.as_str().to_owned(),
        outlives_process: source.outlives_process(),
    })
}

/// What a start would serve of a service, where that is not what is served. A start serves nothing of a service whose
/// file is wrong.
fn after_restart(service: &ServiceEntry, rejected: Option<&Rejection>) -> Option<Vec<Share>> {
    let is_wrong = |rejection: &Rejection| {
        !rejection.report.problems.iter().all(|problem| problem.is_transient)
    };
    if rejected.is_some_and(is_wrong) {
        return Some(Vec::new());
    }
    let share = |(version, share): (VersionName, Percent)| Share {
        version: version.to_string(),
        share: percent(share),
    };
    Some(service.after_restart()?.into_iter().map(share).collect())
}

/// Where the file of a service names what serves a version.
fn place(declared: &Service, name: &VersionName) -> Option<ErrorPlace> {
    let spec = declared.versions.iter().find(|spec| spec.name == *name)?;
    Some(ErrorPlace::from(&spec.place.problem(&declared.file, "", "")))
}

/// The reach of a version, if it is not the default.
fn reach(service: &ServiceEntry, index: usize) -> Option<String> {
    let reach = service.declared.policy.reach_of(index);
    (reach != Reach::Live).then(|| reach.as_str().to_owned())
}

pub(super) fn percent(share: Percent) -> f64 {
    f64::from(share.hundredths()) / 100.0
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1000.0, 1000.0)
}

pub(super) fn ratio(ratio: f64) -> f64 {
    rounded(ratio, 10_000.0)
}

impl From<&Report> for ReportDocument {
    fn from(report: &Report) -> Self {
        Self { problems: report.problems.clone(), report: report.to_string() }
    }
}

fn rejection_document(rejection: &Rejection) -> RejectionDocument {
    let Rejection { environment, serves, file, report } = rejection;
    RejectionDocument {
        environment: environment.to_string(),
        file: file.display().to_string(),
        serves: serves.as_ref().map(ToString::to_string),
        report: report.into(),
    }
}

pub(super) fn milliseconds_since_1970(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The document of a reload's outcome.
pub(super) fn reload_document(reload: &Reload) -> ReloadDocument {
    let Reload { at, outcome, generation, read, restart, report } = reload;
    let text = |setting: &Option<Setting>| setting.as_ref().map(ToString::to_string);
    let change = |RestartChange { key, before, after }: &RestartChange| KeyChange {
        key: (*key).to_owned(),
        before: text(before),
        after: text(after),
    };
    ReloadDocument {
        at: milliseconds_since_1970(*at),
        outcome: outcome.word().to_owned(),
        generation: *generation,
        files_read: *read,
        restart_needed_for: restart.iter().map(|change| change.key.to_owned()).collect(),
        restart_changes: restart.iter().map(change).collect(),
        warnings: Vec::new(),
        report: report.as_ref().map(ReportDocument::from),
    }
}

//! `GET /api/v1/series`: the last hour of a service's versions.

use std::time::{Instant, SystemTime};

use super::error::AdminError;
use super::status::{milliseconds_since_1970, percent, rounded};
use super::{Admin, find};
use crate::api::{QueryError, SeriesDocument, SeriesQuery, VersionSeriesDocument};
use crate::config::VersionName;
use crate::telemetry::{Resolution, VersionSeries};
use crate::versions::ServiceEntry;

/// The document of one service.
///
/// # Errors
///
/// Where there is no such service, or several environments have one.
pub fn document(admin: &Admin, query: &SeriesQuery) -> Result<SeriesDocument, AdminError> {
    let name = query.service.as_deref().ok_or(QueryError::Missing { name: "service" })?;
    let snapshot = admin.live.load();
    let service = find::service(admin, &snapshot, query.environment.as_deref(), name)?;
    let resolution = match query.step {
        Some(10) => Resolution::TenSeconds,
        _ => Resolution::Second,
    };
    let key = (service.key.environment.as_str(), service.key.service.as_str());
    let mut window = admin.telemetry.series().window(key, resolution, query.since);
    let mut gone = std::mem::take(&mut window.versions);
    let mut versions = Vec::new();
    for view in &service.versions {
        let place = gone.iter().position(|series| series.name == view.name.as_str());
        let series = match place {
            Some(place) => gone.swap_remove(place),
            None => window.without_requests(view.name.as_str()),
        };
        versions.push(series);
    }
    gone.retain(|series| series.requests.iter().any(|count| *count > 0));
    gone.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    versions.append(&mut gone);
    let ends: Vec<_> = window.ends().collect();
    Ok(SeriesDocument {
        now: milliseconds_since_1970(SystemTime::now()),
        step_seconds: resolution.seconds(),
        from: window.from(),
        versions: versions.into_iter().map(|series| version(service, series, &ends)).collect(),
    })
}

fn version(
    service: &ServiceEntry,
    series: VersionSeries,
    ends: &[Instant],
) -> VersionSeriesDocument {
    let VersionSeries { name, requests, failed, codes, quantiles, cpu_seconds, memory_bytes } =
        series;
    let [p50_ms, p90_ms, p99_ms] = quantiles.map(|series| {
        let shown = |quantile: f32| rounded(f64::from(quantile), 1000.0);
        series.into_iter().map(|quantile| quantile.map(shown)).collect()
    });
    let own = VersionName::new(&name).ok();
    let share_at =
        |at: &Instant| own.as_ref().map_or(0.0, |own| percent(service.share_at(own, *at)));
    VersionSeriesDocument {
        share: ends.iter().map(share_at).collect(),
        codes: codes.into_iter().map(|(code, series)| (code.to_owned(), series)).collect(),
        name,
        requests,
        failed,
        p50_ms,
        p90_ms,
        p99_ms,
        cpu_seconds,
        memory_bytes,
    }
}

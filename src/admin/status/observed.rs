//! How often the versions of splits were drawn, beside their shares. The status document and `/metrics` show it.

use std::time::Instant;

use crate::api::{DrawnDocument, ObservedDocument};
use crate::config::{Percent, VersionName};
use crate::telemetry::{Comparison, VersionShares, Windows};
use crate::versions::{ServiceEntry, Snapshot};

/// A version of a split, its share, and its draws compared with the share.
pub(super) struct Observed<'a> {
    pub version: &'a VersionName,
    pub share: Percent,
    pub windows: Windows<Comparison>,
}

/// Every version that has a share of the service's split; empty where nothing is drawn.
pub(super) fn observed(service: &ServiceEntry, now: Instant) -> Vec<Observed<'_>> {
    if !service.decider.is_split() {
        return Vec::new();
    }
    let draws = service.tally.observed(now);
    let shares = service.decider.shares().into_iter().enumerate();
    let observed = shares.map(|(index, (version, share))| Observed {
        version: &version.spec.name,
        share,
        windows: draws.compare(index, ratio(share)),
    });
    observed.collect()
}

/// The shares that `/metrics` shows.
pub fn shares(snapshot: &Snapshot, now: Instant) -> Vec<VersionShares> {
    let services = snapshot.services.iter().map(|service| (service, observed(service, now)));
    let versions = services.flat_map(|(service, observed)| {
        let key = &service.key;
        observed.into_iter().map(|it| VersionShares {
            environment: key.environment.as_str().into(),
            service: key.service.as_str().into(),
            version: it.version.as_str().into(),
            declared: ratio(it.share),
            observed: it.windows,
        })
    });
    versions.collect()
}

/// From 0 to 1.
fn ratio(share: Percent) -> f64 {
    f64::from(share.hundredths()) / f64::from(Percent::ALL.hundredths())
}

impl From<&Windows<Comparison>> for ObservedDocument {
    fn from(windows: &Windows<Comparison>) -> Self {
        let Windows { minute, hour, since_publish } = windows.map(DrawnDocument::of);
        Self { minute, hour, since_publish }
    }
}

impl DrawnDocument {
    fn of(compared: &Comparison) -> Self {
        Self {
            drawn: compared.drawn,
            of: compared.of,
            share: compared.share().map(|share| share * 100.0),
            p_value: compared.p_value,
            beyond_chance: compared.is_beyond_chance(),
        }
    }
}

//! What the versions of a service had of its requests, beside their shares. The status document and `/metrics` show it.

use std::time::{Duration, Instant};

use crate::api::{DrawnDocument, ObservedDocument, WindowDocument};
use crate::config::{Percent, VersionName};
use crate::telemetry::{Comparison, VersionShares, Window, Windows};
use crate::versions::{ServiceEntry, Snapshot};

/// How many requests of a service it takes until a share of them is told: one request is at most 5 points of it then.
const REQUESTS_MIN: u64 = 20;

/// How long a window is before a rate is told: as long as the time between two samples.
const RATE_MIN: Duration = Duration::from_secs(5);

/// What was decided for the versions of a service.
pub struct Observed<'a> {
    service: &'a ServiceEntry,
    windows: Windows<Window>,
}

impl<'a> Observed<'a> {
    pub fn of(service: &'a ServiceEntry, now: Instant) -> Self {
        Self { service, windows: service.tally.observed(now) }
    }

    /// How far back rates, errors and times go: for all versions of the service the same.
    pub fn lately(&self) -> Duration {
        self.windows.minute.length
    }

    /// Requests a second to all versions; none where it is too early.
    pub fn rate(&self) -> Option<f64> {
        self.per_second(self.windows.minute.total())
    }

    /// The same to one version.
    pub fn rate_of(&self, version: &VersionName) -> Option<f64> {
        let requests = |index| self.windows.minute.of(index).total();
        self.per_second(self.service.decider.place(version).map_or(0, requests))
    }

    fn per_second(&self, requests: u64) -> Option<f64> {
        let length = self.lately();
        (length >= RATE_MIN).then(|| rounded(requests as f64 / length.as_secs_f64(), 100.0))
    }

    /// Whether a version was drawn more or less often than its share explains, in any of the windows.
    pub fn is_beyond_chance(&self, version: &VersionName) -> bool {
        let decider = &self.service.decider;
        let place = decider.place(version);
        let mut places = decider.places().filter(|_| decider.is_split());
        let Some((index, share)) = places.find(|(index, _)| Some(*index) == place) else {
            return false;
        };
        let Windows { minute, hour, since_publish } = &self.windows;
        let is_beyond = |window: &Window| window.compare(index, ratio(share)).is_beyond_chance();
        [minute, hour, since_publish].into_iter().any(is_beyond)
    }

    /// What one version had; none where nobody can get it.
    pub fn document(&self, version: &VersionName) -> Option<ObservedDocument> {
        let decider = &self.service.decider;
        let index = decider.place(version).filter(|index| decider.entry(*index).is_some())?;
        let share = decider.places().find(|(place, _)| *place == index).map(|(_, share)| share);
        let share = share.filter(|_| decider.is_split());
        let Windows { minute, hour, since_publish } = self.windows.map(|window| {
            let (requests, of) = (window.of(index).total(), window.total());
            let is_enough = of >= REQUESTS_MIN;
            WindowDocument {
                seconds: rounded(window.length.as_secs_f64(), 1000.0),
                requests,
                service_requests: of,
                share: is_enough.then(|| percent_of(requests as f64 / of as f64)),
                too_early: !is_enough,
                draws: share.map(|share| DrawnDocument::of(&window.compare(index, ratio(share)))),
            }
        });
        Some(ObservedDocument { minute, hour, since_publish })
    }
}

/// The shares that `/metrics` shows: of every version that has a share of a split.
pub fn shares(snapshot: &Snapshot, now: Instant) -> Vec<VersionShares> {
    let splits = snapshot.services.iter().filter(|service| service.decider.is_split());
    let versions = splits.flat_map(|service| {
        let (key, decider) = (&service.key, &service.decider);
        let windows = service.tally.observed(now);
        decider.places().filter_map(move |(index, share)| {
            Some(VersionShares {
                environment: key.environment.as_str().into(),
                service: key.service.as_str().into(),
                version: decider.entry(index)?.spec.name.as_str().into(),
                declared: ratio(share),
                observed: windows.map(|window| window.compare(index, ratio(share))),
            })
        })
    });
    versions.collect()
}

/// From 0 to 1.
fn ratio(share: Percent) -> f64 {
    f64::from(share.hundredths()) / f64::from(Percent::ALL.hundredths())
}

/// A ratio from 0 to 1 as percent, with two decimals.
fn percent_of(ratio: f64) -> f64 {
    rounded(ratio * 100.0, 100.0)
}

/// A number with as many decimals as `parts` says: 100 for two.
pub fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

impl DrawnDocument {
    fn of(compared: &Comparison) -> Self {
        Self {
            drawn: compared.drawn,
            drawn_of: compared.of,
            drawn_share: compared.share().map(percent_of),
            p_value: compared.p_value,
            beyond_chance: compared.is_beyond_chance(),
        }
    }
}

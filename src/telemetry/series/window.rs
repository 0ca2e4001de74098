//! What the steps of a time say, one value for each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use super::clock::{Clock, Resolution};
use super::steps::Steps;

/// The versions of a service in a time. All series have the same length.
#[derive(Debug)]
pub struct Window<'a> {
    pub(super) clock: &'a Clock,
    pub(super) resolution: Resolution,
    pub(super) steps: Range<u32>,
    /// Those that had a request in the last hour, in no order.
    pub versions: Vec<VersionSeries>,
}

/// One version: a value for each step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionSeries {
    pub name: String,
    /// Requests that ended, also those that another version answered for it.
    pub requests: Vec<u64>,
    /// Of these, the ones that the version is at fault for.
    pub failed: Vec<u64>,
    /// The failed ones by code, or `5xx`.
    pub codes: BTreeMap<&'static str, Vec<u64>>,
    /// Milliseconds that half of the requests stayed below, 9 of 10, and 99 of 100; `None` without requests.
    pub quantiles: [Vec<Option<f32>>; 3],
    /// Time of processors.
    pub cpu_seconds: Vec<f64>,
    /// The memories of its sandboxes, where it has any and something ended.
    pub memory_bytes: Vec<Option<u64>>,
}

impl Window<'_> {
    /// The start of the first step, in milliseconds since 1970 as the machine's clock is now.
    pub fn from(&self) -> u64 {
        self.clock.label(self.steps.start * self.resolution.seconds())
    }

    /// When each step ends.
    pub fn ends(&self) -> impl Iterator<Item = Instant> {
        let end = |step: u32| self.clock.begins((step + 1) * self.resolution.seconds());
        self.steps.clone().map(end)
    }

    /// A version that had no request.
    pub fn without_requests(&self, name: &str) -> VersionSeries {
        VersionSeries::of(name, &Steps::default(), self.steps.clone())
    }
}

impl VersionSeries {
    pub(super) fn of(name: &str, kept: &Steps, steps: Range<u32>) -> Self {
        let length = steps.len();
        let mut all = Self {
            name: name.to_owned(),
            requests: vec![0; length],
            failed: vec![0; length],
            codes: BTreeMap::new(),
            quantiles: [const { Vec::new() }; 3].map(|_: Vec<()>| vec![None; length]),
            cpu_seconds: vec![0.0; length],
            memory_bytes: vec![None; length],
        };
        let place = |at: u32| usize::try_from(at - steps.start).unwrap_or(usize::MAX);
        for step in kept.within(steps.clone()) {
            let place = place(step.at);
            put(&mut all.requests, place, step.requests.into());
            put(&mut all.failed, place, step.failed.into());
            put(&mut all.cpu_seconds, place, f64::from(step.cpu) / 1e6);
            put(&mut all.memory_bytes, place, step.memory.map(|it| u64::from(it) * 1024));
            for (series, quantile) in all.quantiles.iter_mut().zip(step.quantiles) {
                put(series, place, Some(quantile).filter(|it| !it.is_nan()));
            }
        }
        for failed in kept.failed_within(steps.clone()) {
            let series = all.codes.entry(failed.code).or_insert_with(|| vec![0; length]);
            put(series, place(failed.at), failed.count.into());
        }
        all
    }
}

fn put<T>(series: &mut [T], place: usize, value: T) {
    if let Some(slot) = series.get_mut(place) {
        *slot = value;
    }
}

//! The counters of the versions of one name, and what was written down of them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::VersionLabels;
use super::super::codes::Codes;
use super::super::histogram::{Buckets, Histogram};
use super::super::usage::{Usage, Usages};
use super::clock::Resolution;
use super::steps::{Step, Steps, quantiles};
use super::window::VersionSeries;

/// Seconds of which something may be kept.
const KEPT: u32 = Resolution::TenSeconds.seconds() * Resolution::TenSeconds.steps();

/// What is counted of the versions of one name. Counting takes no lock.
#[derive(Debug)]
pub struct Track {
    labels: VersionLabels,
    pub(in super::super) duration: Histogram,
    /// Requests that another version answered: `duration` has them there.
    rescued: AtomicU64,
    failures: Codes,
    usages: Mutex<Usages>,
    seen: Mutex<Seen>,
}

/// What the last sample found, and the steps that were made of samples.
#[derive(Debug)]
struct Seen {
    counts: Counts,
    ten: Option<Ten>,
    seconds: Steps,
    tens: Steps,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    /// Of all durations, in nanoseconds: what tells cheaply that nothing ended.
    sum: u64,
    rescued: u64,
    buckets: Buckets,
    failures: Vec<(&'static str, u64)>,
}

/// The step of ten seconds that is not over, since its first request.
#[derive(Debug)]
struct Ten {
    step: Step,
    failures: Vec<(&'static str, u32)>,
    buckets: Buckets,
}

/// What was counted between two samples.
struct Growth {
    requests: u64,
    failures: Vec<(&'static str, u64)>,
    quantiles: [f32; 3],
    /// Microseconds.
    cpu: u64,
    memory: Option<u32>,
}

impl Track {
    pub(super) fn new(labels: VersionLabels, duration: Histogram) -> Self {
        let (sum, buckets) = (duration.sum(), duration.buckets());
        let counts = Counts { sum, buckets, ..Counts::default() };
        let (seconds, tens) = Default::default();
        let seen = Mutex::new(Seen { counts, ten: None, seconds, tens });
        let (rescued, failures, usages) = Default::default();
        Self { labels, duration, rescued, failures, usages, seen }
    }

    pub(super) fn labels(&self) -> &VersionLabels {
        &self.labels
    }

    /// Also counts what a version uses.
    pub(in super::super) fn using(&self, usage: &Usage) {
        self.usages.lock().unwrap_or_else(PoisonError::into_inner).add(usage);
    }

    /// Counts a request that the version is at fault for.
    pub(in super::super) fn failed(&self, code: &'static str) {
        self.failures.count(code);
    }

    /// Counts a request that another version answered.
    pub(in super::super) fn rescued(&self, code: &'static str) {
        self.rescued.fetch_add(1, Ordering::Relaxed);
        self.failures.count(code);
    }

    /// Writes down what was counted since the last time, which was in these steps of one second.
    pub(super) fn sample(&self, steps: Range<u32>) {
        let usage = self.usages.lock().unwrap_or_else(PoisonError::into_inner).look();
        let mut seen = self.seen();
        let (sum, rescued) = (self.duration.sum(), self.rescued.load(Ordering::Relaxed));
        let is_still = seen.counts.sum == sum && seen.counts.rescued == rescued && usage.0 == 0;
        if is_still && seen.ten.is_none() {
            return;
        }
        // Failures are read first: each is also among the requests, which are read after it.
        let now = match is_still {
            true => seen.counts.clone(),
            false => Counts {
                failures: self.failures.counts().collect(),
                sum: self.duration.sum(),
                rescued: self.rescued.load(Ordering::Relaxed),
                buckets: self.duration.buckets(),
            },
        };
        seen.take(now, usage, steps);
    }

    /// Forgets steps that are too old. Returns whether nothing is left.
    pub(super) fn forget(&self, next: u32) -> bool {
        let mut seen = self.seen();
        let oldest = |of: Resolution| (next / of.seconds()).saturating_sub(of.steps());
        let seconds = seen.seconds.forget(oldest(Resolution::Second));
        seen.tens.forget(oldest(Resolution::TenSeconds)) && seconds && seen.ten.is_none()
    }

    /// What is known of these steps.
    pub(super) fn series(&self, resolution: Resolution, steps: Range<u32>) -> VersionSeries {
        let seen = self.seen();
        let kept = match resolution {
            Resolution::Second => &seen.seconds,
            Resolution::TenSeconds => &seen.tens,
        };
        VersionSeries::of(self.labels.version.as_str(), kept, steps)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let seen = self.seen();
        size_of::<Self>() + seen.seconds.bytes() + seen.tens.bytes()
    }
}

impl Seen {
    fn take(&mut self, now: Counts, (cpu, memory): (u64, Option<u64>), steps: Range<u32>) {
        let buckets = now.buckets.since(&self.counts.buckets);
        let growth = Growth {
            requests: buckets.total() + now.rescued.saturating_sub(self.counts.rescued),
            failures: grown(&self.counts.failures, &now.failures),
            quantiles: quantiles(&buckets),
            cpu: cpu / 1_000,
            memory: memory.map(|bytes| u32::try_from(bytes / 1024).unwrap_or(u32::MAX)),
        };
        let before = std::mem::replace(&mut self.counts, now);
        // What is longer ago is forgotten anyway.
        let steps = steps.start.max(steps.end.saturating_sub(KEPT))..steps.end;
        for at in steps.clone() {
            let part = |all: u64| part(all, at - steps.start, steps.end - steps.start);
            let failures: Vec<_> =
                growth.failures.iter().map(|(code, count)| (*code, part(*count))).collect();
            let requests = part(growth.requests);
            let step = Step {
                at,
                requests,
                failed: failures.iter().map(|(_, count)| count).sum(),
                quantiles: if requests > 0 { growth.quantiles } else { [f32::NAN; 3] },
                cpu: part(growth.cpu),
                memory: growth.memory,
            };
            self.put(step, &failures, &before.buckets, growth.quantiles);
        }
    }

    /// Writes a step of one second down, and the step of ten seconds that it ends.
    fn put(
        &mut self,
        step: Step,
        failures: &[(&'static str, u32)],
        before: &Buckets,
        lately: [f32; 3],
    ) {
        let length = Resolution::TenSeconds.seconds();
        if self.ten.is_none() && !step.is_empty() {
            let (step, buckets) = (Step::new(step.at / length), before.clone());
            self.ten = Some(Ten { step, failures: Vec::new(), buckets });
        }
        if let Some(ten) = &mut self.ten {
            ten.step.add(&step);
            ten.failures.extend(failures.iter().filter(|(_, count)| *count > 0));
        }
        let is_last = step.at % length == length - 1;
        self.seconds.push(step, failures.iter().copied());
        if let Some(ten) = self.ten.take_if(|_| is_last) {
            self.end(ten, lately);
        }
    }

    fn end(&mut self, Ten { mut step, mut failures, buckets }: Ten, lately: [f32; 3]) {
        if step.requests > 0 {
            let own = self.counts.buckets.since(&buckets);
            // In a part of a long time without a sample, nothing more is known than of all of it.
            step.quantiles = if own.total() > 0 { quantiles(&own) } else { lately };
        }
        failures.sort_unstable_by_key(|(code, _)| *code);
        failures.dedup_by(|(code, count), (kept, sum)| {
            let is_same = code == kept;
            *sum += if is_same { *count } else { 0 };
            is_same
        });
        self.tens.push(step, failures.into_iter());
    }
}

/// By how much each code grew.
fn grown(before: &[(&'static str, u64)], now: &[(&'static str, u64)]) -> Vec<(&'static str, u64)> {
    let known = |code: &str| before.iter().find(|(own, _)| *own == code).map_or(0, |it| it.1);
    let all = now.iter().map(|(code, count)| (*code, count.saturating_sub(known(code))));
    all.filter(|(_, count)| *count > 0).collect()
}

/// The part of a sum that falls to one of several steps: whole numbers that differ by one at most, and add up.
fn part(all: u64, index: u32, of: u32) -> u32 {
    let up_to = |index: u32| u128::from(all) * u128::from(index) / u128::from(of.max(1));
    u32::try_from(up_to(index + 1) - up_to(index)).unwrap_or(u32::MAX)
}

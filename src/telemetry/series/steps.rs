//! What was counted in each step of one length: only steps in which something was.

use std::collections::VecDeque;
use std::ops::Range;

use super::super::histogram::Buckets;

/// The quantiles that are kept.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// What was counted in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub at: u32,
    pub requests: u32,
    pub failed: u32,
    /// Milliseconds: what half of the requests stayed below, 9 of 10, and 99 of 100. Not a number without requests.
    pub quantiles: [f32; 3],
    /// Microseconds of processors.
    pub cpu: u32,
    /// Kibibytes at the end, or the most of all parts.
    pub memory: Option<u32>,
}

/// The failures of one step with one code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub at: u32,
    pub count: u32,
    pub code: &'static str,
}

/// The steps of one length, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: VecDeque<Step>,
    failed: VecDeque<Failed>,
}

impl Step {
    pub fn new(at: u32) -> Self {
        Self { at, requests: 0, failed: 0, quantiles: [f32::NAN; 3], cpu: 0, memory: None }
    }

    /// Whether nothing was counted. Memory alone is no reason to keep a step.
    pub fn is_empty(&self) -> bool {
        self.requests == 0 && self.failed == 0 && self.cpu == 0
    }

    /// Adds what was counted in a part of it.
    pub fn add(&mut self, part: &Self) {
        self.requests = self.requests.saturating_add(part.requests);
        self.failed = self.failed.saturating_add(part.failed);
        self.cpu = self.cpu.saturating_add(part.cpu);
        self.memory = self.memory.max(part.memory);
    }
}

/// The quantiles of requests, in milliseconds.
pub(super) fn quantiles(buckets: &Buckets) -> [f32; 3] {
    let milliseconds = |took: std::time::Duration| took.as_secs_f32() * 1000.0;
    QUANTILES.map(|share| buckets.quantile(share).map_or(f32::NAN, milliseconds))
}

impl Steps {
    pub fn push(&mut self, step: Step, failed: impl Iterator<Item = (&'static str, u32)>) {
        if step.is_empty() {
            return;
        }
        let at = step.at;
        self.steps.push_back(step);
        let failed = failed.filter(|(_, count)| *count > 0);
        self.failed.extend(failed.map(|(code, count)| Failed { at, count, code }));
    }

    /// Forgets what is older than a step, and gives memory back. Returns whether nothing is left.
    pub fn forget(&mut self, oldest: u32) -> bool {
        while self.steps.pop_front_if(|step| step.at < oldest).is_some() {}
        while self.failed.pop_front_if(|failed| failed.at < oldest).is_some() {}
        shrink(&mut self.steps);
        shrink(&mut self.failed);
        self.steps.is_empty()
    }

    pub fn within(&self, steps: Range<u32>) -> impl Iterator<Item = &Step> {
        let start = self.steps.partition_point(|step| step.at < steps.start);
        self.steps.range(start..).take_while(move |step| step.at < steps.end)
    }

    pub fn failed_within(&self, steps: Range<u32>) -> impl Iterator<Item = &Failed> {
        let start = self.failed.partition_point(|failed| failed.at < steps.start);
        self.failed.range(start..).take_while(move |failed| failed.at < steps.end)
    }

    /// The bytes that it takes.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>() + self.failed.capacity() * size_of::<Failed>()
    }
}

fn shrink<T>(all: &mut VecDeque<T>) {
    if all.capacity() > 16 && all.capacity() / 4 > all.len() {
        all.shrink_to(2 * all.len());
    }
}

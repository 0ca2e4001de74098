//! The last hour of each version, in steps: 600 of one second, and 360 of ten.
//!
//! Requests count in atomics, as ever. Once a second the server has [`Series::sample`] write down by how much they grew.
//! A version costs nothing before its first request, and nothing for a second without any. One with requests in every
//! second costs up to 64 KiB, and 24 bytes more for each code of a failure in a step.
//!
//! `clock` says which step a moment is in, `track` has the counters of a version, `steps` what was written down.

mod clock;
mod steps;
mod track;
mod window;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::VersionLabels;
use super::histogram::Histogram;
use clock::Clock;

pub use clock::Resolution;
pub use track::Track;
pub use window::{VersionSeries, Window};

/// How many tracks are sampled before who waits for the list gets it.
const AT_ONCE: usize = 64;

/// The series of all versions that have had a request lately.
#[derive(Debug)]
pub struct Series {
    clock: Clock,
    tracks: Mutex<Tracks>,
    /// The first step that is not over, as far as it is sampled.
    next: AtomicU32,
    /// One pass at a time.
    sampling: Mutex<()>,
}

#[derive(Debug, Default)]
struct Tracks {
    by_name: HashMap<VersionLabels, Arc<Track>>,
    all: Vec<Arc<Track>>,
}

impl Series {
    /// Series that begin now.
    pub(super) fn new(now: Instant, wall: SystemTime) -> Self {
        let clock = Clock::new(now, wall);
        let next = AtomicU32::new(clock.step(now));
        Self { clock, tracks: Mutex::default(), next, sampling: Mutex::default() }
    }

    /// The track of a version, which begins with what the histogram has by now. Versions that follow one another under
    /// one name share it, so what ends late is not lost.
    pub(super) fn track(&self, labels: &VersionLabels, duration: &Histogram) -> Arc<Track> {
        let mut tracks = self.tracks();
        if let Some(known) = tracks.by_name.get(labels) {
            return known.clone();
        }
        let track = Arc::new(Track::new(labels.clone(), duration.clone()));
        tracks.by_name.insert(labels.clone(), track.clone());
        tracks.all.push(track.clone());
        track
    }

    /// When the step that `now` is in is over.
    pub fn next(&self, now: Instant) -> Instant {
        self.clock.begins(self.clock.step(now) + 1)
    }

    /// Writes down what was counted in the steps that are over by `now`. To be called once a second. What was counted
    /// while it was not called is spread evenly over the steps that were missed: nothing is lost, and no step has more
    /// than its part.
    pub fn sample(&self, now: Instant, wall: SystemTime) {
        let _one = self.sampling.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.follow(now, wall);
        let (from, to) = (self.next.load(Ordering::Acquire), self.clock.step(now));
        if to <= from {
            return;
        }
        let mut place = 0;
        loop {
            let some: Vec<_> =
                self.tracks().all.iter().skip(place).take(AT_ONCE).cloned().collect();
            if some.is_empty() {
                break;
            }
            place += some.len();
            some.iter().for_each(|track| track.sample(from..to));
        }
        if from / 10 != to / 10 {
            self.forget(to);
        }
        self.next.store(to, Ordering::Release);
    }

    /// Forgets steps that are too old, and tracks without any that no version counts in.
    fn forget(&self, next: u32) {
        let mut tracks = self.tracks();
        let Tracks { by_name, all } = &mut *tracks;
        all.retain(|track| {
            // One in the list, and one by its name. A version that counts holds another.
            let is_needed = !track.forget(next) || Arc::strong_count(track) > 2;
            if !is_needed {
                by_name.remove(track.labels());
            }
            is_needed
        });
    }

    /// What is known of the versions of a service, in steps that end after `since`, in milliseconds since 1970: all that
    /// are kept, without it. Only steps that are over.
    pub fn window(
        &self,
        (environment, service): (&str, &str),
        resolution: Resolution,
        since: Option<u64>,
    ) -> Window<'_> {
        let next = self.next.load(Ordering::Acquire);
        let steps = self.clock.window(resolution, next, since);
        let tracks = self.tracks();
        let of_service = tracks.by_name.values().filter(|track| {
            let VersionLabels { environment: own, service: name, .. } = track.labels();
            own.as_str() == environment && name.as_str() == service
        });
        let versions = of_service.map(|track| track.series(resolution, steps.clone())).collect();
        Window { clock: &self.clock, resolution, steps, versions }
    }

    fn tracks(&self) -> MutexGuard<'_, Tracks> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

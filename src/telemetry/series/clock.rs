//! Which step a moment is in. Steps are counted by the monotonic clock, so that no step is lost or comes twice when
//! somebody sets the machine's time; the wall clock only gives them their labels.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the labels may be off before they follow the wall clock. Less would move them by its corrections.
const OFF: u64 = 1_000;

/// How long a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// One second, for ten minutes.
    Second,
    /// Ten seconds, for an hour.
    TenSeconds,
}

impl Resolution {
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::TenSeconds => 10,
        }
    }

    /// How many steps are kept.
    pub const fn steps(self) -> u32 {
        match self {
            Self::Second => 600,
            Self::TenSeconds => 360,
        }
    }
}

#[derive(Debug)]
pub(super) struct Clock {
    /// The beginning of step 0: up to ten seconds before the series began, so that steps begin at whole seconds.
    origin: Instant,
    /// The first step of one second.
    first: u32,
    /// The wall clock's time at the origin, in milliseconds since 1970: a whole second.
    label: AtomicU64,
}

impl Clock {
    pub fn new(now: Instant, wall: SystemTime) -> Self {
        let wall = milliseconds(wall);
        let within = Duration::from_millis(wall % 10_000);
        let origin = now.checked_sub(within).unwrap_or(now);
        let label = AtomicU64::new(wall - wall % 10_000);
        let mut clock = Self { origin, first: 0, label };
        clock.first = clock.step(now);
        clock
    }

    /// The step of one second that a moment is in.
    pub fn step(&self, at: Instant) -> u32 {
        let seconds = at.saturating_duration_since(self.origin).as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// When a step of one second begins.
    pub fn begins(&self, step: u32) -> Instant {
        self.origin + Duration::from_secs(step.into())
    }

    /// Has labels follow the wall clock, if it was set.
    pub fn follow(&self, now: Instant, wall: SystemTime) {
        let elapsed = now.saturating_duration_since(self.origin).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let origin = milliseconds(wall).saturating_sub(elapsed);
        if origin.abs_diff(self.label.load(Ordering::Relaxed)) > OFF {
            self.label.store((origin + 500) / 1_000 * 1_000, Ordering::Relaxed);
        }
    }

    /// What the wall clock shows, by its last correction, when a step of one second begins.
    pub fn label(&self, step: u32) -> u64 {
        self.label.load(Ordering::Relaxed) + u64::from(step) * 1_000
    }

    /// The steps of a length that are over before the step `next` of one second, and that end after `since`.
    pub fn window(&self, resolution: Resolution, next: u32, since: Option<u64>) -> Range<u32> {
        let length = resolution.seconds();
        let end = next / length;
        let kept = end.saturating_sub(resolution.steps()).max(self.first / length);
        let since = since.map_or(0, |since| since.saturating_sub(self.label(0)));
        let later = u32::try_from(since / 1_000 / u64::from(length)).unwrap_or(u32::MAX);
        kept.max(later).min(end)..end
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

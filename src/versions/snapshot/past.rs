//! What shares a service's versions had in the last hour.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Percent, VersionName};

/// How long shares are kept, for how long all of them, and how far apart they are after that.
const KEPT: Duration = Duration::from_secs(3_600);
const ALL: Duration = Duration::from_secs(600);
const APART: Duration = Duration::from_secs(10);
/// Shares that last for less are not kept.
const SHORT: Duration = Duration::from_secs(1);

/// The shares of versions.
pub type Shares = Vec<(VersionName, Percent)>;

/// The shares that a service had before those that it has. A service whose traffic does not change keeps none.
#[derive(Clone, Debug)]
pub struct Past {
    /// When the service appeared.
    began: Instant,
    /// Each with the time until which it held, the oldest first.
    before: Arc<[(Instant, Shares)]>,
}

impl Past {
    pub fn new(now: Instant) -> Self {
        Self { began: now, before: Arc::default() }
    }

    /// The same, where these shares held until now.
    #[must_use]
    pub fn after(&self, shares: Shares, now: Instant) -> Self {
        let last = self.before.last().map_or(self.began, |(until, _)| *until);
        if now.saturating_duration_since(last) < SHORT {
            return self.clone();
        }
        let mut kept = Vec::with_capacity(self.before.len() + 1);
        let mut last: Option<Instant> = None;
        for (until, shares) in self.before.iter() {
            let age = now.saturating_duration_since(*until);
            let is_apart = last.is_none_or(|last| until.duration_since(last) >= APART);
            if age <= ALL || (age <= KEPT && is_apart) {
                last = Some(*until);
                kept.push((*until, shares.clone()));
            }
        }
        kept.push((now, shares));
        Self { began: self.began, before: kept.into() }
    }

    /// The share that a version had at a time, if it was another one than now.
    pub fn share_at(&self, version: &VersionName, at: Instant) -> Option<Percent> {
        if at < self.began {
            return Some(Percent::ZERO);
        }
        let next = self.before.partition_point(|(until, _)| *until <= at);
        let (_, shares) = self.before.get(next)?;
        let own = shares.iter().find(|(name, _)| name == version);
        Some(own.map_or(Percent::ZERO, |(_, share)| *share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> VersionName {
        VersionName::new("v1").unwrap()
    }

    fn shares(hundredths: u16) -> Shares {
        vec![(name(), Percent::from_hundredths(hundredths).unwrap())]
    }

    fn at(past: &Past, seconds: u64) -> Option<u16> {
        let at = past.began + Duration::from_secs(seconds);
        past.share_at(&name(), at).map(Percent::hundredths)
    }

    #[test]
    fn each_time_has_the_share_that_held_then() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let past = Past::new(start).after(shares(100), after(60)).after(shares(500), after(120));
        assert_eq!((at(&past, 0), at(&past, 59)), (Some(100), Some(100)));
        assert_eq!((at(&past, 60), at(&past, 119), at(&past, 120)), (Some(500), Some(500), None));
        let brief = past.after(shares(900), after(120) + Duration::from_millis(500));
        assert_eq!(at(&brief, 119), Some(500));
        let other = VersionName::new("v2").unwrap();
        assert_eq!(past.share_at(&other, start), Some(Percent::ZERO));
    }

    #[test]
    fn a_service_that_changes_all_the_time_keeps_a_bounded_past() {
        let start = Instant::now();
        let mut past = Past::new(start);
        for second in 1..5_000 {
            past = past.after(shares(second), start + Duration::from_secs(second.into()));
        }
        assert!(past.before.len() <= 600 + 300 + 2, "{}", past.before.len());
        assert_eq!(at(&past, 4_990), Some(4_991));
    }
}

//! Which failures of a version, or of clients' connections, are written to the log: for each kind, the first in a second.
//! The others are counted, and the next line says how many there were. So a version that fails every request writes one
//! line a second, and not thousands.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one line stands for all failures of its kind.
const APART: Duration = Duration::from_secs(1);

/// The failures of one version, or of all connections. A request that does not fail never takes its lock.
#[derive(Debug, Default)]
pub struct FailureLog(Mutex<Vec<Kind>>);

/// What two failures of one kind share: their code, and whether the client had seen the head of a response.
pub type Key = (&'static str, bool);

#[derive(Debug)]
struct Kind {
    key: Key,
    /// When the last line was written.
    told: Instant,
    /// How many have not been written since.
    more: u64,
}

/// How many failures of the same kind were not written before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppressed(u64);

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, " ({more} more of the same before it)"),
        }
    }
}

impl FailureLog {
    /// Whether to write a failure now, and how many of its kind were not written before it.
    pub fn admit(&self, key: Key, now: Instant) -> Option<Suppressed> {
        let mut kinds = self.kinds();
        let Some(kind) = kinds.iter_mut().find(|kind| kind.key == key) else {
            kinds.push(Kind { key, told: now, more: 0 });
            return Some(Suppressed(0));
        };
        if now.saturating_duration_since(kind.told) < APART {
            kind.more += 1;
            return None;
        }
        kind.told = now;
        Some(Suppressed(std::mem::take(&mut kind.more)))
    }

    /// The kinds with unwritten failures whose last line is a while ago, and how many there are of each.
    pub fn overdue(&self, now: Instant) -> Vec<(Key, u64)> {
        let mut kinds = self.kinds();
        let due =
            |kind: &&mut Kind| kind.more > 0 && now.saturating_duration_since(kind.told) >= APART;
        let overdue = kinds.iter_mut().filter(due).map(|kind| {
            kind.told = now;
            (kind.key, std::mem::take(&mut kind.more))
        });
        overdue.collect()
    }

    /// All unwritten failures, for when the version is gone.
    pub fn rest(&self) -> Vec<(Key, u64)> {
        let mut kinds = self.kinds();
        let rest = kinds.drain(..).filter(|kind| kind.more > 0);
        rest.map(|kind| (kind.key, kind.more)).collect()
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAP: Key = ("trap", false);

    #[test]
    fn one_of_a_kind_is_told_a_second_and_stands_for_all() {
        let (log, start) = (FailureLog::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut told = Vec::new();
        for millisecond in 0..=3_000 {
            told.extend(log.admit(TRAP, at(millisecond)));
            for other in [("memory", false), ("trap", true)] {
                assert_eq!(log.admit(other, at(millisecond)).is_some(), millisecond % 1_000 == 0);
            }
        }
        assert_eq!(told, [Suppressed(0), Suppressed(999), Suppressed(999), Suppressed(999)]);
        assert_eq!(
            Suppressed(0).to_string() + &Suppressed(7).to_string(),
            " (7 more of the same before it)"
        );
    }

    #[test]
    fn what_was_not_told_is_told_once_it_is_over() {
        let (log, start) = (FailureLog::default(), Instant::now());
        for _ in 0..8_000 {
            log.admit(TRAP, start);
        }
        assert_eq!(log.overdue(start + APART / 2), []);
        assert_eq!(log.overdue(start + APART), [(TRAP, 7_999)]);
        assert_eq!(log.overdue(start + 2 * APART), []);
        log.admit(TRAP, start + APART);
        assert_eq!(log.rest(), [(TRAP, 1)]);
    }
}

//! Makes a compiler rest while there are too few cores for it and for requests.
//!
//! The lowest priority does not suffice. A compiler then runs only in the gaps that requests leave,
//! but a waking thread finds its caches full of other data and the other half of its core busy,
//! which hurts tail latency most. So a compiler that has to wait for a core also rests.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long a compiler runs before its waiting time is checked.
pub(super) const TURN: Duration = Duration::from_millis(4);
/// How long it rests if it had to wait for a core.
pub(super) const REST: Duration = Duration::from_millis(12);

/// The time that a process ran and waited since the last check.
#[derive(Debug)]
pub(super) struct Pace {
    process: u32,
    before: Spent,
}

/// Times of the present threads of a process, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    running: u64,
    /// Time spent ready to run, waiting for a core.
    waiting: u64,
}

impl Pace {
    /// The pace of the process with this id.
    pub fn of(process: u32) -> Self {
        Self { process, before: Spent::default() }
    }

    /// Whether the process had to wait for a core since the last call. `false` where the kernel
    /// does not tell.
    pub fn is_crowded(&mut self) -> bool {
        let threads = format!("/proc/{}/task", self.process);
        let Some(now) = Spent::by_threads(Path::new(&threads)) else { return false };
        let before = std::mem::replace(&mut self.before, now);
        before.is_crowded_until(now)
    }
}

impl Spent {
    /// The scheduling statistics of each thread
    /// ([schedstat](https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat)). A
    /// kernel built or started without them has no such files, or only zeros in them.
    fn by_threads(threads: &Path) -> Option<Self> {
        let mut sum = Self::default();
        for thread in fs::read_dir(threads).ok()? {
            // A thread may end between listing and reading.
            let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else {
                continue;
            };
            let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
            sum.running += numbers.next()?.ok()?;
            sum.waiting += numbers.next()?.ok()?;
        }
        (sum.running > 0).then_some(sum)
    }

    /// Whether at least a fifth of the time was spent waiting. The kernel counts a wait when it is
    /// over, so a process that did not run at all counts as waiting.
    fn is_crowded_until(self, now: Self) -> bool {
        let ran = now.running.saturating_sub(self.running);
        let waited = now.waiting.saturating_sub(self.waiting);
        ran == 0 || waited.saturating_mul(4) > ran
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn who_waits_is_crowded() {
        let at = |running, waiting| Spent { running, waiting };
        for (now, crowded) in [
            (at(4_000, 0), false),
            (at(4_000, 1_000), false),
            (at(3_000, 1_000), true),
            (at(0, 0), true),
        ] {
            let before = at(7, 11);
            let now = at(7 + now.running, 11 + now.waiting);
            assert_eq!(before.is_crowded_until(now), crowded, "{now:?}");
        }
    }

    #[test]
    fn a_process_that_has_lost_a_thread_is_not_taken_for_one_that_ran_backwards() {
        let before = Spent { running: 9_000, waiting: 9_000 };
        assert!(before.is_crowded_until(Spent { running: 100, waiting: 0 }));
    }

    /// Of this thread alone: those of other tests end meanwhile, and take along what they got.
    #[test]
    fn the_kernel_tells_what_a_process_got() {
        let directory = tempfile::tempdir().unwrap();
        let threads = directory.path();
        let this = fs::canonicalize("/proc/thread-self").unwrap();
        std::os::unix::fs::symlink(this, threads.join("7")).unwrap();
        let spin = || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(50) {
                std::hint::spin_loop();
            }
        };
        // The kernel counts what a thread got by its ticks.
        spin();
        let before = Spent::by_threads(threads).unwrap();
        spin();
        let now = Spent::by_threads(threads).unwrap();
        assert!(now.running > before.running, "{before:?}, {now:?}");
    }

    /// Who is not known to wait must not be kept waiting.
    #[test]
    fn nobody_is_crowded_where_the_kernel_does_not_tell() {
        assert!(!Pace::of(u32::MAX).is_crowded());
        let threads = tempfile::tempdir().unwrap();
        let thread = threads.path().join("7");
        fs::create_dir(&thread).unwrap();
        assert_eq!(Spent::by_threads(threads.path()), None);
        for silent in ["0 0 0\n", "", "no numbers\n"] {
            fs::write(thread.join("schedstat"), silent).unwrap();
            assert_eq!(Spent::by_threads(threads.path()), None, "{silent:?}");
        }
        fs::write(thread.join("schedstat"), "5 3 1\n").unwrap();
        let spent = Spent { running: 5, waiting: 3 };
        assert_eq!(Spent::by_threads(threads.path()), Some(spent));
    }
}

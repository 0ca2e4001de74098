//! Measures the CPU time of a turn of a thread: a poll, or a part of one.
//!
//! Reading the CPU clock of a thread takes a system call of a few hundred nanoseconds, while most
//! turns take some microseconds. So two rules avoid most readings:
//!
//! - A turn takes no more CPU time than wall time, and the wall clock is cheap to read. A turn shorter
//!   than [`UNASKED`] is charged its wall time.
//! - A longer turn is charged the CPU time since the last reading, which may be up to [`UNASKED`]
//!   before the turn began.
//!
//! So no turn is charged less than it took, and none [`UNASKED`] more, however long the kernel
//! stops the thread. The readings cost at most 0.2 % of a thread's time.

use std::cell::Cell;

use rustix::time::{ClockId, clock_gettime};

/// In nanoseconds: turns shorter than this are charged their wall time, and a reading of the CPU
/// clock may be this old when a turn begins.
const UNASKED: u64 = 250_000;

thread_local! {
    /// The last reading on this thread. A thread-local, because each thread has its own CPU clock
    /// and tasks move between threads.
    static LAST: Cell<Reading> = const { Cell::new(Reading { wall: 0, cpu: 0 }) };
}

/// A turn that has begun on this thread, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The wall clock at the beginning.
    pub began: u64,
    /// The CPU clock at the beginning, or less than [`UNASKED`] earlier.
    pub before: u64,
}

/// A reading of the CPU clock of a thread, and its time.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: u64,
    cpu: u64,
}

/// Begins a turn on this thread. With `exact`, the CPU clock is read now: use it for turns known to
/// be long.
pub(super) fn begin(exact: bool) -> Turn {
    let now = nanoseconds(ClockId::Monotonic);
    let last = LAST.get();
    let last = if exact || !last.is_fresh(now) { read(now) } else { last };
    Turn { began: now, before: last.cpu }
}

/// The CPU time to charge for a turn up to now, in nanoseconds. Call it on the thread on which the
/// turn began.
pub(super) fn cost(turn: Turn) -> u64 {
    let now = nanoseconds(ClockId::Monotonic);
    turn.cost(now, || read(now).cpu)
}

fn read(now: u64) -> Reading {
    let reading = Reading { wall: now, cpu: nanoseconds(ClockId::ThreadCPUTime) };
    LAST.set(reading);
    reading
}

/// Reads a clock. Its value is never negative, and fits for 584 years.
fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec).wrapping_mul(1_000_000_000).wrapping_add(part(time.tv_nsec))
}

impl Turn {
    fn cost(self, now: u64, cpu: impl FnOnce() -> u64) -> u64 {
        let wall = now.saturating_sub(self.began);
        if wall < UNASKED {
            return wall;
        }
        wall.min(cpu().saturating_sub(self.before))
    }
}

impl Reading {
    fn is_fresh(self, now: u64) -> bool {
        now.saturating_sub(self.wall) < UNASKED
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    const MICROSECOND: u64 = 1_000;
    const MILLISECOND: u64 = 1_000_000;

    /// A thread whose clocks a test moves.
    struct Thread {
        now: Reading,
        last: Reading,
    }

    impl Thread {
        fn new() -> Self {
            let now = Reading { wall: 7 * MILLISECOND, cpu: 0 };
            Self { now, last: now }
        }

        /// Runs and is stopped, in microseconds, in this order.
        fn live(&mut self, [runs, stopped]: [u64; 2]) {
            self.now.cpu += runs * MICROSECOND;
            self.now.wall += (runs + stopped) * MICROSECOND;
        }

        /// A turn that lives so: what it is charged, and what it took.
        fn turn(&mut self, lives: &[[u64; 2]]) -> (u64, u64) {
            if !self.last.is_fresh(self.now.wall) {
                self.last = self.now;
            }
            let turn = Turn { began: self.now.wall, before: self.last.cpu };
            let took = self.now.cpu;
            lives.iter().for_each(|life| self.live(*life));
            let (now, last) = (self.now, &mut self.last);
            let charged = turn.cost(now.wall, || {
                *last = now;
                now.cpu
            });
            (charged, now.cpu - took)
        }
    }

    #[test]
    fn a_thread_that_is_stopped_costs_nothing() {
        let mut thread = Thread::new();
        // Stopped for 90 of each 100 ms, a turn of 20 ms takes 200 ms.
        let (charged, took) = thread.turn(&[[10_000, 90_000]; 2]);
        assert_eq!((charged, took), (20 * MILLISECOND, 20 * MILLISECOND));
    }

    #[test]
    fn a_short_turn_is_charged_by_the_wall_and_asks_nobody() {
        let turn = Turn { began: MILLISECOND, before: 0 };
        assert_eq!(turn.cost(MILLISECOND + UNASKED - 1, || panic!("asked")), UNASKED - 1);
    }

    #[test]
    fn what_others_did_on_the_thread_is_not_charged_beyond_the_bound() {
        let mut thread = Thread::new();
        thread.live([249, 0]);
        let (charged, took) = thread.turn(&[[1_000, 9_000]]);
        assert_eq!((charged, took), (1_249 * MICROSECOND, 1_000 * MICROSECOND));
        thread.live([249, 5_000]);
        let (charged, took) = thread.turn(&[[1_000, 9_000]]);
        assert_eq!(charged, took);
    }

    #[test]
    fn the_clock_of_this_thread_stands_still_while_it_sleeps() {
        let turn = begin(true);
        std::thread::sleep(Duration::from_millis(30));
        let slept = cost(turn);
        assert!(slept < 15 * MILLISECOND, "{slept}");
        let (turn, started) = (begin(true), Instant::now());
        while started.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let computed = cost(turn);
        assert!(computed > 0 && computed <= cost(Turn { before: 0, ..turn }), "{computed}");
    }

    proptest! {
        /// Whatever the kernel and the other tasks of the thread do.
        #[test]
        fn no_turn_is_charged_less_than_it_took_or_much_more(
            turns in prop::collection::vec(
                ([0..2_000_u64, 0..2_000_u64], prop::collection::vec([0..400_u64, 0..4_000_u64], 1..5)),
                1..40,
            )
        ) {
            let mut thread = Thread::new();
            for (between, lives) in turns {
                thread.live(between);
                let (charged, took) = thread.turn(&lives);
                prop_assert!(charged >= took);
                prop_assert!(charged < took + UNASKED);
            }
        }
    }
}

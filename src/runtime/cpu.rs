//! Measures and limits the CPU time of a guest. The time is measured around each poll of its
//! future. The epoch callback checks it during a poll, because a guest in a tight loop never
//! returns from one.
//!
//! The clock is the CPU clock of the thread. It stops while the kernel runs other threads, so a
//! guest is charged neither for a throttled container nor for busy neighbours.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use super::sandbox::Sandbox;
use super::thread_clock::{self, Turn};
use super::ticker::Ticker;

/// The guest used up its CPU time.
#[derive(Debug, thiserror::Error)]
#[error("the guest used up its CPU time")]
pub(super) struct CpuTimeUsedUp;

/// The CPU time of one request. Only one task at a time polls a guest, so the counters do not race.
#[derive(Debug)]
pub(super) struct CpuClock {
    ticker: Arc<Ticker>,
    /// All times are in nanoseconds.
    budget: u64,
    /// Charged for polls that have ended.
    spent: AtomicU64,
    /// Of `spent`, what `total` has.
    told: AtomicU64,
    /// What all guests of the version have used.
    total: Arc<AtomicU64>,
    /// The current poll, as a turn of its thread.
    began: AtomicU64,
    before: AtomicU64,
    /// Whether the last poll ended with an epoch: then the guest goes on computing in the next.
    interrupted: AtomicBool,
}

/// How much a guest spends until it is told, in nanoseconds. Telling costs a line of memory that all cores write.
const UNTOLD: u64 = 50_000_000;

impl Drop for CpuClock {
    fn drop(&mut self) {
        self.tell();
    }
}

impl CpuClock {
    pub fn new(budget: Duration, ticker: Arc<Ticker>, total: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self {
            ticker,
            budget: u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX),
            spent: AtomicU64::new(0),
            told: AtomicU64::new(0),
            total,
            began: AtomicU64::new(0),
            before: AtomicU64::new(0),
            interrupted: AtomicBool::new(false),
        })
    }

    /// Starts again from 0, for the next request of the same guest.
    pub fn reset(&self) {
        self.tell();
        self.spent.store(0, Ordering::Relaxed);
        self.told.store(0, Ordering::Relaxed);
        self.interrupted.store(false, Ordering::Relaxed);
    }

    /// Polls a guest, and charges it for the CPU time of the poll.
    pub fn poll<F: Future + ?Sized>(
        &self,
        guest: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.ticker.keep_ticking();
        self.begin();
        let polled = guest.poll(context);
        let spent = self.running();
        self.spent.store(spent, Ordering::Relaxed);
        if spent - self.told.load(Ordering::Relaxed).min(spent) > UNTOLD {
            self.tell();
        }
        polled
    }

    /// Adds what was spent to what all guests of the version have used.
    pub fn tell(&self) {
        let spent = self.spent.load(Ordering::Relaxed);
        let told = self.told.swap(spent, Ordering::Relaxed);
        self.total.fetch_add(spent.saturating_sub(told), Ordering::Relaxed);
    }

    /// Whether the budget is spent, as of the end of the last poll.
    pub fn is_used_up(&self) -> bool {
        self.spent.load(Ordering::Relaxed) > self.budget
    }

    /// Looks at the clock once a tick while the guest computes, and then lets other tasks run.
    ///
    /// `yield_now` rather than a plain yield: it wakes this task only after tokio has polled its
    /// I/O driver, so that requests which arrive on the same worker meanwhile are seen.
    pub fn watch(self: &Arc<Self>, store: &mut Store<Sandbox>) {
        let clock = self.clone();
        store.epoch_deadline_callback(move |_| {
            if clock.running() > clock.budget {
                return Err(CpuTimeUsedUp.into());
            }
            clock.ticker.keep_ticking();
            clock.interrupted.store(true, Ordering::Relaxed);
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
    }

    /// Begins a poll. It must end on the same thread.
    fn begin(&self) {
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        if interrupted {
            self.interrupted.store(false, Ordering::Relaxed);
        }
        let Turn { began, before } = thread_clock::begin(interrupted);
        self.began.store(began, Ordering::Relaxed);
        self.before.store(before, Ordering::Relaxed);
    }

    /// CPU time charged, the poll under way included.
    fn running(&self) -> u64 {
        let began = self.began.load(Ordering::Relaxed);
        let before = self.before.load(Ordering::Relaxed);
        let cost = thread_clock::cost(Turn { began, before });
        self.spent.load(Ordering::Relaxed).saturating_add(cost)
    }
}

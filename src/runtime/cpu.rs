//! How long a guest has run: measured around each poll of its future, and checked from inside by
//! the epoch callback, since a guest in a tight loop never returns to whoever polls it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::{Store, UpdateDeadline};

use super::sandbox::Sandbox;
use super::ticker::Ticker;

/// The guest used up its CPU time.
#[derive(Debug, thiserror::Error)]
#[error("the guest used up its CPU time")]
pub(super) struct CpuTimeUsedUp;

/// The CPU time of one request. One task at a time polls a guest, so the counters never race.
#[derive(Debug)]
pub(super) struct CpuClock {
    ticker: Arc<Ticker>,
    budget: Duration,
    origin: Instant,
    /// Nanoseconds spent in polls that have ended.
    spent: AtomicU64,
    /// When the current poll began, in nanoseconds after `origin`.
    began: AtomicU64,
}

impl CpuClock {
    pub fn new(budget: Duration, ticker: Arc<Ticker>) -> Arc<Self> {
        Arc::new(Self {
            ticker,
            budget,
            origin: Instant::now(),
            spent: AtomicU64::new(0),
            began: AtomicU64::new(0),
        })
    }

    /// Starts again from nothing, for the next request of the same guest.
    pub fn reset(&self) {
        self.spent.store(0, Ordering::Relaxed);
    }

    /// Polls a guest and adds the time that this took.
    pub fn poll<F: Future + ?Sized>(
        &self,
        guest: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.ticker.keep_ticking();
        self.began.store(self.now(), Ordering::Relaxed);
        let polled = guest.poll(context);
        self.spent.store(nanoseconds(self.running()), Ordering::Relaxed);
        polled
    }

    /// Whether the budget is spent, as of the end of the last poll.
    pub fn is_used_up(&self) -> bool {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed)) > self.budget
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
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
    }

    /// Time spent, the poll under way included.
    fn running(&self) -> Duration {
        let began = self.began.load(Ordering::Relaxed);
        let spent = self.spent.load(Ordering::Relaxed);
        Duration::from_nanos(spent + self.now().saturating_sub(began))
    }

    fn now(&self) -> u64 {
        nanoseconds(self.origin.elapsed())
    }
}

/// Nanoseconds of a duration, at most 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

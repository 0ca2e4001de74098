//! The clock that interrupts guests: it moves the epoch of the engines on while guests run. While
//! none does it sleeps, so that an idle process takes no CPU time.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// How often a guest that computes is looked at, and makes room for other requests on its worker.
const TICK: Duration = Duration::from_millis(2);
/// Ticks after which it is asked whether any guest has run meanwhile.
const TICKS_A_ROUND: u32 = 250;
/// How long it rests after a panic, so that one that comes again and again does not fill the log.
const AFTER_A_PANIC: Duration = Duration::from_millis(100);

/// Ticks until it is dropped, on a thread of its own.
#[derive(Debug)]
pub(super) struct Ticker {
    /// Whether a guest has run since the current round began.
    needed: Arc<AtomicBool>,
    thread: Thread,
}

impl Ticker {
    pub fn start(engines: &[&Engine]) -> io::Result<Arc<Self>> {
        let needed = Arc::new(AtomicBool::new(false));
        let engines: Vec<_> = engines.iter().map(|engine| engine.weak()).collect();
        let asked = needed.clone();
        let thread = thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || tick_on(|| run(&engines, &asked)))?;
        Ok(Arc::new(Self { needed, thread: thread.thread().clone() }))
    }

    /// Says that a guest runs now. Whoever polls one says so each time.
    pub fn keep_ticking(&self) {
        // It seldom changes, so cores can share it.
        if !self.needed.load(Ordering::Relaxed) {
            self.needed.store(true, Ordering::Relaxed);
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

/// Ticks until that is over, and not until it panics: without ticks, a guest that computes keeps its
/// worker for ever.
fn tick_on(mut run: impl FnMut()) {
    while catch_unwind(AssertUnwindSafe(&mut run)).is_err() {
        thread::sleep(AFTER_A_PANIC);
    }
}

fn run(engines: &[EngineWeak], needed: &AtomicBool) {
    while engines.iter().any(|engine| engine.upgrade().is_some()) {
        if !needed.swap(false, Ordering::Relaxed) {
            thread::park();
            continue;
        }
        for _ in 0..TICKS_A_ROUND {
            thread::sleep(TICK);
            for engine in engines.iter().filter_map(EngineWeak::upgrade) {
                engine.increment_epoch();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ticks_on_after_a_panic() {
        let mut rounds = 0;
        tick_on(|| {
            rounds += 1;
            assert!(rounds > 2, "on purpose");
        });
        assert_eq!(rounds, 3);
    }
}

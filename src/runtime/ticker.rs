//! Interrupts guests that compute: a thread advances the epoch of the engines while guests run. It
//! sleeps while none runs, so that an idle process takes no CPU time.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// How often a computing guest is interrupted: its CPU time is checked, and other requests on its
/// worker get a turn.
const TICK: Duration = Duration::from_millis(2);
/// After this many ticks, the thread sleeps if no guest has run meanwhile.
const TICKS_A_ROUND: u32 = 250;
/// How long the thread pauses after a panic, so that a recurring panic does not fill the log.
const AFTER_A_PANIC: Duration = Duration::from_millis(100);

/// A thread that ticks until this is dropped.
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

    /// Notes that a guest runs now. Called before each poll of a guest.
    pub fn keep_ticking(&self) {
        // Written only when it changes, so that cores can share the cache line.
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

/// Ticks until the ticker is dropped, also after panics: without ticks, a computing guest would
/// keep its worker for ever.
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

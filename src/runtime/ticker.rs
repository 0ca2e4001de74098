//! The clock that interrupts guests: it moves the epoch of the engines on while guests run. While
//! none does it sleeps, so that an idle process takes no CPU time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// How often a guest that computes is looked at, and makes room for other requests on its worker.
const TICK: Duration = Duration::from_millis(2);
/// Ticks after which it is asked whether any guest has run meanwhile.
const TICKS_A_ROUND: u32 = 250;

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
        let engines = engines.iter().map(|engine| engine.weak()).collect();
        let asked = needed.clone();
        let thread =
            thread::Builder::new().name("epoch".to_owned()).spawn(move || run(engines, &asked))?;
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

fn run(engines: Vec<EngineWeak>, needed: &AtomicBool) {
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

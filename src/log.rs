//! The log: writes `tracing` events to standard error, without ever blocking the thread that logs.
//!
//! A line goes into a bounded [`Queue`], and one thread writes it ([`Sink`]). Nothing waits for
//! that thread: while it cannot write, because nobody reads a pipe or the disk is full, lines are
//! dropped and counted. Once it can write again, it logs how many were dropped. `main` makes the
//! only log of the process.

mod panics;
mod queue;
mod sink;

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

pub use panics::tell_panics;

use crate::plural::many;
use crate::telemetry::Telemetry;
use queue::{Batch, Queue, lines};
use sink::Sink;

/// How long a line is retried while its file or pipe reports errors.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the writer tries to log the number of dropped lines while no other line comes.
const NOTE_AGAIN: Duration = Duration::from_secs(1);

/// The log. Cheap to clone: clones are the same log.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Condvar,
    /// Wakes the callers of [`Log::flush`].
    written: Condvar,
    target: Arc<dyn AsFd + Send + Sync>,
    telemetry: Telemetry,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// Whether the writer runs. It starts with the first line.
    has_writer: bool,
    /// Whether the writer waits for a line, rather than for a disk or a reader.
    is_idle: bool,
}

impl Log {
    /// A log that writes to `target`, and counts dropped lines in `telemetry`.
    pub fn new(target: impl AsFd + Send + Sync + 'static, telemetry: Telemetry) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            target: Arc::new(target),
            telemetry,
        }))
    }

    /// Logs a text of one or more lines. Returns at once.
    pub fn say(&self, text: &impl fmt::Display) {
        self.push(format!("{text}\n").as_bytes());
    }

    /// Waits for at most `limit` until every line is written or dropped. Returns whether that
    /// happened in time.
    pub fn flush(&self, limit: Duration) -> bool {
        let is_pending = |state: &mut State| !state.queue.is_empty() || !state.is_at_rest();
        let state = self.0.state();
        let waited = self.0.written.wait_timeout_while(state, limit, is_pending);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Adds whole lines.
    fn push(&self, text: &[u8]) {
        let mut state = self.0.state();
        if !state.queue.push(text) {
            drop(state);
            self.0.telemetry.unlogged(lines(text));
            return;
        }
        let wakes = state.is_idle;
        let starts = !std::mem::replace(&mut state.has_writer, true);
        drop(state);
        if wakes {
            self.0.filled.notify_one();
        }
        if starts {
            self.start();
        }
    }

    /// Starts the writer. If no thread can be had, the next line tries again.
    fn start(&self) {
        let shared = self.0.clone();
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || {
            let _present = Present(&shared);
            shared.write();
        });
        if started.is_err() {
            self.0.state().has_writer = false;
        }
    }
}

impl State {
    /// Whether the writer holds no lines.
    fn is_at_rest(&self) -> bool {
        self.is_idle || !self.has_writer
    }
}

/// Notes the end of the writer, whatever ends it.
struct Present<'a>(&'a Shared);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.state().has_writer = false;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer, for the life of the process.
    fn write(&self) {
        let mut sink = Sink::new(self.target.clone());
        let (mut spare, mut untold) = (Vec::new(), 0);
        loop {
            let Batch { text, dropped } = self.next(spare, untold > 0);
            let given_up = sink.write(&text, PATIENCE);
            self.telemetry.unlogged(given_up);
            untold += dropped + given_up;
            if untold > 0
                && given_up == 0
                && sink.write(note(untold).as_bytes(), Duration::ZERO) == 0
            {
                untold = 0;
            }
            spare = text;
        }
    }

    /// Waits for lines, or a short time only while dropped lines are still to be reported.
    fn next(&self, spare: Vec<u8>, has_untold: bool) -> Batch {
        let mut state = self.state();
        state.is_idle = true;
        self.written.notify_all();
        let until = has_untold.then(|| Instant::now() + NOTE_AGAIN);
        while state.queue.is_empty() {
            let Some(until) = until else {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_idle = false;
        state.queue.take(spare)
    }
}

/// The line that reports lines missing before it.
fn note(lines: u64) -> String {
    let mut note = String::new();
    // If the time cannot be written, the line is written without it.
    tracing_subscriber::fmt::time::SystemTime.format_time(&mut Writer::new(&mut note)).ok();
    format!(
        "{note}  WARN watershed::log: {} dropped: nobody read them, or they could not be written\n",
        many(lines, "line")
    )
}

/// The writer that `tracing_subscriber` gets for one event.
#[derive(Debug)]
pub struct Line<'a>(&'a Log);

impl io::Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.push(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

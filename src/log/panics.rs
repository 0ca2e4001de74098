//! Panics in the log, like everything else: what a panic says must neither go past the log's queue
//! nor wait for standard error, and a panic in here would end the process.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{PanicHookInfo, set_hook};
use std::thread;

use crate::telemetry::Telemetry;

/// Logs and counts every panic of the process from now on, by the thread that it is on. A thread's
/// name says what it does: the task, or `proxy` for those that serve.
pub fn tell_panics(telemetry: Telemetry) {
    set_hook(Box::new(move |panic| tell(&telemetry, panic)));
}

fn tell(telemetry: &Telemetry, panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let task = thread.name().unwrap_or("unnamed");
    telemetry.panicked(task);
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(task, place, "panicked, please report it: {message}");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        tracing::error!(task, "it came this way:\n{trace}");
    }
}

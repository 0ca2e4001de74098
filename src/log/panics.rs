//! Logs panics. The default hook writes to standard error, past the queue, and waits for it. A
//! panic in this code would end the process, so it only formats and logs.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{PanicHookInfo, set_hook};
use std::thread;

use crate::telemetry::Telemetry;

/// Logs and counts every panic of the process from now on, by the name of its thread. The name says
/// what the thread does: its task, or `proxy` for threads that serve requests.
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
        tracing::error!(task, "backtrace of the panic:\n{trace}");
    }
}

//! The entry point: sets up logging, and is the one place where an error becomes text and an exit code.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use mimalloc::MiMalloc;
use tracing_subscriber::EnvFilter;
use watershed::cli::{Cli, CliError, USAGE, wants_json, write_usage};
use watershed::log::{Log, tell_panics};
use watershed::telemetry::Telemetry;

/// Faster than the system's allocator for the many small allocations of a request.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Our own events; of the libraries' events, only those that an operator can act on.
const DEFAULT_FILTER: &str = "info,pingora=error,pingora_core=off,wasmtime=warn";

/// How long the end of the process waits for a reader to take the last lines.
const FAREWELL: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    Cli::complete();
    if env::var_os("TERM").is_some_and(|term| term == "dumb") {
        // anstream would colour on any terminal where `CI` is set.
        anstream::ColorChoice::Never.write_global();
    }
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(answer) => return show(&answer),
    };
    let telemetry = Telemetry::default();
    let log = Log::new(io::stderr(), telemetry.clone());
    let _farewell = Farewell(&log);
    if cli.logs() {
        trace(&log);
        tell_panics(telemetry.clone());
    }
    let serves = cli.serves();
    match cli.execute(telemetry) {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            if serves {
                log.say(&error.text());
            } else if wants_json(env::args_os()) {
                // Where nobody takes the object, the exit code says enough.
                error.write_json().ok();
            } else {
                log.flush(FAREWELL);
                // A reader of a long report may take time; for a reader that has left, nothing waits.
                writeln!(io::stderr(), "{}", error.text()).ok();
            }
            error.exit_code()
        }
    }
}

/// Shows what clap answers instead of running a command: help, the version, or what is wrong with the command line.
fn show(answer: &clap::Error) -> ExitCode {
    let shown = match (answer.use_stderr(), wants_json(env::args_os())) {
        (true, true) => write_usage(answer),
        (true, false) => write!(anstream::stderr(), "{}", Cli::wrong_usage(answer)),
        (false, _) => answer.print(),
    };
    match shown {
        _ if answer.use_stderr() => ExitCode::from(USAGE),
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let error = CliError::Output(error);
            writeln!(io::stderr(), "{}", error.text()).ok();
            error.exit_code()
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes the last lines, however `main` ends.
struct Farewell<'a>(&'a Log);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.0.flush(FAREWELL);
    }
}

fn trace(log: &Log) {
    let filter =
        EnvFilter::try_from_env("WATERSHED_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log.clone())
        // An error of the log itself would bypass the log on its way to standard error, and panic where that is closed.
        .log_internal_errors(false)
        .with_ansi(anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never)
        .init();
}

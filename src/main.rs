//! The command's entry: logging, and the one place where an error becomes text and an exit code.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use watershed::allocator::Allocator;
use watershed::cli::Cli;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Our own events; of the libraries', only what an operator can do something about.
const DEFAULT_FILTER: &str = "info,pingora=error,pingora_core=off,wasmtime=warn";

fn main() -> ExitCode {
    Cli::complete();
    let cli = Cli::parse();
    if cli.logs() {
        log();
    }
    match cli.execute(watershed::telemetry::Telemetry::default()) {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}

fn log() {
    let filter =
        EnvFilter::try_from_env("WATERSHED_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
        .init();
}

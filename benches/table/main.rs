//! The goals of the project, measured against its peers in one run, as one table.
//!
//! `make bench`, or `cargo bench --profile dist --bench table -- --help`. `benches/README.md` says
//! how to read it. It asserts nothing: it fails only where something cannot be measured at all.

mod call;
mod compile;
mod component;
mod get;
mod load;
mod peers;
mod process;
mod proxy;
mod publish;
mod quiet;
mod reload;
mod report;
mod routing;
mod scale;
mod site;
mod start;
mod throughput;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use report::Report;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Measures Watershed's goals against its peers and prints them as a table.
#[derive(Debug, Parser)]
#[command(name = "table")]
struct Arguments {
    /// The binary under test; the bare Pingora is looked for in `examples` beside it.
    #[arg(long, default_value = "target/dist/watershed")]
    binary: PathBuf,
    /// How often everything is measured; the table has the medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each load lasts in each round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Measure only these; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Print JSON instead of markdown.
    #[arg(long)]
    json: bool,
    /// The arguments that `cargo bench` gives to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Parts that can be measured separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A fresh instance a request, against wasmtime and workerd.
    Fresh,
    /// Reused instances, against wasmtime and a bare Pingora.
    Reuse,
    /// 1, 32 and 256 connections: rate, tail latency, CPU time and memory.
    Sweep,
    /// Finding a service and deciding its version.
    Routing,
    /// A start with 100 components and a warm compile cache.
    Start,
    /// A changed split among 1,000 services.
    Publish,
    /// Traffic while ten edits a second are published.
    Reload,
    /// Traffic while a large component compiles.
    Compile,
    /// Start, memory, edits and commands with 1,000, 10,000 and 100,000 services.
    Scale,
    /// nginx, envoy and haproxy with a fixed response, without a goal.
    Others,
    /// A backend behind ours, nginx, haproxy, a bare Pingora, envoy and caddy.
    Proxy,
    /// A guest that makes one call to a local backend, against wasmtime.
    Call,
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let mut report = Report::default();
    let outcome = measure(&mut arguments, &mut report);
    report.finish();
    if arguments.json {
        println!("{:#}", report.json());
    } else {
        println!("{report}");
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything that was asked for, even after failures. The error names what failed.
fn measure(arguments: &mut Arguments, report: &mut Report) -> Result<()> {
    let binary = &arguments.binary;
    arguments.binary =
        binary.canonicalize().map_err(|error| format!("{}: {error}", binary.display()))?;
    report.about(arguments);
    let scenarios: [fn(&Arguments, &mut Report) -> Result<()>; 9] = [
        throughput::measure,
        routing::measure,
        start::measure,
        publish::measure,
        reload::measure,
        compile::measure,
        scale::measure,
        proxy::measure,
        call::measure,
    ];
    let failures: Vec<_> = scenarios
        .iter()
        .filter_map(|scenario| scenario(arguments, report).err())
        .map(|error| format!("not measured: {error}"))
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

//! A guest that makes one call to a local backend before it answers, against `wasmtime serve` with the same component.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::load::{Load, Plan, Served};
use crate::peers::{Server, find};
use crate::process::{Cores, Process, command};
use crate::proxy::Backend;
use crate::report::{Goal, Quantity, Report, Row, median};
use crate::site::{Settings, Site};
use crate::{Arguments, Part, Result, get};

const HOST: &str = "lab.localhost";
const START: Duration = Duration::from_secs(60);

/// Measures both in turn, round by round, with a fresh instance a request.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Call) {
        return Ok(());
    }
    let backend = Backend::start(None)?;
    let origin = format!("http://{}", backend.served.address);
    let path = format!("/fetch?url={origin}/");
    let site = Site::new(Settings::default())?;
    site.declare_caller("lab", &lab(), &origin)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        report.await_quiet()?;
        ours.push(load(arguments, site.start(arguments, Cores::Server)?, &path)?);
        if let Some(served) = wasmtime()? {
            report.await_quiet()?;
            theirs.push(load(arguments, served, &path)?);
        }
        let told = [ours.last(), theirs.last()].map(|it| it.map(|load| Quantity::Rate(load.rate)));
        eprintln!("round {round}: a guest that calls: {told:?}");
    }
    let rates = |loads: &[Load]| Some(Quantity::Rate(median(loads, |load| load.rate)?.rate));
    let cpu =
        |loads: &[Load]| Some(Quantity::from(median(loads, |load| load.cpu.as_secs_f64())?.cpu));
    let mut row = |path: &str, of: &dyn Fn(&[Load]) -> Option<Quantity>, goal| {
        report.row(Row {
            path: path.to_owned(),
            ours: of(&ours),
            against: Server::Wasmtime.name().to_owned(),
            theirs: of(&theirs).ok_or_else(|| Server::Wasmtime.missing(arguments)),
            goal,
        });
    };
    row("a guest that makes one call", &rates, Goal::AtLeast(2.0));
    row("a guest that makes one call, CPU time", &cpu, Goal::AtMost(0.5));
    Ok(())
}

/// The component that calls.
fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/dist/lab.wasm")
}

fn load(arguments: &Arguments, served: Served, path: &str) -> Result<Load> {
    let response = get::get(served.address, HOST, path)?;
    if response.status != 200 {
        return Err(format!("{}: {}", response.status, response.body).into());
    }
    let warm_up = Plan { host: HOST, path, connections: 32, seconds: 1, cores: Cores::Client };
    warm_up.run(&served)?;
    Plan { seconds: arguments.seconds, ..warm_up }.run(&served)
}

fn wasmtime() -> Result<Option<Served>> {
    let Some(program) = find("wasmtime") else { return Ok(None) };
    let mut command = command(Cores::Server, &program);
    command.args(["serve", "-Scli", "--addr", "127.0.0.1:0"]).arg(lab());
    let mut process = Process::spawn(command)?;
    let address = process.wait_for("address", START, |process| {
        let said = [process.stdout(), process.stderr()].concat();
        said.split_once("http://")?.1.split('/').next()?.parse().ok()
    })?;
    Ok(Some(Served { process, address }))
}

//! The tail of live traffic while a large component compiles.

use std::fs;
use std::time::{Duration, Instant};

use crate::load::{Load, Plan, Served};
use crate::process::Cores;
use crate::report::{Goal, Quantity, Report, Row, median};
use crate::site::{self, HOST, Settings, Site};
use crate::{Arguments, Part, Result, component};

/// Bytes of the module that is compiled.
const SIZE: usize = 10_000_000;
/// How long the server is loaded meanwhile, at most, and how long the compilation may go on without load.
const WINDOW: u32 = 20;
const LIMIT: Duration = Duration::from_secs(180);
/// How long an edit may take to be seen in the status.
const SEEN: Duration = Duration::from_secs(10);
/// A shorter load has no tail to speak of.
const SHORTEST: Duration = Duration::from_millis(500);

/// Server and wrk share all cores, as they are: see the README.
const PLAN: Plan<'_> =
    Plan { host: HOST, path: "/", connections: 32, seconds: WINDOW, cores: Cores::All };

/// Each round loads the server, and again while a new version is being made.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Compile) {
        return Ok(());
    }
    let site = Site::greeter(Settings { threads: 0, ..Settings::default() })?;
    let served = site.start(arguments, Cores::All)?;
    Plan { seconds: 1, ..PLAN }.run(&served)?;
    let (mut before, mut during, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        report.await_quiet()?;
        before.push(Plan { seconds: arguments.seconds, ..PLAN }.run(&served)?);
        let (load, took) = compile(&site, &served, round)?;
        during.push(load);
        times.push(took);
        for (when, load) in [("before", before.last()), ("while it compiled", during.last())] {
            if let Some(Load { rate, p50, p99, .. }) = load {
                let rate = Quantity::Rate(*rate);
                eprintln!("compile, {took:?}: {when} {rate}, {p50:?}, {p99:?}");
            }
        }
    }
    let p99 = |loads: &[Load]| -> Option<Quantity> {
        median(loads, |load| load.p99.as_secs_f64()).map(|load| load.p99.into())
    };
    report.row(Row {
        path: "p99 while a 10 MB component compiles".to_owned(),
        ours: p99(&during),
        against: "p99 before".to_owned(),
        theirs: p99(&before).ok_or_else(String::new),
        goal: Goal::AtMost(2.0),
    });
    tell(report, &before, &during, &times);
    Ok(())
}

/// Notes about the row.
fn tell(report: &mut Report, before: &[Load], during: &[Load], times: &[Duration]) {
    let rate = |loads| median(loads, |load: &Load| load.rate).map(|load| Quantity::Rate(load.rate));
    let time = median(times, Duration::as_secs_f64).map(Quantity::from);
    if let (Some(before), Some(during), Some(time)) = (rate(before), rate(during), time) {
        report.note(format!(
            "While the 10 MB component compiles, {during} are served; before, {before}. It is \
             normal after {time}, of which at most {WINDOW} s are loaded."
        ));
    }
}

/// Adds a version at 0 % and loads the server until the version is normal, or the window is over; then removes the
/// version. Returns how long the version took to become normal, too.
fn compile(site: &Site, served: &Served, round: u32) -> Result<(Load, Duration)> {
    let name = format!("large-{round}");
    let file = site.path(&format!("{name}.wasm"));
    fs::write(&file, component::heavy(&fs::read(site::greeter())?, SIZE, round.into()))?;
    let [v1, v2] = site::shipped();
    let versions = [v1, v2, (name.as_str(), file)];
    site.declare("greeter", &versions, &format!("v1 = 90, v2 = 10, {name} = 0"))?;
    wait_for(served, &name, Some("creating"), SEEN)?;
    let began = Instant::now();
    let load = PLAN.load(served, || Ok(status(served, &name)?.as_deref() != Some("creating")))?;
    if began.elapsed() < SHORTEST {
        return Err(format!("it compiled in {:?}: too short", began.elapsed()).into());
    }
    wait_for(served, &name, Some("normal"), LIMIT)?;
    let took = began.elapsed();
    site.declare("greeter", &site::shipped(), "v1 = 90, v2 = 10")?;
    wait_for(served, &name, None, SEEN)?;
    Ok((load, took))
}

fn status(served: &Served, name: &str) -> Result<Option<String>> {
    let version = site::version(served, name)?;
    Ok(version.and_then(|version| Some(version.get("status")?.as_str()?.to_owned())))
}

fn wait_for(served: &Served, name: &str, wanted: Option<&str>, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    while status(served, name)?.as_deref() != wanted {
        if Instant::now() > deadline {
            let log = served.process.stderr();
            return Err(format!("{name} does not become {wanted:?}:\n{log}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

//! The cost of many services: a start, a check, memory, an edit of one service, and commands.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::get;
use crate::process::{Cores, Process};
use crate::report::{Quantity, Report, bytes, median};
use crate::site::{self, Settings, Site};
use crate::{Arguments, Part, Result};

const SERVICES: [usize; 3] = [1_000, 10_000, 100_000];
/// The service that is edited.
const NAME: &str = "service-7";
/// How long a start may take before something is wrong.
const LIMIT: Duration = Duration::from_secs(600);
const EDITS: u32 = 10;

/// One table for all numbers of services.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Scale) {
        return Ok(());
    }
    let mut table =
        "| services of two versions | `check --no-compile` | start, warm cache | RSS | edit to \
                     served | CPU an edit | `traffic` | `deploy --traffic hold` | `rollback` |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for services in SERVICES {
        report.await_quiet()?;
        eprintln!("scale: {services} services");
        table.push_str(&row(arguments, services)?);
    }
    report.note(format!("\n{table}"));
    Ok(())
}

fn row(arguments: &Arguments, services: usize) -> Result<String> {
    let site = Site::new(Settings { threads: 0, ..Settings::default() })?;
    for number in 0..services {
        site.declare(&format!("service-{number}"), &site::shipped(), "v1 = 90, v2 = 10")?;
    }
    let check = command(arguments, &site, &["check", "--no-compile"])?;
    // Fills the compile cache.
    drop(start(arguments, &site)?);
    let (process, admin, start) = start(arguments, &site)?;
    let memory = process.memory()?;
    let cpu = process.cpu_time()?;
    let edits = (0..EDITS).map(|number| edit(&site, admin, number)).collect::<Result<Vec<_>>>()?;
    let cpu = (process.cpu_time()? - cpu) / EDITS;
    let edit = median(&edits, Duration::as_secs_f64).ok_or("no edits")?;
    let url = format!("http://{admin}");
    let command = |words: &[&str]| command(arguments, &site, &[words, &["--admin", &url]].concat());
    let traffic = command(&["traffic", NAME, "v1=70", "v2=30", "--yes"])?;
    let component = site::greeter().display().to_string();
    let hold = ["--component", component.as_str(), "--traffic", "hold"];
    let deploy = command(&[&["deploy", NAME, "v3"], &hold[..]].concat())?;
    let rollback = command(&["rollback", NAME, "--yes"])?;
    let mut row = format!("| {services} ");
    for time in [check, start] {
        write!(row, "| {} ", Quantity::from(time))?;
    }
    write!(row, "| {} ", bytes(memory))?;
    for time in [edit, cpu, traffic, deploy, rollback] {
        write!(row, "| {} ", Quantity::from(time))?;
    }
    row.push_str("|\n");
    Ok(row)
}

/// Starts the server, and waits until all versions are ready.
fn start(arguments: &Arguments, site: &Site) -> Result<(Process, SocketAddr, Duration)> {
    let began = Instant::now();
    let mut process = site.spawn(arguments, Cores::All)?;
    let admin = process.wait_for("admin listener", LIMIT, |process| {
        site::address_after(&process.stdout(), "admin on http://")
    })?;
    process.wait_for("ready services", LIMIT, |_| {
        let answer = get::get(admin, "localhost", "/readyz").ok()?;
        answer.body.starts_with("ready").then_some(())
    })?;
    Ok((process, admin, began.elapsed()))
}

/// The time from an edited file to the next generation.
fn edit(site: &Site, admin: SocketAddr, number: u32) -> Result<Duration> {
    let generation = || -> Result<Value> {
        let answer = get::get(admin, "localhost", "/api/v1/status?service=")?;
        let status: Value = serde_json::from_str(&answer.body)?;
        Ok(status.get("generation").cloned().unwrap_or_default())
    };
    let before = generation()?;
    let first = 50 + number;
    let split = format!("v1 = {first}, v2 = {}", 100 - first);
    let began = Instant::now();
    site.declare(NAME, &site::shipped(), &split)?;
    while generation()? == before {
        if began.elapsed() > LIMIT {
            return Err("the edit is not served".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let served = began.elapsed();
    // Work that follows an edit must not count for the next one.
    std::thread::sleep(Duration::from_millis(300));
    Ok(served)
}

fn command(arguments: &Arguments, site: &Site, words: &[&str]) -> Result<Duration> {
    let main = site.path("watershed.toml");
    let began = Instant::now();
    let status = run(&arguments.binary, words, &main)?;
    match status {
        true => Ok(began.elapsed()),
        false => Err(format!("{words:?} failed").into()),
    }
}

fn run(binary: &Path, words: &[&str], main: &Path) -> Result<bool> {
    let mut command = Command::new(binary);
    command.args(words).arg("--config").arg(main).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command.status()?.success())
}

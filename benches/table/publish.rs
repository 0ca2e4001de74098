//! A changed split among a thousand services: how long until it is served, and how much of that is
//! the publish itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::load::Served;
use crate::process::Cores;
use crate::report::{Goal, Quantity, Report, Row, median};
use crate::site::{self, Settings, Site};
use crate::{Arguments, Part, Result, get};

const SERVICES: usize = 1_000;
/// The edits of one round.
const EDITS: u32 = 4;
/// How long an edit may take before something is wrong, and the pause between two edits.
const LIMIT: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(250);
const HOST: &str = "service-0.localhost";

/// Edits one file of a thousand, again and again.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Publish) {
        return Ok(());
    }
    let site = Site::new(Settings::default())?;
    for number in 0..SERVICES {
        site.declare(&format!("service-{number}"), &site::shipped(), "v1 = 100")?;
    }
    eprintln!("publish: starting with {SERVICES} services");
    let mut served = site.start(arguments, Cores::Server)?;
    let before = compiled(&site)?;
    report.await_quiet()?;
    let mut edits = Vec::new();
    for edit in 0..arguments.rounds * EDITS {
        edits.push(change(&site, &served, if edit % 2 == 0 { "v2" } else { "v1" })?);
        std::thread::sleep(QUIET);
    }
    served.process.ended()?.map_or(Ok(()), |status| Err(format!("it ended: {status}")))?;
    if compiled(&site)? != before {
        return Err("publish: a changed split compiled a component".into());
    }
    tell(report, &edits, &published(&served));
    Ok(())
}

/// Gives all traffic to a version, and waits until the version answers.
fn change(site: &Site, served: &Served, version: &str) -> Result<Duration> {
    let began = Instant::now();
    site.declare("service-0", &site::shipped(), &format!("{version} = 100"))?;
    while serving(served.address)? != version {
        if began.elapsed() > LIMIT {
            return Err(format!("the edit is not served:\n{}", served.process.stderr()).into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    eprintln!("publish: served after {:?}", began.elapsed());
    Ok(began.elapsed())
}

/// The version that answers.
fn serving(address: SocketAddr) -> Result<String> {
    let response = get::get(address, HOST, "/")?;
    Ok(response.header("watershed-version").ok_or("no watershed-version")?.to_owned())
}

/// The log's figures of each publish, including those of the start.
fn published(served: &Served) -> Vec<Duration> {
    let log = served.process.stderr();
    let took = |line: &str| {
        let digits = line.split_once("took_us=")?.1.split(' ').next()?;
        Some(Duration::from_micros(digits.parse().ok()?))
    };
    log.lines().filter(|line| line.contains("published")).filter_map(took).collect()
}

/// The files of the compile cache, their lengths and when they were last written or used.
fn compiled(site: &Site) -> Result<BTreeMap<OsString, (u64, SystemTime)>> {
    let entries = fs::read_dir(site.path("state/compiled"))?;
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        let found = entry.metadata()?;
        Ok((entry.file_name(), (found.len(), found.modified()?)))
    };
    entries.map(entry).collect()
}

fn tell(report: &mut Report, edits: &[Duration], published: &[Duration]) {
    let middle = |times: &[Duration]| median(times, Duration::as_secs_f64).map(Quantity::from);
    let last = published.len().saturating_sub(edits.len());
    let publishes = middle(published.get(last..).unwrap_or_default());
    let why = if publishes.is_none() { "no `took_us` in the log" } else { "" };
    report.row(Row {
        path: "publish itself of a changed split, 1,000 services, nothing compiled".to_owned(),
        ours: publishes,
        against: String::new(),
        theirs: Err(why.to_owned()),
        goal: Goal::Within(Duration::from_millis(20).into()),
    });
    report.row(Row {
        path: "the same from the edit to the first response by it".to_owned(),
        ours: middle(edits),
        against: "50 ms of it wait for the end of the edit".to_owned(),
        theirs: Err(String::new()),
        goal: Goal::None,
    });
}

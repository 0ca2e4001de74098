//! The tail of live traffic while ten edits a second are published among a thousand services.

use std::time::{Duration, Instant};

use crate::load::{Load, Plan};
use crate::process::Cores;
use crate::report::{Goal, Quantity, Report, Row, bytes, median};
use crate::site::{self, Settings, Site};
use crate::{Arguments, Part, Result};

const SERVICES: usize = 1_000;
/// The service that is requested and edited.
const NAME: &str = "service-500";
const HOST: &str = "service-500.localhost";
/// How long each round loads without edits, and then with them. Both are equally long, because a long window has the
/// machine's slow seconds and a short one may miss them.
const WINDOW: u32 = 10;
const PERIOD: Duration = Duration::from_millis(100);

/// Server and wrk share all cores, as they are: see the README.
const PLAN: Plan<'_> =
    Plan { host: HOST, path: "/", connections: 32, seconds: WINDOW, cores: Cores::All };

/// Each round loads the server, and again while it reloads. A request that fails fails the row.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Reload) {
        return Ok(());
    }
    let site = Site::new(Settings { threads: 0, ..Settings::default() })?;
    for number in 0..SERVICES {
        site.declare(&format!("service-{number}"), &site::shipped(), "v1 = 100")?;
    }
    eprintln!("reload: starting with {SERVICES} services");
    let served = site.start(arguments, Cores::All)?;
    Plan { seconds: 1, ..PLAN }.run(&served)?;
    let (mut before, mut during) = (Vec::new(), Vec::new());
    let first = site::generation(&served)?;
    for _ in 0..arguments.rounds {
        report.await_quiet()?;
        before.push(PLAN.run(&served)?);
        during.push(reload(&site, &served)?);
        for (when, load) in [("before", before.last()), ("with reloads", during.last())] {
            if let Some(Load { rate, p50, p99, .. }) = load {
                eprintln!("reload: {when} {}, {p50:?}, {p99:?}", Quantity::Rate(*rate));
            }
        }
    }
    tell(report, &before, &during, site::generation(&served)? - first);
    Ok(())
}

/// Loads the server, and gives all traffic to the other version ten times a second.
fn reload(site: &Site, served: &crate::load::Served) -> Result<Load> {
    let (began, mut edits) = (Instant::now(), 0);
    PLAN.load(served, || {
        if began.elapsed() >= PERIOD * edits {
            let version = if edits % 2 == 0 { "v2" } else { "v1" };
            site.declare(NAME, &site::shipped(), &format!("{version} = 100"))?;
            edits += 1;
        }
        Ok(false)
    })
}

fn tell(report: &mut Report, before: &[Load], during: &[Load], published: u64) {
    let p99 = |loads: &[Load]| -> Option<Quantity> {
        median(loads, |load| load.p99.as_secs_f64()).map(|load| load.p99.into())
    };
    report.row(Row {
        path: "p99 with ten reloads a second of 1,000 services".to_owned(),
        ours: p99(during),
        against: "p99 without".to_owned(),
        theirs: p99(before).ok_or_else(String::new),
        goal: Goal::AtMost(1.5),
    });
    let rate = |loads| median(loads, |load: &Load| load.rate).map(|load| Quantity::Rate(load.rate));
    if let (Some(without), Some(with), Some(first), Some(last)) =
        (rate(before), rate(during), during.first(), during.last())
    {
        report.note(format!(
            "With ten reloads a second, {with} are served, without, {without}, and no request \
             fails. {published} generations were published; the process had at most {} in the \
             first round and {} in the last.",
            bytes(first.memory),
            bytes(last.memory),
        ));
    }
}

//! A start with a hundred distinct components that are compiled already.

use std::fs;
use std::time::{Duration, Instant};

use crate::peers::free_address;
use crate::process::Cores;
use crate::report::{Goal, Report, Row, median};
use crate::site::{self, Settings, Site};
use crate::{Arguments, Part, Result, component, get};

const COMPONENTS: usize = 100;
/// How long a start from the cache may take before something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts once to fill the cache, and then once in each round.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Start) {
        return Ok(());
    }
    let address = free_address()?;
    let site = Site::new(Settings { port: address.port(), ..Settings::default() })?;
    let greeter = fs::read(site::greeter())?;
    for number in 0..COMPONENTS {
        let file = site.path(&format!("{number}.wasm"));
        fs::write(&file, component::distinct(&greeter, number))?;
        site.declare(&format!("service-{number}"), &[("v1", file)], "v1 = 100")?;
    }
    eprintln!("start: compiling {COMPONENTS} components");
    let began = Instant::now();
    drop(site.start(arguments, Cores::All)?);
    let cold = began.elapsed();

    let mut starts = Vec::new();
    for _ in 0..arguments.rounds {
        report.await_quiet()?;
        let began = Instant::now();
        let mut process = site.spawn(arguments, Cores::Server)?;
        process.wait_for("response", LIMIT, |_| {
            get::expect_greeting(address, "service-0.localhost").ok()
        })?;
        starts.push(began.elapsed());
        eprintln!("start: {:?} to the first 200", began.elapsed());
        for number in 0..COMPONENTS {
            get::expect_greeting(address, &format!("service-{number}.localhost"))?;
        }
    }
    let start = median(&starts, Duration::as_secs_f64).ok_or("no rounds")?;
    report.row(Row {
        path: format!("start to first 200, warm compile cache, {COMPONENTS} components"),
        ours: Some(start.into()),
        against: "a cold cache, on all cores".to_owned(),
        theirs: Ok(cold.into()),
        goal: Goal::Within(Duration::from_secs(1).into()),
    });
    Ok(())
}

//! Finding a service and deciding its version: timed in this process, on what `src/routing` makes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed::routing::{RouteTable, RouteTableBuilder, Weighted};

use crate::report::{Quantity, Report, Row, median};
use crate::{Arguments, Part, Result};

const SERVICES: usize = 10_000;
/// Hosts that are asked for in turn, spread over the table.
const HOSTS: usize = 64;
/// Calls that are timed together, and how often.
const CALLS: u32 = 10_000;
const BATCHES: usize = 200;

/// Times what is wanted of it.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Routing) {
        return Ok(());
    }
    for versions in [2, 10] {
        let path = format!("decide (split of {versions} versions)");
        report.row(row(path, decide(versions), 40));
    }
    report.row(row("find among 10,000 services".to_owned(), find()?, 150));
    Ok(())
}

fn row(path: String, ours: Quantity, most: u64) -> Row {
    Row::alone(path, ours, Duration::from_nanos(most).into())
}

/// Draws an index and looks the version up, as `Serving::decide` does.
fn decide(versions: u16) -> Quantity {
    let split = Weighted::new((0..versions).map(|index| (index.into(), 10_000 / versions)));
    let versions: Vec<_> = (0..versions).map(Arc::new).collect();
    time(|| {
        black_box(black_box(&split).draw().and_then(|index| versions.get(index)));
    })
}

fn find() -> Result<Quantity> {
    let mut routes = RouteTableBuilder::default();
    for number in 0..SERVICES {
        routes.exact(&format!("service-{number}.localhost"), number);
    }
    let routes: RouteTable<usize> = routes.build();
    let request = |host: usize| {
        let host = format!("service-{}.localhost:8080", host * SERVICES / HOSTS);
        Ok(http::Request::get("/").header("host", host).body(())?.into_parts().0)
    };
    let requests = (0..HOSTS).map(request).collect::<Result<Vec<_>>>()?;
    let mut next = requests.iter().cycle();
    Ok(time(|| {
        black_box(next.next().and_then(|request| routes.find(black_box(request))));
    }))
}

/// The median over batches of what one call takes.
fn time(mut call: impl FnMut()) -> Quantity {
    let batch = |_| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| call());
        started.elapsed()
    };
    let batches: Vec<_> = (0..BATCHES).map(batch).collect();
    let batch = median(&batches, Duration::as_secs_f64).unwrap_or_default();
    // Not `batch / CALLS`: a `Duration` knows whole nanoseconds only.
    Quantity::Time(batch.as_secs_f64() / f64::from(CALLS))
}

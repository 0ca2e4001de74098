//! Requests a second, latency and memory: every server in turn, alone on its core, round by round.

use crate::load::{Load, Plan};
use crate::peers::Server;
use crate::process::Cores;
use crate::report::{Goal, Quantity, Report, Row, bytes, median};
use crate::site::{HOST, Site};
use crate::{Arguments, Part, Result};

/// A server under the load of this many connections.
type Turn = (Server, u32);

/// The loads of each round, with their purpose. 256 connections come first, because the first start compiles, and its
/// memory counts too.
const TURNS: [(Turn, &[Part]); 11] = [
    ((Server::Fresh, 256), &[Part::Sweep]),
    ((Server::Fresh, 32), &[Part::Fresh, Part::Sweep, Part::Others]),
    ((Server::Wasmtime, 32), &[Part::Fresh]),
    ((Server::Workerd, 32), &[Part::Fresh]),
    ((Server::Reused, 32), &[Part::Reuse]),
    ((Server::WasmtimeReused, 32), &[Part::Reuse]),
    ((Server::Pingora, 32), &[Part::Reuse]),
    ((Server::Fresh, 1), &[Part::Sweep]),
    ((Server::Nginx, 32), &[Part::Others]),
    ((Server::Envoy, 32), &[Part::Others]),
    ((Server::Haproxy, 32), &[Part::Others]),
];

/// The peers that ours is compared with.
const ROWS: [(Part, &str, Server, Server, Goal); 7] = {
    use Server::{
        Envoy, Fresh, Haproxy, Nginx, Pingora, Reused, Wasmtime, WasmtimeReused, Workerd,
    };
    let fresh = "fresh instance a request";
    let reuse = "`instance-reuse = 1000`";
    [
        (Part::Fresh, fresh, Fresh, Wasmtime, Goal::AtLeast(4.0)),
        (Part::Fresh, fresh, Fresh, Workerd, Goal::AtLeast(1.5)),
        (Part::Reuse, reuse, Reused, WasmtimeReused, Goal::AtLeast(2.0)),
        (Part::Reuse, reuse, Reused, Pingora, Goal::AtLeast(0.65)),
        (Part::Others, fresh, Fresh, Nginx, Goal::None),
        (Part::Others, fresh, Fresh, Envoy, Goal::None),
        (Part::Others, fresh, Fresh, Haproxy, Goal::None),
    ]
};

/// One turn's loads, a round each, and the memory of the idle server before each.
struct Measured {
    turn: Turn,
    loads: Vec<Load>,
    idle: Vec<u64>,
}

/// Measures the parts that were asked for.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let wanted = TURNS.iter().filter(|(_, parts)| parts.iter().any(|part| arguments.wants(*part)));
    let mut measured: Vec<_> = wanted
        .map(|(turn, _)| Measured { turn: *turn, loads: Vec::new(), idle: Vec::new() })
        .collect();
    let fresh = Site::greeter(Server::Fresh.settings())?;
    let reused = Site::greeter(Server::Reused.settings())?;
    let mut failures = Vec::new();
    for round in 1..=arguments.rounds {
        for turn in &mut measured {
            let site = if turn.turn.0 == Server::Reused { &reused } else { &fresh };
            eprint!("round {round}: ");
            report.await_quiet()?;
            if let Err(error) = turn.measure(arguments, site) {
                eprintln!("{error}");
                failures.push(format!("{}: {error}", turn.turn.0.name()));
            }
        }
    }
    for part in [Part::Fresh, Part::Reuse, Part::Sweep, Part::Others] {
        match part {
            _ if !arguments.wants(part) => {}
            Part::Sweep => tell_sweep(&measured, report),
            _ => tell_rates(part, arguments, &measured, report),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

impl Measured {
    /// Starts the server, warms it up for a second, and loads it.
    fn measure(&mut self, arguments: &Arguments, site: &Site) -> Result<()> {
        let (server, connections) = self.turn;
        let Some(served) = server.start(arguments, site)? else {
            eprintln!("{}: {}", server.name(), server.missing(arguments));
            return Ok(());
        };
        self.idle.push(served.process.memory()?);
        let warm_up = Plan { host: HOST, path: "/", connections, seconds: 1, cores: Cores::Client };
        warm_up.run(&served)?;
        let load = Plan { seconds: arguments.seconds, ..warm_up }.run(&served)?;
        let rate = Quantity::Rate(load.rate);
        let [p50, p99] = [load.p50, load.p99].map(Quantity::from);
        eprintln!("{}, {connections} connections: {rate}, {p50}, {p99}", server.name());
        self.loads.push(load);
        Ok(())
    }

    /// The medians of its rounds, and the largest memory of them.
    fn median(&self) -> Option<Load> {
        let time = |pick: fn(&Load) -> std::time::Duration| {
            median(&self.loads, |load| pick(load).as_secs_f64()).as_ref().map(pick)
        };
        Some(Load {
            rate: median(&self.loads, |load| load.rate)?.rate,
            p50: time(|load| load.p50)?,
            p99: time(|load| load.p99)?,
            cpu: time(|load| load.cpu)?,
            memory: self.loads.iter().map(|load| load.memory).max()?,
        })
    }
}

fn loaded(measured: &[Measured], turn: Turn) -> Option<Load> {
    measured.iter().find(|measured| measured.turn == turn)?.median()
}

/// The rows of requests a second.
fn tell_rates(part: Part, arguments: &Arguments, measured: &[Measured], report: &mut Report) {
    for (_, path, ours, theirs, goal) in ROWS.iter().filter(|row| row.0 == part) {
        let rate = |server| Some(Quantity::Rate(loaded(measured, (server, 32))?.rate));
        report.row(Row {
            path: (*path).to_owned(),
            ours: rate(*ours),
            against: theirs.name().to_owned(),
            theirs: rate(*theirs).ok_or_else(|| theirs.missing(arguments)),
            goal: *goal,
        });
    }
}

/// The rows of tail latency and memory, and the table of connections.
fn tell_sweep(measured: &[Measured], report: &mut Report) {
    const MIB: u64 = 1 << 20;
    for connections in [1, 32, 256] {
        if let Some(load) = loaded(measured, (Server::Fresh, connections)) {
            report.connections(connections, load);
        }
    }
    let Some(Load { p50, p99, memory, .. }) = loaded(measured, (Server::Fresh, 256)) else {
        return;
    };
    report.row(Row {
        path: "p99 at 256 connections, fresh".to_owned(),
        ours: Some(p99.into()),
        against: "its own p50".to_owned(),
        theirs: Ok(p50.into()),
        goal: Goal::AtMost(3.0),
    });
    // The very first start compiled the greeter; the others found it in the cache.
    let ours = measured.iter().filter(|measured| measured.turn.0 == Server::Fresh);
    let mut idle = ours.flat_map(|measured| measured.idle.iter().copied());
    for (how, memory) in [("compiled", idle.next()), ("from the cache", idle.max())] {
        if let Some(memory) = memory {
            let path = format!("RSS idle with the greeter, {how}");
            report.row(Row::alone(path, bytes(memory), bytes(60 * MIB)));
        }
    }
    report.row(Row::alone("RSS at 256 in flight", bytes(memory), bytes(150 * MIB)));
}

//! Load by wrk, with the figures that wrk and `/proc` give.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::{Cores, Process, command};
use crate::{Result, peers};

/// How long wrk may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the server's memory is read.
const LOOK: Duration = Duration::from_millis(50);

/// A server that is ready.
#[derive(Debug)]
pub struct Served {
    pub process: Process,
    pub address: SocketAddr,
}

/// The figures of a load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// The server's CPU time a request.
    pub cpu: Duration,
    /// The largest resident memory of the server meanwhile, in bytes.
    pub memory: u64,
}

/// The load to put on a server.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The host that requests name.
    pub host: &'a str,
    pub path: &'a str,
    pub connections: u32,
    pub seconds: u32,
    pub cores: Cores,
}

impl Plan<'_> {
    /// Loads a server for as long as planned, or until `enough` says so.
    pub fn load(&self, served: &Served, mut enough: impl FnMut() -> Result<bool>) -> Result<Load> {
        let before = served.process.cpu_time()?;
        let mut wrk = self.start(served.address)?;
        let deadline = Instant::now() + Duration::from_secs(self.seconds.into()) + PATIENCE;
        let mut memory = 0;
        let mut told = false;
        while wrk.ended()?.is_none() {
            if Instant::now() > deadline {
                return Err(format!("wrk does not end:\n{}", wrk.stderr()).into());
            }
            memory = memory.max(served.process.memory()?);
            if !told && enough()? {
                wrk.interrupt()?;
                told = true;
            }
            std::thread::sleep(LOOK);
        }
        let cpu = served.process.cpu_time()?.saturating_sub(before);
        let said = wrk.stdout();
        parse(&said, cpu, memory).ok_or_else(|| format!("wrk says\n{said}{}", wrk.stderr()).into())
    }

    /// The same for the planned time.
    pub fn run(&self, served: &Served) -> Result<Load> {
        self.load(served, || Ok(false))
    }

    fn start(&self, address: SocketAddr) -> Result<Process> {
        let wrk = peers::find("wrk").ok_or("no wrk: run `make bench-peers`")?;
        let mut wrk = command(self.cores, Path::new(&wrk));
        wrk.args(["--latency", "-t1", &format!("-c{}", self.connections)]);
        wrk.args([format!("-d{}s", self.seconds), format!("-HHost: {}", self.host)]);
        wrk.arg(format!("http://{address}{}", self.path));
        Process::spawn(wrk)
    }
}

/// Reads wrk's output; `None` if a request failed.
fn parse(said: &str, cpu: Duration, memory: u64) -> Option<Load> {
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return None;
    }
    let after = |label: &str| said.lines().find_map(|line| line.trim().strip_prefix(label));
    let count = said.lines().find_map(|line| line.split_once(" requests in "))?.0;
    let requests: u32 = count.trim().parse().ok()?;
    Some(Load {
        rate: after("Requests/sec:")?.trim().parse().ok()?,
        p50: time(after("50%")?)?,
        p99: time(after("99%")?)?,
        cpu: cpu.checked_div(requests)?,
        memory,
    })
}

/// `821.00us`, `1.96ms` or `2.00s`.
fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match text.strip_prefix(digits)? {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(digits.parse::<f64>().ok()? * unit))
}

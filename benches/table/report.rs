//! The results, as a table for people or JSON for scripts.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::Load;
use crate::peers::Server;
use crate::{Arguments, Part, quiet};

/// A measured number and what it counts.
#[derive(Clone, Copy, Debug)]
pub enum Quantity {
    /// Requests a second.
    Rate(f64),
    /// Seconds.
    Time(f64),
    /// Bytes.
    Memory(f64),
}

/// The goal of a row.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Ours is at least this many times theirs,
    AtLeast(f64),
    /// or at most,
    AtMost(f64),
    /// or at most this.
    Within(Quantity),
    /// There is no goal.
    None,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub path: String,
    /// `None` if the row could not be measured; `theirs` says why.
    pub ours: Option<Quantity>,
    pub against: String,
    /// Or why there is no such figure.
    pub theirs: Result<Quantity, String>,
    pub goal: Goal,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    about: String,
    rows: Vec<Row>,
    sweep: Vec<(u32, Load)>,
    notes: Vec<String>,
    /// How often a measurement waited for quiet, and how often in vain.
    waits: u32,
    busy: u32,
}

impl Quantity {
    fn number(self) -> f64 {
        match self {
            Self::Rate(number) | Self::Time(number) | Self::Memory(number) => number,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Rate(_) => "requests/s",
            Self::Time(_) => "s",
            Self::Memory(_) => "bytes",
        }
    }
}

impl From<Duration> for Quantity {
    fn from(time: Duration) -> Self {
        Self::Time(time.as_secs_f64())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) if rate >= 1e3 => {
                write!(f, "{:.0},{:03.0}/s", (rate / 1e3).floor(), (rate % 1e3).floor())
            }
            Self::Rate(rate) => write!(f, "{rate:.0}/s"),
            Self::Memory(bytes) => write!(f, "{:.0} MiB", bytes / f64::from(1 << 20)),
            Self::Time(seconds) if seconds >= 1.0 => write!(f, "{seconds:.2} s"),
            Self::Time(seconds) if seconds >= 1e-3 => write!(f, "{:.2} ms", seconds * 1e3),
            Self::Time(seconds) if seconds >= 1e-6 => write!(f, "{:.1} µs", seconds * 1e6),
            Self::Time(seconds) => write!(f, "{:.1} ns", seconds * 1e9),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(times) => write!(f, "≥ {times:.2}x"),
            Self::AtMost(times) => write!(f, "≤ {times:.2}x"),
            Self::Within(quantity) => write!(f, "≤ {quantity}"),
            Self::None => Ok(()),
        }
    }
}

impl Row {
    /// A row without a peer.
    pub fn alone(path: impl Into<String>, ours: Quantity, most: Quantity) -> Self {
        let (against, theirs) = (String::new(), Err(String::new()));
        Self { path: path.into(), ours: Some(ours), against, theirs, goal: Goal::Within(most) }
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.ours?.number() / self.theirs.as_ref().ok()?.number())
    }

    /// Whether the row meets its goal; `None` without a goal, or without a measurement.
    fn met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(times) => Some(self.ratio()? >= times),
            Goal::AtMost(times) => Some(self.ratio()? <= times),
            Goal::Within(most) => Some(self.ours?.number() <= most.number()),
            Goal::None => None,
        }
    }

    fn json(&self) -> Value {
        json!({
            "path": self.path,
            "ours": self.ours.map(Quantity::number),
            "unit": self.ours.map(Quantity::unit),
            "against": self.against,
            "theirs": self.theirs.as_ref().ok().map(|theirs| theirs.number()),
            "missing": self.theirs.as_ref().err().filter(|why| !why.is_empty()),
            "ratio": self.ratio(),
            "goal": self.goal.to_string(),
            "met": self.met(),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = self.ours.map(|ours| ours.to_string()).unwrap_or_default();
        let theirs = self.theirs.as_ref().map_or_else(Clone::clone, Quantity::to_string);
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let met = self.met().map_or("", |met| if met { "yes" } else { "no" });
        let Self { path, against, goal, .. } = self;
        write!(f, "| {path} | {ours} | {against} | {theirs} | {ratio} | {goal} | {met} |")
    }
}

impl Report {
    /// Prints what is measured now, and where.
    pub fn about(&mut self, arguments: &Arguments) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let kernel = read("/proc/sys/kernel/osrelease");
        let info = read("/proc/cpuinfo");
        let processor =
            info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        self.about = format!(
            "{cores} cores of {}, Linux {}, {}; medians of {} rounds of {} s.",
            processor.unwrap_or("an unknown processor"),
            kernel.trim(),
            arguments.binary.display(),
            arguments.rounds,
            arguments.seconds,
        );
        let peers =
            [Server::Wasmtime, Server::Workerd, Server::Nginx, Server::Envoy, Server::Haproxy];
        let versions: Vec<_> = peers.iter().filter_map(|peer| peer.version(arguments)).collect();
        self.notes.push(format!("Peers: {}.", versions.join("; ")));
        if !arguments.only.is_empty() {
            let only: Vec<Part> = arguments.only.clone();
            self.notes.push(format!("Only {only:?} was measured."));
        }
    }

    /// Waits until the machine does nothing else; the end of the report says how often it did not stop.
    pub fn await_quiet(&mut self) -> crate::Result<()> {
        self.waits += 1;
        self.busy += u32::from(!quiet::wait()?);
        Ok(())
    }

    /// Everything is measured.
    pub fn finish(&mut self) {
        if self.busy > 0 {
            let Self { waits, busy, .. } = self;
            self.notes.push(format!(
                "Before {busy} of {waits} measurements the machine was busy with something else."
            ));
        }
    }

    pub fn row(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// A row of the table of connections.
    pub fn connections(&mut self, connections: u32, load: Load) {
        self.sweep.push((connections, load));
    }

    /// A note below the table.
    pub fn note(&mut self, text: String) {
        eprintln!("{text}");
        self.notes.push(text);
    }

    pub fn json(&self) -> Value {
        let sweep = self.sweep.iter().map(|(connections, load)| {
            json!({
                "connections": connections,
                "rate": load.rate,
                "p50": load.p50.as_secs_f64(),
                "p99": load.p99.as_secs_f64(),
                "cpu": load.cpu.as_secs_f64(),
                "memory": load.memory,
            })
        });
        json!({
            "about": self.about,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "connections": sweep.collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.about)?;
        writeln!(f, "| path | ours | against | theirs | ratio | goal | met |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- |")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        if !self.sweep.is_empty() {
            writeln!(f, "\n| connections | requests/s | p50 | p99 | CPU/request | RSS |")?;
            writeln!(f, "| --- | --- | --- | --- | --- | --- |")?;
        }
        for (connections, Load { rate, p50, p99, cpu, memory }) in &self.sweep {
            let [p50, p99, cpu] = [p50, p99, cpu].map(|time| Quantity::from(*time));
            let (rate, memory) = (Quantity::Rate(*rate), bytes(*memory));
            writeln!(f, "| {connections} | {rate} | {p50} | {p99} | {cpu} | {memory} |")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}\n"))
    }
}

/// Bytes as a quantity.
#[expect(clippy::cast_precision_loss, reason = "no memory is that large")]
pub fn bytes(bytes: u64) -> Quantity {
    Quantity::Memory(bytes as f64)
}

/// The middle one, or the larger of the two; `None` for none.
pub fn median<T: Copy>(values: &[T], number: impl Fn(&T) -> f64) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|one, other| number(one).total_cmp(&number(other)));
    sorted.get(sorted.len() / 2).copied()
}

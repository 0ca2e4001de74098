//! What the process is, and what it uses of the machine, under the names that [all client libraries
//! share](https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics). Made for each scrape: what the
//! kernel does not tell is left out.

use std::env::consts::{ARCH, OS};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::time::{ClockId, clock_gettime};

use super::PREFIX;

/// Where the kernel tells of the process's memory and threads.
const STATUS: &str = "/proc/self/status";

/// How many files, sockets and connections are open, and how many may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sockets {
    /// `None` where the kernel does not tell.
    pub open: Option<usize>,
    pub max: usize,
    /// Connections of clients.
    pub connections: usize,
    pub connections_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

/// Writes the figures of this process, which began at a time, without the mark that ends a scrape.
pub(super) fn write(text: &mut String, began: SystemTime, sockets: Sockets) -> fmt::Result {
    encode_registry(text, &own(sockets))?;
    encode_registry(text, &standard(began, sockets))
}

fn own(sockets: Sockets) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    let Sockets { connections, connections_max, .. } = sockets;
    register(&mut registry, "connections", "Connections of clients that are open", connections);
    let help = "Connections of clients that may be open at once";
    register(&mut registry, "max_connections", help, connections_max);
    let build = Family::<BuildLabels, Gauge>::default();
    let labels = BuildLabels { version: env!("CARGO_PKG_VERSION"), os: OS, arch: ARCH };
    build.get_or_create(&labels).set(1);
    registry.register("build_info", "Which program this is; always 1", build);
    registry
}

fn standard(began: SystemTime, sockets: Sockets) -> Registry {
    let mut registry = Registry::with_prefix("process");
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Counter::<f64, AtomicU64>::default();
    cpu.inc_by(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
    let help = "Time that the process has used of processors, by itself and in the kernel";
    registry.register_with_unit("cpu", help, Unit::Seconds, cpu);
    let start = Gauge::<f64, AtomicU64>::default();
    start.set(began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    let help = "When the process began, since 1970";
    registry.register_with_unit("start_time", help, Unit::Seconds, start);
    if let Some(open) = sockets.open {
        register(&mut registry, "open_fds", "Files and sockets that are open", open);
    }
    let help = "Files and sockets that may be open at once";
    register(&mut registry, "max_fds", help, sockets.max);
    let status = std::fs::read_to_string(STATUS).unwrap_or_default();
    for (key, name, help) in [
        ("VmSize:", "virtual_memory", "Address space that the process has mapped"),
        ("VmRSS:", "resident_memory", "Memory that the process has in RAM"),
    ] {
        if let Some(kibibytes) = figure(&status, key) {
            let gauge = gauge(kibibytes.saturating_mul(1024));
            registry.register_with_unit(name, help, Unit::Bytes, gauge);
        }
    }
    if let Some(threads) = figure(&status, "Threads:") {
        register(&mut registry, "threads", "Threads of the process", threads);
    }
    registry
}

fn register(registry: &mut Registry, name: &str, help: &str, value: usize) {
    registry.register(name, help, gauge(value));
}

fn gauge(value: usize) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}

/// A figure of the kernel's status of the process: `VmRSS: 1234 kB`.
fn figure(status: &str, key: &str) -> Option<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_this_process() {
        let mut text = String::new();
        let sockets = Sockets { open: Some(7), max: 100, connections: 3, connections_max: 50 };
        write(&mut text, SystemTime::now(), sockets).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") > 0.0);
        assert!(value("process_start_time_seconds") > 1.7e9);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_threads") >= 1.0);
        assert_eq!((value("process_open_fds"), value("process_max_fds")), (7.0, 100.0));
        let build = format!("watershed_build_info{{version=\"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&build), "{text}");
    }

    /// In a sandbox without /proc, or with a limit that is none.
    #[test]
    fn what_the_kernel_does_not_tell_is_left_out() {
        let mut text = String::new();
        let sockets = Sockets { max: usize::MAX, ..Sockets::default() };
        write(&mut text, SystemTime::UNIX_EPOCH, sockets).unwrap();
        assert!(!text.contains("open_fds"), "{text}");
        assert!(text.contains(&format!("process_max_fds {}\n", i64::MAX)), "{text}");
        assert_eq!(figure("VmRSS:\n", "VmRSS:"), None);
    }
}

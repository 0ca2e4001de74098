//! What the process uses of the machine.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How many files and sockets are open, and how many may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    open: Gauge,
    max: Gauge,
    clients: Gauge,
    clients_max: Gauge,
}

impl Process {
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { open, max, clients, clients_max } = self.clone();
        let gauges = [
            (
                "open_descriptors",
                "Files and sockets that are open; 0 where the kernel does not tell",
                open,
            ),
            ("max_descriptors", "Files and sockets that may be open at once", max),
            ("connections", "Connections of clients that are open", clients),
            ("max_connections", "Connections of clients that may be open at once", clients_max),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge);
        }
    }

    pub(super) fn set(&self, numbers: [usize; 4]) {
        let gauges = [&self.open, &self.max, &self.clients, &self.clients_max];
        for (gauge, number) in gauges.into_iter().zip(numbers) {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

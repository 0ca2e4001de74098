//! `[versions.upstream]` in the words of its file.

use std::ops::RangeInclusive;

use toml::{Table, Value};

use super::super::{
    Digest, EjectSpec, HealthSpec, HostHeader, Percent, Protocol, RetrySpec, TargetSpec, TlsSpec,
    UpstreamSpec, show_duration, show_hundredths,
};
use super::{path, put};

impl UpstreamSpec {
    /// The table `[versions.upstream]`.
    pub fn written(&self) -> Table {
        let Self {
            targets,
            protocol,
            balance,
            host,
            resolve,
            connect_timeout,
            idle_timeout,
            health,
            eject,
            retry,
        } = self;
        let mut table = Table::new();
        let targets: Vec<Value> = targets.iter().map(TargetSpec::written).collect();
        put(&mut table, "targets", targets);
        put(&mut table, "protocol", protocol.as_str());
        put(&mut table, "balance", balance.as_str());
        put(&mut table, "host", host.as_str());
        put(&mut table, "resolve", show_duration(*resolve));
        put(&mut table, "connect-timeout", show_duration(*connect_timeout));
        put(&mut table, "idle-timeout", show_duration(*idle_timeout));
        if let Protocol::Tls(tls) = protocol {
            put(&mut table, "tls", tls.written());
        }
        if let Some(health) = health {
            put(&mut table, "health", health.written());
        }
        let eject = eject.as_ref().map(|eject| Value::Table(eject.written()));
        put(&mut table, "eject", eject.unwrap_or(Value::Boolean(false)));
        put(&mut table, "retry", retry.written());
        table
    }

    /// The digest of the declaration. Quarantine entries and the history name an upstream by it. The order of targets
    /// does not matter.
    pub fn digest(&self) -> Digest {
        let mut sorted = self.clone();
        sorted.targets.sort_unstable_by(|one, other| one.address.cmp(&other.address));
        Digest::of(sorted.written().to_string())
    }
}

impl TargetSpec {
    /// An address; or a table, where the weight is not the default one.
    fn written(&self) -> Value {
        let Self { address, weight } = self;
        let address = address.to_string();
        if weight.get() == 1 {
            return Value::from(address);
        }
        let mut table = Table::new();
        put(&mut table, "address", address);
        put(&mut table, "weight", weight.get());
        Value::Table(table)
    }
}

impl HostHeader {
    /// As it is written in the file.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Keep => Self::KEEP,
            Self::Target => Self::TARGET,
            Self::Name(name) => name,
        }
    }
}

impl TlsSpec {
    fn written(&self) -> Table {
        let Self { server_name, ca, identity } = self;
        let mut table = Table::new();
        if let Some(name) = server_name {
            put(&mut table, "server-name", name.as_str());
        }
        if let Some(ca) = ca {
            put(&mut table, "ca", path(ca));
        }
        if let Some(identity) = identity {
            put(&mut table, "certificate", path(&identity.certificate));
            put(&mut table, "key", path(&identity.key));
        }
        table
    }
}

impl HealthSpec {
    fn written(&self) -> Table {
        let Self { path, status, interval, timeout, healthy, unhealthy } = self;
        let mut table = Table::new();
        // Without a path, there is no status to compare.
        if let Some(path) = path {
            put(&mut table, "path", path.as_str());
            put(&mut table, "status", statuses(status));
        }
        put(&mut table, "interval", show_duration(*interval));
        put(&mut table, "timeout", show_duration(*timeout));
        put(&mut table, "healthy", healthy.get());
        put(&mut table, "unhealthy", unhealthy.get());
        table
    }
}

impl EjectSpec {
    fn written(&self) -> Table {
        let Self { failures, duration, at_most } = self;
        let mut table = Table::new();
        put(&mut table, "failures", failures.get());
        put(&mut table, "for", show_duration(*duration));
        put(&mut table, "at-most", percentage(*at_most));
        table
    }
}

impl RetrySpec {
    fn written(&self) -> Table {
        let Self { attempts, connect, reset, statuses, budget } = self;
        let words = [(connect, Self::CONNECT), (reset, Self::RESET)];
        let words = words.into_iter().filter(|(is_on, _)| **is_on).map(|(_, word)| word.to_owned());
        let on: Vec<String> = words.chain(statuses.iter().map(u16::to_string)).collect();
        let mut table = Table::new();
        put(&mut table, "attempts", *attempts);
        put(&mut table, "on", on);
        put(&mut table, "budget", percentage(*budget));
        table
    }
}

/// A percentage in a text.
fn percentage(share: Percent) -> String {
    format!("{}%", show_hundredths(share.hundredths().into()))
}

fn statuses(range: &RangeInclusive<u16>) -> String {
    match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

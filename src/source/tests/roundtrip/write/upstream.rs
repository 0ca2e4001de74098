//! `upstream` of a version.

use super::*;

/// Keys, and what is written after each.
type Keys = Vec<(String, String)>;

impl Writer<'_> {
    pub fn upstream(&self, text: &mut String, upstream: &UpstreamSpec) {
        let usual = UpstreamSpec::new(upstream.targets.clone());
        let targets: Vec<_> = upstream.targets.iter().map(|target| self.target(target)).collect();
        let targets = format!("[{}]", targets.join(", "));
        if *upstream == usual && self.style.is_terse {
            self.key(text, "upstream", targets, false);
            return;
        }
        let (mut keys, tables) = self.upstream_keys(upstream, &usual);
        keys.insert(0, ("targets".to_owned(), targets));
        if self.style.is_inline {
            let braced = |table: Keys| {
                let entries: Vec<_> =
                    table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", entries.join(", "))
            };
            keys.extend(tables.into_iter().map(|(key, table)| (key.to_owned(), braced(table))));
            self.table(text, "versions", "upstream", keys.into_iter());
        } else {
            self.table(text, "versions", "upstream", keys.into_iter());
            for (key, table) in tables {
                self.table(text, "versions.upstream", key, table.into_iter());
            }
        }
    }

    fn target(&self, target: &TargetSpec) -> String {
        let TargetSpec { address, weight } = target;
        match weight.get() == 1 && self.style.is_terse {
            true => quoted(address),
            false => format!("{{ address = {}, weight = {weight} }}", quoted(address)),
        }
    }

    /// The keys of the table beside `targets`, and the tables in it.
    fn upstream_keys(
        &self,
        upstream: &UpstreamSpec,
        usual: &UpstreamSpec,
    ) -> (Keys, Vec<(&'static str, Keys)>) {
        let UpstreamSpec {
            targets: _,
            protocol,
            balance,
            host,
            resolve,
            connect_timeout,
            idle_timeout,
            health,
            eject,
            retry,
        } = upstream;
        let host_text = match host {
            HostHeader::Keep => "keep",
            HostHeader::Target => "target",
            HostHeader::Name(name) => name,
        };
        let has_table = matches!(protocol, Protocol::Tls(tls) if *tls != TlsSpec::default());
        let is_said = has_table || *protocol == usual.protocol;
        let mut keys = self.kept([
            ("protocol", quoted(protocol.as_str()), is_said),
            ("balance", quoted(balance.as_str()), *balance == usual.balance),
            ("host", quoted(host_text), *host == usual.host),
            ("resolve", duration(resolve), *resolve == usual.resolve),
            (
                "connect-timeout",
                duration(connect_timeout),
                *connect_timeout == usual.connect_timeout,
            ),
            ("idle-timeout", duration(idle_timeout), *idle_timeout == usual.idle_timeout),
        ]);
        let mut tables = Vec::new();
        if let Protocol::Tls(tls) = protocol {
            tables.push(("tls", self.tls(tls)));
        }
        tables.extend(health.iter().map(|health| ("health", self.health(health))));
        match eject {
            None => keys.push(("eject".to_owned(), "false".to_owned())),
            Some(eject) => tables.push(("eject", self.eject(eject))),
        }
        tables.push(("retry", self.retry(retry)));
        (keys, tables)
    }

    fn tls(&self, tls: &TlsSpec) -> Vec<(String, String)> {
        let TlsSpec { server_name, ca, identity } = tls;
        let path = |path: &PathBuf| self.path(path, "../..");
        let (certificate, key) =
            identity.as_ref().map(|it| (path(&it.certificate), path(&it.key))).unzip();
        let keys = [
            ("server-name", server_name.as_ref().map(quoted)),
            ("ca", ca.as_ref().map(path)),
            ("certificate", certificate),
            ("key", key),
        ];
        keys.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?))).collect()
    }

    fn health(&self, health: &HealthSpec) -> Vec<(String, String)> {
        let HealthSpec { path, status, interval, timeout, healthy, unhealthy } = health;
        let usual = HealthSpec::default();
        let (first, last) = (status.start(), status.end());
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        let mut keys = self.kept([
            ("status", quoted(range), path.is_none() || *status == usual.status),
            ("interval", duration(interval), *interval == usual.interval),
            ("timeout", duration(timeout), *timeout == usual.timeout),
            ("healthy", healthy.to_string(), *healthy == usual.healthy),
            ("unhealthy", unhealthy.to_string(), *unhealthy == usual.unhealthy),
        ]);
        keys.retain(|(key, _)| key != "status" || path.is_some());
        keys.extend(path.iter().map(|path| ("path".to_owned(), quoted(path))));
        keys
    }

    fn eject(&self, eject: &EjectSpec) -> Vec<(String, String)> {
        let EjectSpec { failures, duration: time, at_most } = eject;
        let usual = EjectSpec::default();
        self.kept([
            ("failures", failures.to_string(), *failures == usual.failures),
            ("for", duration(time), *time == usual.duration),
            ("at-most", quoted(format!("{at_most}%")), *at_most == usual.at_most),
        ])
    }

    fn retry(&self, retry: &RetrySpec) -> Vec<(String, String)> {
        let RetrySpec { attempts, connect, reset, statuses, budget } = retry;
        let usual = RetrySpec::default();
        let words = [(*connect, "connect"), (*reset, "reset")];
        let words = words.into_iter().filter(|(is_on, _)| *is_on).map(|(_, word)| word.to_owned());
        let on: Vec<_> = statuses.iter().rev().map(u16::to_string).chain(words).collect();
        let is_usual = (*connect, *reset, statuses.len()) == (true, true, 0);
        self.kept([
            ("attempts", attempts.to_string(), *attempts == usual.attempts),
            ("on", array(&on), is_usual),
            ("budget", quoted(format!("{budget} %")), *budget == usual.budget),
        ])
    }

    /// Keys without those that need not be written.
    fn kept<const N: usize>(&self, keys: [(&str, String, bool); N]) -> Vec<(String, String)> {
        let kept = keys.into_iter().filter(|(.., is_usual)| !(*is_usual && self.style.is_terse));
        kept.map(|(key, value, _)| (key.to_owned(), value)).collect()
    }
}

fn duration(value: &Duration) -> String {
    quoted(show_duration(*value))
}

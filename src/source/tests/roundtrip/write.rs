//! Writes a configuration as the files that mean it.

mod policy;
mod server;
mod upstream;

use std::fmt::Write;

use super::*;

/// Where and how to write.
pub struct Writer<'a> {
    pub root: &'a Path,
    /// What `[defaults.limits]` says.
    pub defaults: &'a AllLimits,
    pub style: Style,
}

/// There is more than one way to say most things.
#[derive(Clone, Copy)]
pub struct Style {
    /// Leaves out what is the default, and writes relative paths.
    pub is_terse: bool,
    /// Writes tables inside of versions and of traffic in braces.
    pub is_inline: bool,
}

impl Writer<'_> {
    pub fn write(&self, config: &Config) {
        let directory = self.root.join("config");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("watershed.toml"), self.main(config)).unwrap();
        for (index, environment) in config.environments.iter().enumerate() {
            let directory = directory.join(format!("e{index}"));
            fs::create_dir_all(&directory).unwrap();
            for (index, service) in environment.services.iter().enumerate() {
                let file = directory.join(format!("s{index:03}.toml"));
                fs::write(file, self.service(service)).unwrap();
            }
        }
    }

    fn main(&self, config: &Config) -> String {
        let Config { server, admin, state, components, environments, warnings: _ } = config;
        let mut text = String::new();
        let default = ServerSettings::default();
        let ServerSettings {
            listen,
            threads,
            sandboxes,
            grace_period,
            drain_delay,
            expose,
            watch,
            health_path,
            proxy_protocol,
            trusted_proxies,
            tls,
            limits: connections,
        } = server;
        text += "[server]\n";
        self.key(&mut text, "listen", array(listen), listen == &default.listen);
        self.key(&mut text, "threads", threads, *threads == default.threads);
        self.key(&mut text, "sandboxes", sandboxes, *sandboxes == default.sandboxes);
        let grace = quoted(show_duration(*grace_period));
        self.key(&mut text, "grace-period", grace, *grace_period == default.grace_period);
        let delay = quoted(show_duration(*drain_delay));
        self.key(&mut text, "drain-delay", delay, *drain_delay == default.drain_delay);
        self.key(&mut text, "expose", quoted(expose.as_str()), *expose == default.expose);
        self.key(&mut text, "watch", quoted(watch), *watch == default.watch);
        if let Some(path) = health_path {
            self.key(&mut text, "health-path", quoted(path), false);
        }
        let is_default = *proxy_protocol == default.proxy_protocol;
        self.key(&mut text, "proxy-protocol", quoted(proxy_protocol.as_str()), is_default);
        self.key(&mut text, "trusted-proxies", array(trusted_proxies), trusted_proxies.is_empty());
        let connections = server::connections(connections, self.style.is_terse);
        self.table(&mut text, "server", "limits", connections.into_iter());
        if let Some(tls) = tls {
            self.https(&mut text, tls);
        }
        let AdminSettings { listen, token_file, hosts } = admin;
        text += "[admin]\n";
        self.key(&mut text, "listen", quoted(listen), *listen == AdminSettings::default().listen);
        self.key(&mut text, "hosts", array(hosts), hosts.is_empty());
        if let Some(file) = token_file {
            self.key(&mut text, "token-file", self.path(file, ".."), false);
        }
        text += "[state]\n";
        let StateSettings { directory } = state;
        let is_default = *directory == self.root.join("state");
        self.key(&mut text, "directory", self.path(directory, ".."), is_default);
        text += "[components]\n";
        let ComponentSettings { directory } = components;
        let is_default = *directory == self.root.join("config/components");
        self.key(&mut text, "directory", self.path(directory, ".."), is_default);
        text += "[defaults.limits]\n";
        for (key, value) in limits(self.defaults, &AllLimits::default(), self.style.is_terse) {
            self.key(&mut text, key, value, false);
        }
        if environments.is_empty() {
            // Without any there would be one.
            return format!("environments = []\n{text}");
        }
        for (index, Environment { name, domain, services: _ }) in environments.iter().enumerate() {
            let name = quoted(name);
            let domain = quoted(domain);
            write!(
                text,
                "[[environments]]\nname = {name}\ndomain = {domain}\nservices = 'e{index}/*.toml'\n"
            )
            .unwrap();
        }
        text
    }

    fn service(&self, service: &Service) -> String {
        let Service { name, domains, routes, versions, traffic, policy, quarantine, file: _ } =
            service;
        let mut text = String::new();
        self.key(&mut text, "name", quoted(name), false);
        self.key(&mut text, "domains", array(&domains[1..]), domains.len() == 1);
        for Route { domain, path } in routes {
            text += "[[routes]]\n";
            self.key(&mut text, "domain", quoted(domain), false);
            self.key(&mut text, "path", quoted(path), path == Route::WHOLE);
        }
        for (index, version) in versions.iter().enumerate() {
            text += "[[versions]]\n";
            self.version(&mut text, version, policy.reach_of(index));
        }
        self.traffic(&mut text, versions, traffic, policy);
        for entry in quarantine {
            text += "[[quarantine]]\n";
            self.quarantined(&mut text, entry);
        }
        text
    }

    fn quarantined(&self, text: &mut String, entry: &Quarantined) {
        let Quarantined { digest, env, version, remark } = entry;
        self.key(text, "digest", quoted(digest), false);
        self.key(text, "version", quoted(version), false);
        if let Some(env) = env {
            self.key(text, "env", quoted(env), false);
        }
        if let Some(remark) = remark {
            self.key(text, "remark", quoted(remark), false);
        }
    }

    fn version(&self, text: &mut String, version: &VersionSpec, reach: Reach) {
        let VersionSpec { name, remark, backend, limits, place: _ } = version;
        self.key(text, "name", quoted(name), false);
        if let Some(remark) = remark {
            self.key(text, "remark", quoted(remark), false);
        }
        self.key(text, "reach", quoted(reach.as_str()), reach == Reach::Live);
        let guest_limits = match backend {
            BackendSpec::Guest(guest) => {
                self.guest(text, guest);
                &guest.limits
            }
            BackendSpec::Upstream(upstream) => {
                self.upstream(text, upstream);
                &self.defaults.guest
            }
        };
        let limits = AllLimits { version: limits.clone(), guest: guest_limits.clone() };
        let mut limits = self::limits(&limits, self.defaults, self.style.is_terse);
        if version.guest().is_none() {
            let guests = GuestLimits::default().entries();
            limits.retain(|(key, _)| guests.iter().all(|(of_guest, _)| of_guest != key));
        }
        let limits = limits.into_iter().map(|(key, value)| (key.to_owned(), value));
        self.table(text, "versions", "limits", limits);
    }

    fn guest(&self, text: &mut String, guest: &GuestSpec) {
        let GuestSpec { component, digest, env, outbound, limits: _ } = guest;
        self.key(text, "component", self.path(component, "../.."), false);
        if let Some(digest) = digest {
            self.key(text, "digest", quoted(digest), false);
        }
        self.key(text, "outbound", array(outbound), outbound.is_empty());
        let env = env.iter().map(|(key, value)| (quoted(key), self.env_value(value)));
        self.table(text, "versions", "env", env);
    }

    fn env_value(&self, value: &EnvValue) -> String {
        match value {
            EnvValue::Plain(text) => quoted(text),
            EnvValue::Secret(source) => {
                let (key, place) = self.secret(source);
                format!("{{ {key} = {place} }}")
            }
        }
    }

    /// The key and value of the table that says where a secret is.
    fn secret(&self, source: &SecretSource) -> (String, String) {
        match source {
            SecretSource::File(path) => ("file".to_owned(), self.path(path, "../..")),
            SecretSource::FromEnv(variable) => ("from-env".to_owned(), quoted(variable)),
        }
    }

    fn key(&self, text: &mut String, key: &str, value: impl ToString, is_default: bool) {
        if !(is_default && self.style.is_terse) {
            writeln!(text, "{key} = {}", value.to_string()).unwrap();
        }
    }

    fn table(
        &self,
        text: &mut String,
        parent: &str,
        key: &str,
        entries: impl Iterator<Item = (String, String)>,
    ) {
        let entries: Vec<String> = entries.map(|(key, value)| format!("{key} = {value}")).collect();
        if self.style.is_inline {
            writeln!(text, "{key} = {{ {} }}", entries.join(", ")).unwrap();
        } else {
            writeln!(text, "[{parent}.{key}]\n{}", entries.join("\n")).unwrap();
        }
    }

    /// `up` leads from the file to the root.
    fn path(&self, path: &Path, up: &str) -> String {
        match path.strip_prefix(self.root) {
            Ok(rest) if self.style.is_terse => quoted(Path::new(up).join(rest).display()),
            _ => quoted(path.display()),
        }
    }
}

fn limits(limits: &AllLimits, below: &AllLimits, is_terse: bool) -> Vec<(&'static str, String)> {
    let AllLimits { version, guest } = limits;
    let Limits { wall_time, idle_time, request_body, concurrency, queue_time } = version;
    let GuestLimits { memory, cpu_time, instance_reuse, outbound_requests, outbound_concurrency } =
        guest;
    let AllLimits { version: below, guest: guest_below } = below;
    let duration = |value: &Duration| quoted(show_duration(*value));
    let idle = match idle_time {
        IdleTime::WallTime => duration(wall_time),
        IdleTime::After(time) => duration(time),
        IdleTime::Never => quoted(IdleTime::NONE),
    };
    let mut keys = vec![
        ("memory", quoted(memory), *memory == guest_below.memory),
        ("cpu-time", duration(cpu_time), *cpu_time == guest_below.cpu_time),
        ("wall-time", duration(wall_time), *wall_time == below.wall_time),
        ("idle-time", idle, *idle_time == below.idle_time),
        ("request-body", request_body.bytes().to_string(), *request_body == below.request_body),
        ("concurrency", concurrency.to_string(), *concurrency == below.concurrency),
        ("queue-time", duration(queue_time), *queue_time == below.queue_time),
        (
            "instance-reuse",
            instance_reuse.to_string(),
            *instance_reuse == guest_below.instance_reuse,
        ),
        (
            "outbound-requests",
            outbound_requests.to_string(),
            *outbound_requests == guest_below.outbound_requests,
        ),
        (
            "outbound-concurrency",
            outbound_concurrency.to_string(),
            *outbound_concurrency == guest_below.outbound_concurrency,
        ),
    ];
    keys.retain(|(_, _, is_default)| !(is_terse && *is_default));
    keys.into_iter().map(|(key, value, _)| (key, value)).collect()
}

fn quoted(text: impl ToString) -> String {
    let escaped = text.to_string().chars().fold(String::new(), |text, character| match character {
        '"' | '\\' => format!("{text}\\{character}"),
        _ if character.is_control() => format!("{text}\\u{:04x}", u32::from(character)),
        _ => text + character.encode_utf8(&mut [0; 4]),
    });
    format!("\"{escaped}\"")
}

fn array(items: &[impl ToString]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

//! The settings that only a restart changes. A reload names those that differ from what the process was started with; a
//! plan shows both values.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::model::{
    AdminSettings, ComponentSettings, Config, ServerSettings, StateSettings, show_duration,
};

/// The value of a key, as it would be written in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    Text(String),
    /// Absolute.
    Path(PathBuf),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Config {
    /// Every key that only a restart changes, with its value if it is set.
    pub fn fixed(&self) -> [(&'static str, Option<Setting>); 13] {
        let ServerSettings {
            listen,
            threads,
            sandboxes,
            grace_period,
            drain_delay,
            expose: _,
            watch,
            health_path: _,
            proxy_protocol,
            trusted_proxies: _,
            tls,
            limits: _,
        } = &self.server;
        let AdminSettings { listen: admin, token_file, hosts } = &self.admin;
        let StateSettings { directory } = &self.state;
        let ComponentSettings { directory: components } = &self.components;
        let text = |text: String| Some(Setting::Text(text));
        let addresses = |all: &[SocketAddr]| {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            text(all.join(", "))
        };
        [
            ("server.listen", addresses(listen)),
            ("server.threads", text(threads.to_string())),
            ("server.sandboxes", text(sandboxes.to_string())),
            ("server.grace-period", text(show_duration(*grace_period))),
            ("server.drain-delay", text(show_duration(*drain_delay))),
            ("server.watch", text(watch.to_string())),
            ("server.proxy-protocol", text(proxy_protocol.as_str().to_owned())),
            ("server.tls.listen", tls.as_ref().and_then(|tls| addresses(&tls.listen))),
            ("admin.listen", text(admin.to_string())),
            ("admin.token-file", token_file.clone().map(Setting::Path)),
            ("admin.hosts", text(hosts.join(", ")).filter(|_| !hosts.is_empty())),
            ("state.directory", Some(Setting::Path(directory.clone()))),
            ("components.directory", Some(Setting::Path(components.clone()))),
        ]
    }
}

/// A key that says something else than when the process was started, and that only a restart changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartChange {
    pub key: &'static str,
    /// What the process was started with, if the key was set.
    pub before: Option<Setting>,
    pub after: Option<Setting>,
}

/// The keys that differ and need a restart.
pub fn restart_changes(started_with: &Config, now: &Config) -> Vec<RestartChange> {
    let pairs = started_with.fixed().into_iter().zip(now.fixed());
    let changes = pairs.map(|((key, before), (_, after))| RestartChange { key, before, after });
    changes.filter(|RestartChange { before, after, .. }| before != after).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_is_served_at_once_is_no_reason_for_a_restart() {
        let before = Config {
            server: ServerSettings::default(),
            admin: AdminSettings::default(),
            state: StateSettings { directory: "/state".into() },
            components: ComponentSettings { directory: "/components".into() },
            environments: Vec::new(),
            warnings: Vec::new(),
        };
        let mut after = before.clone();
        after.server.expose = crate::config::Expose::None;
        after.server.limits.head_time = Duration::from_secs(3);
        assert_eq!(restart_changes(&before, &after), []);
        after.server.threads = 3;
        after.admin.token_file = Some("/token".into());
        let changes = restart_changes(&before, &after);
        let [threads, token] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((threads.key, token.key), ("server.threads", "admin.token-file"));
        assert_eq!(threads.after, Some(Setting::Text("3".to_owned())));
        assert_eq!((&token.before, &token.after), (&None, &Some(Setting::Path("/token".into()))));
    }
}

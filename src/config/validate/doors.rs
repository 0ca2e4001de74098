//! `[server]` and `[admin]`: the addresses of requests and of operators. No two addresses may overlap: the second could
//! not be bound.

mod limits;
mod proxies;
mod tls;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::super::model::{AdminSettings, Expose, ServerSettings};
use super::super::raw::{Field, Located, RawAdmin, RawServer};
use super::super::source::{Complaint, Findings};
use super::{field, host};

/// An address, and where it is written.
type Written = (Range<usize>, SocketAddr);

/// Checks both tables.
pub fn doors(
    main: &mut Findings<'_>,
    server: Option<RawServer>,
    admin: Option<RawAdmin>,
) -> (ServerSettings, AdminSettings) {
    let (server, listen) = match server {
        Some(raw) => self::server(main, raw),
        None => (ServerSettings::default(), Vec::new()),
    };
    let admin = match admin {
        Some(raw) => self::admin(main, raw, &server),
        None => AdminSettings::default(),
    };
    is_apart_from_default(main, &listen, &admin);
    (server, admin)
}

fn server(main: &mut Findings<'_>, raw: RawServer) -> (ServerSettings, Vec<Written>) {
    let RawServer {
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
        limits,
    } = raw;
    let default = ServerSettings::default();
    let mut written = Vec::new();
    let listen = match listen {
        Some(raw) => self::listen(main, raw, &mut written),
        None => {
            // Nothing is told of it at its own place, since it has none.
            written.extend(default.listen.iter().map(|address| (0..0, *address)));
            Vec::new()
        }
    };
    let trusted_proxies = proxies::trusted(main, trusted_proxies);
    let proxy_protocol = proxies::protocol(main, proxy_protocol, &trusted_proxies);
    let tls = tls.map(|raw| tls::tls(main, raw, &mut written));
    let threads = main.whole("threads", threads, &ServerSettings::THREADS);
    let sandboxes = main.count("sandboxes", sandboxes, &ServerSettings::SANDBOXES);
    let grace = main.duration("grace-period", grace_period, &ServerSettings::GRACE_PERIOD);
    let delay = main.duration("drain-delay", drain_delay, &ServerSettings::DRAIN_DELAY);
    let expose_word = field::word("expose", &Expose::ALL, Expose::as_str);
    let settings = ServerSettings {
        listen: if listen.is_empty() { default.listen } else { listen },
        threads: threads.and_then(|count| usize::try_from(count).ok()).unwrap_or(default.threads),
        sandboxes: sandboxes.unwrap_or(default.sandboxes),
        grace_period: grace.unwrap_or(default.grace_period),
        drain_delay: delay.unwrap_or(default.drain_delay),
        expose: main.text(expose, expose_word).unwrap_or(default.expose),
        watch: main.text(watch, field::watch).unwrap_or(default.watch),
        health_path: self::health_path(main, health_path),
        proxy_protocol: proxy_protocol.unwrap_or(default.proxy_protocol),
        trusted_proxies,
        tls,
        limits: limits.map_or(default.limits, |raw| limits::limits(main, raw)),
    };
    (settings, written)
}

fn health_path(main: &mut Findings<'_>, raw: Field<String>) -> Option<String> {
    let span = raw.as_ref().map(Located::span);
    let path = main.text(raw, field::health_path)?;
    if let Some(span) = span.filter(|_| path == "/") {
        let message =
            "`health-path` is `/`, which every service has: none of them gets a request for it";
        let help = "write a path that no service has, such as `/-/health`";
        main.warn(span, Complaint::new(message, help));
    }
    Some(path)
}

/// Addresses to listen on, none of which overlaps with another one or with those `written` before, which they join.
fn listen(
    main: &mut Findings<'_>,
    raw: Located<Vec<Located<String>>>,
    written: &mut Vec<Written>,
) -> Vec<SocketAddr> {
    let (span, items) = raw.into_parts();
    if items.is_empty() && !main.has_lost_any(&span) {
        let help = "give at least one, such as `listen = [\"127.0.0.1:8080\"]`, or leave it out";
        main.add(span, Complaint::new("`listen` has no address", help));
    }
    let mut listed = Vec::new();
    for item in items {
        let (span, text) = item.into_parts();
        let Some(address) = main.check(span.clone(), host::address(&text)) else {
            continue;
        };
        if let Some((_, other)) = written.iter().find(|(_, other)| overlap(*other, address)) {
            main.add(span.clone(), twice(*other, address));
        }
        written.push((span, address));
        listed.push(address);
    }
    listed
}

fn twice(one: SocketAddr, other: SocketAddr) -> Complaint {
    if canonical(one) == canonical(other) {
        return Complaint::new(format!("{other} is listened on twice"), "remove one of them");
    }
    let (all, own) = if is_all(one) { (one, other) } else { (other, one) };
    let message = format!("{own} is part of {all}, which is every address of this machine");
    Complaint::new(message, format!("remove {own}, or give each a port of its own"))
}

fn admin(main: &mut Findings<'_>, raw: RawAdmin, server: &ServerSettings) -> AdminSettings {
    let RawAdmin { listen, token_file, hosts } = raw;
    let default = AdminSettings::default();
    let has_token = token_file.is_some();
    let token_file = main.path("token-file", token_file);
    let hosts = self::hosts(main, hosts.unwrap_or_default());
    let Some(listen) = listen else {
        return AdminSettings { token_file, hosts, ..default };
    };
    let (span, text) = listen.into_parts();
    let listen = main.check(span.clone(), host::address(&text));
    let listen = listen.unwrap_or(default.listen);
    if !listen.ip().is_loopback() && !has_token {
        let message = format!("anybody who reaches {listen} could see what is served, and how");
        let help = "set `token-file`, or listen on a loopback address such as 127.0.0.1";
        main.add(span.clone(), Complaint::new(message, help));
    }
    let tls = server.tls.iter().flat_map(|tls| &tls.listen).map(|other| (other, "server.tls"));
    let taken = server.listen.iter().map(|other| (other, "server")).chain(tls);
    if let Some((other, table)) = { taken }.find(|(other, _)| overlap(**other, listen)) {
        let message = match canonical(*other) == canonical(listen) {
            true => format!("{listen} is also in `listen` of `{table}`"),
            false => format!("{listen} and {other} in `listen` of `{table}` overlap"),
        };
        main.add(span, Complaint::new(message, "give each a port of its own"));
    }
    AdminSettings { listen, token_file, hosts }
}

/// An address of `server` that is the default address of the admin listener.
fn is_apart_from_default(main: &mut Findings<'_>, listen: &[Written], admin: &AdminSettings) {
    let default = AdminSettings::default().listen;
    let taken = listen.iter().find(|(_, address)| overlap(*address, default));
    if let Some((span, address)) = taken.filter(|_| admin.listen == default) {
        let message = format!("{address} is taken by the admin listener, which is at {default}");
        let help = "give each a port of its own, here or by `listen` of `[admin]`";
        main.add(span.clone(), Complaint::new(message, help));
    }
}

fn hosts(main: &mut Findings<'_>, items: Vec<Located<String>>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut hosts = Vec::new();
    for item in items {
        let (span, text) = item.into_parts();
        let Some(host) = main.check(span.clone(), host::admin_host(&text)) else {
            continue;
        };
        if seen.insert(host.clone()) {
            hosts.push(host);
        } else {
            let message = format!("`hosts` has `{host}` twice");
            main.add(span, Complaint::new(message, "remove one of them"));
        }
    }
    hosts
}

/// Whether two addresses exclude each other. Port 0 is another free port each time. The address `[::]` and an IPv4
/// address can be used together, because the former is bound for IPv6 only.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (one, other) = (canonical(one), canonical(other));
    let same_kind = one.is_ipv4() == other.is_ipv4();
    let all = same_kind && (is_all(one) || is_all(other));
    one.port() != 0 && one.port() == other.port() && (one == other || all)
}

fn is_all(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_unspecified()
}

/// `[::ffff:127.0.0.1]` is 127.0.0.1.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_overlap_where_the_second_could_not_be_bound() {
        let overlap = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(super::overlap(one, other), super::overlap(other, one));
            super::overlap(one, other)
        };
        assert!(overlap("127.0.0.1:80", "127.0.0.1:80"));
        assert!(overlap("0.0.0.0:80", "127.0.0.1:80"));
        assert!(overlap("[::]:80", "[::1]:80"));
        assert!(overlap("[::ffff:127.0.0.1]:80", "127.0.0.1:80"));
        assert!(overlap("0.0.0.0:80", "[::ffff:127.0.0.1]:80"));
        assert!(!overlap("0.0.0.0:80", "[::]:80"));
        assert!(!overlap("127.0.0.1:80", "[::]:80"));
        assert!(!overlap("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!overlap("0.0.0.0:80", "127.0.0.1:81"));
        assert!(!overlap("0.0.0.0:0", "127.0.0.1:0"));
    }
}

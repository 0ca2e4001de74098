//! Addresses to listen on, and host names: of domains, environments and the admin listener. A text that is neither is
//! refused with the one that was probably meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::model::{self, DomainError, DomainPattern};
use super::super::source::Complaint;

const ADDRESS_HELP: &str =
    "write an IP address and a port, such as `127.0.0.1:8080` or `[::1]:8080`";

/// The characters of a part of a host name.
const PARTS_HELP: &str = "between its dots, a host name has the characters a-z, 0-9, `-` and `_`, at most 63, with no \
                          `-` at either end";

pub fn address(text: &str) -> Result<SocketAddr, Complaint> {
    parsed(text).ok_or_else(|| {
        let message = format!("{text:?} is not an address with a port");
        Complaint::new(message, address_help(text))
    })
}

fn parsed(text: &str) -> Option<SocketAddr> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = local.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    local.or_else(|| text.parse().ok())
}

fn address_help(text: &str) -> String {
    let text = text.trim();
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest.trim_end_matches('/'));
    let joined: String = bare.chars().filter(|c| !c.is_whitespace()).collect();
    if parsed(&joined).is_some() {
        return format!("write `{joined}`");
    }
    if let Some((first, rest)) = bare.split_once(' ').filter(|(first, _)| parsed(first).is_some()) {
        return match rest.contains("ssl") || rest.contains("tls") {
            true => format!("write `{first}` in `listen` of `[server.tls]`, which is for HTTPS"),
            false => format!("write `{first}`, without `{rest}`"),
        };
    }
    if text.starts_with("unix:") || text.starts_with('/') {
        return format!("Unix sockets are not listened on: {ADDRESS_HELP}");
    }
    let (host, port) = bare.rsplit_once(':').unwrap_or(("", bare));
    let is_port = port.parse::<u16>().is_ok();
    if is_port && ["", "*", "any", "all"].contains(&host) {
        return format!(
            "write `127.0.0.1:{port}` for this machine only, or `0.0.0.0:{port}` for all"
        );
    }
    // `::1:8080` is an address too: the one of `::1` with a port that nobody meant.
    if let Some(ip) = host.parse::<Ipv6Addr>().ok().filter(|_| is_port && port.len() > 1) {
        return format!("write the IP address in brackets: `[{ip}]:{port}`");
    }
    let ip = bare.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if let Ok(ip) = ip {
        return format!("add a port, such as `{}`", SocketAddr::new(ip, 8080));
    }
    if bare == "localhost" {
        return "add a port, such as `localhost:8080`".to_owned();
    }
    let is_number = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    if is_number && !is_port {
        return "write a port from 0 to 65535".to_owned();
    }
    let is_name = host.contains(|c: char| c.is_ascii_alphabetic()) && model::domain(host).is_ok();
    if is_name && is_port {
        return format!("names are not looked up, except `localhost`: {ADDRESS_HELP}");
    }
    ADDRESS_HELP.to_owned()
}

/// The domain of an environment.
pub fn domain(text: &str) -> Result<String, Complaint> {
    model::domain(text).map_err(|error| {
        let usual = "write a host name without wildcard and port, such as `prod.example.com`";
        let message = format!("{text:?} cannot be the domain of an environment: {error}");
        Complaint::new(message, domain_help(text, &error, usual))
    })
}

pub fn domain_pattern(text: &str) -> Result<DomainPattern, Complaint> {
    text.parse().map_err(|error: DomainError| {
        let usual = "write a host name such as `hello.example.com`, or `*.example.com`, or `*` for every host that no \
                     other domain matches";
        let (error, help) = match error {
            DomainError::Ipv6 if text.starts_with('[') => {
                let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
                (DomainError::Port, format!("write `{host}`"))
            }
            DomainError::Ipv6 => (error, format!("write it in brackets: `[{text}]`")),
            error => {
                let help = domain_help(text, &error, usual);
                (error, help)
            }
        };
        Complaint::new(format!("{text:?} cannot be a domain: {error}"), help)
    })
}

/// A host name under which the admin listener answers.
pub fn admin_host(text: &str) -> Result<String, Complaint> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        let message =
            format!("{text:?} is an address, and the listener answers under every address");
        return Err(Complaint::new(message, "remove it"));
    }
    model::domain(text).map_err(|error| {
        let why = match &error {
            DomainError::Port => "it has a port".to_owned(),
            DomainError::Wildcard => "it has a wildcard".to_owned(),
            other => other.to_string(),
        };
        let usual = "write a host name without wildcard and port, such as `ops.example.com`";
        let message = format!("{text:?} cannot be a host of the admin listener: {why}");
        Complaint::new(message, domain_help(text, &error, usual))
    })
}

/// What to do about a text that is no host name; `usual` where nothing better is known.
pub fn domain_help(text: &str, error: &DomainError, usual: &str) -> String {
    let is_domain = |name: &str| model::domain(name).is_ok();
    let written = |name: &str| is_domain(name).then(|| format!("write `{name}`"));
    let help = match error {
        DomainError::Port => text.rsplit_once(':').and_then(|(host, _)| written(host)),
        DomainError::Url => {
            let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
            written(rest.split(['/', ':']).next().unwrap_or_default())
        }
        DomainError::Ipv6 => {
            let help = "its services need names below it: write a host name such as `prod.example.com`; addresses to \
                        listen on are in `[server]` of watershed.toml, such as `listen = [\"[::1]:8080\"]`";
            Some(help.to_owned())
        }
        DomainError::Number => {
            let help = "write a host name such as `hello.example.com`, or the four numbers of an IPv4 address";
            Some(help.to_owned())
        }
        DomainError::LastDot => written(text.trim_end_matches('.')),
        DomainError::FirstDot => {
            let name = text.trim_start_matches('.');
            let help = || format!("write `*.{name}` for the names below `{name}`, or `{name}`");
            is_domain(name).then(help)
        }
        DomainError::Label { .. } if !text.is_ascii() => {
            let sent = |name| format!("write `{name}`, the form in which clients send it");
            in_ascii(text).map(sent)
        }
        DomainError::Label { .. } => Some(several(text).unwrap_or_else(|| PARTS_HELP.to_owned())),
        DomainError::Empty | DomainError::TooLong(_) | DomainError::Wildcard => None,
    };
    help.unwrap_or_else(|| usual.to_owned())
}

/// What to do about several names in one text.
fn several(text: &str) -> Option<String> {
    let names = text.split([',', ' ', ';', '|']).filter(|name| !name.is_empty());
    let names: Vec<_> = names
        .map(|name| name.parse::<DomainPattern>().map(|_| name))
        .collect::<Result<_, _>>()
        .ok()?;
    let each: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    let are_names = each.len() > 1 && names.iter().all(|name| name.contains('.'));
    are_names.then(|| format!("write each name as a text of its own: `{}`", each.join(", ")))
}

/// The form in which a name of another script is sent by clients (RFC 5890, section 2.3.2.1).
pub fn in_ascii(text: &str) -> Option<String> {
    let (wildcard, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    let ascii = idna::domain_to_ascii(name).ok()?;
    let ascii = model::domain(ascii.trim_end_matches('.')).ok()?;
    Some(format!("{wildcard}{ascii}"))
}

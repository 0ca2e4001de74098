//! Addresses of targets, and the hosts that targets are asked for. A text that is neither is refused with the one that
//! was probably meant.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::super::super::model::{self, DomainError, TargetAddress};
use super::super::super::source::Complaint;
use super::super::host::{domain_help, in_ascii};

const TARGET_HELP: &str = "write an IP address or a name, and a port, such as `127.0.0.1:9001`, `[::1]:9001` or `api.internal:9001`";

const HOST_HELP: &str = "write `keep` for the client's host, `target` for the target's own, or a name such as \
                         `api.example.com`";

/// Schemes with the port that each stands for, and whether it means TLS.
const SCHEMES: [(&str, u16, bool); 8] = [
    ("http", 80, false),
    ("h2c", 80, false),
    ("ws", 80, false),
    ("grpc", 80, false),
    ("https", 443, true),
    ("wss", 443, true),
    ("grpcs", 443, true),
    ("h2", 443, true),
];

/// The address of a target, in the one way in which it is written.
pub fn target(text: &str) -> Result<TargetAddress, Complaint> {
    parsed(text).ok_or_else(|| {
        let (why, help) = meant(text);
        Complaint::new(format!("{text:?} cannot be the address of a target: {why}"), help)
    })
}

/// The address of a target that is not in a file.
///
/// # Errors
///
/// Why the text is none, and what was probably meant.
pub fn parse_target(text: &str) -> Result<TargetAddress, String> {
    parsed(text).ok_or_else(|| {
        let (why, help) = meant(text);
        format!("{why}: {help}")
    })
}

/// What to say of an address to which nothing can connect, if it is one.
pub fn suspicion(address: &TargetAddress) -> Option<String> {
    let Complaint { message, help, .. } = suspect(address, &[])?;
    Some(format!("{message}: {help}"))
}

fn parsed(text: &str) -> Option<TargetAddress> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() != 0).then(|| TargetAddress::Address(canonical(address)));
    }
    let (name, port) = text.rsplit_once(':')?;
    Some(TargetAddress::Name(self::name(name)?, self::port(port)?))
}

/// `[::ffff:127.0.0.1]` is 127.0.0.1.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// A host name in lower case. A name whose last part is a number is
/// an IPv4 address to most resolvers, however few parts it has.
fn name(text: &str) -> Option<String> {
    let lower = model::domain(text).ok()?;
    let last = lower.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with(|c: char| c.is_ascii_digit())
        && (last.bytes().all(|digit| digit.is_ascii_digit())
            || last.starts_with("0x") && last.bytes().skip(2).all(|c| c.is_ascii_hexdigit()));
    (!is_number).then_some(lower)
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

/// What is wrong about a text that is no address, and what to write.
fn meant(text: &str) -> (&'static str, String) {
    if text.trim().is_empty() {
        return ("it is empty", TARGET_HELP.to_owned());
    }
    if let Some(help) = written(text.trim()) {
        return ("it begins or ends with a space", help);
    }
    let text = text.trim();
    if text.contains('$') {
        return ("variables are not replaced here", TARGET_HELP.to_owned());
    }
    if text.starts_with("unix:") || text.starts_with('/') {
        return ("Unix sockets are not connected to", TARGET_HELP.to_owned());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return ("it has a scheme", of_url(scheme, rest));
    }
    if text.starts_with("service:") {
        let help = "a service of this process is called by guests only, where `outbound` of their version lists it; \
                    write the address of a service on the network";
        return ("it is a service of this process", help.to_owned());
    }
    if text.split_once('/').is_some_and(|(ip, _)| ip.parse::<IpAddr>().is_ok()) {
        return ("it is a network", "write the address of each target, and its port".to_owned());
    }
    if let Some((_, rest)) = text.rsplit_once('@') {
        let help = "requests keep the `authorization` that they came with";
        return (
            "it has a user",
            written(rest).map_or(help.to_owned(), |it| format!("{it}: {help}")),
        );
    }
    if let Some((address, _)) = text.split_once('/') {
        let help = "requests keep their own path";
        return (
            "it has a path",
            written(address).map_or(help.to_owned(), |it| format!("{it}: {help}")),
        );
    }
    if let Some(several) = several(text) {
        return ("it is several", several);
    }
    if let Some(weighted) = weighted(text) {
        return ("a weight has a key of its own", weighted);
    }
    of_parts(text)
}

/// What to write for a text that has neither scheme nor path.
fn of_parts(text: &str) -> (&'static str, String) {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let is_port = self::port(port).is_some();
    // `::1:9001` is an address too: the one of `::1` with a port that nobody meant.
    if let Some(ip) = host.parse::<Ipv6Addr>().ok().filter(|_| is_port && port.len() > 1) {
        return ("an IPv6 address stands in brackets", format!("write `[{ip}]:{port}`"));
    }
    if let Ok(ip) = bare.parse::<IpAddr>() {
        let example = SocketAddr::new(ip, 80);
        return ("it has no port", format!("add the port, such as `{example}`"));
    }
    if host == text && name(text).is_some() {
        return ("it has no port", format!("add the port, such as `{text}:80`"));
    }
    if let Some(port) = self::port(text.trim_start_matches([':', '*'])) {
        return ("it has no host", format!("write `127.0.0.1:{port}` for this machine"));
    }
    if name(host).is_some() || host.parse::<IpAddr>().is_ok() {
        let help = format!("write the port as a number, such as `{host}:80`");
        return ("its port is not a number from 1 to 65535", help);
    }
    of_host(host, port)
}

/// What to write for a text whose host is no name.
fn of_host(host: &str, port: &str) -> (&'static str, String) {
    let usual = || TARGET_HELP.to_owned();
    match model::domain(host) {
        Ok(_) => (
            "it looks like an IPv4 address and is none: that is four numbers up to 255, without zeros before them",
            usual(),
        ),
        Err(_) if !host.is_ascii() => {
            let looked_up =
                |name| format!("write `{name}:{port}`, the form in which names are looked up");
            let help = in_ascii(host).map_or_else(usual, looked_up);
            ("its name has characters beyond ASCII", help)
        }
        Err(DomainError::LastDot) => {
            let help = written(&format!("{}:{port}", host.trim_end_matches('.')));
            ("its name ends with a dot", help.unwrap_or_else(usual))
        }
        Err(error @ DomainError::Label { .. }) => {
            ("its host is not a name", domain_help(host, &error, TARGET_HELP))
        }
        Err(_) => ("its host is not a name", usual()),
    }
}

fn of_url(scheme: &str, rest: &str) -> String {
    let known = SCHEMES.iter().find(|(known, ..)| scheme.eq_ignore_ascii_case(known));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let Some((_, port, is_tls)) = known else { return TARGET_HELP.to_owned() };
    let with_port = parsed(address).map(|it| it.to_string());
    let Some(address) =
        with_port.or_else(|| parsed(&format!("{address}:{port}")).map(|it| it.to_string()))
    else {
        return TARGET_HELP.to_owned();
    };
    match *is_tls {
        true => format!("write `{address}`, and `protocol = \"tls\"` in `[versions.upstream]`"),
        false => {
            format!("write `{address}`: what targets speak is `protocol` in `[versions.upstream]`")
        }
    }
}

fn written(address: &str) -> Option<String> {
    parsed(address).map(|address| format!("write `{address}`"))
}

/// What to do about several addresses in one text.
fn several(text: &str) -> Option<String> {
    let parts = text.split([',', ' ', ';', '|']).filter(|part| !part.is_empty());
    let parts: Option<Vec<_>> = parts.map(parsed).collect();
    let each: Vec<_> = parts?.iter().map(|address| format!("\"{address}\"")).collect();
    let list = each.join(", ");
    (each.len() > 1).then(|| format!("write each address as a text of its own: `{list}`"))
}

/// What to do about an address with a weight, as nginx has it.
fn weighted(text: &str) -> Option<String> {
    let (address, weight) = text.split_once(" weight=")?;
    let (address, weight) = (parsed(address)?, weight.parse::<u32>().ok()?);
    Some(format!("write `{{ address = \"{address}\", weight = {weight} }}`"))
}

/// An address that can hardly be meant; `listen` are those of this server.
pub fn suspect(address: &TargetAddress, listen: &[SocketAddr]) -> Option<Complaint> {
    if let Some(own) = listen.iter().find(|own| is_own(address, **own)) {
        let message =
            format!("{address} is where this server listens ({own}): it would ask itself");
        let help = "write the address of the service behind it";
        return Some(Complaint::new(message, help));
    }
    let TargetAddress::Address(address) = address else { return None };
    let (ip, port) = (address.ip(), address.port());
    if ip.is_unspecified() {
        let local = if ip.is_ipv4() { "127.0.0.1" } else { "[::1]" };
        let message = format!(
            "{address} is every address of this machine, to listen on and not to connect to"
        );
        return Some(Complaint::new(message, format!("write `{local}:{port}`")));
    }
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    (ip.is_multicast() || is_broadcast).then(|| {
        let message = format!("{address} is the address of a group, which nothing can connect to");
        Complaint::new(message, "write the address of one machine")
    })
}

/// Whether who connects to an address reaches this server.
fn is_own(address: &TargetAddress, listen: SocketAddr) -> bool {
    let listen = canonical(listen);
    let is_local = match address {
        TargetAddress::Address(address) => address.ip().is_loopback(),
        TargetAddress::Name(name, _) => name == "localhost",
    };
    let is_named = address.ip().is_none() && listen.ip().is_loopback();
    let is_all = listen.ip().is_unspecified();
    let is_here = address.ip() == Some(listen.ip()) || is_local && (is_named || is_all);
    listen.port() != 0 && address.port() == listen.port() && is_here
}

/// A host with or without a port, as targets are to see it.
pub fn host(text: &str) -> Result<String, Complaint> {
    let with_port = || parsed(text).map(|address| address.to_string());
    let alone = || match text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if text.starts_with('[') => Some(format!("[{ip}]")),
        Ok(IpAddr::V4(ip)) => Some(ip.to_string()),
        Ok(IpAddr::V6(_)) => None,
        Err(_) => name(text),
    };
    alone().or_else(with_port).ok_or_else(|| {
        let message = format!("`host` cannot be {text:?}, which is not a host");
        let help = model::domain(text).err().map(|error| domain_help(text, &error, HOST_HELP));
        Complaint::new(message, help.unwrap_or_else(|| HOST_HELP.to_owned()))
    })
}

/// Whom a certificate names: a name or an IP address.
pub fn server_name(text: &str) -> Result<String, Complaint> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    name(text).ok_or_else(|| {
        let usual = "write the name in the targets' certificate, such as `api.internal`, without scheme and port";
        let message = format!("`server-name` cannot be {text:?}, which is not a name");
        let help = model::domain(text).err().map(|error| domain_help(text, &error, usual));
        Complaint::new(message, help.unwrap_or_else(|| usual.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        let shown = |text: &str| target(text).unwrap().to_string();
        assert_eq!(shown("[::ffff:127.0.0.1]:9001"), "127.0.0.1:9001");
        assert_eq!(shown("[0:0::1]:080"), "[::1]:80");
        assert_eq!(shown("API_1.Internal:080"), "api_1.internal:80");
        assert_eq!(shown("localhost:1"), "localhost:1");
        assert_eq!(shown("1and1.example:65535"), "1and1.example:65535");
        // The last part of a name may begin with a digit, as long as it is no number.
        assert_eq!(shown("a.0b:1"), "a.0b:1");
        for number in ["127.1:80", "a.127:80", "0x7f.1:80", "a.0x:80", "1.2.3.4.5:80"] {
            assert!(target(number).is_err(), "{number}");
        }
        for port in ["+80", "-1", "8 0", "80 ", "", "65536", "000"] {
            assert!(target(&format!("a:{port}")).is_err(), "{port:?}");
        }
    }

    #[test]
    fn this_server_is_known_by_any_name_of_it() {
        let own = |address: &str, listen: &str| {
            let listen: SocketAddr = listen.parse().unwrap();
            is_own(&target(address).unwrap(), listen)
        };
        assert!(own("127.0.0.1:80", "127.0.0.1:80") && own("127.0.0.1:80", "0.0.0.0:80"));
        assert!(own("localhost:80", "0.0.0.0:80") && own("localhost:80", "[::1]:80"));
        assert!(own("10.0.0.1:80", "10.0.0.1:80") && own("[::1]:80", "[::]:80"));
        assert!(!own("127.0.0.1:81", "127.0.0.1:80") && !own("10.0.0.2:80", "10.0.0.1:80"));
        assert!(!own("10.0.0.1:80", "0.0.0.0:80") && !own("api:80", "0.0.0.0:80"));
        assert!(!own("127.0.0.1:80", "127.0.0.1:0") && !own("localhost:80", "10.0.0.1:80"));
    }

    #[test]
    fn hosts_may_have_a_port_and_be_addresses() {
        for (text, shown) in [
            ("API.example.com", "api.example.com"),
            ("api.example.com:8443", "api.example.com:8443"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]:80"),
            ("my_service", "my_service"),
        ] {
            assert_eq!(host(text).unwrap(), shown);
        }
        for text in ["", "::1", "a b", "a/b", "a@b", "a:x", "*.a", "a.", "http://a", "a\r\nb: c"] {
            assert!(host(text).is_err(), "{text:?}");
        }
        assert_eq!(server_name("::1").unwrap(), "::1");
        assert_eq!(server_name("API.internal").unwrap(), "api.internal");
        for text in ["a:1", "[::1]", "*.a", "", "127.1"] {
            assert!(server_name(text).is_err(), "{text:?}");
        }
    }
}

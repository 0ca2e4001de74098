//! The proxies in front of the listener: whose word is believed, and whether connections begin with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use ipnet::IpNet;

use super::super::super::model::ProxyProtocol;
use super::super::super::raw::{Field, Located};
use super::super::super::source::{Complaint, Findings};
use super::super::{field, matches};

/// Networks, each once.
pub fn trusted(main: &mut Findings<'_>, raw: Field<Vec<Located<String>>>) -> Vec<IpNet> {
    let mut trusted: Vec<IpNet> = Vec::new();
    for item in raw.map(|raw| raw.into_parts().1).unwrap_or_default() {
        let (span, text) = item.into_parts();
        let Some(network) = main.check(span.clone(), network(&text)) else {
            continue;
        };
        if trusted.contains(&network) {
            let message = format!("`trusted-proxies` has `{text}` twice");
            main.add(span, Complaint::new(message, "remove one of them"));
            continue;
        }
        warn_of_everybody(main, span, network);
        trusted.push(network);
    }
    trusted
}

fn network(text: &str) -> Result<IpNet, Complaint> {
    matches::client(text).map_err(|complaint| match meant(text) {
        Some(help) => Complaint { help, ..complaint },
        None => complaint,
    })
}

/// What to write for a network in the words of other programs, or for what is none.
fn meant(text: &str) -> Option<String> {
    let text = text.trim();
    let write = |network: &str| matches::client(network).ok().map(|it| shown(&it));
    if let Some((address, mask)) = text.split_once('/') {
        let mask: Ipv4Addr = mask.parse().ok()?;
        let network = IpNet::with_netmask(address.parse().ok()?, mask.into()).ok()?;
        return Some(shown(&network.trunc()));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return write(&address.ip().to_string());
    }
    if ["*", "all", "any"].contains(&text) {
        let help = "name the addresses of your proxies: whoever is trusted may say that it is any other client";
        return Some(help.to_owned());
    }
    if ["private", "private_ranges", "private-ranges", "local"].contains(&text) {
        let help = "write the networks of your proxies, such as `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` or \
                    `fd00::/8`";
        return Some(help.to_owned());
    }
    if let Some(stars) = text.strip_suffix(".*") {
        let octets = stars.trim_end_matches(".*").split('.').count();
        let base =
            stars.trim_end_matches(".*").to_owned() + &".0".repeat(4_usize.checked_sub(octets)?);
        return write(&format!("{base}/{}", octets * 8));
    }
    let is_name =
        text.contains(|c: char| c.is_ascii_alphabetic()) && !text.contains([':', '/', ' ']);
    is_name.then(|| {
        "names are not looked up: write the address, such as `10.1.2.3`, or its network".to_owned()
    })
}

fn shown(network: &IpNet) -> String {
    match network.prefix_len() == network.max_prefix_len() {
        true => format!("write `{}`", network.addr()),
        false => format!("write `{network}`"),
    }
}

fn warn_of_everybody(main: &mut Findings<'_>, span: Range<usize>, network: IpNet) {
    if network.prefix_len() != 0 {
        return;
    }
    let of = match network.addr() {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    };
    let message =
        format!("`{network}` is every {of} address: any client may say that it is another one");
    main.warn(span, Complaint::new(message, "name the addresses of your proxies only"));
}

/// Only a trusted proxy may say who the client is.
pub fn protocol(
    main: &mut Findings<'_>,
    raw: Field<String>,
    trusted: &[IpNet],
) -> Option<ProxyProtocol> {
    let (span, text) = raw?.into_parts();
    let word = field::word("proxy-protocol", &ProxyProtocol::ALL, ProxyProtocol::as_str);
    let meant = ["v1", "v2", "on", "true", "yes", "1", "2"].contains(&text.to_lowercase().as_str());
    let word = word(&text).map_err(|complaint| match meant {
        true => {
            Complaint { help: "write `v1-v2`, which takes both versions".to_owned(), ..complaint }
        }
        false => complaint,
    });
    let protocol = main.check(span.clone(), word)?;
    if protocol != ProxyProtocol::Off
        && trusted.is_empty()
        && !main.has_lost(None, "trusted-proxies")
    {
        let message = "every connection would be closed: `proxy-protocol` is for trusted proxies, and there are none";
        let help = "add `trusted-proxies = [\"10.0.0.0/8\"]` with the addresses of your proxies";
        main.add(span, Complaint::new(message, help));
    }
    Some(protocol)
}

//! The proxies in front of the listener: whose word is believed, and whether connections begin with it.

use std::net::IpAddr;
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
        let Some(network) = main.check(span.clone(), matches::client(&text)) else {
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
    let protocol = main.check(span.clone(), word(&text))?;
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

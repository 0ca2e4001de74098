//! What the guest of a version may reach. An entry that allows nothing, or more than it seems to, is refused with what
//! was probably meant.

use ipnet::IpNet;

use super::super::model::{AddressKind, Host, Origin, OriginError, OriginScheme};
use super::super::raw::Located;
use super::super::source::{Complaint, Findings};

const FORMS: &str = "write an origin such as `https://api.example.com` or `http://*.svc.local:8080`, a network such as \
                     `10.1.0.0/16`, or `service:ENVIRONMENT/NAME`";

/// The entries of `outbound`, sorted, each once.
pub fn outbound(file: &mut Findings<'_>, raw: Option<Vec<Located<String>>>) -> Vec<Origin> {
    let mut origins: Vec<Origin> = Vec::new();
    for item in raw.into_iter().flatten() {
        let (span, text) = item.into_parts();
        let Some(origin) = file.check(span.clone(), origin(&text)) else { continue };
        if origins.contains(&origin) {
            let message = format!("`{origin}` is here twice");
            file.warn(span, Complaint::new(message, "remove one of them"));
            continue;
        }
        if let Some(complaint) = wider(&text) {
            file.warn(span, complaint);
        }
        origins.push(origin);
    }
    origins.sort_unstable();
    origins
}

/// A network that is written by an address in it, and has all the others too.
fn wider(text: &str) -> Option<Complaint> {
    let network: IpNet = text.parse().ok()?;
    let all = network.trunc();
    (all != network).then(|| {
        let message = format!("`{text}` is the whole network `{all}`");
        let address = Host::Address(network.addr());
        let help = format!("write `{all}` for that, or `http://{address}` for the address");
        Complaint::new(message, help)
    })
}

fn origin(text: &str) -> Result<Origin, Complaint> {
    let wrong = |why: &dyn std::fmt::Display, help: String| {
        Complaint::new(format!("{text:?} cannot be in `outbound`: {why}"), help)
    };
    let origin: Origin = text.parse().map_err(|error| wrong(&error, help(text, &error)))?;
    match origin {
        Origin::Network(network) if is_reserved(&network) => {
            let why = "guests reach such addresses only where the address itself is listed";
            let address = Host::Address(network.addr());
            let help =
                format!("list each address with its scheme and port: `http://{address}:8080`");
            Err(wrong(&why, help))
        }
        origin => Ok(origin),
    }
}

/// Whether a network of several addresses has none that it could allow.
fn is_reserved(network: &IpNet) -> bool {
    let is_reserved = |address| AddressKind::of(address) == AddressKind::Reserved;
    network.prefix_len() < network.max_prefix_len()
        && is_reserved(network.network())
        && is_reserved(network.broadcast())
        && network.prefix_len() >= 8
}

/// What to do about a text that is no origin.
fn help(text: &str, error: &OriginError) -> String {
    let meant = match error {
        _ if text.trim() != text => is_right(text.trim().to_owned()),
        OriginError::NoScheme => with_scheme(text),
        OriginError::UserInfo | OriginError::Path | OriginError::Query => without_rest(text),
        OriginError::Scheme(scheme) => of_scheme(scheme, text),
        OriginError::Wildcard if text.contains("://") => {
            let help =
                "write each origin, or a wildcard for one label such as `https://*.example.com`";
            return help.to_owned();
        }
        OriginError::Port(_) => return "write a port from 1 to 65535, or none".to_owned(),
        OriginError::Service { .. } if text.starts_with("service://") => {
            is_right(text.replacen("//", "", 1).trim_end_matches('/').to_owned())
        }
        OriginError::Service { .. } => {
            return "write `service:NAME`, or `service:ENVIRONMENT/NAME` for one of another environment"
                .to_owned();
        }
        _ => None,
    };
    meant.map_or_else(|| FORMS.to_owned(), |meant| format!("write `{meant}`"))
}

fn is_right(text: String) -> Option<String> {
    text.parse::<Origin>().ok().map(|origin| origin.to_string())
}

fn with_scheme(text: &str) -> Option<String> {
    let address = text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let scheme = if text.ends_with(":443") { "https" } else { "http" };
    match address.map(Host::Address) {
        Some(address) => is_right(format!("http://{address}")),
        None if text.contains(':') => is_right(format!("{scheme}://{text}")),
        None => is_right(format!("https://{text}")),
    }
}

fn without_rest(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    is_right(format!("{scheme}://{host}"))
}

fn of_scheme(scheme: &str, text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "grpc" | "ws" | "h2c" => OriginScheme::Http,
        "grpcs" | "wss" | "h2" | "*" => OriginScheme::Https,
        "service" => return is_right(format!("service:{}", rest.trim_end_matches('/'))),
        _ => return None,
    };
    is_right(format!("{}://{rest}", scheme.as_str()))
}

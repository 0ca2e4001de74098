//! The conditions of a rule: patterns and names of a request's parts, and the network that the request is from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::super::model::{Glob, GlobError, Match};
use super::super::raw::{Entries, Field, RawConditions, RawMatch};
use super::super::source::{Complaint, Findings};
use super::{request, suspect};

/// The methods of RFC 9110, section 9, and RFC 5789.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Bits of an IPv6 address before the IPv4 address that it may contain.
const MAPPED: u8 = 96;

/// The conditions of the table that are right.
pub fn matches(file: &mut Findings<'_>, raw: RawMatch) -> Match {
    let RawMatch { path, method, query, header, cookie, client } = raw;
    Match {
        path: path.and_then(|path| {
            let (span, text) = path.into_parts();
            glob_at(file, span, path_glob(&text), true)
        }),
        method: self::method(file, method),
        header: conditions(file, header, request::header_name),
        query: conditions(file, query, request::query_name),
        cookie: conditions(file, cookie, request::cookie_name),
        client: file.text(client, self::client),
    }
}

/// Sorted by name. Two differently written names may be one.
fn conditions(
    file: &mut Findings<'_>,
    raw: Option<RawConditions>,
    name: impl Fn(&str) -> Result<String, Complaint>,
) -> Vec<(String, Glob)> {
    let Some(Entries(mut raw)) = raw else {
        return Vec::new();
    };
    raw.sort_by_key(|(key, _)| key.span().start);
    let (mut conditions, mut written) = (Vec::new(), HashMap::new());
    for (key, value) in raw {
        let (span, key) = key.into_parts();
        let name = file.check(span.clone(), name(&key));
        let (value_span, value) = value.into_parts();
        let glob = glob_at(file, value_span, glob(&value), false);
        let Some(name) = name else { continue };
        if let Some(first) = written.insert(name.clone(), key) {
            let message = format!("`{name}` is here twice, the first time as `{first}`");
            let help = "keep one of them: the case of such a name does not matter";
            file.add(span, Complaint::new(message, help));
        }
        conditions.extend(glob.map(|glob| (name, glob)));
    }
    conditions.sort_unstable();
    conditions
}

/// The pattern at a place, with a warning where it can hardly be meant.
fn glob_at(
    file: &mut Findings<'_>,
    span: Range<usize>,
    glob: Result<Glob, Complaint>,
    is_path: bool,
) -> Option<Glob> {
    let glob = file.check(span.clone(), glob)?;
    if let Some(complaint) = suspect::pattern(glob.as_str(), is_path) {
        file.warn(span, complaint);
    }
    Some(glob)
}

fn glob(text: &str) -> Result<Glob, Complaint> {
    Glob::new(text).map_err(|error| {
        let help = match error {
            GlobError::TooLong(_) => "shorten it: `*` stands for any run of characters",
            GlobError::Dangling => "write two backslashes to mean one, or remove it",
        };
        Complaint::new(format!("{text:?} is not a pattern: {error}"), help)
    })
}

fn path_glob(text: &str) -> Result<Glob, Complaint> {
    if !text.starts_with(['/', '*']) {
        let message = format!("{text:?} matches no path: each begins with `/`");
        let help = match suspect::glob_of(text).filter(|glob| glob.starts_with('/')) {
            Some(glob) => format!(
                "write `{glob}`: a pattern is no regular expression, and `*` stands for any run of characters"
            ),
            None => format!("write `/{text}`, or `*{text}`"),
        };
        return Err(Complaint::new(message, help));
    }
    glob(text)
}

fn method(file: &mut Findings<'_>, raw: Field<String>) -> Option<String> {
    let (span, text) = raw?.into_parts();
    let method = file.check(span.clone(), one_method(&text))?;
    if method.contains('|') {
        let message = format!("`{method}` is one method, and no request has it");
        let help = "write one method, and another `[[traffic.rules]]` for each other one";
        file.warn(span, Complaint::new(message, help));
    }
    Some(method)
}

fn one_method(text: &str) -> Result<String, Complaint> {
    let upper = text.to_ascii_uppercase();
    if upper != text && METHODS.contains(&upper.as_str()) {
        let message = format!("`{text}` is not the method `{upper}`: the case of a method matters");
        return Err(Complaint::new(message, format!("write `{upper}`")));
    }
    let help = "write a method such as `GET` or `POST`";
    request::token("a method", text, help)
}

/// An address, or a network without bits behind its prefix. Addresses of IPv4 that are written as IPv6 are those of
/// IPv4, as clients have them.
pub fn client(text: &str) -> Result<IpNet, Complaint> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network: IpNet = text.parse().map_err(|_| {
        let help =
            "write an address such as `10.1.2.3`, or a network such as `10.0.0.0/8` or `fd00::/8`";
        Complaint::new(format!("{text:?} is neither an address nor a network"), help)
    })?;
    let truncated = network.trunc();
    if truncated != network {
        let bits = network.prefix_len();
        let message =
            format!("`{text}` has bits set behind the first {bits}, which are the network");
        let address = network.addr();
        let help = format!("write `{truncated}` for the network, or `{address}` for the address");
        return Err(Complaint::new(message, help));
    }
    Ok(canonical(network))
}

fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(written) = network else { return network };
    let ipv4 = written.addr().to_ipv4_mapped().zip(written.prefix_len().checked_sub(MAPPED));
    let ipv4 = ipv4.and_then(|(address, bits)| IpNet::new(address.into(), bits).ok());
    ipv4.unwrap_or(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network that is written in one way and compared in the other would have nobody.
    #[test]
    fn a_network_of_ipv4_has_one_form() {
        for (written, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:a00:0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(client(written).unwrap().to_string(), network, "{written}");
        }
    }
}

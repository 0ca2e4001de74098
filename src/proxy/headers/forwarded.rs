//! What tells a backend where a request came from.

use std::fmt::Write;
use std::net::IpAddr;

use http::uri::Scheme;

use crate::exchange::Fields;
use crate::routing::X_FORWARDED_FOR;

/// The length of `255.255.255.255`.
const LONGEST_IPV4: usize = 15;

/// The last step of a request's way to us.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The other end of our connection.
    pub peer: IpAddr,
    /// How the client spoke with the first proxy that is trusted, or with us.
    pub scheme: &'a Scheme,
    /// Whether the other end is a trusted proxy.
    pub is_believed: bool,
}

/// Whether a field says where a request came from. Backends may believe it, so only trusted proxies get one through.
pub fn is_about_client(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

/// The hops so far, with the other end of our connection as the last one.
pub fn hops(fields: &Fields, peer: IpAddr) -> String {
    let mut hops = String::with_capacity(LONGEST_IPV4);
    let sent = fields.values(X_FORWARDED_FOR);
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let sent = sent.filter(|hop| hop.iter().all(is_plain));
    for hop in sent.filter_map(|hop| std::str::from_utf8(hop).ok()) {
        hops.push_str(hop);
        hops.push_str(", ");
    }
    match peer {
        // The formatting of the standard library takes ten times as long.
        IpAddr::V4(peer) => {
            let mut dot = "";
            for octet in peer.octets() {
                hops.push_str(dot);
                hops.push_str(itoa::Buffer::new().format(octet));
                dot = ".";
            }
        }
        // Writing to a string cannot fail.
        IpAddr::V6(peer) => drop(write!(hops, "{peer}")),
    }
    hops
}

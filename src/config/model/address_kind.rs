//! What an address is for, as far as it matters to what guests may reach. The ranges are those of IANA's special-purpose
//! registries ([IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry),
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds tell a machine its credentials, beside the link-local addresses: Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// The same over IPv6: AWS, Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// Anybody's, on the public network.
    Public,
    /// Of a network that is not public.
    Private,
    /// This machine, its link, what tells it credentials, groups, or nobody.
    Reserved,
}

impl AddressKind {
    /// The kind of an address. One that carries an IPv4 address (mapped, NAT64, 6to4, ISATAP) is of the kind of that one.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => match carried(address) {
                Some(carried) => of_v4(carried),
                None => of_v6(address),
            },
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        _ if METADATA_V4.contains(&address) => AddressKind::Reserved,
        (0 | 127 | 224.., ..) | (169, 254, _) => AddressKind::Reserved,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => AddressKind::Private,
        // Protocol assignments, relays, benchmarks and documentation.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            AddressKind::Private
        }
        _ => AddressKind::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    if METADATA_V6.contains(&address) {
        return AddressKind::Reserved;
    }
    match address.segments() {
        // Loopback, unspecified, and what else is left of the first block.
        [0, ..] => AddressKind::Reserved,
        // Link-local, and groups.
        [0xfe80..=0xfebf | 0xff00.., ..] => AddressKind::Reserved,
        // A network's own NAT64, whose place for the IPv4 address is not known here; Teredo, which hides it.
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] => AddressKind::Reserved,
        // Unique local addresses, those that were site-local, documentation, and what never leaves a network.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..]
        | [0x2001, 0xdb8 | 1..=0x1ff, ..]
        | [0x3fff | 0x5f00 | 0x100, ..] => AddressKind::Private,
        _ => AddressKind::Public,
    }
}

/// The IPv4 address that an IPv6 address stands for, if it stands for one.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // Loopback and the unspecified address are none of those that were once IPv4-compatible.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            Some(of(high, low))
        }
        // NAT64 (RFC 6052), 6to4 (RFC 3056), ISATAP (RFC 5214).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_it_leads_to() {
        use AddressKind::{Private, Public, Reserved};
        for (address, kind) in [
            ("8.8.8.8", Public),
            ("1.1.1.1", Public),
            ("223.255.255.255", Public),
            ("2606:4700::1111", Public),
            ("10.0.0.1", Private),
            ("172.15.0.1", Public),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("172.32.0.1", Public),
            ("192.168.1.1", Private),
            ("100.63.0.1", Public),
            ("100.64.0.1", Private),
            ("198.18.0.1", Private),
            ("192.0.2.1", Private),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fec0::1", Private),
            ("2001:db8::1", Private),
            ("0.0.0.0", Reserved),
            ("0.1.2.3", Reserved),
            ("127.0.0.1", Reserved),
            ("127.255.255.254", Reserved),
            ("169.254.169.254", Reserved),
            ("169.254.170.2", Reserved),
            ("100.100.100.200", Reserved),
            ("168.63.129.16", Reserved),
            ("192.0.0.192", Reserved),
            ("224.0.0.1", Reserved),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("::", Reserved),
            ("::1", Reserved),
            ("fe80::1", Reserved),
            ("febf::1", Reserved),
            ("ff02::1", Reserved),
            ("fd00:ec2::254", Reserved),
            ("fd20:ce::254", Reserved),
            ("::ffff:127.0.0.1", Reserved),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:8.8.8.8", Public),
            ("::ffff:0:127.0.0.1", Reserved),
            ("::127.0.0.1", Reserved),
            ("64:ff9b::7f00:1", Reserved),
            ("64:ff9b::169.254.169.254", Reserved),
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b:1::8.8.8.8", Reserved),
            ("2002:7f00:1::", Reserved),
            ("2002:a9fe:a9fe::1", Reserved),
            ("2002:808:808::1", Public),
            ("2606:4700::5efe:127.0.0.1", Reserved),
            ("2001:0:4136:e378::1", Reserved),
        ] {
            assert_eq!(AddressKind::of(address.parse().unwrap()), kind, "{address}");
        }
    }
}

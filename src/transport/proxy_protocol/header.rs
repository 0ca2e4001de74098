//! The header of the [PROXY protocol](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt), versions 1 and 2.
//! Pure: bytes that have come in, and what they say. A header that is not exactly as the protocol has it is refused,
//! because what follows it would be read from a wrong place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use memchr::memchr;

const TEXT: &[u8] = b"PROXY ";
/// The longest line of version 1, with its end (section 2.1).
const LONGEST_TEXT: usize = 107;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 2 before its addresses.
const FIXED: usize = 16;
/// The most bytes behind them. Addresses take 216 at most, and what may follow them is a few names and a certificate.
const LONGEST_REST: usize = 4 << 10;
/// Of a type, a length and a value behind the addresses: how the client speaks TLS with the proxy.
const TLS: u8 = 0x20;
/// The bit of its value by which it does.
const HAS_TLS: u8 = 1;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub sender: Sender,
    /// Whether the client speaks TLS with the proxy.
    pub has_tls: bool,
}

/// Whose requests follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The proxy's own: it looks whether somebody answers.
    Proxy,
    /// A client's whom the proxy does not name.
    Unknown,
    Client(SocketAddr),
}

/// What the bytes so far turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All of them belong to the header, and it is not complete.
    Part,
    /// A header of this many bytes.
    Whole(usize, Header),
}

/// The bytes cannot become a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Looks for a header at the start of a connection.
///
/// # Errors
///
/// Where the bytes are not the start of one, or it is longer than is accepted.
pub fn look(bytes: &[u8]) -> Result<Seen, Malformed> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    match (begins(TEXT), begins(SIGNATURE)) {
        (true, _) => text(bytes),
        (_, true) => binary(bytes),
        _ => Err(Malformed),
    }
}

fn text(bytes: &[u8]) -> Result<Seen, Malformed> {
    let Some(end) = memchr(b'\n', bytes) else {
        return if bytes.len() < LONGEST_TEXT { Ok(Seen::Part) } else { Err(Malformed) };
    };
    let length = end + 1;
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.filter(|_| length <= LONGEST_TEXT).ok_or(Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let sender = text_sender(line).ok_or(Malformed)?;
    Ok(Seen::Whole(length, Header { sender, has_tls: false }))
}

/// `PROXY TCP4 source destination source-port destination-port`. What follows `UNKNOWN` says nothing.
fn text_sender(line: &str) -> Option<Sender> {
    let mut words = line.split(' ').skip(1);
    let is_v4 = match words.next()? {
        "UNKNOWN" => return Some(Sender::Unknown),
        "TCP4" => true,
        "TCP6" => false,
        _ => return None,
    };
    let ip = |word: &str| word.parse::<IpAddr>().ok().filter(|ip| ip.is_ipv4() == is_v4);
    let (source, _) = (ip(words.next()?)?, ip(words.next()?)?);
    let (source_port, _) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then(|| Sender::Client(canonical(source, source_port)))
}

fn port(word: &str) -> Option<u16> {
    let is_plain = word.bytes().all(|digit| digit.is_ascii_digit());
    word.parse().ok().filter(|_| is_plain && (word == "0" || !word.starts_with('0')))
}

fn canonical(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

fn binary(bytes: &[u8]) -> Result<Seen, Malformed> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(Seen::Part) };
    let [.., command, kind, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST || !matches!(command, 0x20 | 0x21) {
        return Err(Malformed);
    }
    let Some(rest) = rest.get(..length) else { return Ok(Seen::Part) };
    let header = match command {
        // Whatever addresses come with it say nothing (section 2.2).
        0x20 => Header { sender: Sender::Proxy, has_tls: false },
        _ => relayed(kind, rest)?,
    };
    Ok(Seen::Whole(FIXED + length, header))
}

/// The family of addresses is in the upper half of `kind`, and the transport in the lower one. A proxy that takes HTTP/3
/// from its client may say that the transport is UDP.
fn relayed(kind: u8, rest: &[u8]) -> Result<Header, Malformed> {
    let (family, transport) = (kind >> 4, kind & 0xf);
    let (sender, rest) = match (family, transport) {
        (_, 3..) => return Err(Malformed),
        (0, _) => (Sender::Unknown, rest),
        (1, 1 | 2) => {
            let (addresses, rest) = rest.split_first_chunk::<12>().ok_or(Malformed)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *addresses;
            (client(Ipv4Addr::new(a, b, c, d), [high, low]), rest)
        }
        (2, 1 | 2) => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or(Malformed)?;
            let (behind, rest) = rest.split_first_chunk::<20>().ok_or(Malformed)?;
            let [.., high, low, _, _] = *behind;
            (client(Ipv6Addr::from(*source), [high, low]), rest)
        }
        // The client has come to the proxy over a socket of its machine.
        (3, 1 | 2) => (Sender::Unknown, rest.get(216..).ok_or(Malformed)?),
        _ => return Err(Malformed),
    };
    // Where the family is not known, nobody knows how long its addresses are.
    let has_tls = family != 0 && has_tls(rest)?;
    Ok(Header { sender, has_tls })
}

fn client(ip: impl Into<IpAddr>, port: [u8; 2]) -> Sender {
    Sender::Client(canonical(ip.into(), u16::from_be_bytes(port)))
}

/// Looks through what follows the addresses: a type, a length and a value each. Those that say nothing about TLS are
/// skipped, a checksum among them, as TCP has one.
fn has_tls(mut rest: &[u8]) -> Result<bool, Malformed> {
    let mut has_tls = false;
    while let [kind, behind @ ..] = rest {
        let (length, behind) = behind.split_first_chunk::<2>().ok_or(Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, behind) = behind.split_at_checked(length).ok_or(Malformed)?;
        if *kind == TLS {
            has_tls |= value.first().ok_or(Malformed)? & HAS_TLS != 0;
        }
        rest = behind;
    }
    Ok(has_tls)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from(address: &str) -> Header {
        Header { sender: Sender::Client(address.parse().unwrap()), has_tls: false }
    }

    const PROXY: Header = Header { sender: Sender::Proxy, has_tls: false };
    const UNKNOWN: Header = Header { sender: Sender::Unknown, has_tls: false };

    /// A header of version 2.
    fn v2(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, kind], &length, rest].concat()
    }

    const V4: [u8; 12] = [198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];

    fn v6() -> Vec<u8> {
        let ip: Ipv6Addr = "2001:db8::7".parse().unwrap();
        [ip.octets().as_slice(), &ip.octets(), &[0x12, 0x67, 0, 80]].concat()
    }

    fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [[kind].as_slice(), &length, value].concat()
    }

    /// Every header that is right, and what it says.
    fn good() -> Vec<(Vec<u8>, Header)> {
        let text = |line: &str| format!("{line}\r\n").into_bytes();
        let mapped: Ipv6Addr = "::ffff:198.51.100.7".parse().unwrap();
        let mapped = [mapped.octets().as_slice(), &mapped.octets(), &[0, 9, 0, 80]].concat();
        let is_tls = Header { has_tls: true, ..from("198.51.100.7:4711") };
        let with = |more: Vec<u8>| v2(0x21, 0x11, &[V4.as_slice(), &more].concat());
        let tls = |bits: u8| tlv(TLS, &[&[bits, 0, 0, 0, 0], &*tlv(0x21, b"TLSv1.3")].concat());
        vec![
            (text("PROXY TCP4 198.51.100.7 10.0.0.1 4711 80"), from("198.51.100.7:4711")),
            (text("PROXY TCP6 2001:db8::7 ::1 4711 80"), from("[2001:db8::7]:4711")),
            (text("PROXY TCP6 ::ffff:198.51.100.7 ::1 0 65535"), from("198.51.100.7:0")),
            (text("PROXY UNKNOWN"), UNKNOWN),
            (text("PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535"), UNKNOWN),
            (v2(0x21, 0x11, &V4), from("198.51.100.7:4711")),
            (v2(0x21, 0x12, &V4), from("198.51.100.7:4711")),
            (v2(0x21, 0x21, &v6()), from("[2001:db8::7]:4711")),
            (v2(0x21, 0x21, &mapped), from("198.51.100.7:9")),
            (v2(0x21, 0x31, &[7; 216]), UNKNOWN),
            (v2(0x21, 0x00, &[]), UNKNOWN),
            (v2(0x21, 0x00, &[7; 9]), UNKNOWN),
            (v2(0x20, 0x00, &[]), PROXY),
            (v2(0x20, 0x11, &V4), PROXY),
            (v2(0x20, 0xff, &[0xff; 3]), PROXY),
            (with(tls(1)), is_tls),
            (with(tls(0)), from("198.51.100.7:4711")),
            (with([tlv(2, b"a.example"), tls(7), tlv(4, &[0; 300])].concat()), is_tls),
            (with(vec![4, 0, 0]), from("198.51.100.7:4711")),
        ]
    }

    #[test]
    fn headers_say_whose_requests_follow() {
        for (bytes, header) in good() {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            for behind in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\n", b"PROXY ", SIGNATURE] {
                let all = [&bytes, behind].concat();
                assert_eq!(look(&all), Ok(Seen::Whole(bytes.len(), header)), "{shown:?}");
            }
            for end in 0..bytes.len() {
                assert_eq!(look(&bytes[..end]), Ok(Seen::Part), "{shown:?} up to {end}");
            }
        }
    }

    #[test]
    fn what_is_not_exactly_a_header_is_none() {
        for line in [
            "PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 4711\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 4711 80 1\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 4711 80 \r\n",
            "PROXY TCP4  198.51.100.7 10.0.0.1 4711 80\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 4711 65536\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 04711 80\r\n",
            "PROXY TCP4 198.51.100.7 10.0.0.1 +4711 80\r\n",
            "PROXY TCP4 198.51.100.07 10.0.0.1 4711 80\r\n",
            "PROXY TCP4 198.51.100.256 10.0.0.1 4711 80\r\n",
            "PROXY TCP4 2001:db8::7 ::1 4711 80\r\n",
            "PROXY TCP6 198.51.100.7 10.0.0.1 4711 80\r\n",
            "PROXY TCP6 [::1] ::1 4711 80\r\n",
            "PROXY TCP5 ::1 ::1 4711 80\r\n",
            "PROXY \r\n",
            "PROXY UNKNOWNS\r\n",
            "proxy TCP4 198.51.100.7 10.0.0.1 4711 80\r\n",
            "PROXY\tTCP4",
            "GET / HTTP/1.1\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(look(line.as_bytes()), Err(Malformed), "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(LONGEST_TEXT));
        assert_eq!(look(&long.as_bytes()[..LONGEST_TEXT]), Err(Malformed));
        assert_eq!(look(format!("{long}\r\n").as_bytes()), Err(Malformed));
    }

    #[test]
    fn version_2_within_its_bounds_and_no_further() {
        let with = |more: &[u8]| v2(0x21, 0x11, &[V4.as_slice(), more].concat());
        for bytes in [
            v2(0x22, 0x11, &V4),
            v2(0x11, 0x11, &V4),
            v2(0x31, 0x11, &V4),
            v2(0x21, 0x13, &V4),
            v2(0x21, 0x10, &V4),
            v2(0x21, 0x41, &V4),
            v2(0x21, 0x11, &V4[..11]),
            v2(0x21, 0x21, &v6()[..35]),
            v2(0x21, 0x31, &[0; 215]),
            with(&[4]),
            with(&[4, 0]),
            with(&[4, 0, 1]),
            with(&[4, 0xff, 0xff, 0]),
            with(&[TLS, 0, 0]),
        ] {
            assert_eq!(look(&bytes), Err(Malformed), "{bytes:?}");
        }
        let longest = tlv(4, &vec![0; LONGEST_REST - V4.len() - 3]);
        assert!(matches!(look(&with(&longest)), Ok(Seen::Whole(..))));
        // What is too long is refused before it has come.
        let too_long = with(&tlv(4, &vec![0; LONGEST_REST - V4.len() - 2]));
        assert_eq!(look(&too_long[..FIXED]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..64), start in 0..3) {
            let start: &[u8] = match start { 0 => b"", 1 => TEXT, _ => SIGNATURE };
            let all = [start, &bytes].concat();
            if let Ok(Seen::Whole(length, _)) = look(&all) {
                prop_assert!(length <= all.len());
                prop_assert_eq!(look(&all[..length - 1]), Ok(Seen::Part));
            }
        }
    }
}

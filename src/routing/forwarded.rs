//! Who sent a request that has come through proxies: what `x-forwarded-for` and `x-forwarded-proto` say, as far as it is
//! believed. Read from the right, where the nearest proxy writes: what stands further left than the first address that is
//! no trusted proxy's may have been made up by that client.
//!
//! `Forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)) is not read. A proxy that writes one of the two passes
//! the other one on as its client sent it, and nobody here could tell which is which.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http::uri::Scheme;
use ipnet::IpNet;

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where a request comes from, as trusted proxies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The last address that is no trusted proxy's. Its port is 0 where no proxy says which. Of a request that comes from
    /// the proxies themselves, the first of them.
    pub client: SocketAddr,
    /// By which scheme the client spoke with the first trusted proxy, where that is said.
    pub scheme: Option<Scheme>,
}

/// Whether an address, in its canonical form, is that of a trusted proxy.
pub fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    proxies.iter().any(|network| network.contains(&address))
}

impl Forwarded {
    /// Where a request with these headers comes from; `None` where it does not come from a trusted proxy, so that nothing
    /// in it is believed.
    pub fn of(headers: &HeaderMap, peer: SocketAddr, proxies: &[IpNet]) -> Option<Self> {
        if !is_trusted(peer.ip(), proxies) {
            return None;
        }
        let (mut client, mut trusted) = (peer, 1);
        for entry in entries(headers, &X_FORWARDED_FOR) {
            // A proxy that does not say who its client is, is all that is known of that client.
            let Some(address) = address(entry) else { break };
            client = address;
            if !is_trusted(address.ip(), proxies) {
                break;
            }
            trusted += 1;
        }
        // Each proxy says by which scheme it was spoken to. Where fewer are written, one has passed on what it was told.
        let said = entries(headers, &X_FORWARDED_PROTO).take(trusted).last();
        Some(Self { client, scheme: said.and_then(scheme) })
    }
}

/// The entries of a list over all lines of a field, from the last one on. Empty ones are no entries ([RFC 9110, section
/// 5.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1)).
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter().rev().map(HeaderValue::as_bytes);
    let entries = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
    entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

/// An address with or without a port, and in quotation marks or not.
fn address(entry: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let bracketed = || {
        let bare = text.strip_prefix('[')?.strip_suffix(']')?;
        Some(IpAddr::V6(bare.parse::<Ipv6Addr>().ok()?))
    };
    let ip = text.parse::<IpAddr>().ok().or_else(bracketed);
    let address = ip.map(|ip| SocketAddr::new(ip, 0)).or_else(|| text.parse().ok())?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Some proxies name the scheme of a WebSocket.
fn scheme(word: &[u8]) -> Option<Scheme> {
    let is = |words: [&str; 2]| words.iter().any(|it| word.eq_ignore_ascii_case(it.as_bytes()));
    match (is(["https", "wss"]), is(["http", "ws"])) {
        (true, _) => Some(Scheme::HTTPS),
        (_, true) => Some(Scheme::HTTP),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Vec<IpNet> {
        ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"].map(|it| it.parse().unwrap()).to_vec()
    }

    fn headers(fields: &[(HeaderName, &[u8])]) -> HeaderMap {
        let value = |value: &[u8]| HeaderValue::from_bytes(value).unwrap();
        fields.iter().map(|(name, it)| (name.clone(), value(it))).collect()
    }

    /// The client of a request from a trusted proxy with these lines of `x-forwarded-for`.
    fn client(lines: &[&[u8]]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| (X_FORWARDED_FOR, *line)).collect();
        let peer = "10.0.0.1:4711".parse().unwrap();
        Forwarded::of(&headers(&lines), peer, &proxies()).unwrap().client.to_string()
    }

    #[test]
    fn the_client_is_the_last_one_that_is_not_trusted() {
        for (lines, found) in [
            (&[][..], "10.0.0.1:4711"),
            (&[&b"198.51.100.7"[..]][..], "198.51.100.7:0"),
            (&[b"1.2.3.4, 198.51.100.7"], "198.51.100.7:0"),
            (&[b"1.2.3.4, 198.51.100.7, 10.1.1.1,fd00::1 , 192.0.2.1"], "198.51.100.7:0"),
            (&[b"10.9.9.9, 10.1.1.1"], "10.9.9.9:0"),
            // Some proxies add a line of their own, and not to the line of their client.
            (&[b"10.0.0.5", b"198.51.100.7"], "198.51.100.7:0"),
            (&[b"1.2.3.4", b"198.51.100.7", b"10.0.0.9", b"10.0.0.8, 10.0.0.7"], "198.51.100.7:0"),
            (&[b"198.51.100.7,, ,", b""], "198.51.100.7:0"),
            (&[b"", b" , "], "10.0.0.1:4711"),
        ] {
            assert_eq!(client(lines), found, "{lines:?}");
        }
    }

    #[test]
    fn an_address_is_written_in_many_ways() {
        for (entry, found) in [
            ("198.51.100.7:55", "198.51.100.7:55"),
            ("2001:db8::7", "[2001:db8::7]:0"),
            ("[2001:db8::7]", "[2001:db8::7]:0"),
            ("[2001:DB8:0::7]:55", "[2001:db8::7]:55"),
            ("\"[2001:db8::7]:55\"", "[2001:db8::7]:55"),
            ("::ffff:198.51.100.7", "198.51.100.7:0"),
            ("[::ffff:c633:6407]:55", "198.51.100.7:55"),
            // Trusted, as an IPv4 address.
            ("198.51.100.7, ::ffff:10.0.0.9", "198.51.100.7:0"),
        ] {
            assert_eq!(client(&[format!("1.2.3.4, {entry}").as_bytes()]), found, "{entry}");
        }
    }

    /// Whoever stands before something that is no address may be anybody.
    #[test]
    fn what_is_no_address_ends_the_search() {
        for junk in [
            &b"unknown"[..],
            b"_hidden",
            b"localhost",
            b"198.51.100.256",
            b"198.51.100.07",
            b"198.51.100.7:port",
            b"198.51.100.7:65536",
            b"198.51.100.7 10.0.0.1",
            b"[198.51.100.7]",
            b"[::1",
            b"\"",
            b"\xff\xfe",
            b"for=198.51.100.7",
        ] {
            assert_eq!(client(&[&[b"1.2.3.4, ", junk].concat()]), "10.0.0.1:4711", "{junk:?}");
            let line = [b"1.2.3.4, ", junk, b", 10.0.0.9:7"].concat();
            assert_eq!(client(&[&line]), "10.0.0.9:7", "{junk:?}");
        }
    }

    #[test]
    fn nothing_is_believed_of_anybody_else() {
        let headers = headers(&[(X_FORWARDED_FOR, b"1.2.3.4"), (X_FORWARDED_PROTO, b"https")]);
        let of =
            |peer: &str, proxies: &[IpNet]| Forwarded::of(&headers, peer.parse().unwrap(), proxies);
        assert_eq!(of("11.0.0.1:1", &proxies()), None);
        assert_eq!(of("10.0.0.1:1", &[]), None);
        assert_eq!(of("[fe80::1]:1", &proxies()), None);
        assert!(of("[fd12::1]:1", &proxies()).is_some());
    }

    #[test]
    fn thousands_of_entries_are_read_from_the_right() {
        let many = "1.2.3.4, ".repeat(5_000) + "198.51.100.7" + &", 10.0.0.9".repeat(5_000);
        assert_eq!(client(&[many.as_bytes()]), "198.51.100.7:0");
    }

    #[test]
    fn the_scheme_is_what_the_first_trusted_proxy_was_spoken_to_by() {
        let scheme = |hops: &str, protos: &[&str]| {
            let protos = protos.iter().map(|it| (X_FORWARDED_PROTO, it.as_bytes()));
            let fields: Vec<_> =
                [(X_FORWARDED_FOR, hops.as_bytes())].into_iter().chain(protos).collect();
            let peer = "10.0.0.1:4711".parse().unwrap();
            Forwarded::of(&headers(&fields), peer, &proxies()).unwrap().scheme
        };
        let (http, https) = (Some(Scheme::HTTP), Some(Scheme::HTTPS));
        assert_eq!(scheme("198.51.100.7", &["https"]), https);
        assert_eq!(scheme("198.51.100.7", &["HTTP"]), http);
        assert_eq!(scheme("198.51.100.7", &["wss"]), https);
        assert_eq!(scheme("198.51.100.7", &["ws"]), http);
        // The client has made up the first one.
        assert_eq!(scheme("198.51.100.7", &["https, http"]), http);
        assert_eq!(scheme("198.51.100.7", &["https", "http"]), http);
        // Two trusted proxies: the inner one was spoken to by http.
        assert_eq!(scheme("198.51.100.7, 10.0.0.9", &["https, http"]), https);
        assert_eq!(scheme("198.51.100.7, 10.0.0.9", &["http, https, http"]), https);
        assert_eq!(scheme("198.51.100.7, 10.0.0.9", &["https"]), https);
        for junk in [&[][..], &[""], &["gopher"], &["https;"], &["https, x"]] {
            assert_eq!(scheme("198.51.100.7", junk), None, "{junk:?}");
        }
    }
}

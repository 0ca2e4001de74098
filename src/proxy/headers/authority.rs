//! The host of a request as RFC 3986 has it: a name, an address of IPv4 or one of IPv6 in brackets, and perhaps a port.

use std::net::Ipv6Addr;

/// Whether the text is `uri-host [ ":" port ]`, with a host that is not empty ([RFC 9112, section
/// 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2), [RFC 3986, section
/// 3.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2)). Readers that are lenient differ in which part of
/// anything else is the host.
pub fn is_authority(text: &[u8]) -> bool {
    match text {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let (address, rest) = rest.split_at(end);
            is_ipv6(address) && is_port(rest.get(1..).unwrap_or_default())
        }
        _ => {
            let end = text.iter().position(|byte| !is_of_name(*byte)).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            let is_plain = memchr::memchr(b'%', name).is_none();
            !name.is_empty() && (is_plain || are_encoded(name)) && is_port(rest)
        }
    }
}

fn is_ipv6(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Nothing, or a colon with a port, which may be empty.
fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => {
            let number = digits.iter().try_fold(0_u32, |number, digit| {
                let digit = char::from(*digit).to_digit(10)?;
                Some(number * 10 + digit).filter(|number| *number <= u32::from(u16::MAX))
            });
            number.is_some()
        }
        _ => false,
    }
}

/// Unreserved characters, sub-delimiters, and `%`. A comma is one of them, but more likely it is a list of two hosts.
fn is_of_name(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
            | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' | b'%'
    )
}

/// Whether two hexadecimal digits follow each `%`.
fn are_encoded(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'%').skip(1);
    parts.all(|part| matches!(part, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses() {
        for host in [
            "a",
            "A.example",
            "a.example.",
            "my_service.local",
            "xn--bcher-kva.example",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::1]",
            "a%20b",
            "a~b",
            "1",
            "-",
        ] {
            for port in ["", ":", ":0", ":80", ":00080", ":65535"] {
                assert!(is_authority(format!("{host}{port}").as_bytes()), "{host}{port}");
            }
            for port in
                [":65536", ":99999999999999999999", ":80:80", ":x", ":+80", ":-1", "::", "]", "/"]
            {
                assert!(!is_authority(format!("{host}{port}").as_bytes()), "{host}{port}");
            }
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for host in [
            "",
            ":",
            ":80",
            "a b",
            " a",
            "a ",
            "a/b",
            "a\\b",
            "a@b",
            "a?b",
            "a#b",
            "a,b",
            "\"a\"",
            "a<b",
            "a%",
            "a%4",
            "a%zz",
            "a%%41",
            "[]",
            "[::1",
            "::1",
            "[::1]a",
            "[127.0.0.1]",
            "[::1%25eth0]",
            "[v1.a]",
            "a\0",
            "a\t",
            "a\x7f",
            "é",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host:?}");
        }
    }
}

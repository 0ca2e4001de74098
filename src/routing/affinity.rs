//! What requests of one user have in common, as a number: the hash that decides by stickiness. Also
//! the ids that are made where there is nothing in common yet.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::request::{Asked, Text};

/// The header that carries the hash from one service to the next.
pub const WATERSHED_STICKY: HeaderName = HeaderName::from_static("watershed-sticky");

/// What requests of one user have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    Header(HeaderName),
    Cookie(String),
    Query(String),
    ClientAddress,
    /// A cookie of ours, made where a request has none.
    Generated(String),
}

/// The way from a request to its key's hash.
#[derive(Clone, Debug)]
pub struct Affinity {
    source: KeySource,
    /// Another one for each service, so that one user is not among the first everywhere.
    salt: u64,
    /// Whether a hash that comes along is taken instead of the key.
    follows: bool,
}

/// A random id: 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id([u8; 32]);

impl Affinity {
    /// A key of a service's requests.
    pub fn new(source: KeySource, environment: &str, service: &str, follows: bool) -> Self {
        Self { source, salt: salt(environment, service), follows }
    }

    /// Where the key comes from.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// Whether a key is made for whoever has none.
    pub fn is_generated(&self) -> bool {
        matches!(self.source, KeySource::Generated(_))
    }

    /// The hash of a request's key: XXH3-64, with that of environment and service as its seed. None
    /// without a key; an empty one is none.
    pub fn hash(&self, asked: Asked<'_>) -> Option<u64> {
        if self.follows
            && let Some(lane) = asked.header(&WATERSHED_STICKY).find(|lane| is_lane(*lane))
        {
            return Some(self.hash_of(lane));
        }
        let some = |text: &Text<'_>| !text.is_empty();
        let text = match &self.source {
            KeySource::Header(name) => asked.header(name).find(some),
            KeySource::Cookie(name) | KeySource::Generated(name) => asked.cookie(name).find(some),
            KeySource::Query(name) => asked.query(name).find(some),
            KeySource::ClientAddress => return asked.client.map(|client| self.hash_of_ip(client)),
        };
        text.map(|text| self.hash_of(text))
    }

    /// The hash of the key of a user that somebody names; none if it must be an address and is not.
    pub fn hash_of_user(&self, key: &str) -> Option<u64> {
        match self.source {
            KeySource::ClientAddress => key.parse().ok().map(|client| self.hash_of_ip(client)),
            _ => Some(self.hash_of(Text::plain(key.as_bytes()))),
        }
    }

    /// The hash of a key.
    pub fn hash_of(&self, key: Text<'_>) -> u64 {
        match key.as_plain() {
            Some(bytes) => xxh3_64_with_seed(bytes, self.salt),
            None => {
                let mut hasher = Xxh3::with_seed(self.salt);
                key.for_each(|byte| hasher.update(&[byte]));
                hasher.digest()
            }
        }
    }

    fn hash_of_ip(&self, client: IpAddr) -> u64 {
        match client.to_canonical() {
            IpAddr::V4(address) => xxh3_64_with_seed(&address.octets(), self.salt),
            IpAddr::V6(address) => xxh3_64_with_seed(&address.octets(), self.salt),
        }
    }
}

/// The seed of a service's hashes: XXH3-64 of environment and service, with a NUL between them.
fn salt(environment: &str, service: &str) -> u64 {
    let mut hasher = Xxh3::new();
    for part in [environment, "\0", service] {
        hasher.update(part.as_bytes());
    }
    hasher.digest()
}

impl Id {
    /// A new one.
    pub fn random() -> Self {
        // One number, because an array would be drawn byte by byte.
        let bytes = rand::random::<u128>().to_ne_bytes();
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[hexadecimal(byte >> 4), hexadecimal(byte & 15)]);
        }
        Self(digits)
    }

    /// As a key.
    pub fn text(&self) -> Text<'_> {
        Text::plain(&self.0)
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

fn hexadecimal(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

/// What stands for a version among the pins.
pub fn hash_of_name(version: &str) -> u64 {
    xxh3_64_with_seed(version.as_bytes(), 0)
}

/// Whether this is a hash as services tell it to each other: [`lane`] makes no other.
pub fn is_lane(text: Text<'_>) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    text.as_plain().is_some_and(|text| text.len() == 16 && text.iter().all(is_digit))
}

/// A hash as services tell it to each other.
pub fn lane(hash: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{hash:016x}")).ok()
}

#[cfg(test)]
mod tests {
    use super::super::buckets::bucket;
    use super::super::request::tests::{asked, parts};
    use super::*;

    fn affinity(source: KeySource) -> Affinity {
        Affinity::new(source, "default", "greeter", true)
    }

    fn hash(source: KeySource, uri: &str, headers: &[(&str, &str)]) -> Option<u64> {
        affinity(source).hash(asked(&parts(uri, headers)))
    }

    fn header() -> KeySource {
        KeySource::Header(HeaderName::from_static("x-user"))
    }

    /// Other programs may compute it, and other replicas must agree.
    #[test]
    fn the_hash_is_the_same_for_ever() {
        assert_eq!(salt("default", "greeter"), xxh3_64_with_seed(b"default\0greeter", 0));
        let seed = salt("default", "greeter");
        let ann = hash(header(), "/", &[("x-user", "ann")]);
        assert_eq!(ann, Some(xxh3_64_with_seed(b"ann", seed)));
        assert_eq!(ann, Some(1_280_014_002_896_530_602));
    }

    #[test]
    fn one_key_is_one_hash_wherever_it_stands() {
        let ann = hash(header(), "/", &[("x-user", "ann b")]);
        assert!(ann.is_some());
        assert_eq!(hash(KeySource::Query("u".into()), "/?u=%61nn+b", &[]), ann);
        assert_eq!(hash(KeySource::Cookie("u".into()), "/", &[("cookie", "u=ann b")]), ann);
        assert_eq!(hash(KeySource::Cookie("u".into()), "/", &[("cookie", "u=; u=ann b")]), ann);
        assert_eq!(hash(KeySource::Generated("u".into()), "/", &[("cookie", "u=ann b")]), ann);
    }

    #[test]
    fn without_a_key_there_is_no_hash() {
        assert_eq!(hash(header(), "/", &[]), None);
        assert_eq!(hash(header(), "/", &[("x-user", "")]), None);
        assert_eq!(hash(KeySource::Query("u".into()), "/?u", &[]), None);
        assert_eq!(hash(KeySource::ClientAddress, "/", &[]), None);
    }

    #[test]
    fn a_client_is_its_address_whatever_the_socket() {
        let parts = parts("/", &[]);
        let of = |client: &str| {
            let asked = Asked { client: Some(client.parse().unwrap()), ..asked(&parts) };
            affinity(KeySource::ClientAddress).hash(asked)
        };
        assert_eq!(of("10.1.2.3"), of("::ffff:10.1.2.3"));
        let named = |key: &str| affinity(KeySource::ClientAddress).hash_of_user(key);
        assert_eq!((named("10.1.2.3"), named("ann")), (of("10.1.2.3"), None));
        assert_ne!(of("10.1.2.3"), of("10.1.2.4"));
    }

    #[test]
    fn another_service_has_other_hashes() {
        let parts = parts("/", &[("x-user", "ann")]);
        let of = |service| Affinity::new(header(), "default", service, false).hash(asked(&parts));
        assert_ne!(of("greeter"), of("lab"));
    }

    /// Of 10,000 users, those who are in the first tenth of two services are a hundredth: binomial,
    /// with a standard deviation of 10, but always the same users.
    #[test]
    fn the_first_users_of_two_services_are_not_the_same_ones() {
        let is_first = |environment, service, user: &str| {
            let affinity = Affinity::new(header(), environment, service, false);
            bucket(affinity.hash_of(Text::plain(user.as_bytes()))) < 1_000
        };
        for (environment, service) in [("default", "lab"), ("staging", "greeter")] {
            let in_both = (0..10_000).map(|user| format!("user-{user}")).filter(|user| {
                is_first("default", "greeter", user) && is_first(environment, service, user)
            });
            let in_both = in_both.count();
            assert!((70..=130).contains(&in_both), "{in_both}");
        }
    }

    #[test]
    fn a_lane_goes_before_the_key_where_it_is_followed() {
        let in_lane = [("x-user", "ann"), ("watershed-sticky", "00000000000000ff")];
        let followed = hash(header(), "/", &in_lane);
        assert_ne!(followed, hash(header(), "/", &in_lane[..1]));
        assert_eq!(lane(255).unwrap(), "00000000000000ff");
        let other = [("x-user", "ann"), ("watershed-sticky", "ff")];
        assert_eq!(hash(header(), "/", &other), hash(header(), "/", &other[..1]));
        let parts = parts("/", &in_lane);
        let alone = Affinity::new(header(), "default", "greeter", false);
        assert_eq!(alone.hash(asked(&parts)), hash(header(), "/", &in_lane[..1]));
    }

    #[test]
    fn ids_are_digits_and_differ() {
        let [one, other] = [Id::random(), Id::random()];
        assert_ne!(one, other);
        let text = one.to_string();
        assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    }
}

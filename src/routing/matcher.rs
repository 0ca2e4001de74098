//! Whether a request is like a rule says: every condition must hold, and the first that does not is
//! told to whoever explains it. Built once a publish; a request allocates nothing.

use std::net::IpAddr;

use http::{HeaderName, Method};
use ipnet::IpNet;

use super::request::{Asked, Text};

/// Bytes of the longest text that a pattern with a run before its end can match: what it takes grows
/// with the length of both.
const LONGEST_TEXT: usize = 8 << 10;

/// A pattern of bytes and runs of any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Any,
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    /// `None` is a run.
    Runs(Box<[Option<u8>]>),
}

/// All that a request must be like.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    pub path: Option<Pattern>,
    pub method: Option<Method>,
    pub headers: Vec<(HeaderName, Pattern)>,
    pub query: Vec<(String, Pattern)>,
    pub cookies: Vec<(String, Pattern)>,
    pub client: Option<Network>,
}

/// A network of clients, ready to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    is_v4: bool,
    address: u128,
    mask: u128,
}

/// The condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch<'m> {
    Path,
    Method,
    Client,
    Header(&'m HeaderName),
    Query(&'m str),
    Cookie(&'m str),
}

impl Pattern {
    /// A pattern of bytes, where `None` stands for any run of bytes, also none.
    ///
    /// ```
    /// use watershed::routing::{Pattern, Text};
    ///
    /// let pattern = Pattern::new("a".bytes().map(Some).chain([None]));
    /// assert!(pattern.matches(Text::plain(b"abc")));
    /// assert!(!pattern.matches(Text::plain(b"cba")));
    /// ```
    pub fn new(parts: impl IntoIterator<Item = Option<u8>>) -> Self {
        let parts: Vec<Option<u8>> = parts.into_iter().collect();
        let bytes = || parts.iter().copied().flatten().collect();
        let first_run = parts.iter().position(Option::is_none);
        Self(match first_run {
            None => Shape::Exact(bytes()),
            Some(0) if parts.len() == 1 => Shape::Any,
            Some(run) if run + 1 == parts.len() => Shape::Prefix(bytes()),
            Some(_) => Shape::Runs(parts.into()),
        })
    }

    /// Whether a text is like it, from its first byte to its last.
    pub fn matches(&self, text: Text<'_>) -> bool {
        match (&self.0, text.as_plain()) {
            (Shape::Any, _) => true,
            (Shape::Exact(bytes), _) => text.is(bytes),
            (Shape::Prefix(bytes), Some(text)) => begins_with(text, bytes),
            (Shape::Prefix(bytes), None) => {
                let mut text = text;
                bytes.iter().all(|byte| text.next() == Some(*byte))
            }
            (Shape::Runs(_), _) if text.sent_length() > LONGEST_TEXT => false,
            (Shape::Runs(parts), _) => matches_runs(parts, text),
        }
    }
}

/// As `starts_with`, but without a call: most differ in their first bytes.
fn begins_with(text: &[u8], prefix: &[u8]) -> bool {
    text.len() >= prefix.len() && prefix.iter().zip(text).all(|(one, other)| one == other)
}

/// Each run takes as little as it can; where what follows does not match, the latest one takes a
/// byte more. Earlier ones need not: they would only leave less.
fn matches_runs(parts: &[Option<u8>], mut text: Text<'_>) -> bool {
    let mut at = 0;
    let mut retry: Option<(usize, Text<'_>)> = None;
    loop {
        match parts.get(at) {
            Some(None) => {
                at += 1;
                if at == parts.len() {
                    return true;
                }
                retry = Some((at, text));
                continue;
            }
            Some(Some(byte)) => match text.next() {
                Some(seen) if seen == *byte => {
                    at += 1;
                    continue;
                }
                Some(_) => {}
                // A longer run leaves even less.
                None => return false,
            },
            None if text.is_empty() => return true,
            None => {}
        }
        let Some((after, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        (at, text) = (*after, *from);
    }
}

impl Matcher {
    /// Whether a request is like it, or what is not.
    pub fn check(&self, asked: Asked<'_>) -> Result<(), Mismatch<'_>> {
        let Self { path, method, headers, query, cookies, client } = self;
        if method.as_ref().is_some_and(|method| *method != asked.parts.method) {
            return Err(Mismatch::Method);
        }
        if path.as_ref().is_some_and(|pattern| !pattern.matches(asked.path())) {
            return Err(Mismatch::Path);
        }
        if client.is_some_and(|network| !network.contains(asked.client)) {
            return Err(Mismatch::Client);
        }
        for (name, pattern) in headers {
            if !asked.header(name).any(|text| pattern.matches(text)) {
                return Err(Mismatch::Header(name));
            }
        }
        for (name, pattern) in query {
            if !asked.query(name).any(|text| pattern.matches(text)) {
                return Err(Mismatch::Query(name));
            }
        }
        for (name, pattern) in cookies {
            if !asked.cookie(name).any(|text| pattern.matches(text)) {
                return Err(Mismatch::Cookie(name));
            }
        }
        Ok(())
    }
}

impl From<IpNet> for Network {
    fn from(network: IpNet) -> Self {
        let (is_v4, address) = bits(network.network());
        let (_, mask) = bits(network.netmask());
        Self { is_v4, address, mask }
    }
}

impl Network {
    /// An IPv4 client of a socket for both is one of IPv4. One that is not known is in no network.
    fn contains(&self, client: Option<IpAddr>) -> bool {
        client.is_some_and(|client| {
            let (is_v4, address) = bits(client.to_canonical());
            is_v4 == self.is_v4 && address & self.mask == self.address
        })
    }
}

fn bits(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(address) => (true, address.to_bits().into()),
        IpAddr::V6(address) => (false, address.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Asked;
    use super::super::request::tests::{asked, parts};
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.bytes().map(|byte| (byte != b'*').then_some(byte)))
    }

    /// What patterns mean, said in the simplest way.
    fn is_like(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', pattern @ ..], []) => is_like(pattern, text),
            ([b'*', rest @ ..], [_, text_rest @ ..]) => {
                is_like(rest, text) || is_like(pattern, text_rest)
            }
            ([byte, pattern @ ..], [seen, text @ ..]) => byte == seen && is_like(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_mean_what_they_say(wanted in "[ab*]{0,8}", text in "[ab]{0,12}") {
            let expected = is_like(wanted.as_bytes(), text.as_bytes());
            prop_assert_eq!(pattern(&wanted).matches(Text::plain(text.as_bytes())), expected);
            // The same where it is encoded.
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let parts = parts(&format!("/?q={encoded}"), &[]);
            let seen = asked(&parts).query("q").any(|text| pattern(&wanted).matches(text));
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let matcher = Matcher {
            path: Some(pattern("/app/*")),
            method: Some(Method::GET),
            headers: vec![(HeaderName::from_static("x-team"), pattern("core"))],
            query: vec![("gray".to_owned(), pattern("1*"))],
            cookies: vec![("lane".to_owned(), pattern("*"))],
            client: Some(network("10.0.0.0/8")),
        };
        let check = |uri: &str, team: &str, cookie: &str, client: &str| {
            let parts = parts(uri, &[("x-team", "other"), ("x-team", team), ("cookie", cookie)]);
            let asked = Asked { client: Some(client.parse().unwrap()), ..asked(&parts) };
            matcher.check(asked).map_err(|mismatch| format!("{mismatch:?}"))
        };
        assert_eq!(check("/app/x?gray=12", "core", "lane=", "::ffff:10.1.2.3"), Ok(()));
        assert_eq!(check("/app?gray=12", "core", "lane=", "10.1.2.3"), Err("Path".into()));
        assert_eq!(
            check("/app/?gray=2", "core", "lane=", "10.1.2.3"),
            Err("Query(\"gray\")".into())
        );
        assert_eq!(
            check("/app/?gray=1", "c", "lane=", "10.1.2.3"),
            Err("Header(\"x-team\")".into())
        );
        assert_eq!(
            check("/app/?gray=1", "core", "a=b", "10.1.2.3"),
            Err("Cookie(\"lane\")".into())
        );
        assert_eq!(check("/app/?gray=1", "core", "lane=", "11.1.2.3"), Err("Client".into()));
    }

    #[test]
    fn a_text_may_be_too_long_for_runs() {
        let long = "a".repeat(LONGEST_TEXT + 1);
        let matches = |wanted: &str, length: usize| {
            pattern(wanted).matches(Text::plain(&long.as_bytes()[..length]))
        };
        assert!(matches("a*a", LONGEST_TEXT) && !matches("a*a", LONGEST_TEXT + 1));
        assert!(matches("a*", LONGEST_TEXT + 1) && matches("*", LONGEST_TEXT + 1));
    }

    #[test]
    fn no_condition_holds_always() {
        let parts = parts("/", &[]);
        assert_eq!(Matcher::default().check(asked(&parts)), Ok(()));
    }

    #[test]
    fn a_client_that_is_not_known_is_in_no_network() {
        let matcher = Matcher { client: Some(network("0.0.0.0/0")), ..Matcher::default() };
        let parts = parts("/", &[]);
        assert_eq!(matcher.check(asked(&parts)), Err(Mismatch::Client));
    }

    #[test]
    fn a_network_has_its_own_clients() {
        let contains = |wanted, client: &str| network(wanted).contains(client.parse().ok());
        for client in ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"] {
            assert!(contains("10.0.0.0/8", client), "{client}");
        }
        assert!(!contains("10.0.0.0/8", "11.0.0.0") && !contains("10.0.0.0/8", "::"));
        assert!(
            contains("2001:db8::/32", "2001:db8::1") && !contains("2001:db8::/32", "2001:db9::")
        );
        assert!(contains("192.0.2.7/32", "192.0.2.7") && !contains("192.0.2.7/32", "192.0.2.6"));
        assert!(contains("::/0", "::1") && !contains("::/0", "192.0.2.7"));
    }

    fn network(text: &str) -> Network {
        text.parse::<IpNet>().unwrap().into()
    }
}

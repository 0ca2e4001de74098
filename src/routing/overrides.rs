//! Requests that ask for a version by name.

use http::HeaderName;

use super::request::{Asked, Text};
use crate::secret::SecretDigest;

/// The header that names the version that a request asks for.
pub const WATERSHED_VERSION: HeaderName = HeaderName::from_static("watershed-version");

/// The header, or cookie, that brings the secret which overrides may require.
pub const WATERSHED_KEY: HeaderName = HeaderName::from_static("watershed-key");

/// Bytes of the longest key: no secret is longer.
const LONGEST_KEY: usize = 64 << 10;

/// The ways in which a request can ask for a version. Of several, the first counts: header, query
/// parameter, cookie, domain.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub header: bool,
    pub query: Option<String>,
    pub cookie: Option<String>,
    pub domain: bool,
    pub lock: Lock,
}

/// Who may ask for a version.
#[derive(Clone, Debug, Default)]
pub enum Lock {
    /// Everybody.
    #[default]
    Open,
    /// Requests that bring this secret.
    Secret(SecretDigest),
    /// Nobody: a secret is required, and it cannot be read.
    Closed,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    Nothing,
    Version(Text<'a>),
    /// A version, without the required secret.
    WithoutKey(Text<'a>),
}

impl Overrides {
    /// The version that a request asks for.
    pub fn wanted<'a>(&self, asked: Asked<'a>) -> Wanted<'a> {
        match self.name(asked) {
            None => Wanted::Nothing,
            Some(name) if self.lock.opens(asked) => Wanted::Version(name),
            Some(name) => Wanted::WithoutKey(name),
        }
    }

    /// An empty name asks for nothing: a form or a script says by it that it does not care.
    fn name<'a>(&self, asked: Asked<'a>) -> Option<Text<'a>> {
        let some = |text: &Text<'a>| !text.is_empty();
        let header = || asked.header(&WATERSHED_VERSION).find(some).filter(|_| self.header);
        let query = || self.query.as_ref().and_then(|name| asked.query(name).find(some));
        let cookie = || self.cookie.as_ref().and_then(|name| asked.cookie(name).find(some));
        let domain = || asked.preview.map(Text::lowercase).filter(some).filter(|_| self.domain);
        header().or_else(query).or_else(cookie).or_else(domain)
    }
}

impl Lock {
    /// The lock of a secret.
    pub fn of(secret: &str) -> Self {
        Self::Secret(SecretDigest::of(secret))
    }

    fn opens(&self, asked: Asked<'_>) -> bool {
        match self {
            Self::Open => true,
            Self::Closed => false,
            Self::Secret(secret) => sent_key(asked).is_some_and(|sent| is_secret(sent, secret)),
        }
    }
}

/// The key that a request brings: in the header, or else in the cookie of the same name, which a
/// browser can have.
pub fn sent_key(asked: Asked<'_>) -> Option<Text<'_>> {
    let some = |text: &Text<'_>| !text.is_empty();
    let cookie = || asked.cookie(WATERSHED_KEY.as_str()).find(some);
    asked.header(&WATERSHED_KEY).find(some).or_else(cookie)
}

/// Neither a header nor a cookie is encoded.
fn is_secret(sent: Text<'_>, secret: &SecretDigest) -> bool {
    sent.sent_length() <= LONGEST_KEY && secret.is(sent.as_plain().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{asked, parts};
    use super::*;

    fn all() -> Overrides {
        Overrides {
            header: true,
            query: Some("v".to_owned()),
            cookie: Some("v".to_owned()),
            domain: true,
            lock: Lock::Open,
        }
    }

    fn wanted(
        overrides: &Overrides,
        uri: &str,
        headers: &[(&str, &str)],
        preview: Option<&str>,
    ) -> String {
        let parts = parts(uri, headers);
        let text = |text: Text<'_>| String::from_utf8(text.collect()).unwrap();
        match overrides.wanted(Asked { preview, ..asked(&parts) }) {
            Wanted::Nothing => "nothing".to_owned(),
            Wanted::Version(name) => text(name),
            Wanted::WithoutKey(name) => format!("no key for {}", text(name)),
        }
    }

    #[test]
    fn the_first_way_that_is_open_counts() {
        let headers = [("watershed-version", "h"), ("cookie", "v=c")];
        let want = |overrides: &Overrides| wanted(overrides, "/?v=q", &headers, Some("D"));
        assert_eq!(want(&all()), "h");
        let no_header = Overrides { header: false, ..all() };
        assert_eq!(want(&no_header), "q");
        let no_query = Overrides { query: None, ..no_header };
        assert_eq!(want(&no_query), "c");
        let no_cookie = Overrides { cookie: None, ..no_query };
        assert_eq!(want(&no_cookie), "d", "host names are the same in either case");
        assert_eq!(want(&Overrides::default()), "nothing");
    }

    #[test]
    fn an_empty_name_wants_nothing() {
        assert_eq!(wanted(&all(), "/?v=", &[("watershed-version", "")], None), "nothing");
        assert_eq!(wanted(&all(), "/?v=&v=2", &[("watershed-version", "")], None), "2");
    }

    #[test]
    fn a_secret_must_come_along() {
        let locked = Overrides { lock: Lock::of("open sesame"), ..all() };
        let want = |headers: &[(&str, &str)]| wanted(&locked, "/?v=2", headers, None);
        assert_eq!(want(&[]), "no key for 2");
        assert_eq!(want(&[("watershed-key", "open")]), "no key for 2");
        assert_eq!(want(&[("watershed-key", "open sesame")]), "2");
        assert_eq!(want(&[("cookie", "watershed-key=open sesame")]), "2");
        let closed = Overrides { lock: Lock::Closed, ..all() };
        assert_eq!(wanted(&closed, "/?v=2", &[("watershed-key", "")], None), "no key for 2");
    }
}

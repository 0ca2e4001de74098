//! What a request says, read where it stands: nothing is copied, and what is percent-encoded is
//! decoded byte by byte while it is compared or hashed.

use std::net::IpAddr;

use http::HeaderName;
use http::header::{COOKIE, HOST};
use http::request::Parts;
use memchr::{memchr, memchr2};

/// A request, as far as it matters for its version.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub parts: &'a Parts,
    /// The connection's other end.
    pub client: Option<IpAddr>,
    /// What stands before `--` in a preview domain.
    pub preview: Option<&'a str>,
}

/// A text of a request, perhaps encoded. Iterates over its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    rest: &'a [u8],
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// None, or nothing that it changes.
    Plain,
    /// Percent-encoding, but for `/`: a service that sees `%2F` does not see a segment's end.
    Path,
    /// `application/x-www-form-urlencoded`: `+` is a space.
    Query,
    /// In either case, read as lower case.
    AnyCase,
}

impl<'a> Asked<'a> {
    /// The path, without the query.
    pub fn path(self) -> Text<'a> {
        Text::encoded(self.parts.uri.path().as_bytes(), Encoding::Path)
    }

    /// The values of a header. Of HTTP/2, the authority is the host.
    pub fn header(self, name: &HeaderName) -> impl Iterator<Item = Text<'a>> + use<'a> {
        let values = self.parts.headers.get_all(name).into_iter();
        let authority = self.parts.uri.authority().filter(|_| *name == HOST);
        let authority = authority.filter(|_| !self.parts.headers.contains_key(HOST));
        let values = values.map(|value| Text::plain(value.as_bytes()));
        values.chain(authority.map(|authority| Text::plain(authority.as_str().as_bytes())))
    }

    /// The values of a query parameter; empty for one without `=`.
    pub fn query(self, name: &str) -> impl Iterator<Item = Text<'a>> {
        let name = name.as_bytes();
        let query = self.parts.uri.query().unwrap_or_default().as_bytes();
        split(query, b'&').filter_map(move |pair| value_of(name, pair))
    }

    /// The values of a cookie, without quotation marks around them
    /// ([RFC 6265, section 4.2](https://www.rfc-editor.org/rfc/rfc6265#section-4.2)).
    pub fn cookie(self, name: &str) -> impl Iterator<Item = Text<'a>> {
        let headers = self.parts.headers.get_all(COOKIE).into_iter();
        let pairs = headers.flat_map(|cookies| split(cookies.as_bytes(), b';'));
        pairs.filter_map(move |pair| {
            let equals = memchr(b'=', pair)?;
            let (key, value) = pair.split_at_checked(equals)?;
            let is_it = key.trim_ascii() == name.as_bytes();
            is_it.then(|| Text::plain(unquoted(value.get(1..).unwrap_or_default().trim_ascii())))
        })
    }
}

/// The value of a parameter, if this is one of that name. Most are not, as their first byte tells,
/// and few names are encoded.
fn value_of<'a>(name: &[u8], pair: &'a [u8]) -> Option<Text<'a>> {
    let (first, _) = pair.split_first()?;
    if name.first() != Some(first) && !matches!(first, b'%' | b'+' | b'=') {
        return None;
    }
    match pair.strip_prefix(name).map(<[u8]>::split_first) {
        Some(None) => return Some(Text::plain(b"")),
        Some(Some((b'=', value))) => return Some(Text::encoded(value, Encoding::Query)),
        Some(Some(_)) | None => {}
    }
    let (key, value) = parameter(pair);
    key.is(name).then_some(value)
}

fn parameter(pair: &[u8]) -> (Text<'_>, Text<'_>) {
    let equals = memchr(b'=', pair).unwrap_or(pair.len());
    let (key, value) = pair.split_at_checked(equals).unwrap_or((pair, b""));
    let value = value.get(1..).unwrap_or_default();
    (Text::encoded(key, Encoding::Query), Text::encoded(value, Encoding::Query))
}

/// What is between the separators, as `slice::split` gives it, but many bytes at once.
pub fn split(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let here = rest?;
        let end = memchr(separator, here);
        rest = end.and_then(|end| here.get(end + 1..));
        here.get(..end.unwrap_or(here.len()))
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

impl<'a> Text<'a> {
    /// A text as it stands.
    pub fn plain(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, encoding: Encoding::Plain }
    }

    /// A text whose case does not matter.
    pub fn lowercase(text: &'a str) -> Self {
        Self { rest: text.as_bytes(), encoding: Encoding::AnyCase }
    }

    fn encoded(bytes: &'a [u8], encoding: Encoding) -> Self {
        let encoded = match encoding {
            Encoding::Query => memchr2(b'%', b'+', bytes),
            _ => memchr(b'%', bytes),
        };
        let encoding = if encoded.is_some() { encoding } else { Encoding::Plain };
        Self { rest: bytes, encoding }
    }

    /// All of it, if it need not be decoded.
    #[inline]
    pub fn as_plain(self) -> Option<&'a [u8]> {
        (self.encoding == Encoding::Plain).then_some(self.rest)
    }

    /// Whether it is this.
    #[inline]
    pub fn is(self, other: &[u8]) -> bool {
        // Nothing is encoded as less than it is.
        if self.rest.len() < other.len() {
            return false;
        }
        match self.as_plain() {
            Some(bytes) => bytes == other,
            None => self.eq(other.iter().copied()),
        }
    }

    /// How many bytes it is sent as.
    pub fn sent_length(self) -> usize {
        self.rest.len()
    }

    pub fn is_empty(self) -> bool {
        self.rest.is_empty()
    }
}

impl Iterator for Text<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        let decoded = match (first, rest) {
            (byte, rest) if self.encoding == Encoding::AnyCase => {
                Some((byte.to_ascii_lowercase(), rest))
            }
            (b'%', [high, low, rest @ ..]) if self.encoding != Encoding::Plain => {
                digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, rest))
            }
            (b'+', rest) if self.encoding == Encoding::Query => Some((b' ', rest)),
            _ => None,
        };
        // What is not an encoding stands for itself.
        let is_segment_end = self.encoding == Encoding::Path;
        let decoded = decoded.filter(|(byte, _)| !(is_segment_end && *byte == b'/'));
        let (byte, rest) = decoded.unwrap_or((*first, rest));
        self.rest = rest;
        Some(byte)
    }
}

fn digit(hexadecimal: u8) -> Option<u8> {
    let digit = char::from(hexadecimal).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    pub fn asked(parts: &Parts) -> Asked<'_> {
        Asked { parts, client: None, preview: None }
    }

    fn texts<'a>(texts: impl Iterator<Item = Text<'a>>) -> Vec<String> {
        texts.map(|text| String::from_utf8_lossy(&text.collect::<Vec<_>>()).into_owned()).collect()
    }

    #[test]
    fn a_path_is_decoded_but_for_slashes() {
        let path = |uri: &str| {
            let parts = parts(uri, &[]);
            String::from_utf8_lossy(&asked(&parts).path().collect::<Vec<_>>()).into_owned()
        };
        assert_eq!(path("/a%20b+c?x"), "/a b+c");
        assert_eq!(path("/a%2Fb%2fc"), "/a%2Fb%2fc");
        assert_eq!(path("/100%/%4"), "/100%/%4");
        assert_eq!(path("/%zz%C3%A4"), "/%zzä");
    }

    #[test]
    fn parameters_are_decoded_and_may_come_twice() {
        let parts = parts("/?a=1&b&a=2%2B+&%61=3&=x&a", &[]);
        assert_eq!(texts(asked(&parts).query("a")), ["1", "2+ ", "3", ""]);
        assert_eq!(texts(asked(&parts).query("b")), [""]);
        assert_eq!(texts(asked(&parts).query("c")), <[&str; 0]>::default());
    }

    #[test]
    fn the_authority_is_the_host_where_no_header_is() {
        let host = |uri: &str, headers: &[(&str, &str)]| {
            let parts = parts(uri, headers);
            texts(asked(&parts).header(&HOST))
        };
        assert_eq!(host("http://a.test:80/", &[]), ["a.test:80"]);
        assert_eq!(host("http://a.test/", &[("host", "b.test")]), ["b.test"]);
        let parts = parts("http://a.test/", &[]);
        let other = HeaderName::from_static("x-user");
        assert_eq!(texts(asked(&parts).header(&other)), <[&str; 0]>::default());
    }

    #[test]
    fn cookies_are_found_in_every_header() {
        let parts = parts("/", &[("cookie", "a=1; b=\"2\";c"), ("cookie", " a = x=y ;A=3")]);
        assert_eq!(texts(asked(&parts).cookie("a")), ["1", "x=y"]);
        assert_eq!(texts(asked(&parts).cookie("b")), ["2"]);
        assert_eq!(texts(asked(&parts).cookie("c")), <[&str; 0]>::default());
    }
}

//! A pattern, a path with a query and a cookie header, of any bytes that a request can have. The matcher must agree
//! with the simplest possible matcher, encoded or not, and never panic.

#![no_main]

use http::HeaderName;
use http::header::COOKIE;
use http::request::Parts;
use libfuzzer_sys::fuzz_target;
use watershed_fuzz::routing::{Asked, Matcher, Part, Pattern, RouteTableBuilder, Text};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let [pattern, uri, cookies] = [0; 3].map(|_: u8| lines.next().unwrap_or_default());
    let Some(parts) = request(uri, cookies) else { return };
    let asked = Asked { parts: &parts, client: None, preview: None };
    let mut texts = vec![asked.path()];
    for name in ["a", "a b", "gray", "lane", ""] {
        texts.extend(asked.query(name).chain(asked.cookie(name)));
    }
    let matched = texts.iter().map(|text| check(pattern, *text)).collect::<Vec<_>>();
    let path = Matcher { path: Some(made_of(pattern)), ..Matcher::default() };
    assert_eq!(path.check(asked).is_ok(), matched[0]);
    let all = Matcher {
        headers: vec![(HeaderName::from_static("x-none"), made_of(pattern))],
        query: vec![("a".to_owned(), made_of(pattern))],
        cookies: vec![("lane".to_owned(), made_of(pattern))],
        ..Matcher::default()
    };
    assert!(all.check(asked).is_err(), "no header is like anything");
    routed(&parts, pattern);
});

/// Whether a text matches a pattern, by our matcher and by the simplest possible one.
fn check(pattern: &[u8], text: Text<'_>) -> bool {
    let decoded: Vec<u8> = text.collect();
    let matched = made_of(pattern).matches(text);
    // The simple matcher takes exponential time.
    if pattern.len() <= 12 && decoded.len() <= 24 {
        assert_eq!(matched, is_like(pattern, &decoded), "{pattern:?} {decoded:?}");
    }
    let plain = made_of(pattern).matches(Text::plain(&decoded));
    assert_eq!(matched, plain, "encoded, it differs");
    matched
}

fn made_of(pattern: &[u8]) -> Pattern {
    Pattern::new(pattern.iter().map(|byte| (*byte != b'*').then_some(*byte)))
}

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

/// Any bytes as a host name, and a prefix of the path.
fn routed(parts: &Parts, host: &[u8]) {
    let mut routes = RouteTableBuilder::default();
    let part = |path| Part { path, has_previews: true };
    routes.exact("a.test", part("/"), 1).exact("a.test", part("/app"), 2).wildcard(
        "test",
        part("/"),
        3,
    );
    let mut parts = parts.clone();
    let Ok(value) = http::HeaderValue::from_bytes(host) else { return };
    parts.headers.insert(http::header::HOST, value);
    if let Some(found) = routes.build().find(&parts) {
        assert!((1..=3).contains(found.target));
    }
}

fn request(uri: &[u8], cookies: &[u8]) -> Option<Parts> {
    let request = http::Request::get(uri).header(COOKIE, cookies);
    Some(request.body(()).ok()?.into_parts().0)
}

//! A request that many rules look at. Most of them want a name that is not there, so the names that
//! are there are noted where a rule asks first.

use std::cell::{Cell, OnceCell};

use http::HeaderName;
use http::header::{COOKIE, HOST};

use super::request::{Asked, Text, split};

impl Asked<'_> {
    fn header_names(self) -> Names {
        // The host may come from the authority.
        let names = self.parts.headers.keys().chain([&HOST]);
        Names(names.fold(0, |all, name| all | Names::of(name.as_str().as_bytes())))
    }

    fn query_names(self) -> Names {
        Names::of_pairs(self.parts.uri.query().unwrap_or_default().as_bytes(), b'&')
    }

    fn cookie_names(self) -> Names {
        let headers = self.parts.headers.get_all(COOKIE).into_iter();
        let names = headers.map(|cookies| Names::of_pairs(cookies.as_bytes(), b';').0);
        Names(names.fold(0, |all, names| all | names))
    }
}

/// A request, and what rules have asked of it so far.
pub struct Facts<'a, 'm> {
    asked: Asked<'a>,
    path: Text<'a>,
    /// The parameter that was asked for last, where it has one value: rules mostly ask for the same.
    latest: Cell<Option<(&'m str, Text<'a>)>>,
    headers: OnceCell<Names>,
    query: OnceCell<Names>,
    cookies: OnceCell<Names>,
}

/// Which names there may be: a bit for all that begin, end and measure alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names(u64);

impl Names {
    /// These and one more.
    pub fn with(self, name: &str) -> Self {
        Self(self.0 | Self::of(name.as_bytes()))
    }

    /// Whether all of these may be there.
    #[inline]
    fn may_have_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether it is worth a look.
    #[inline]
    fn may_have(self, name: &str) -> bool {
        self.0 & Self::of(name.as_bytes()) != 0
    }

    fn of(name: &[u8]) -> u64 {
        let end = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
        1 << ((name.len() + 3 * end(name.first()) + 7 * end(name.last())) % 64)
    }

    /// Of pairs with a separator between them. What is encoded, or has a space in it, may mean any
    /// name.
    fn of_pairs(pairs: &[u8], separator: u8) -> Self {
        let mut names = 0;
        for pair in split(pairs, separator) {
            let pair = pair.trim_ascii_start();
            let mut name = pair;
            for (at, byte) in pair.iter().enumerate() {
                match byte {
                    b'=' => {
                        name = pair.get(..at).unwrap_or_default();
                        break;
                    }
                    b'%' | b'+' | b' ' | b'\t' => return Self(u64::MAX),
                    _ => {}
                }
            }
            names |= Self::of(name);
        }
        Self(names)
    }
}

impl<'a, 'm> Facts<'a, 'm> {
    /// What a request says.
    pub fn new(asked: Asked<'a>) -> Self {
        Self {
            path: asked.path(),
            asked,
            latest: Cell::new(None),
            headers: OnceCell::new(),
            query: OnceCell::new(),
            cookies: OnceCell::new(),
        }
    }

    /// The request itself.
    #[inline]
    pub fn asked(&self) -> Asked<'a> {
        self.asked
    }

    /// The path, without the query.
    #[inline]
    pub fn path(&self) -> Text<'a> {
        self.path
    }

    /// Whether the headers, parameters and cookies of these names may all be there.
    #[inline]
    pub fn may_have(&self, headers: Names, query: Names, cookies: Names) -> bool {
        let asked = self.asked;
        let may_have = |known: &OnceCell<Names>, wanted: Names, look: fn(Asked<'a>) -> Names| {
            wanted.is_none() || known.get_or_init(|| look(asked)).may_have_all(wanted)
        };
        may_have(&self.headers, headers, Asked::header_names)
            && may_have(&self.query, query, Asked::query_names)
            && may_have(&self.cookies, cookies, Asked::cookie_names)
    }

    /// Whether a header has such a value.
    #[inline]
    pub fn has_header(&self, name: &HeaderName, is_it: impl Fn(Text<'a>) -> bool) -> bool {
        let names = self.headers.get_or_init(|| self.asked.header_names());
        names.may_have(name.as_str()) && self.asked.header(name).any(is_it)
    }

    /// Whether a query parameter has such a value.
    #[inline]
    pub fn has_query(&self, name: &'m str, is_it: impl Fn(Text<'a>) -> bool) -> bool {
        if let Some((_, value)) = self.latest.get().filter(|(latest, _)| *latest == name) {
            return is_it(value);
        }
        let names = self.query.get_or_init(|| self.asked.query_names());
        if !names.may_have(name) {
            return false;
        }
        let mut values = self.asked.query(name);
        let (first, second) = (values.next(), values.next());
        if let (Some(first), None) = (first, second) {
            self.latest.set(Some((name, first)));
        }
        first.into_iter().chain(second).chain(values).any(is_it)
    }

    /// Whether a cookie has such a value.
    #[inline]
    pub fn has_cookie(&self, name: &str, is_it: impl Fn(Text<'a>) -> bool) -> bool {
        let names = self.cookies.get_or_init(|| self.asked.cookie_names());
        names.may_have(name) && self.asked.cookie(name).any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{asked, parts};
    use super::*;

    #[test]
    fn what_is_looked_up_by_names_is_the_same() {
        let many: String = (0..20).map(|n| format!("p{n}={n}&")).collect();
        for query in ["a=1&b=2", &many] {
            let cookies = query.replace('&', ";");
            let parts = parts(&format!("/?{query}"), &[("cookie", &cookies)]);
            let facts = Facts::new(asked(&parts));
            for name in ["a", "p0", "p7", "p8", "p19", "p20"] {
                let any = |_: Text<'_>| true;
                assert_eq!(
                    facts.has_query(name, any),
                    asked(&parts).query(name).any(any),
                    "{name}"
                );
                assert_eq!(
                    facts.has_cookie(name, any),
                    asked(&parts).cookie(name).any(any),
                    "{name}"
                );
            }
        }
    }
}

//! How requests of one user stay with one version: what identifies the user, and for how long.

use std::ops::Range;

use super::super::model::{CookieSettings, SameSite, Sticky, StickyKey, StickyMode};
use super::super::raw::{Field, Located, RawCookie, RawSticky};
use super::super::source::{Complaint, Findings};
use super::super::suggest;
use super::{field, request};

/// Prefixes of cookie names that require a secure cookie ([RFC 6265bis, section
/// 4.1.3](https://www.ietf.org/archive/id/draft-ietf-httpbis-rfc6265bis-20.html#section-4.1.3)).
const SECURE_PREFIXES: [&str; 2] = ["__secure-", "__host-"];

/// The declared stickiness; `None` where its key is wrong.
pub fn sticky(file: &mut Findings<'_>, raw: Field<RawSticky>) -> Option<Sticky> {
    let (table, raw) = raw?.into_parts();
    let RawSticky { key, mode, ttl, cookie } = raw;
    let key = file.required(&table, "key", key);
    let key = key.and_then(|(span, text)| file.check(span, sticky_key(&text)));
    let mode = self::mode(file, &table, mode, ttl);
    let key = self::cookie(file, key, cookie);
    Some(Sticky { key: key?, mode })
}

fn sticky_key(text: &str) -> Result<StickyKey, Complaint> {
    if let Some(name) = text.strip_prefix(StickyKey::HEADER) {
        return request::header_name(name).map(StickyKey::Header);
    }
    if let Some(name) = text.strip_prefix(StickyKey::COOKIE) {
        return request::cookie_name(name).map(StickyKey::Cookie);
    }
    if let Some(name) = text.strip_prefix(StickyKey::QUERY) {
        return request::query_name(name).map(StickyKey::Query);
    }
    match text {
        StickyKey::CLIENT_ADDRESS => Ok(StickyKey::ClientAddress),
        StickyKey::GENERATED => Ok(StickyKey::Generated(CookieSettings::default())),
        _ => Err(Complaint::new(format!("`key` cannot be {text:?}"), key_help(text))),
    }
}

fn key_help(text: &str) -> String {
    let prefixes = [StickyKey::HEADER, StickyKey::COOKIE, StickyKey::QUERY];
    if let Some(prefix) = prefixes.iter().find(|prefix| prefix.trim_end_matches(':') == text) {
        return format!("add the name, such as `{prefix}user`");
    }
    let meant = match text {
        "ip" | "client-ip" | "client" | "address" => Some(StickyKey::CLIENT_ADDRESS),
        _ => suggest::closest(text, &[StickyKey::CLIENT_ADDRESS, StickyKey::GENERATED]),
    };
    let all = "write `header:NAME`, `cookie:NAME`, `query:NAME`, `client-address` or `generated`";
    suggest::help(meant, all)
}

fn mode(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    mode: Field<String>,
    ttl: Field<String>,
) -> StickyMode {
    let is_said = mode.is_some() || file.has_lost(Some(table), "mode");
    let modes = [StickyMode::Hash, StickyMode::Pin { ttl: Sticky::DEFAULT_TTL }];
    let mode = file.text(mode, field::word("mode", &modes, StickyMode::as_str));
    let span = ttl.as_ref().map(Located::span);
    let ttl = file.duration("ttl", ttl, &Sticky::TTL);
    match (mode, span) {
        (Some(StickyMode::Pin { .. }), _) => {
            StickyMode::Pin { ttl: ttl.unwrap_or(Sticky::DEFAULT_TTL) }
        }
        (None, _) if is_said => StickyMode::Hash,
        (_, Some(span)) => {
            let message = "`ttl` says how long a pin holds, and this `mode` pins nobody";
            let help = "write `mode = \"pin\"`, or remove `ttl`";
            file.add(span, Complaint::new(message, help));
            StickyMode::Hash
        }
        (_, None) => StickyMode::Hash,
    }
}

/// Gives a generated key its cookie's settings, which no other key has.
fn cookie(
    file: &mut Findings<'_>,
    key: Option<StickyKey>,
    raw: Field<RawCookie>,
) -> Option<StickyKey> {
    let Some((table, raw)) = raw.map(Located::into_parts) else {
        return key;
    };
    let cookie = cookie_settings(file, &table, raw);
    match key? {
        StickyKey::Generated(_) => Some(StickyKey::Generated(cookie)),
        other => {
            let message = format!("`cookie` is for a key that is generated, and not for `{other}`");
            let help = format!("write `key = \"{}\"`, or remove `cookie`", StickyKey::GENERATED);
            file.add(table, Complaint::new(message, help));
            Some(other)
        }
    }
}

fn cookie_settings(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    raw: RawCookie,
) -> CookieSettings {
    let RawCookie { name, ttl, secure, http_only, same_site } = raw;
    let default = CookieSettings::default();
    let is_lost = file.has_lost(Some(table), "secure");
    let span = same_site.as_ref().map(Located::span);
    let name_span = name.as_ref().map(Located::span);
    let word = field::word("same-site", &SameSite::ALL, SameSite::as_str);
    let settings = CookieSettings {
        name: file.text(name, request::cookie_name).unwrap_or(default.name),
        ttl: file.duration("ttl", ttl, &CookieSettings::TTL).unwrap_or(default.ttl),
        secure: secure.map_or(default.secure, |secure| *secure.value()),
        http_only: http_only.map_or(default.http_only, |http_only| *http_only.value()),
        same_site: file.text(same_site, word).unwrap_or(default.same_site),
    };
    if let Some(span) = span
        && settings.same_site == SameSite::None
        && !settings.secure
        && !is_lost
    {
        let message = "browsers refuse a cookie with `same-site = \"none\"` that is not secure";
        let help = "add `secure = true`, or write `same-site = \"lax\"`";
        file.add(span, Complaint::new(message, help));
    }
    let lower = settings.name.to_ascii_lowercase();
    let prefix = SECURE_PREFIXES.into_iter().find(|prefix| lower.starts_with(prefix));
    if let (Some(span), Some(_), false) = (name_span, prefix, settings.secure || is_lost) {
        let name = &settings.name;
        let message = format!("browsers refuse a cookie called `{name}` that is not secure");
        file.add(span, Complaint::new(message, "add `secure = true`, or choose another name"));
    }
    settings
}

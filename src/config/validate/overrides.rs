//! The ways in which a request may ask for a version, and the secret that it must know.

use std::ops::Range;

use super::super::model::{Overrides, SecretSource};
use super::super::raw::{Field, RawOverrides, RawSecret};
use super::super::source::{Complaint, Findings};
use super::{env, request};

/// The ways that are open; `None` where the file opens none.
pub fn overrides(file: &mut Findings<'_>, raw: Field<RawOverrides>) -> Option<Overrides> {
    let (table, raw) = raw?.into_parts();
    let RawOverrides { header, query, cookie, preview_domains, secret } = raw;
    let is_on = |field: Field<bool>| field.is_some_and(|field| *field.value());
    let (header, preview_domains) = (is_on(header), is_on(preview_domains));
    if !header && !preview_domains && query.is_none() && cookie.is_none() {
        no_way(file, table);
    }
    Some(Overrides {
        header,
        query: file.text(query, request::query_name),
        cookie: file.text(cookie, request::cookie_name),
        preview_domains,
        secret: self::secret(file, secret),
    })
}

fn no_way(file: &mut Findings<'_>, table: Range<usize>) {
    if file.has_lost_any(&table) {
        return;
    }
    let message = "`override` opens no way in which a request could say which version it wants";
    let help = "add `header = true`, `query = \"version\"`, `cookie = \"version\"` or \
                `preview-domains = true`, or remove it";
    file.add(table, Complaint::new(message, help));
}

fn secret(file: &mut Findings<'_>, raw: Field<RawSecret>) -> Option<SecretSource> {
    let (table, raw) = raw?.into_parts();
    let help = "write `{ file = \"…\" }` or `{ from-env = \"…\" }`";
    env::source(file, "secret", table, raw, help)
}

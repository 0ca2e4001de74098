//! How often requests of a service may come: by which key they count, and how many of them may pass.

use super::super::model::{Rate, RateError, RateKey, RateLimit};
use super::super::raw::{Field, RawRateLimit};
use super::super::source::{Complaint, Findings};
use super::super::suggest;
use super::request;

/// Headers in which proxies tell the address of a client, and in which every client can write any address.
const ADDRESSES: [&str; 8] = [
    "forwarded",
    "x-forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
];

/// Headers by which a client says what it is, and not who: many users send the same, and one can send any.
const KINDS: [&str; 4] = ["user-agent", "referer", "accept-language", "origin"];

/// The declared limit; `None` where a part of it is wrong.
pub fn rate_limit(file: &mut Findings<'_>, raw: Field<RawRateLimit>) -> Option<RateLimit> {
    let (table, raw) = raw?.into_parts();
    let RawRateLimit { key, rate, burst } = raw;
    let key = file.required(&table, "key", key);
    let key = key.and_then(|(span, text)| {
        let key = file.check(span.clone(), rate_key(&text))?;
        if let Some(complaint) = suspect(&key) {
            file.warn(span, complaint);
        }
        Some(key)
    });
    let rate = file.required(&table, "rate", rate);
    let rate = rate.and_then(|(span, text)| file.check(span, self::rate(&text)));
    let is_said = burst.is_some() || file.has_lost(Some(&table), "burst");
    let burst = file.count("burst", burst, &RateLimit::BURST);
    let burst = match is_said {
        true => burst,
        false => rate.map(|rate| rate.requests),
    };
    Some(RateLimit { key: key?, rate: rate?, burst: burst? })
}

fn rate_key(text: &str) -> Result<RateKey, Complaint> {
    if let Some(name) = text.strip_prefix(RateKey::HEADER) {
        return request::header_name(name).map(RateKey::Header);
    }
    if let Some(name) = text.strip_prefix(RateKey::COOKIE) {
        return request::cookie_name(name).map(RateKey::Cookie);
    }
    if let Some(name) = text.strip_prefix(RateKey::QUERY) {
        return request::query_name(name).map(RateKey::Query);
    }
    match text {
        RateKey::CLIENT_ADDRESS => Ok(RateKey::ClientAddress),
        RateKey::SERVICE => Ok(RateKey::Service),
        _ => Err(Complaint::new(format!("`key` cannot be {text:?}"), key_help(text))),
    }
}

fn key_help(text: &str) -> String {
    let prefixes = [RateKey::HEADER, RateKey::COOKIE, RateKey::QUERY];
    if let Some(prefix) = prefixes.iter().find(|prefix| prefix.trim_end_matches(':') == text) {
        return format!("add the name, such as `{prefix}user`");
    }
    let plain = text.trim_start_matches('$').to_ascii_lowercase();
    let meant = match plain.as_str() {
        "ip" | "client-ip" | "client" | "address" | "src" | "remote_addr" | "remote_address"
        | "binary_remote_addr" | "remote.ip" | "remote_host" | "{remote_host}" | "source" => {
            Some(RateKey::CLIENT_ADDRESS)
        }
        "all" | "global" | "total" | "static" | "host" | "server_name" => Some(RateKey::SERVICE),
        _ => suggest::closest(text, &[RateKey::CLIENT_ADDRESS, RateKey::SERVICE]),
    };
    let all = "write `client-address`, `header:NAME`, `cookie:NAME`, `query:NAME`, or `service` for all requests \
               together";
    suggest::help(meant, all)
}

fn rate(text: &str) -> Result<Rate, Complaint> {
    text.parse().map_err(|error: RateError| {
        let help = match meant(text) {
            Some(meant) => format!("write `{meant}`"),
            None => {
                let most = Rate::MOST;
                format!(
                    "write a whole number from 1 to {most} and `/s`, `/m` or `/h`, such as `100/s`"
                )
            }
        };
        Complaint::new(format!("`rate` is not a rate: {error}"), help)
    })
}

/// The rate that is probably meant by one of another language: `10r/s`, `100 per minute`, `100 rps`, `5/10s`, `100`.
fn meant(text: &str) -> Option<Rate> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, rest) = lower.split_at(end);
    let number: u64 = number.parse().ok()?;
    let rest = rest.trim();
    let words = ["requests", "request", "reqs", "req", "events", "r"];
    let bare = words.iter().find_map(|word| rest.strip_prefix(word)).map(str::trim_start);
    let is_period = |rest: &&str| rest.starts_with('/') || rest.starts_with("per");
    let period = match bare.filter(is_period).unwrap_or(rest) {
        "" | "rps" | "qps" => "s",
        "rpm" | "qpm" => "m",
        "rph" | "qph" => "h",
        rest => rest.strip_prefix('/').or_else(|| rest.strip_prefix("per"))?.trim(),
    };
    let digits = period.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = period.split_at(digits);
    let count: u64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let seconds = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    // In the period that is written, or else in the shortest one in which it is a whole number.
    let mut periods = [("s", 1), ("m", 60), ("h", 3_600)];
    let span = count.checked_mul(seconds).filter(|span| *span > 0)?;
    periods.sort_by_key(|(_, period)| *period != span);
    periods.iter().find_map(|(name, period)| {
        let scaled = number.checked_mul(*period)?;
        let whole = scaled.is_multiple_of(span).then(|| scaled / span)?;
        format!("{whole}/{name}").parse().ok()
    })
}

/// A key that limits nobody who knows of it.
fn suspect(key: &RateKey) -> Option<Complaint> {
    let RateKey::Header(name) = key else { return None };
    if ADDRESSES.contains(&name.as_str()) {
        let message =
            format!("every client can write what it likes into {name}, and has a limit for each");
        let help = "write `key = \"client-address\"`: it is what a trusted proxy says in such a header, and nobody else";
        return Some(Complaint::new(message, help));
    }
    if KINDS.contains(&name.as_str()) {
        let message =
            format!("{name} does not say who the client is: many share one, and one can send many");
        let help = "write `key = \"client-address\"`, or name a header that identifies a user";
        return Some(Complaint::new(message, help));
    }
    None
}

#[cfg(test)]
mod tests {
    /// nginx, Envoy, HAProxy, Caddy, Traefik and people.
    #[test]
    fn a_rate_of_another_language_is_understood() {
        let meant = |text: &str| super::meant(text).map(|rate| rate.to_string());
        for (text, rate) in [
            ("100", "100/s"),
            ("10r/s", "10/s"),
            ("30r/m", "30/m"),
            ("100 req/s", "100/s"),
            ("100rps", "100/s"),
            ("60 rpm", "60/m"),
            ("100 per minute", "100/m"),
            ("100/second", "100/s"),
            ("100 requests per hour", "100/h"),
            ("5/10s", "30/m"),
            ("600/1m", "600/m"),
            ("48/day", "2/h"),
            ("100 / s", "100/s"),
        ] {
            assert_eq!(meant(text).as_deref(), Some(rate), "{text}");
        }
        for text in ["", "fast", "1.5/s", "1/day", "1/0s", "10/fortnight", "99999999999999999999/s"]
        {
            assert_eq!(meant(text), None, "{text}");
        }
    }
}

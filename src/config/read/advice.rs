//! What to do about a value that does not fit. `words` asks with the value's key, the type that it must have, and what
//! it is instead.

mod keys;

pub use keys::{is_of_texts, texts};

use super::super::source::Complaint;
use super::misfit::{Found, Kind};

/// How HTTPS is written.
pub const HTTPS: &str = "write `[server.tls]`, and below it a `[[server.tls.certificates]]` with `certificate` and `key` \
                         for each certificate";

/// The longest text, in bytes, that an advice repeats.
const REPEATED_MAX: usize = 80;

/// A key with dots in a table whose keys people choose: each dot makes a table in a table.
pub fn dotted(key: &str, expected: Kind) -> Complaint {
    let message = format!("`{key}` is a table in a table: that is what a `.` in a key means");
    let help = match expected {
        Kind::Number => {
            let name = key.replace('.', "-");
            format!(
                "the names of versions have no dots: write `{name}` here and as the version's `name`"
            )
        }
        _ => format!("put the key in quotation marks: `\"{key}\"`"),
    };
    Complaint::new(message, help)
}

/// What to do about this very value; `None` where nothing better is known than the type that it must have.
pub fn of_value(key: &str, expected: Kind, found: &Found) -> Option<String> {
    keys::of_key(key, found).or_else(|| of_type(key, expected, found))
}

/// What to do about this very item of an array.
pub fn of_item(array: &str, found: &Found) -> Option<String> {
    match found {
        Found::Whole(port) if ["listen", "upstream", "targets"].contains(&array) => {
            Some(format!("write `\"127.0.0.1:{port}\"`"))
        }
        Found::Whole(value) => Some(format!("write a text in quotation marks: `\"{value}\"`")),
        _ => None,
    }
}

fn of_type(key: &str, expected: Kind, found: &Found) -> Option<String> {
    match expected {
        Kind::Array => of_array(key, found),
        Kind::Upstream => of_upstream(key, found),
        Kind::Target | Kind::FalseOrTable => None,
        Kind::Boolean => of_boolean(key, found),
        Kind::Text | Kind::TextOrSecret => of_text(key, expected, found),
        Kind::Whole | Kind::Number => of_number(found),
        Kind::Size => of_size(key, found),
        Kind::Table => None,
    }
}

fn of_array(key: &str, found: &Found) -> Option<String> {
    match found {
        Found::Text(text) if key == "listen" && is_port(text) => {
            let port = text.trim_start_matches([':', '*']);
            Some(format!("write `listen = [\"127.0.0.1:{port}\"]`"))
        }
        found if is_of_tables(key) && *found != Found::Table => {
            Some(of_kind(key, Kind::Array, true))
        }
        Found::Text(text) if text.len() <= REPEATED_MAX => {
            let items = text.split([',', ' ']).filter(|item| !item.is_empty());
            let items: Vec<_> = items.map(|item| format!("{item:?}")).collect();
            let list = items.join(", ");
            (!list.is_empty()).then(|| format!("write `{key} = [{list}]`"))
        }
        Found::Whole(port) if key == "listen" => {
            Some(format!("write `listen = [\"127.0.0.1:{port}\"]`"))
        }
        Found::Table => {
            Some(format!("write `{key} = [{{ … }}]`, or `[[{}]]` above each of them", table(key)))
        }
        _ => None,
    }
}

fn of_upstream(key: &str, found: &Found) -> Option<String> {
    match found {
        Found::Whole(port) => Some(format!("write `{key} = [\"127.0.0.1:{port}\"]`")),
        found => of_array(key, found),
    }
}

fn of_boolean(key: &str, found: &Found) -> Option<String> {
    match found {
        Found::Text(text) => boolean(key, text),
        Found::Whole(number) if number == "1" => Some("write `true`".to_owned()),
        Found::Whole(number) if number == "0" => Some("write `false`".to_owned()),
        _ => None,
    }
}

/// A secret may be a text too; what `expected` says beside that is of texts alone.
fn of_text(key: &str, expected: Kind, found: &Found) -> Option<String> {
    let is_text = expected == Kind::Text;
    match found {
        Found::Whole(port) if is_text && key == "listen" => {
            Some(format!("write `listen = \"127.0.0.1:{port}\"`"))
        }
        Found::Boolean(_) if is_text && (key == "query" || key == "cookie") => {
            Some(format!("write the name of what says the version, such as `{key} = \"version\"`"))
        }
        Found::Whole(number) | Found::Number(number) if is_text && is_duration(key) => {
            let number = number.split('.').next().filter(|number| *number != "0").unwrap_or("1");
            Some(format!(
                "write a whole number and a unit in quotation marks, such as `\"{number}s\"` or `\"250ms\"`"
            ))
        }
        Found::Whole(value) | Found::Number(value) if is_percentage(key) => {
            // A part of 1 is meant where it has a fraction.
            let part = value.parse::<f64>().ok().filter(|part| *part < 1.0 && value.contains('.'));
            let value = part.map_or_else(|| value.clone(), |part| (part * 100.0).to_string());
            Some(format!("write a percentage in quotation marks: `\"{value}%\"`"))
        }
        Found::Whole(value) | Found::Number(value) => {
            Some(format!("write a text in quotation marks: `\"{value}\"`"))
        }
        Found::Boolean(value) if !is_text => {
            Some(format!("write a text in quotation marks: `\"{value}\"`"))
        }
        Found::Array if is_text && ["method", "path", "client"].contains(&key) => {
            Some(format!("write one `{key}`, and another `[[traffic.rules]]` for each other one"))
        }
        Found::Array if is_text => {
            Some("write one text in quotation marks, without `[` and `]`".to_owned())
        }
        _ => None,
    }
}

fn of_number(found: &Found) -> Option<String> {
    let Found::Text(text) = found else { return None };
    let number = text.trim().trim_end_matches('%').trim_end();
    let is_number = number.parse::<f64>().is_ok_and(f64::is_finite);
    let percent = if number == text { "" } else { " and `%`" };
    is_number.then(|| format!("write `{number}`, without quotation marks{percent}"))
}

fn of_size(key: &str, found: &Found) -> Option<String> {
    let Found::Number(number) = found else { return None };
    let whole = number.split(['.', 'e', 'E']).next().unwrap_or("128");
    let example = match key {
        // Less than a MiB, as its default is.
        "head" | "rescue-buffer" => "64KiB".to_owned(),
        _ => format!("{whole}MiB"),
    };
    Some(format!("write a whole number and a unit in quotation marks, such as `\"{example}\"`"))
}

/// Whether an array is one of tables, each under a header of its own.
fn is_of_tables(key: &str) -> bool {
    ["versions", "environments", "routes", "rules", "quarantine", "certificates"].contains(&key)
}

/// Whether an address is a port alone.
fn is_port(text: &str) -> bool {
    text.trim_start_matches([':', '*']).parse::<u16>().is_ok()
}

fn boolean(key: &str, text: &str) -> Option<String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some("write `true`, without quotation marks".to_owned()),
        "false" | "no" | "off" | "0" => Some("write `false`, without quotation marks".to_owned()),
        _ if key == "header" => {
            Some("write `true`: the header that may name the version is called `watershed-version`".to_owned())
        }
        _ if key == "latest" => {
            Some("write `true` for the latest version, or remove it and write shares as `split = { v1 = 90, v2 = 10 }`".to_owned())
        }
        _ => None,
    }
}

fn is_duration(key: &str) -> bool {
    let is_alone = ["ttl", "timeout", "interval", "resolve", "for"].contains(&key);
    is_alone || ["-time", "-period", "-delay", "-timeout"].iter().any(|end| key.ends_with(end))
}

/// Whether a percentage stands in a text, unlike a share.
fn is_percentage(key: &str) -> bool {
    ["at-most", "budget"].contains(&key)
}

/// What to do about a value of a wrong type, by the type that it must have.
pub fn of_kind(key: &str, expected: Kind, has_header: bool) -> String {
    match expected {
        Kind::Array if has_header => {
            let (table, first) = (table(key), first_key(key));
            format!(
                "write `[[{table}]]`, in two pairs of brackets, above each of them, and its `{first}` below"
            )
        }
        Kind::Table if has_header => {
            format!("write `[{}]`, in one pair of brackets, and once only", table(key))
        }
        Kind::Table => format!("write `{}`, or a `[table]` of its own", example(key)),
        Kind::Text if is_duration(key) => {
            "write a whole number and a unit in quotation marks, such as `\"250ms\"`".to_owned()
        }
        other => plain(other).to_owned(),
    }
}

fn plain(expected: Kind) -> &'static str {
    match expected {
        Kind::Text => "write a text in quotation marks",
        Kind::Array => "write `[ … ]` around the value, with commas between items",
        Kind::TextOrSecret => {
            "write a text in quotation marks, `{ file = \"…\" }` or `{ from-env = \"…\" }`"
        }
        Kind::Upstream => {
            "write `upstream = [\"127.0.0.1:9001\"]`, or `[versions.upstream]` with `targets`"
        }
        Kind::Target => {
            "write an address and a port in quotation marks, or `{ address = \"127.0.0.1:9001\", weight = 2 }`"
        }
        Kind::FalseOrTable => "write `false`, or a table such as `{ failures = 5 }`",
        Kind::Boolean => "write `true` or `false`, without quotation marks",
        Kind::Whole => "write digits only, without quotation marks",
        Kind::Number => "write the number alone, without quotation marks and `%`",
        Kind::Size => "write a whole number and a unit in quotation marks",
        Kind::Table => "write `{ key = value }`, or a `[table]` of its own",
    }
}

/// What stands in the brackets of a table's header.
pub fn table(key: &str) -> &str {
    match key {
        "certificates" => "server.tls.certificates",
        "rate-limit" => "traffic.rate-limit",
        "rules" => "traffic.rules",
        "match" => "traffic.rules.match",
        "sticky" => "traffic.sticky",
        "override" => "traffic.override",
        "secret" => "traffic.override.secret",
        "upstream" => "versions.upstream",
        "tls" => "versions.upstream.tls",
        "health" => "versions.upstream.health",
        "eject" => "versions.upstream.eject",
        "retry" => "versions.upstream.retry",
        key => key,
    }
}

/// What each table of an array must have.
fn first_key(array: &str) -> &'static str {
    match array {
        "certificates" => "certificate",
        "quarantine" => "digest",
        "routes" => "domain",
        _ => "name",
    }
}

fn example(key: &str) -> &'static str {
    match key {
        "match" => "{ path = \"/app/*\" }",
        "query" | "header" | "cookie" => "{ name = \"value\" }",
        "sticky" => "{ key = \"generated\" }",
        "override" => "{ header = true }",
        "secret" => "{ file = \"override.key\" }",
        "split" => "{ v1 = 90, v2 = 10 }",
        "tls" => "{ ca = \"ca.pem\" }",
        "health" => "{ path = \"/healthz\" }",
        "retry" => "{ attempts = 2 }",
        "rate-limit" => "{ key = \"client-address\", rate = \"100/s\" }",
        "env" => "{ NAME = \"value\" }",
        _ => "{ key = value }",
    }
}

//! What to do about a value of a wrong type where the key says what is meant, such as `hsts = true` or `rate = 100`.

use super::super::super::suggest;
use super::super::misfit::Found;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Keys whose arrays have texts, each with an example of one.
const TEXTS: [(&str, &str); 8] = [
    ("listen", "127.0.0.1:8080"),
    ("hosts", "ops.example.com"),
    ("domains", "www.example.com"),
    ("outbound", "https://api.example.com"),
    ("trusted-proxies", "10.0.0.0/8"),
    ("on", "connect"),
    ("rescue-methods", "POST"),
    ("rescue-statuses", "503"),
];

/// What to do about the value of this key; `None` where the key says nothing more than its type does.
pub fn of_key(key: &str, found: &Found) -> Option<String> {
    match found {
        Found::Boolean(value) => of_boolean(key, *value),
        Found::Whole(number) => of_whole(key, number),
        Found::Text(text) => of_text(key, text),
        Found::Array if key == "status" => {
            Some("write one status or one range of them, such as `\"200-204\"`".to_owned())
        }
        Found::Table if key == "key" => {
            Some("write what counts as one text, such as `\"header:x-user\"`".to_owned())
        }
        Found::Table if key == "rescue" => Some(version()),
        _ => None,
    }
    .or_else(|| is_list_wanted(key, found).then(|| texts(key)))
}

fn of_boolean(key: &str, value: bool) -> Option<String> {
    let word = match (key, value) {
        ("proxy-protocol", true) => "v1-v2",
        ("proxy-protocol", false) => "off",
        ("expose", true) => "decision",
        ("watch", true) => "events",
        ("when-unhealthy", true) => "others",
        ("when-unhealthy", false) => "fail",
        ("host", true) => "keep",
        ("host", false) => "target",
        ("hsts", true) => "365d",
        ("expose" | "client-rate", false) => "none",
        ("hsts" | "health" | "tls" | "rescue" | "health-path" | "ticket-keys", false) => {
            return Some(format!("remove it: without `{key}` it is off"));
        }
        ("retry", false) => return Some("write `{ attempts = 0 }`".to_owned()),
        ("tls", true) => {
            return Some(
                "write `protocol = \"tls\"` instead, or a table such as `{ ca = \"ca.pem\" }`"
                    .to_owned(),
            );
        }
        ("rescue", true) => return Some(version()),
        _ => return None,
    };
    Some(format!("write `\"{word}\"`"))
}

fn of_whole(key: &str, number: &str) -> Option<String> {
    let count: u64 = number.parse().ok()?;
    match key {
        "hsts" if count > 0 && count.is_multiple_of(DAY) => {
            Some(format!("write `\"{}d\"`", count / DAY))
        }
        "hsts" => Some(format!("write `\"{count}s\"`")),
        "rate" if count > 0 => {
            Some(format!("write `\"{count}/s\"`, or `/m` for a minute, `/h` for an hour"))
        }
        "client-rate" if count > 0 => Some(format!("write `\"{count}B/s\"`")),
        "client-rate" => Some("write `\"none\"` for any rate".to_owned()),
        "retry" => Some(format!("write `{{ attempts = {count} }}`")),
        "rate-limit" if count > 0 => Some(limit(&format!("{count}/s"))),
        _ => None,
    }
}

fn of_text(key: &str, text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    match key {
        "health" if text.starts_with('/') => Some(format!("write `{{ path = {text:?} }}`")),
        "eject" if ["off", "never", "none", "no"].contains(&lower.as_str()) => {
            Some("write `false`, without quotation marks".to_owned())
        }
        "rate-limit" => Some(limit("100/s")),
        "on" | "rescue-statuses" => {
            let list = suggest::failures(text)?;
            Some(format!("write `{key} = [{list}]`"))
        }
        _ => None,
    }
}

fn limit(rate: &str) -> String {
    format!("write `{{ key = \"client-address\", rate = \"{rate}\" }}`")
}

fn version() -> String {
    "write the name of a version in quotation marks, such as `rescue = \"v1\"`".to_owned()
}

/// Whether the array of a key has texts.
pub fn is_of_texts(key: &str) -> bool {
    TEXTS.iter().any(|(known, _)| *known == key)
}

/// Whether nothing of what was found can stay in a list of texts.
fn is_list_wanted(key: &str, found: &Found) -> bool {
    let is_number = matches!(found, Found::Whole(_)) && key != "listen";
    is_of_texts(key) && (is_number || matches!(found, Found::Boolean(_) | Found::Table))
}

/// How to write the array of texts of a key.
pub fn texts(key: &str) -> String {
    let example =
        TEXTS.iter().find(|(known, _)| *known == key).map_or("…", |(_, example)| example);
    format!("write `{key} = [\"{example}\"]`")
}

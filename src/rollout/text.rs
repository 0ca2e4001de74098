//! Describes for people what comes back, one line each, in the words of the file.

use toml::{Table, Value};

use crate::config::SecretSource;

/// Characters of a text that are shown.
const SHOWN: usize = 60;

/// Hexadecimal digits of a digest that are shown.
const DIGITS: usize = 12;

/// The text at a key; nothing if there is none.
pub fn of(table: &Table, key: &str) -> String {
    table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The beginning of a digest.
pub fn short(digest: &str) -> String {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    format!("sha256:{}", digits.get(..DIGITS).unwrap_or(digits))
}

/// Where a secret is.
pub fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => format!("file {}", path.display()),
        SecretSource::FromEnv(variable) => format!("variable {variable}"),
    }
}

/// `limits.memory 64MiB → 128MiB`. Values of variables are quoted.
pub fn change(key: &str, is_env: bool, now: Option<&Value>, then: Option<&Value>) -> String {
    let shown = |value: &Value| shown(value, is_env);
    match (now.map(shown), then.map(shown)) {
        (Some(now), Some(then)) => format!("{key} {now} → {then}"),
        (None, Some(then)) => format!("{key} {then} comes back"),
        (Some(now), None) => format!("{key} {now} is taken out"),
        (None, None) => key.to_owned(),
    }
}

/// What becomes of rules.
pub fn rules(now: &[Table], then: &[Table]) -> Vec<String> {
    let named = |rules: &[Table], rule: &Table| {
        rules.iter().find(|it| it.get("name") == rule.get("name")).cloned()
    };
    let gone = now.iter().filter(|rule| named(then, rule).is_none());
    let gone = gone.map(|rule| format!("rule {}: taken out", of(rule, "name")));
    let back = then.iter().filter_map(|rule| {
        let name = of(rule, "name");
        match named(now, rule) {
            None => Some(format!("rule {name}: comes back")),
            Some(now) if now != *rule => Some(format!("rule {name}: as it was")),
            Some(_) => None,
        }
    });
    let lines: Vec<_> = gone.chain(back).collect();
    // A rule that matches before another decides.
    if lines.is_empty() { vec!["rules: in the order that they had".to_owned()] } else { lines }
}

/// Texts in a list.
pub fn list(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn shown(value: &Value, is_quoted: bool) -> String {
    match value {
        Value::String(text) if is_quoted => format!("`{}`", cut(text)),
        Value::String(text) => cut(text),
        Value::Table(table) => {
            let each = |(key, value): (&String, &Value)| format!("{key} {}", shown(value, false));
            table.iter().map(each).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// The beginning of a text, with control characters escaped.
fn cut(text: &str) -> String {
    let mut characters = text.chars();
    let mut head = String::new();
    for character in characters.by_ref().take(SHOWN) {
        match character.is_control() {
            true => head.extend(character.escape_default()),
            false => head.push(character),
        }
    }
    let more = if characters.next().is_some() { "…" } else { "" };
    format!("{head}{more}")
}

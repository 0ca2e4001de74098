//! The environment of a version: names, and for each a text or where to find one.

use std::ops::Range;

use super::super::model::{EnvValue, SecretSource};
use super::super::raw::{Entries, Field, RawEnvValue, RawSecret};
use super::super::source::{Complaint, Findings};
use super::suspect;

/// The variables of a table, sorted by name.
pub fn env(file: &mut Findings<'_>, raw: Option<Entries<RawEnvValue>>) -> Vec<(String, EnvValue)> {
    let Some(Entries(raw)) = raw else {
        return Vec::new();
    };
    let mut env = Vec::with_capacity(raw.len());
    for (key, value) in raw {
        let (key_span, key) = key.into_parts();
        file.check(key_span, variable(&key));
        let (span, value) = value.into_parts();
        let value = match value {
            RawEnvValue::Plain(text) => {
                if let Some(complaint) = suspect::variable(&text) {
                    file.warn(span.clone(), complaint);
                }
                file.check(span, plain(&key, text))
            }
            RawEnvValue::Secret(raw) => secret(file, &key, span, raw),
        };
        env.extend(value.map(|value| (key, value)));
    }
    env
}

fn variable(name: &str) -> Result<String, Complaint> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let message = format!("{name:?} cannot be the name of an environment variable");
        let help = "use a name that is not empty and has neither `=` nor a NUL character";
        return Err(Complaint::new(message, help));
    }
    Ok(name.to_owned())
}

fn plain(key: &str, text: String) -> Result<EnvValue, Complaint> {
    if text.contains('\0') {
        let message = format!("the value of `{key}` has a NUL character");
        return Err(Complaint::new(message, "remove the NUL character"));
    }
    Ok(EnvValue::Plain(text))
}

fn secret(
    at: &mut Findings<'_>,
    key: &str,
    table: Range<usize>,
    raw: RawSecret,
) -> Option<EnvValue> {
    let help = "write `{ file = \"…\" }` or `{ from-env = \"…\" }`, or a text in quotation marks";
    source(at, key, table, raw, help).map(EnvValue::Secret)
}

/// The place of a key's secret; `help` is used where the file gives none.
pub fn source(
    at: &mut Findings<'_>,
    key: &str,
    table: Range<usize>,
    raw: RawSecret,
    help: &str,
) -> Option<SecretSource> {
    let RawSecret { file, from_env } = raw;
    if file.is_some() && from_env.is_some() {
        let message = format!("`{key}` has both `file` and `from-env`");
        let help = "remove one of them: `file` names a file with the value, `from-env` a variable of watershed's own \
                    environment";
        at.add(table, Complaint::new(message, help));
        return None;
    }
    if file.is_none() && from_env.is_none() && !at.has_lost_any(&table) {
        let message = format!("`{key}` has neither `file` nor `from-env`");
        at.add(table, Complaint::new(message, help));
        return None;
    }
    let path = at.path("file", file).map(SecretSource::File);
    path.or_else(|| from_variable(at, from_env))
}

fn from_variable(at: &mut Findings<'_>, raw: Field<String>) -> Option<SecretSource> {
    at.text(raw, variable).map(SecretSource::FromEnv)
}

//! The values of `env` as they are written: a text, or where to find one. Read by hand, because what
//! serde says of an untagged enum names neither the key that is wrong nor its place.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::Field;

/// A text, or where to find a secret.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum RawEnvValue {
    Plain(String),
    Secret(RawSecret),
}

/// Where to find a secret: one of the two.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct RawSecret {
    /// A file whose text is the value, without one newline at its end; relative to this file,
    /// and followed when it changes.
    #[schemars(extend("minLength" = 1))]
    pub file: Field<String>,
    /// A variable of watershed's own environment.
    #[schemars(extend("pattern" = "^[^=]+$"))]
    pub from_env: Field<String>,
}

impl<'de> Deserialize<'de> for RawEnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvValueVisitor)
    }
}

struct EnvValueVisitor;

impl<'de> Visitor<'de> for EnvValueVisitor {
    type Value = RawEnvValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawEnvValue, E> {
        Ok(RawEnvValue::Plain(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<RawEnvValue, A::Error> {
        RawSecret::deserialize(MapAccessDeserializer::new(entries)).map(RawEnvValue::Secret)
    }
}

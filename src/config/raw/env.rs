//! The values of `env` as they are written: a text, or where to find one.

use schemars::JsonSchema;

use super::Field;

/// A text, or where to find a secret.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum RawEnvValue {
    Plain(String),
    Secret(RawSecret),
}

/// Where to find a secret: one of the two.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
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

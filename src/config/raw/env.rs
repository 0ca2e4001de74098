//! The values of `env` as they are written: a text, or the place of a secret.

use schemars::JsonSchema;

use super::Field;

/// A text, or the place of a secret.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum RawEnvValue {
    Plain(String),
    Secret(RawSecret),
}

/// The place of a secret: one of the two.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct RawSecret {
    /// A file whose text is the value, without one newline at its end; relative to this file, and followed when it
    /// changes.
    #[schemars(extend("minLength" = 1))]
    pub file: Field<String>,
    /// A variable of watershed's own environment.
    #[schemars(extend("pattern" = "^[^=]+$"))]
    pub from_env: Field<String>,
}

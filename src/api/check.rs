//! What `POST /api/v1/check` is asked and answers: whether the configuration would be right if one of
//! its files said something else.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Problem;

/// What would be written, and where.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckQuestion {
    /// Absolute, as the configuration names the file.
    pub file: PathBuf,
    /// Whether the file is there, and not to be made.
    pub is_there: bool,
    /// All of what the file is to say.
    pub text: String,
}

/// What would be wrong then, if anything.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum CheckDocument {
    Right,
    /// It is right as it is.
    Wrong {
        problems: Vec<Problem>,
    },
    /// It is wrong as it is, and stays so.
    WrongBefore {
        problems: Vec<Problem>,
    },
    /// No environment finds the file; what each of them says under `services`.
    NotFound {
        globs: Vec<String>,
    },
}

//! A session of the console: who is asking, and what they may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of `POST /api/v1/session`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginQuestion {
    /// A token of `token-file`, as it is there.
    pub token: String,
}

/// Without the token, which would end up in a log.
impl std::fmt::Debug for LoginQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginQuestion(…)")
    }
}

/// What whoever asks is taken for: the answer of `/api/v1/session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionDocument {
    pub authentication: Authentication,
    pub role: Role,
    /// The name beside the token in `token-file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What a request that changes something sends as `x-csrf-token`. Of a session only: a token in a header needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<String>,
    /// Of the program.
    pub version: String,
}

/// How the listener knows who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// Not at all: everybody who reaches it is an operator.
    None,
    /// By a token of `token-file`.
    Token,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything but texts of environment variables and of files, and change nothing.
    Viewer,
    /// Everything.
    Operator,
}

//! A certificate of HTTPS in the status: whose it is, for how much longer, and what is wrong with its files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Problem;

/// A certificate and its key. What it says is of the certificate that clients get: while the files cannot be used, that is
/// the one which they held before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateDocument {
    /// The file of the certificate, absolute.
    pub certificate: String,
    /// The file of the key, absolute.
    pub key: String,
    /// The hosts that it is for; none where clients do not get it.
    pub names: Vec<String>,
    /// Who signed it: `itself`, or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// From when on it is valid, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Until when it is valid, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// Whole days until then; negative after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// Whether clients get it that ask for no host, or for one that no certificate is for.
    pub default: bool,
    /// Whether the configuration names it no more: it is served until what the configuration names can be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// Why the files cannot be used as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// What clients will not like, or soon will not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

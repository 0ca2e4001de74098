//! How requests to targets fail.

use std::fmt;

use crate::certificates::{BadFile, Flaw, Kind};

/// Why a request to a target failed. The detail is for the log, never for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub sent: Sent,
    /// Whether the target closed the connection before it answered this request, as it may do in good order: the connection
    /// had served other requests, or GOAWAY left this one out. A new connection will do.
    pub is_stale: bool,
    pub detail: String,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No target is healthy.
    Unhealthy,
    /// No connection could be made in time.
    Connect,
    /// The TLS handshake failed, or the target's certificate is not to be trusted.
    Tls,
    /// The target closed or reset the connection, or the stream, before its response was complete.
    Reset,
    /// What the target sent is not HTTP.
    Protocol,
    /// The head of the response did not come in time.
    WallTime,
    /// The response paused for longer than `idle-time`.
    IdleTime,
}

/// What of a request may have reached its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing.
    Nothing,
    /// The target says that it did nothing with it: GOAWAY, or REFUSED_STREAM.
    Refused,
    /// A part, or all. The target may have acted on it.
    Maybe,
}

impl Failure {
    /// A failure before anything was sent.
    pub fn unsent(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, sent: Sent::Nothing, is_stale: false, detail: detail.into() }
    }

    /// No target is healthy.
    pub fn unhealthy() -> Self {
        Self::unsent(FailureKind::Unhealthy, "no target is healthy")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Why an upstream cannot be made ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    #[error("no address is known for {name}: {reason}")]
    Unresolved { name: String, reason: String },
    #[error("{0}")]
    BadCertificate(String),
    #[error("{0}")]
    BadKey(String),
    /// A file cannot be read now. That says nothing about the file, and passes by itself.
    #[error("{detail}")]
    Passing { is_key: bool, detail: String, advice: &'static str },
}

impl From<BadFile> for PrepareError {
    fn from(bad: BadFile) -> Self {
        let is_key = bad.kind == Kind::Key;
        let detail = match &bad.flaw {
            Flaw::Passing { advice, .. } => {
                return Self::Passing { is_key, detail: bad.to_string(), advice };
            }
            // What the version's status suggests does not say how.
            Flaw::Der | Flaw::Encrypted => format!("{bad}: {}", bad.help()),
            _ => bad.to_string(),
        };
        if is_key { Self::BadKey(detail) } else { Self::BadCertificate(detail) }
    }
}

//! The status of a version, and for the status `error` what an operator can do.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::version::ReadyVersion;
use crate::policy::{Fault, Standing};
use crate::transient::advice;
use crate::upstream::PrepareError;

/// The status of a version.
#[derive(Clone, Debug)]
pub enum Status {
    /// It is being made ready.
    Creating,
    /// It can take traffic.
    Normal(Arc<ReadyVersion>),
    /// It cannot take traffic until a file changes; for some codes the next try may succeed.
    Error(StatusError),
}

impl Status {
    /// The word for it in messages, the API and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Normal(_) => "normal",
            Self::Error(_) => "error",
        }
    }

    /// The version that takes requests, if it is normal.
    pub fn normal(&self) -> Option<&Arc<ReadyVersion>> {
        match self {
            Self::Normal(version) => Some(version),
            Self::Creating | Self::Error(_) => None,
        }
    }

    /// The status as other processes are told it: without what takes requests.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Creating => Standing::Creating,
            Self::Normal(version) => Standing::Normal { digest: version.digest() },
            Self::Error(error) => Standing::Error(error.into()),
        }
    }

    /// Why it is `error`, if it is.
    pub fn error(&self) -> Option<&StatusError> {
        match self {
            Self::Error(error) => Some(error),
            Self::Creating | Self::Normal(_) => None,
        }
    }
}

/// Two normal versions are the same only if they are one.
impl PartialEq for Status {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Creating, Self::Creating) => true,
            (Self::Normal(one), Self::Normal(other)) => Arc::ptr_eq(one, other),
            (Self::Error(one), Self::Error(other)) => one == other,
            _ => false,
        }
    }
}

/// Stable codes of the status `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    NotFound,
    Unreadable,
    DigestMismatch,
    NotAComponent,
    UnsupportedWorld,
    ImportDenied,
    CompileFailed,
    CompilerStopped,
    SecretUnavailable,
    Unresolved,
    BadCertificate,
    BadKey,
    MemoryTooSmall,
    StartFailed,
    Internal,
}

impl StatusCode {
    /// The code as it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Unreadable => "unreadable",
            Self::DigestMismatch => "digest-mismatch",
            Self::NotAComponent => "not-a-component",
            Self::UnsupportedWorld => "unsupported-world",
            Self::ImportDenied => "import-denied",
            Self::CompileFailed => "compile-failed",
            Self::CompilerStopped => "compiler-stopped",
            Self::SecretUnavailable => "secret-unavailable",
            Self::Unresolved => "unresolved",
            Self::BadCertificate => "bad-certificate",
            Self::BadKey => "bad-key",
            Self::MemoryTooSmall => "memory-too-small",
            Self::StartFailed => "start-failed",
            Self::Internal => "internal",
        }
    }

    /// Whether the same files may succeed at the next try.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::CompilerStopped | Self::Unresolved)
    }

    pub(super) fn suggestion(self) -> &'static str {
        match self {
            Self::NotFound => {
                "build the component (`make plugins` for the shipped ones), or correct `component`; \
                 the path is relative to the service's file"
            }
            Self::Unreadable => "let the user that runs watershed read the file",
            Self::DigestMismatch => {
                "put the file back that the digest was taken from, or correct `digest` if the new \
                 file is meant"
            }
            Self::NotAComponent => {
                "build for the target wasm32-wasip2, or make a component of a core module with \
                 `wasm-tools component new`, and `--adapt` if the module is for WASI 0.1"
            }
            Self::UnsupportedWorld => {
                "export wasi:http/incoming-handler@0.2 (the world wasi:http/proxy) or \
                 wasi:http/handler@0.3 (the world wasi:http/service); commands and libraries cannot \
                 serve requests"
            }
            Self::ImportDenied => {
                "build the guest without this import; a guest is offered wasi:http, wasi:cli, \
                 wasi:io, wasi:clocks, wasi:random, wasi:filesystem (empty) and wasi:sockets \
                 (denied), version 0.2, and 0.3 if it exports wasi:http/handler@0.3"
            }
            Self::CompileFailed => {
                "check the file with `wasm-tools validate`, and build it anew if it is damaged"
            }
            Self::CompilerStopped => {
                "see that the machine has memory and processes left for a compiler; it is tried \
                 again at the next edit of any file, or touch of this one"
            }
            Self::SecretUnavailable => {
                "put UTF-8 text without NUL, at most 64 KiB, into the file that `file` names \
                 relative to the service's file, readable for the user that runs watershed; or \
                 start watershed with the variable that `from-env` names"
            }
            Self::Unresolved => {
                "correct the name in `targets`, or see that the machine's resolver knows it \
                 (`getent hosts NAME`)"
            }
            Self::BadCertificate => {
                "put PEM certificates into the file that `ca` or `certificate` names, readable for \
                 the user that runs watershed"
            }
            Self::BadKey => {
                "put the PEM key that belongs to `certificate` into the file that `key` names, \
                 readable for the user that runs watershed"
            }
            Self::MemoryTooSmall => "raise `memory` under [versions.limits]",
            Self::StartFailed => {
                "run the component with `wasmtime serve` to see what its start code does; if it \
                 is slow, raise `cpu-time` under [versions.limits]"
            }
            Self::Internal => "this is a bug in watershed; please report it with the log",
        }
    }
}

/// Why a version is in error, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusError {
    pub code: StatusCode,
    pub detail: String,
    pub suggestion: &'static str,
    /// Whether the error says nothing of the version's files. The version is then tried again without
    /// an edit.
    pub is_transient: bool,
}

impl StatusError {
    /// An error with its code's suggestion.
    pub fn new(code: StatusCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), suggestion: code.suggestion(), is_transient: false }
    }

    /// An error that a transient error of the operating system caused.
    pub fn transient(code: StatusCode, detail: impl Into<String>, error: &io::Error) -> Self {
        Self { suggestion: advice(error), is_transient: true, ..Self::new(code, detail) }
    }

    /// Whether the same files may succeed at the next try.
    pub fn may_pass(&self) -> bool {
        self.is_transient || self.code.may_pass()
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.code.as_str(), self.detail, self.suggestion)
    }
}

impl std::error::Error for StatusError {}

impl From<PrepareError> for StatusError {
    fn from(error: PrepareError) -> Self {
        let (code, advice) = match &error {
            PrepareError::Unresolved { .. } => (StatusCode::Unresolved, None),
            PrepareError::BadCertificate(_) => (StatusCode::BadCertificate, None),
            PrepareError::BadKey(_) => (StatusCode::BadKey, None),
            PrepareError::Passing { is_key: true, advice, .. } => {
                (StatusCode::BadKey, Some(*advice))
            }
            PrepareError::Passing { is_key: false, advice, .. } => {
                (StatusCode::BadCertificate, Some(*advice))
            }
        };
        let told = Self::new(code, error.to_string());
        let suggestion = advice.unwrap_or(told.suggestion);
        // A name may resolve at any time, without an edit that would tell.
        let is_transient = advice.is_some() || code == StatusCode::Unresolved;
        Self { suggestion, is_transient, ..told }
    }
}

impl From<&StatusError> for Fault {
    fn from(error: &StatusError) -> Self {
        let StatusError { code, detail, suggestion, is_transient: _ } = error;
        Self {
            may_pass: error.may_pass(),
            code: code.as_str().to_owned(),
            detail: detail.clone(),
            suggestion: (*suggestion).to_owned(),
        }
    }
}

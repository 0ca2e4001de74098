//! Why the played process does not do something.

use std::fmt;

use crate::code::{Coded, ErrorCode};
use crate::rollout::Refusal;

/// Why the played control does not do something.
#[derive(Debug)]
pub enum Trouble {
    Refused(Refusal),
    /// The process does not answer.
    Gone,
    /// A version cannot be tried here.
    Untried,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Gone => f.write_str("no process answers"),
            Self::Untried => f.write_str("there is no room for a sandbox"),
        }
    }
}

impl Trouble {
    /// All that a command prints of it.
    pub fn said(&self) -> String {
        match self {
            Self::Refused(Refusal::HalfDone { left, .. }) => format!("{}\n{left}", self.line()),
            _ => self.line(),
        }
    }
}

impl Coded for Trouble {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Gone => ErrorCode::NoProcess,
            Self::Untried => ErrorCode::NoSandboxes,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.help(),
            Self::Gone | Self::Untried => None,
        }
    }
}

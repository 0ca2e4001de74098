//! The override secret of a service in a snapshot: without it, nobody may override.

use super::super::secrets::{self, Found};
use crate::config::SecretSource;
use crate::routing::Lock;
use crate::source::Look;

/// The override secret as it was when it was read.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    pub(super) lock: Lock,
    /// The look at its file, if it is in a file, before it was read.
    pub(super) look: Look,
    /// Why it cannot be read, if that is so.
    pub(super) missing: Option<String>,
}

impl Secret {
    /// The secret as it is now. Where a transient error is in the way, the secret as it was in `last`.
    pub(super) fn look(source: Option<&SecretSource>, last: Option<&Self>) -> Self {
        let Some(source) = source else {
            return Self { lock: Lock::default(), look: Look::Nothing, missing: None };
        };
        // Looked at before it is read, so that a change in between shows as a difference later.
        let look = look(source);
        match secrets::lock(source) {
            Found::Lock(lock) => Self { lock, look, missing: None },
            Found::Missing(why) => Self { lock: Lock::Closed, look, missing: Some(why) },
            Found::Obscured(why) => last.cloned().unwrap_or(Self {
                lock: Lock::Closed,
                look: Look::Obscured,
                missing: Some(why),
            }),
        }
    }
}

pub(super) fn look(source: &SecretSource) -> Look {
    source.file().map_or(Look::Nothing, Look::at)
}

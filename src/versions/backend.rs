//! What serves a version, once it is ready. Everything else in this room asks a [`Backend`] and
//! assumes neither component nor network: what is true of guests only is here, and in `guest`, which makes them
//! ready; what is true of upstreams only is in the room `upstream`.

use std::sync::Arc;

use super::guest::Substitute;
use crate::config::Digest;
use crate::outbound::Egress;
use crate::runtime::{Guest, Reservation, Usage};
use crate::telemetry::{self, CallCounts};
use crate::upstream::Upstream;

/// What serves the requests of one version.
#[derive(Debug)]
pub enum Backend {
    Guest(GuestBackend),
    Upstream(Arc<Upstream>),
}

/// A guest, and what it was made of beside its component.
#[derive(Debug)]
pub struct GuestBackend {
    pub guest: Arc<Guest>,
    /// For each secret of the environment: the variable, and a digest that stands for its value.
    secrets: Vec<(String, String)>,
    /// What it is made from where its file is not what is declared.
    substitute: Option<Substitute>,
    /// What its calls go through, if it may make any.
    egress: Option<Egress>,
}

/// What a backend has reserved for one request. Dropping it gives it back.
#[derive(Debug)]
pub enum Reserved<'a> {
    Guest(&'a Arc<Guest>, Reservation),
    Upstream(&'a Arc<Upstream>),
}

impl GuestBackend {
    /// A guest that was made with these secrets: variables, and digests that stand for their values.
    pub fn new(guest: Guest, secrets: Vec<(String, String)>) -> Self {
        Self { guest: Arc::new(guest), secrets, substitute: None, egress: None }
    }

    /// The same, made from what takes the place of its file.
    #[must_use]
    pub fn with_substitute(self, substitute: Option<Substitute>) -> Self {
        Self { substitute, ..self }
    }

    /// The same, whose calls go through `egress`.
    #[must_use]
    pub fn with_egress(self, egress: Option<Egress>) -> Self {
        Self { egress, ..self }
    }
}

impl Backend {
    /// The digest of what serves the version: of a guest, the digest of its component. Quarantine
    /// entries and the history name a version's content by it.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Guest(GuestBackend { guest, .. }) => {
                Digest::from_bytes(*guest.program().digest())
            }
            Self::Upstream(upstream) => upstream.digest(),
        }
    }

    /// Whether it can answer, as far as is known: not where it has targets, and all their checks fail. Cheap enough to be
    /// asked for every request.
    pub fn is_healthy(&self) -> bool {
        match self {
            Self::Guest(_) => true,
            Self::Upstream(upstream) => upstream.is_healthy(),
        }
    }

    /// Whether it may become unhealthy: whether it has targets that are checked.
    pub(super) fn is_checked(&self) -> bool {
        match self {
            Self::Guest(_) => false,
            Self::Upstream(upstream) => upstream.spec().health.is_some(),
        }
    }

    /// For each secret that the backend was made with: the variable, and a digest that stands for
    /// its value.
    pub fn secrets(&self) -> &[(String, String)] {
        match self {
            Self::Guest(guest) => &guest.secrets,
            Self::Upstream(_) => &[],
        }
    }

    /// What the backend was made from, where the file of the version is not what is declared.
    pub fn substitute(&self) -> Option<&Substitute> {
        match self {
            Self::Guest(guest) => guest.substitute.as_ref(),
            Self::Upstream(_) => None,
        }
    }

    /// The upstream that serves the version, if one does.
    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        match self {
            Self::Upstream(upstream) => Some(upstream),
            Self::Guest(_) => None,
        }
    }

    /// The calls that its guests made so far, and how many are in flight, if they may make any.
    pub fn calls(&self) -> Option<(CallCounts, usize)> {
        match self {
            Self::Guest(GuestBackend { egress, .. }) => egress.as_ref().map(Egress::counts),
            Self::Upstream(_) => None,
        }
    }

    /// Where its guests count what they use, if guests serve it.
    pub(super) fn usage(&self) -> Option<telemetry::Usage> {
        match self {
            Self::Guest(GuestBackend { guest, .. }) => {
                let Usage { cpu, memory } = guest.grant().usage.clone();
                Some(telemetry::Usage { cpu, memory })
            }
            Self::Upstream(_) => None,
        }
    }

    /// Reserves what one request needs, if that is free now.
    pub(super) fn try_reserve(&self) -> Option<Reserved<'_>> {
        match self {
            Self::Guest(GuestBackend { guest, .. }) => {
                guest.try_reserve().map(|reservation| Reserved::Guest(guest, reservation))
            }
            Self::Upstream(upstream) => Some(Reserved::Upstream(upstream)),
        }
    }

    /// Waits until what one request needs is free, and reserves it. `None` only while the process
    /// ends.
    pub(super) async fn reserve(&self) -> Option<Reserved<'_>> {
        match self {
            Self::Guest(GuestBackend { guest, .. }) => {
                guest.reserve().await.map(|reservation| Reserved::Guest(guest, reservation))
            }
            Self::Upstream(upstream) => Some(Reserved::Upstream(upstream)),
        }
    }

    /// Gives back what has been idle for too long.
    pub(super) fn sweep(&self) {
        match self {
            Self::Guest(GuestBackend { guest, egress, .. }) => {
                guest.sweep();
                egress.iter().for_each(Egress::sweep);
            }
            Self::Upstream(upstream) => upstream.sweep(),
        }
    }

    /// The digest of the compiled program that the backend runs, if it runs one.
    pub(super) fn program(&self) -> Option<[u8; 32]> {
        match self {
            Self::Guest(GuestBackend { guest, .. }) => Some(*guest.program().digest()),
            Self::Upstream(_) => None,
        }
    }
}

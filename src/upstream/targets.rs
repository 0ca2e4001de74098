//! The targets of a process. A version that names an address that another version names with the same settings gets
//! the same [`Target`], so that both know its health, use its connections and count its requests together. So a reload
//! that touches an upstream keeps what is known of the targets that stay.

use std::net::SocketAddr;
use std::sync::Arc;

use super::resolve::Names;
use super::shared::Shared;
use super::target::{Settings, Target};
use super::tls::Roots;
use crate::config::TargetAddress;

/// The targets that some version names. A clone is the same registry.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    known: Arc<Shared<Key, Target>>,
    names: Names,
    roots: Roots,
}

/// What makes a target the same one. The declared address is a part of it: two names with one address are two hosts.
type Key = (TargetAddress, SocketAddr, Settings);

impl Targets {
    /// A registry that shares no target with this one, but the lookups of names and the roots of the system.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { known: Arc::default(), names: self.names.clone(), roots: self.roots.clone() }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The target of an address, as it is known, or a new one.
    pub fn get(
        &self,
        declared: &TargetAddress,
        address: SocketAddr,
        settings: &Settings,
    ) -> Arc<Target> {
        let make = || Target::new(declared.clone(), address, settings.clone());
        self.known.get((declared.clone(), address, settings.clone()), make)
    }

    /// How many targets some version names.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.known.count()
    }
}

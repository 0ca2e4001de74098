//! The targets of a process. A version that names an address that another version names with the same settings gets
//! the same [`Target`], so that both know its health, use its connections and count its requests together. So a reload
//! that touches an upstream keeps what is known of the targets that stay.

use std::net::SocketAddr;
use std::sync::Arc;

use super::shared::Shared;
use super::target::{Settings, Target};
use crate::config::TargetAddress;

/// The targets that some version names. A clone is the same registry.
#[derive(Clone, Debug, Default)]
pub struct Targets(Arc<Shared<Key, Target>>);

/// What makes a target the same one. The declared address is a part of it: two names with one address are two hosts.
type Key = (TargetAddress, SocketAddr, Settings);

impl Targets {
    /// The target of an address, as it is known, or a new one.
    pub fn get(
        &self,
        declared: &TargetAddress,
        address: SocketAddr,
        settings: &Settings,
    ) -> Arc<Target> {
        let make = || Target::new(declared.clone(), address, settings.clone());
        self.0.get((declared.clone(), address, settings.clone()), make)
    }

    /// How many targets some version names.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.count()
    }
}

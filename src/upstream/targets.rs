//! The targets of a process. A version that names an address that another version names with the same settings gets
//! the same [`Target`], so that both know its health, use its connections and count its requests together. So a reload
//! that touches an upstream keeps what is known of the targets that stay.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::target::{Settings, Target};
use crate::config::TargetAddress;

/// The targets that some version names. A clone is the same registry.
#[derive(Clone, Debug, Default)]
pub struct Targets(Arc<Mutex<HashMap<Key, Weak<Target>>>>);

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
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (declared.clone(), address, settings.clone());
        if let Some(target) = known.get(&key).and_then(Weak::upgrade) {
            return target;
        }
        known.retain(|_, target| target.strong_count() > 0);
        let target = Arc::new(Target::new(declared.clone(), address, settings.clone()));
        known.insert(key, Arc::downgrade(&target));
        target
    }

    /// How many targets some version names.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter(|target| target.strong_count() > 0).count()
    }
}

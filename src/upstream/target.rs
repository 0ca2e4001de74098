//! One address that serves requests: its health, its connections and its counters.

use crate::config::{TargetAddress, TargetSpec};

/// A target. Versions that name the same address with the same settings share it.
#[derive(Debug)]
pub struct Target {
    address: TargetAddress,
}

impl Target {
    pub fn new(spec: &TargetSpec) -> Self {
        Self { address: spec.address.clone() }
    }

    /// As it is declared.
    pub fn address(&self) -> &TargetAddress {
        &self.address
    }
}

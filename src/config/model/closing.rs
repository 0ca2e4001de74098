//! Closings of a newer state of the files, applied to an older state that goes on being served. A version that must be
//! cut off, or a secret that has leaked, does not wait until somebody has repaired another file.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Config, Environment, Reach, Service};

impl Config {
    /// This configuration with everything closed that the services of `newer` close whose files are right; `None` if
    /// all of that is closed already.
    pub fn closing(&self, newer: &Self, is_right: impl Fn(&Service) -> bool) -> Option<Self> {
        let mut closed = self.clone();
        let mut is_other = false;
        for environment in &mut closed.environments {
            let Environment { name, services, .. } = environment;
            let newer = newer.environments.iter().filter(|newer| newer.name == *name);
            let newer = newer.flat_map(|newer| &newer.services);
            let newer: HashMap<_, _> =
                newer.map(|newer| ((&newer.name, newer.file.as_path()), newer)).collect();
            for service in services {
                let same = newer.get(&(&service.name, service.file.as_path()));
                let same = same.filter(|newer| is_right(newer));
                if let Some(closing) = same.and_then(|newer| service.closing(newer)) {
                    *service = Arc::new(closing);
                    is_other = true;
                }
            }
        }
        is_other.then_some(closed)
    }
}

impl Service {
    /// This service with everything closed that `newer` closes; `None` if all of that is closed already.
    pub fn closing(&self, newer: &Self) -> Option<Self> {
        let mut closed = self.clone();
        let versions = self.versions.iter().enumerate();
        let reach = |(index, spec): (usize, &super::VersionSpec)| {
            let newer_index = newer.versions.iter().position(|other| other.name == spec.name);
            let wanted = newer_index.map_or(Reach::Live, |index| newer.policy.reach_of(index));
            wanted.max(self.policy.reach_of(index))
        };
        closed.policy.reach = versions.map(reach).collect();
        let known = &self.quarantine;
        let entries = newer.quarantine.iter().filter(|entry| !known.contains(entry));
        closed.quarantine.extend(entries.cloned());
        if self.policy.overrides.is_some() {
            closed.policy.overrides.clone_from(&newer.policy.overrides);
        }
        (closed != *self).then_some(closed)
    }
}

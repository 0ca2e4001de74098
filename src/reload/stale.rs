//! What to look at and what to publish: everything, or only what is known to have changed.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Service;
use crate::versions::ServiceKey;

/// Where files may have changed.
#[derive(Clone, Debug)]
pub enum Places {
    Everywhere,
    Paths(HashSet<PathBuf>),
}

impl Places {
    /// Nowhere.
    pub fn none() -> Self {
        Self::Paths(HashSet::new())
    }

    /// Adds more places.
    pub fn add(&mut self, others: Self) {
        match (&mut *self, others) {
            (Self::Paths(paths), Self::Paths(others)) => paths.extend(others),
            _ => *self = Self::Everywhere,
        }
    }
}

/// The services to publish.
#[derive(Debug)]
pub enum Stale {
    All,
    /// Each with its declaration; `None` if it is not declared any more.
    Some(HashMap<ServiceKey, Option<Arc<Service>>>),
}

impl Stale {
    /// No service.
    pub fn none() -> Self {
        Self::Some(HashMap::new())
    }

    /// Adds a service, with its declaration now.
    pub fn declare(&mut self, key: ServiceKey, now: Option<Arc<Service>>) {
        if let Self::Some(services) = self {
            services.insert(key, now);
        }
    }

    /// Adds a service in which something other than its declaration changed. `declared` gives its
    /// declaration.
    pub fn touch(&mut self, key: &ServiceKey, declared: impl FnOnce() -> Option<Arc<Service>>) {
        if let Self::Some(services) = self
            && !services.contains_key(key)
        {
            services.insert(key.clone(), declared());
        }
    }
}

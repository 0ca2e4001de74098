//! What is to be looked at, and what is to be published: all, or only what is known to have changed.

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

    /// These places too.
    pub fn add(&mut self, others: Self) {
        match (&mut *self, others) {
            (Self::Paths(paths), Self::Paths(others)) => paths.extend(others),
            _ => *self = Self::Everywhere,
        }
    }
}

/// Services of which something is to be published.
#[derive(Debug)]
pub enum Stale {
    All,
    /// What each of them is declared to be; nothing of one that is declared no more.
    Some(HashMap<ServiceKey, Option<Arc<Service>>>),
}

impl Stale {
    /// No service.
    pub fn none() -> Self {
        Self::Some(HashMap::new())
    }

    /// A service, with what it is declared to be now.
    pub fn declare(&mut self, key: ServiceKey, now: Option<Arc<Service>>) {
        if let Self::Some(services) = self {
            services.insert(key, now);
        }
    }

    /// A service of which something else has changed. `declared` gives what it is declared to be.
    pub fn touch(&mut self, key: &ServiceKey, declared: impl FnOnce() -> Option<Arc<Service>>) {
        if let Self::Some(services) = self
            && !services.contains_key(key)
        {
            services.insert(key.clone(), declared());
        }
    }
}

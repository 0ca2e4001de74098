//! The result of a load: [`Loaded`], with the [`Changes`] since the last load and a [`Rejection`] for
//! each wrong file; or [`Rejected`], if the main file is wrong.

use std::path::PathBuf;
use std::sync::Arc;

use super::Served;
use crate::config::{Config, EnvironmentName, Report, Service, ServiceName};
use crate::source::Followed;

/// A configuration that can be served.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// With the last valid state of each file that is wrong.
    pub config: Arc<Config>,
    /// The files that are wrong, or cannot be read for now, in the order in which files are read.
    pub rejected: Vec<Rejection>,
    /// The pattern of each environment's service files, as the main file has it.
    pub places: Vec<String>,
    /// How many service files were read.
    pub read: usize,
    /// The differences from the configuration kept last.
    pub changes: Changes,
    pub(super) loads: u64,
    /// The state of each file that was decided anew, or of all files.
    pub(super) served: Vec<Served>,
}

/// The differences between two loads.
#[derive(Clone, Debug)]
pub enum Changes {
    /// Anything may differ: compare.
    Any {
        /// Every path, beside the main file, in which a change could alter the configuration.
        watch: Vec<Followed>,
    },
    /// Only these services may differ. `watch` has the paths to watch in addition.
    Services { services: Vec<Changed>, watch: Vec<Followed> },
}

impl Changes {
    /// The paths to watch in addition; if anything may differ, all paths to watch.
    pub fn watch(&self) -> &[Followed] {
        match self {
            Self::Any { watch } | Self::Services { watch, .. } => watch,
        }
    }
}

/// A service that may have changed.
#[derive(Clone, Debug)]
pub struct Changed {
    pub environment: EnvironmentName,
    pub name: ServiceName,
    /// Its declaration now; `None` if it is gone.
    pub now: Option<Arc<Service>>,
}

/// A service file that is wrong, or that cannot be read because of a transient error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub environment: EnvironmentName,
    /// The service that is served by the last valid state of the file; `None` if the file was never
    /// valid.
    pub serves: Option<ServiceName>,
    pub file: PathBuf,
    pub report: Report,
}

impl Rejection {
    /// One report of all problems of several files.
    pub fn summary(rejected: &[Self]) -> Report {
        let problems = rejected.iter().flat_map(|rejection| &rejection.report.problems);
        Report::new(problems.cloned().collect())
    }
}

/// A main file from which nothing can be served: it is wrong, it cannot be read now, or the
/// directories that it names cannot be searched.
#[derive(Debug)]
pub struct Rejected {
    /// The problems of the main file and of all service files.
    pub report: Report,
    /// Whether every problem of the main file is a transient error.
    pub is_transient: bool,
    /// The configuration without the wrong parts: to look at, not to serve.
    pub rest: Option<Box<Config>>,
    /// Every path, beside the main file, in which a change could alter the configuration.
    pub watch: Vec<Followed>,
}

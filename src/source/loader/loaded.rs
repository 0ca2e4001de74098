//! What a load gives: [`Loaded`], with the [`Changes`] since the last and the files that are wrong, or
//! [`Rejected`].

use std::path::PathBuf;
use std::sync::Arc;

use super::Served;
use crate::config::{Config, EnvironmentName, Report, Service, ServiceName};
use crate::source::Followed;

/// A configuration that can be served.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// With the last good state of each file that is wrong.
    pub config: Arc<Config>,
    /// The files that are wrong, or cannot be read for now, in the order in which files are read.
    pub rejected: Vec<Rejection>,
    /// Where the files of each environment are, as the main file says it.
    pub places: Vec<String>,
    /// How many services' files were read.
    pub read: usize,
    /// What differs from what was kept last.
    pub changes: Changes,
    pub(super) loads: u64,
    /// The state of each file that differs from what was kept, or of all.
    pub(super) served: Vec<Served>,
}

/// What differs between two loads.
#[derive(Clone, Debug)]
pub enum Changes {
    /// It is not known: compare.
    Any {
        /// All in which a change could change the configuration, beside the main file.
        watch: Vec<Followed>,
    },
    /// These services and nothing else, and in which places more is to be watched for changes.
    Services { services: Vec<Changed>, watch: Vec<Followed> },
}

impl Changes {
    /// In which places there is something new to be watched for changes; in which all there is, where it
    /// is not known what differs.
    pub fn watch(&self) -> &[Followed] {
        match self {
            Self::Any { watch } | Self::Services { watch, .. } => watch,
        }
    }
}

/// A service that may be another one.
#[derive(Clone, Debug)]
pub struct Changed {
    pub environment: EnvironmentName,
    pub name: ServiceName,
    /// As it is now; none if it is gone.
    pub now: Option<Arc<Service>>,
}

/// A service's file that is wrong, or that cannot be read for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub environment: EnvironmentName,
    /// The service that goes on as the file last said it; none if the file was never right.
    pub serves: Option<ServiceName>,
    pub file: PathBuf,
    pub report: Report,
}

impl Rejection {
    /// One report of several files that are wrong.
    pub fn summary(rejected: &[Self]) -> Report {
        let problems = rejected.iter().flat_map(|rejection| &rejection.report.problems);
        Report::new(problems.cloned().collect())
    }
}

/// A main file that is wrong, or that cannot be read for a moment, or where what it names cannot be
/// looked through: nothing can be served by it.
#[derive(Debug)]
pub struct Rejected {
    /// The services' files' problems as well.
    pub report: Report,
    /// Whether it passes by itself: nothing wrong is known of the main file.
    pub is_transient: bool,
    /// What could be made of the files beside their problems: for looking at, not for serving.
    pub rest: Option<Box<Config>>,
    /// All in which a change could change the configuration, beside the main file.
    pub watch: Vec<Followed>,
}

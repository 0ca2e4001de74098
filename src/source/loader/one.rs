//! One service's file by itself, for whoever knows by somebody else where it is and that all others are
//! right: a process that serves them.

use std::path::Path;
use std::sync::Arc;

use super::Loader;
use super::file::File;
use crate::config::{AdminSettings, EnvironmentName, Report, Service, StateSettings, Surroundings};
use crate::source::text::read_source;

/// What the main file says by itself that a command needs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub admin: AdminSettings,
    pub state: StateSettings,
}

impl Loader {
    /// What the main file says by itself, without a look for services.
    ///
    /// # Errors
    ///
    /// Where it is wrong.
    pub fn settings(&self) -> Result<Settings, Report> {
        match self.main() {
            Ok((main, problems)) if problems.is_empty() => {
                Ok(Settings { admin: main.admin, state: main.state })
            }
            Ok((_, problems)) => Err(Report::new(problems)),
            Err(rejected) => Err(rejected.report),
        }
    }

    /// The service that the file at a path says, in an environment; none if either is not what it was.
    ///
    /// # Errors
    ///
    /// Where the main file is wrong.
    pub fn read_one(
        &self,
        environment: &EnvironmentName,
        path: &Path,
    ) -> Result<Option<Arc<Service>>, Report> {
        let (main, problems) = self.main().map_err(|rejected| rejected.report)?;
        if !problems.is_empty() {
            return Err(Report::new(problems));
        }
        let Some(plan) = main.plans.iter().find(|plan| plan.name == *environment) else {
            return Ok(None);
        };
        let around = Surroundings { domain: plan.domain.clone(), limits: main.limits.clone() };
        let file = File::read(read_source(path, self.reading), None, &Arc::new(around), None);
        Ok(file.as_valid().map(|draft| draft.service.clone()))
    }
}

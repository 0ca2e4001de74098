//! Reads one service file by itself, for commands that know from a running process where the file
//! is and that all others are valid.

use std::path::Path;
use std::sync::Arc;

use super::Loader;
use super::file::File;
use crate::config::{AdminSettings, EnvironmentName, Report, Service, StateSettings, Surroundings};
use crate::source::text::read_source;

/// The settings of the main file that a command needs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub admin: AdminSettings,
    pub state: StateSettings,
}

impl Loader {
    /// The settings of the main file, read without a search for service files.
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

    /// The service that the file at `path` declares in an environment; `None` if there is no such
    /// environment, or the file is not valid.
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

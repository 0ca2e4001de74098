//! Reads one service file by itself, for commands that know from a running process where the file
//! is and that all others are valid.

use std::path::Path;
use std::sync::Arc;

use super::Loader;
use super::file::File;
use crate::config::{
    AdminSettings, ComponentSettings, EnvironmentName, Main, Problem, Report, Service, Source,
    StateSettings, Surroundings, TlsSettings,
};
use crate::source::text::read_source;

/// The settings of the main file that a command needs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub admin: AdminSettings,
    pub state: StateSettings,
    pub components: ComponentSettings,
    /// `None` where there is no HTTPS.
    pub tls: Option<TlsSettings>,
    /// The names of the environments.
    pub environments: Vec<EnvironmentName>,
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
                let Main { admin, state, components, server, plans, .. } = main;
                let environments = plans.into_iter().map(|plan| plan.name).collect();
                Ok(Settings { admin, state, components, tls: server.tls, environments })
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
        let file = self.read_alone(environment, read_source(path, self.reading))?;
        Ok(file.and_then(|file| file.as_valid().map(|draft| draft.service.clone())))
    }

    /// The service that a text would declare in an environment, in place of the file at `path`.
    ///
    /// # Errors
    ///
    /// Where the main file is wrong or has no such environment, or the text is wrong by itself.
    pub fn read_text(
        &self,
        environment: &EnvironmentName,
        path: &Path,
        text: &str,
    ) -> Result<Arc<Service>, Report> {
        let file = self.read_alone(environment, Ok(Source::new(path, text.to_owned())))?;
        let file = file.ok_or_else(|| {
            let message = format!("there is no environment {environment} any more");
            Report::new(vec![Problem::of_file(&self.path, message, "put it back")])
        })?;
        let service = file.as_valid().map(|draft| draft.service.clone());
        service.ok_or(Report::new(file.problems))
    }

    /// What a file says by itself; `None` if there is no such environment.
    fn read_alone(
        &self,
        environment: &EnvironmentName,
        source: Result<Source, Box<Problem>>,
    ) -> Result<Option<File>, Report> {
        let (main, problems) = self.main().map_err(|rejected| rejected.report)?;
        if !problems.is_empty() {
            return Err(Report::new(problems));
        }
        let Some(plan) = main.plans.iter().find(|plan| plan.name == *environment) else {
            return Ok(None);
        };
        let around = Surroundings {
            domain: plan.domain.clone(),
            limits: main.limits.clone(),
            listen: main.server.listen.clone(),
        };
        Ok(Some(File::read(source, None, &Arc::new(around), None)))
    }
}

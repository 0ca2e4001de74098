//! The files that a command reads. Where a process runs, that is the file of the command's service: the process has
//! read and checked all others already. Otherwise all files are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CliError;
use super::common::Common;
use super::process::{Process, ProcessError};
use super::site::{is_of, is_same, load, running};
use super::trial::Elsewhere;
use crate::api::{
    self, CheckDocument, CheckQuestion, EnvironmentDocument, StatusDocument, StatusQuery,
};
use crate::config::{AdminSettings, Config, EnvironmentName, Report, Service};
use crate::source::{ComponentStore, EditError, Loader, Objection, Proposal, Settings};

/// The main file and what it leads to.
pub(super) struct Files(Loader);

/// A service that a process serves.
pub(super) struct Served {
    pub files: Files,
    pub process: Process,
    pub environment: EnvironmentName,
    pub service: Arc<Service>,
    pub admin: AdminSettings,
    pub elsewhere: Elsewhere,
}

impl Files {
    pub fn of(loader: Loader) -> Self {
        Self(loader)
    }

    /// The main file.
    pub fn main(&self) -> &Path {
        self.0.path()
    }

    /// What a service's file says now; `None` if the file is wrong by itself.
    pub fn service(
        &self,
        environment: &EnvironmentName,
        file: &Path,
    ) -> Result<Option<Arc<Service>>, CliError> {
        self.0.read_one(environment, file).map_err(CliError::Config)
    }

    /// What a service's file would say with another text.
    pub fn with_text(
        &self,
        environment: &EnvironmentName,
        file: &Path,
        text: &str,
    ) -> Result<Arc<Service>, CliError> {
        self.0.read_text(environment, file, text).map_err(CliError::Config)
    }

    /// The directory of the main file.
    pub fn directory(&self) -> &Path {
        self.0.directory()
    }

    /// All files, as far as they are right.
    pub fn config(&mut self) -> Result<Arc<Config>, CliError> {
        Ok(load(&mut self.0)?.config)
    }

    /// Whether the text that the command is about to write would be right beside all other files. A running process
    /// knows those; without one they are loaded.
    pub fn check(
        &mut self,
        process: Option<&Process>,
        proposal: Proposal<'_>,
    ) -> Result<(), CliError> {
        let checked = match process.map(|process| ask(process, proposal)).transpose()?.flatten() {
            Some(checked) => checked,
            None => self.check_here(proposal)?,
        };
        if let (Some(process), Err(Objection::NotFound(_))) = (process, &checked) {
            is_of(process, self.0.path(), proposal.path)?;
        }
        let refused = |objection| EditError::objection(objection, proposal.path, self.0.path());
        Ok(checked.map_err(refused)?)
    }

    fn check_here(
        &mut self,
        Proposal { path, is_there, text }: Proposal<'_>,
    ) -> Result<Result<(), Objection>, CliError> {
        let loaded = load(&mut self.0)?;
        // A service keeps the names that it has, as in a process that serves.
        self.0.keep(&loaded);
        Ok(self.0.check(path, is_there, text))
    }
}

/// The process's report on a text that is about to be written; `None` if the process is too old to be asked.
fn ask(
    process: &Process,
    Proposal { path, is_there, text }: Proposal<'_>,
) -> Result<Option<Result<(), Objection>>, CliError> {
    let question = CheckQuestion { file: path.to_owned(), is_there, text: text.to_owned() };
    match process.post::<_, CheckDocument>(api::CHECK, &question) {
        Ok((_, document)) => Ok(Some(document.into())),
        Err(ProcessError::Refused { status: 404 | 503, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Finds a service by the process that serves it, so that only the service's own file is read. `None` where no process
/// runs or something is wrong: then all files are read, and tell what is wrong.
pub(super) fn served(path: &Path, common: &Common, name: &str) -> Result<Option<Served>, CliError> {
    let loader = Loader::new(path);
    let Ok(Settings { admin, state, components, .. }) = loader.settings() else { return Ok(None) };
    let Some(process) = running(loader.path(), &admin, common)? else {
        return Ok(None);
    };
    let query = StatusQuery { service: Some(name.to_owned()), ..StatusQuery::default() };
    let status: StatusDocument = match process.get(&query.path()) {
        Err(error) if error.is_unknown() => return Ok(None),
        status => status?,
    };
    if !is_same(Path::new(&status.config), loader.path()) || is_rejected(&status, common, name) {
        return Ok(None);
    }
    let Some((environment, file)) = only(status, common.environment.as_deref()) else {
        return Ok(None);
    };
    let files = Files(loader);
    let service = files.service(&environment, &file)?;
    let is_it = |service: &Arc<Service>| service.name.as_str() == name;
    Ok(service.filter(is_it).map(|service| {
        let store = ComponentStore::new(&components.directory);
        let elsewhere = Elsewhere { store, state: state.directory };
        Served { files, process, environment, service, admin, elsewhere }
    }))
}

/// Whether a file is wrong that may be the service's.
fn is_rejected(status: &StatusDocument, common: &Common, name: &str) -> bool {
    let is_wanted = |own: &str| common.environment.as_deref().is_none_or(|wanted| wanted == own);
    status.rejected.iter().filter(|it| is_wanted(&it.environment)).any(|rejection| {
        let is_it = Path::new(&rejection.file).file_stem().is_some_and(|stem| stem == name);
        is_it || rejection.serves.as_deref() == Some(name)
    })
}

/// Where the only service of this name is, in the given environment if there is one.
fn only(status: StatusDocument, wanted: Option<&str>) -> Option<(EnvironmentName, PathBuf)> {
    let environments = status.environments.into_iter();
    let environments = environments.filter(|it| wanted.is_none_or(|wanted| wanted == it.name));
    let mut found = environments.flat_map(|EnvironmentDocument { name, services, .. }| {
        services.into_iter().map(move |service| (name.clone(), service.file))
    });
    let (environment, file) = found.next().filter(|_| found.next().is_none())?;
    Some((EnvironmentName::new(&environment).ok()?, file.into()))
}

impl From<CheckDocument> for Result<(), Objection> {
    fn from(document: CheckDocument) -> Self {
        Err(match document {
            CheckDocument::Right => return Ok(()),
            CheckDocument::Wrong { problems } => Objection::Wrong(Report { problems }),
            CheckDocument::WrongBefore { problems } => Objection::WrongBefore(Report { problems }),
            CheckDocument::NotFound { globs } => Objection::NotFound(globs),
        })
    }
}

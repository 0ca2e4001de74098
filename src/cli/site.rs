//! The configuration that a command is about, and the process that serves it if one runs.

use std::path::{Path, PathBuf};

use super::common::Common;
use super::process::{Process, ProcessError};
use super::{CliError, select};
use crate::api::{StatusDocument, StatusQuery};
use crate::code::{Coded, ErrorCode};
use crate::config::{AdminSettings, Environment, ServiceName, suggest};
pub(super) use crate::source::is_same;
use crate::source::{Loaded, Loader, Reading, Rejection};

/// Why the configuration or the process of a command cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("the process at {url} serves {serves}, and not {}", .main.display())]
    OtherFiles { url: String, serves: String, main: PathBuf },
    #[error(
        "the process at {url} serves {serves}, and does not read {}; nothing was written",
        .file.display()
    )]
    NotItsFile { url: String, serves: String, file: PathBuf },
    /// A process elsewhere can be asked what it serves, and not be given other files.
    #[error(
        "{} is not on this machine, and this command reads the configuration's files; the process at \
         {url} serves {serves}",
        .main.display()
    )]
    FilesElsewhere { url: String, serves: String, main: PathBuf },
    #[error("there is a service {service} in {environment} already")]
    ServiceExists { service: ServiceName, environment: String },
    #[error("the service may be in {0}, and nothing says in which")]
    WhichEnvironment(String),
    #[error("`services` of {environment} names a file or several directories")]
    NoPlace { environment: String },
}

impl Coded for SiteError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OtherFiles { .. } | Self::NotItsFile { .. } => ErrorCode::OtherConfiguration,
            Self::FilesElsewhere { .. } => ErrorCode::FilesElsewhere,
            Self::ServiceExists { .. } => ErrorCode::ServiceExists,
            Self::WhichEnvironment(_) => ErrorCode::AmbiguousEnvironment,
            Self::NoPlace { .. } => ErrorCode::NoPlace,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::OtherFiles { .. } => {
                "give the `--config` that it serves, or its `--admin URL` if it is the same by \
                 another path"
            }
            Self::NotItsFile { .. } => {
                "run the command on the machine of that process, or give the `--config` that it serves"
            }
            Self::FilesElsewhere { .. } => {
                "run it on the machine of that process, or give the same files by `--config`"
            }
            Self::ServiceExists { .. } => "leave out `--new-service`",
            Self::WhichEnvironment(_) => "say by `--environment` where it is to be",
            Self::NoPlace { .. } => {
                "write the service's file by hand, or give `services` a glob in one directory, such \
                 as \"services/*.toml\""
            }
        };
        Some(help.to_owned())
    }
}

/// The configuration of a command, and the process that serves it if one runs.
pub(super) struct Site {
    pub loader: Loader,
    pub loaded: Loaded,
    pub process: Option<Process>,
}

impl Site {
    /// Loads the files, as far as they are right, and looks for the process.
    pub fn open(path: &Path, common: &Common) -> Result<Self, CliError> {
        let mut loader = Loader::new(path);
        here(loader.path(), common.admin.as_deref(), common.token_file.as_deref())?;
        let loaded = load(&mut loader)?;
        let process = running(loader.path(), &loaded.config.admin, common)?;
        Ok(Self { loader, loaded, process })
    }

    /// Loads the files, and looks for no process.
    pub fn open_offline(path: &Path) -> Result<Self, CliError> {
        let mut loader = Loader::new(path);
        let loaded = load(&mut loader)?;
        Ok(Self { loader, loaded, process: None })
    }

    /// The path for a new service's file: beside the others of its environment.
    pub fn place(
        &self,
        environment: Option<&str>,
        service: &ServiceName,
    ) -> Result<PathBuf, CliError> {
        let config = &self.loaded.config;
        let environment = self.environment(environment)?;
        let there = environment.services.iter().any(|it| it.name == *service);
        let name = environment.name.to_string();
        if there {
            return Err(
                SiteError::ServiceExists { service: service.clone(), environment: name }.into()
            );
        }
        let places = config.environments.iter().zip(&self.loaded.places);
        let mut own = places.filter(|(it, _)| it.name == environment.name);
        let glob = own.next().map(|(_, glob)| glob.as_str()).unwrap_or_default();
        match Path::new(glob).parent() {
            Some(directory) if !directory.to_string_lossy().contains(['*', '?', '[']) => {
                Ok(self.loader.directory().join(directory).join(format!("{service}.toml")))
            }
            _ => Err(SiteError::NoPlace { environment: name }.into()),
        }
    }

    /// The environment for a new service: the one of this name or, without a name, the only one.
    pub fn environment(&self, name: Option<&str>) -> Result<&Environment, CliError> {
        let environments = &self.loaded.config.environments;
        match (name, environments.as_slice()) {
            (Some(name), _) => Ok(select::environment_among(environments, name)?),
            (None, [only]) => Ok(only),
            (None, several) => {
                let names: Vec<_> = several.iter().map(|it| it.name.as_str()).collect();
                Err(SiteError::WhichEnvironment(suggest::list(&names)).into())
            }
        }
    }

    /// The main file.
    pub fn main(&self) -> &Path {
        self.loader.path()
    }

    /// The file of a service of this name, if it is wrong: in one environment, or in any.
    pub fn wrong(&self, environment: Option<&str>, name: &str) -> Option<&Rejection> {
        let is_it = |file: &Path| file.file_stem().is_some_and(|stem| stem == name);
        self.loaded.rejected.iter().find(|Rejection { environment: own, serves, file, .. }| {
            environment.is_none_or(|wanted| own.as_str() == wanted)
                && (serves.as_ref().is_some_and(|serves| serves.as_str() == name) || is_it(file))
        })
    }
}

/// Reads what has changed since the last time; the first time, everything.
pub(super) fn load(loader: &mut Loader) -> Result<Loaded, CliError> {
    loader.load(Reading::Changed).map_err(|wrong| CliError::Config(wrong.report))
}

/// The process that serves a configuration. A process that `--admin` names must answer. A process at the files' admin
/// address need not run, but if it does, it must serve these files.
pub(super) fn running(
    main: &Path,
    settings: &AdminSettings,
    common: &Common,
) -> Result<Option<Process>, CliError> {
    let is_named = common.admin.is_some();
    let process = match common.process_by(settings) {
        Err(ProcessError::NoPort) if !is_named => return Ok(None),
        process => process?,
    };
    let status = match alone(&process) {
        Err(error) if error.is_not_running() && !is_named => return Ok(None),
        status => status?,
    };
    if !is_named && !is_same(Path::new(&status.config), main) {
        let (url, serves) = (process.url().to_owned(), status.config);
        return Err(SiteError::OtherFiles { url, serves, main: main.to_owned() }.into());
    }
    Ok(Some(process))
}

/// The process itself, without its services.
fn alone(process: &Process) -> Result<StatusDocument, ProcessError> {
    process.get(&StatusQuery { process_alone: true, ..StatusQuery::default() }.path())
}

/// Whether a process serves a configuration. `file` is of the configuration, and the process does not read it.
///
/// # Errors
///
/// Where the process serves another one.
pub(super) fn is_of(process: &Process, main: &Path, file: &Path) -> Result<(), CliError> {
    let serves = alone(process)?.config;
    if is_same(Path::new(&serves), main) {
        return Ok(());
    }
    let (url, file) = (process.url().to_owned(), file.to_owned());
    Err(SiteError::NotItsFile { url, serves, file }.into())
}

/// Whether the main file is on this machine. A command that needs it says where it is instead, as far as the process at
/// `--admin` tells.
///
/// # Errors
///
/// Where the file is not here, and the process at `--admin` may have it elsewhere.
pub(super) fn here(
    main: &Path,
    admin: Option<&str>,
    token_file: Option<&Path>,
) -> Result<(), CliError> {
    let is_missing = || matches!(main.try_exists(), Ok(false));
    if admin.is_none() || !is_missing() {
        return Ok(());
    }
    let process = Process::new(admin, token_file, &AdminSettings::default())?;
    let (url, serves) = (process.url().to_owned(), alone(&process)?.config);
    Err(SiteError::FilesElsewhere { url, serves, main: main.to_owned() }.into())
}

//! Arguments that all commands about a service or a running process share.

use std::path::{Path, PathBuf};

use super::process::{Process, ProcessError};
use super::remote::Remote;
use super::{CliError, complete, site};
use crate::config::AdminSettings;
use crate::source::Loader;

pub(super) use super::json::write_json;

/// Flattened into the arguments of each of these commands.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Common {
    /// The environment; needed only where several have a service of the same name.
    #[arg(long, value_name = "NAME", add = complete::environments())]
    pub(super) environment: Option<String>,
    /// The admin listener of the running process [default: `[admin] listen` of the files]
    #[arg(long, value_name = "URL", add = complete::admins())]
    pub(super) admin: Option<String>,
    /// The file with the token of that listener [default: `[admin] token-file` of the files]
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl Common {
    /// The process at `--admin`, or else at the main file's admin address. The process need not run. Where the main
    /// file is broken, a process that serves it is looked for by what is left of the file.
    ///
    /// # Errors
    ///
    /// Where neither gives an address.
    pub(super) fn process(&self, config: &Path) -> Result<Process, CliError> {
        let loader = Loader::new(config);
        let settings = match loader.admin() {
            Ok(settings) => settings,
            // With `--admin` no files are needed, unless they say where the token is.
            Err(_) if self.admin.is_some() => AdminSettings::default(),
            Err(report) => return self.serving(config).ok_or(CliError::Config(report)),
        };
        Ok(self.process_by(&settings)?)
    }

    /// The process at `--admin`, or else at the admin address of `settings`.
    ///
    /// # Errors
    ///
    /// Where neither gives an address.
    pub(super) fn process_by(&self, settings: &AdminSettings) -> Result<Process, ProcessError> {
        Process::new(self.admin.as_deref(), self.token_file.as_deref(), settings)
    }

    /// The process at `--admin`, to be asked without any file of this machine; `None` where `--admin` is not given.
    ///
    /// # Errors
    ///
    /// Where `--admin` is no address.
    pub(super) fn remote(&self, config: &Path) -> Result<Option<Remote>, CliError> {
        let Some(_) = &self.admin else { return Ok(None) };
        let (process, environment) = (self.process(config)?, self.environment.clone());
        Ok(Some(Remote { process, environment }))
    }

    /// The process that serves a configuration, whose files may be wrong by now; the main file may not even be TOML any
    /// more. `None` where none answers.
    pub(super) fn serving(&self, config: &Path) -> Option<Process> {
        let loader = Loader::new(config);
        let settings = loader.settings().map(|settings| settings.admin).ok();
        let settings = settings.or_else(|| loader.guess_admin())?;
        site::running(loader.path(), &settings, self).ok().flatten()
    }
}

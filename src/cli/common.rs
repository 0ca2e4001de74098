//! Arguments that all commands about a service or a running process share.

use std::path::Path;

use super::process::Process;
use super::{CliError, complete};
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
    #[arg(long, value_name = "URL")]
    pub(super) admin: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl Common {
    /// The process at `--admin`, or else at the main file's admin address. The process need not run.
    ///
    /// # Errors
    ///
    /// Where neither gives an address.
    pub(super) fn process(&self, config: &Path) -> Result<Process, CliError> {
        let settings = match Loader::new(config).admin() {
            Ok(settings) => settings,
            // With `--admin` no files are needed, unless the process wants a token.
            Err(_) if self.admin.is_some() => AdminSettings::default(),
            Err(report) => return Err(CliError::Config(report)),
        };
        Ok(Process::new(self.admin.as_deref(), &settings)?)
    }
}

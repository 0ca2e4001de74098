//! What a command says where the file of its service is wrong or gone: that nothing was done, and how the service gets
//! back what its file said when it was right last.

use std::path::Path;

use super::CliError;
use super::records::last_good;
use super::select::SelectError;
use super::site::{Site, is_same};
use crate::api::FileText;
use crate::code::{Coded, ErrorCode};
use crate::config::Report;
use crate::source::Rejection;

/// Why a command did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenError {
    #[error("nothing was done: the file of {service}{place} is wrong")]
    Wrong {
        service: String,
        /// ` in …`, if there are several environments.
        place: String,
        report: Report,
        /// The command that puts back its last good text, if that is kept.
        restore: Option<String>,
        /// Whether another environment has a service of this name.
        is_elsewhere: bool,
    },
    /// The main file, and perhaps others, are wrong.
    #[error("nothing was done: the configuration is wrong")]
    Configuration(Report),
    /// Its last good text is kept.
    #[error("nothing was done: the file of {service}, {path}, is gone")]
    Gone {
        service: String,
        path: String,
        /// The command that puts it back.
        restore: String,
    },
}

impl BrokenError {
    /// What a command that was to change something says of a configuration that cannot be loaded.
    pub(super) fn of(error: CliError) -> CliError {
        match error {
            CliError::Config(report) => Self::Configuration(report).into(),
            other => other,
        }
    }

    /// What is wrong in the file.
    pub(super) fn report(&self) -> Option<&Report> {
        match self {
            Self::Wrong { report, .. } | Self::Configuration(report) => Some(report),
            Self::Gone { .. } => None,
        }
    }
}

impl Coded for BrokenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Wrong { report, .. } | Self::Configuration(report) if report.is_transient() => {
                ErrorCode::UnreadableConfiguration
            }
            Self::Wrong { .. } | Self::Configuration(_) => ErrorCode::InvalidConfiguration,
            Self::Gone { .. } => ErrorCode::FileGone,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Wrong { service, restore, is_elsewhere, .. } => {
                let mend = match restore {
                    Some(restore) => {
                        format!("mend it, or put back its last good text by `{restore}`")
                    }
                    None => "mend it as the report says".to_owned(),
                };
                match is_elsewhere {
                    true => format!("{mend}; `--environment NAME` says which {service} is meant"),
                    false => mend,
                }
            }
            Self::Configuration(_) => "mend it as the report says".to_owned(),
            Self::Gone { restore, .. } => {
                format!("`{restore}` puts it back, with its last good text")
            }
        })
    }
}

impl Site {
    /// What is wrong with the file of a service of this name, if it is wrong or gone. A service of the same name in
    /// another environment is another one.
    pub(super) fn broken(&self, environment: Option<&str>, service: &str) -> Option<BrokenError> {
        // That the last good text cannot be had is no reason to hide what is wrong.
        let kept = |environment| self.last_good(environment, service).ok().flatten();
        if let Some(own) = self.wrong(environment, service) {
            let is_kept = kept(Some(own.environment.as_str())).is_some();
            let is_elsewhere = environment.is_none() && self.has(None, service);
            return Some(self.told(own, service, is_kept, is_elsewhere));
        }
        if self.has(environment, service) {
            return None;
        }
        // The file may have another name than the service.
        let FileText { path, environment, .. } = kept(environment)?;
        let mut rejected = self.loaded.rejected.iter();
        let own = rejected.find(|rejection| is_same(&rejection.file, Path::new(&path)));
        match own {
            Some(own) => Some(self.told(own, service, true, false)),
            None if Path::new(&path).symlink_metadata().is_err() => {
                let restore = self.restoring(service, &environment);
                Some(BrokenError::Gone { service: service.to_owned(), path, restore })
            }
            None => None,
        }
    }

    fn told(
        &self,
        Rejection { environment, report, .. }: &Rejection,
        service: &str,
        is_kept: bool,
        is_elsewhere: bool,
    ) -> BrokenError {
        let place = match self.has_several() {
            true => format!(" in {environment}"),
            false => String::new(),
        };
        let restore = is_kept.then(|| self.restoring(service, environment.as_str()));
        let (service, report) = (service.to_owned(), report.clone());
        BrokenError::Wrong { service, place, report, restore, is_elsewhere }
    }

    /// The command that puts back the last good text of a service's file.
    fn restoring(&self, service: &str, environment: &str) -> String {
        let command = format!("watershed rollback {service} --restore-file");
        match self.has_several() {
            true => format!("{command} --environment {environment}"),
            false => command,
        }
    }

    fn has_several(&self) -> bool {
        self.loaded.config.environments.len() > 1
    }

    fn has(&self, environment: Option<&str>, service: &str) -> bool {
        let found = super::select::service(&self.loaded.config, environment, service);
        !matches!(found, Err(SelectError::UnknownService { .. }))
    }

    /// The last good text of a service's file.
    fn last_good(
        &self,
        environment: Option<&str>,
        service: &str,
    ) -> Result<Option<FileText>, CliError> {
        let config = &self.loaded.config;
        let declared: Vec<_> = config.environments.iter().map(|it| it.name.clone()).collect();
        let state = &config.state.directory;
        last_good(self.process.as_ref(), state, &declared, environment, service)
    }
}

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

/// Why a command did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenError {
    #[error("nothing was done: the file of {service} is wrong")]
    Wrong {
        service: String,
        report: Report,
        /// Whether the process or the state directory has its last good text.
        is_kept: bool,
    },
    /// The main file, and perhaps others, are wrong.
    #[error("nothing was done: the configuration is wrong")]
    Configuration(Report),
    /// Its last good text is kept.
    #[error("nothing was done: the file of {service}, {path}, is gone")]
    Gone { service: String, path: String },
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
        let restore = |service| format!("`watershed rollback {service} --restore-file`");
        Some(match self {
            Self::Wrong { service, is_kept: true, .. } => {
                format!("mend it, or put back its last good text by {}", restore(service))
            }
            Self::Wrong { .. } | Self::Configuration(_) => "mend it as the report says".to_owned(),
            Self::Gone { service, .. } => {
                format!("{} puts it back, with its last good text", restore(service))
            }
        })
    }
}

impl Site {
    /// What is wrong with the file of a service of this name, if it is wrong or gone.
    pub(super) fn broken(&self, environment: Option<&str>, service: &str) -> Option<BrokenError> {
        let service = service.to_owned();
        // That the last good text cannot be had is no reason to hide what is wrong.
        let kept = || self.last_good(environment, &service).ok().flatten();
        if let Some(report) = self.report(&service) {
            let is_kept = kept().is_some();
            return Some(BrokenError::Wrong { service, report, is_kept });
        }
        if self.has(environment, &service) {
            return None;
        }
        // The file may have another name than the service.
        let FileText { path, .. } = kept()?;
        let mut rejected = self.loaded.rejected.iter();
        let own = rejected.find(|rejection| is_same(&rejection.file, Path::new(&path)));
        match own {
            Some(own) => {
                let report = own.report.clone();
                Some(BrokenError::Wrong { service, report, is_kept: true })
            }
            None if Path::new(&path).symlink_metadata().is_err() => {
                Some(BrokenError::Gone { service, path })
            }
            None => None,
        }
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
        let state = &self.loaded.config.state.directory;
        last_good(self.process.as_ref(), state, environment, service)
    }
}

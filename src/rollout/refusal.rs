//! Why a rollout does nothing, or does not go on.

use std::path::PathBuf;

use super::rollback::RollbackError;
use super::shares::{Shares, SharesError};
use crate::api::Fault;
use crate::code::{Coded, ErrorCode, Told};
use crate::config::{Percent, Reach, ServiceName, VersionName, suggest};
use crate::policy::Obstacle;

/// Something that is not done. The message says what is wrong, and [`Coded::help`] what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{service} has a version {version} already, and versions do not change")]
    Exists { service: ServiceName, version: VersionName },
    #[error("{service} has no version {version}")]
    NoVersion { service: ServiceName, version: VersionName, help: String },
    #[error("{version} of {service} is not normal yet")]
    Creating { service: ServiceName, version: VersionName },
    #[error("{version} of {service} is in error ({}): {}", .fault.code, .fault.detail)]
    InError { service: ServiceName, version: VersionName, fault: Fault },
    #[error("no target of {version} of {service} is healthy")]
    Unhealthy { service: ServiceName, version: VersionName },
    #[error("{version} of {service} is quarantined: somebody rolled back from it with `--bad`")]
    Quarantined { service: ServiceName, version: VersionName },
    #[error(
        "the reach of {version} of {service} is `{}`, and a share is for everybody",
        .reach.as_str()
    )]
    Closed { service: ServiceName, version: VersionName, reach: Reach },
    #[error(
        "{version} serves {service} and is not in its file any more, so that it cannot be given a \
         share there"
    )]
    NotDeclared { service: ServiceName, version: VersionName },
    #[error("{} was changed by somebody else meanwhile, so that nothing was done", .file.display())]
    Changed { file: PathBuf },
    #[error(
        "the traffic of {service} was set to {written}, and somebody else has set it to {} since",
        .now.as_ref().map_or_else(|| "`latest = true`".to_owned(), Shares::to_string)
    )]
    Overtaken {
        service: ServiceName,
        written: Shares,
        /// None under `latest = true`.
        now: Option<Shares>,
    },
    #[error("{version} of {service} was replaced by somebody else meanwhile")]
    Replaced { service: ServiceName, version: VersionName },
    #[error("{version} of {service} has {share} % of the traffic")]
    HasTraffic { service: ServiceName, version: VersionName, share: Percent },
    #[error("{version} answers the requests that other versions of {service} fail")]
    Rescues { service: ServiceName, version: VersionName, file: PathBuf },
    #[error("{version} is the only version of {service}")]
    OnlyVersion { service: ServiceName, version: VersionName, file: PathBuf },
    #[error("{} is what {other} was made of, with other content", .component.display())]
    OverwritesComponent { component: PathBuf, other: VersionName },
    #[error("{version} of {service} did not become normal within {patience}")]
    TooSlow { service: ServiceName, version: VersionName, patience: String },
    #[error("{service} does not go back{}: {why}", .generation.map(|it| format!(" to generation {it}")).unwrap_or_default())]
    NotBack { service: ServiceName, generation: Option<u64>, why: String },
    #[error(transparent)]
    Shares(#[from] SharesError),
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    /// Something had been done already; `left` says how things stand, and `fault` what is wrong with a version.
    #[error("{why}")]
    HalfDone { why: Told, fault: Option<Box<Fault>>, left: String },
}

impl Coded for Refusal {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Exists { .. } => ErrorCode::VersionExists,
            Self::NoVersion { .. } => ErrorCode::UnknownVersion,
            Self::Creating { .. } => ErrorCode::VersionCreating,
            Self::InError { .. } => ErrorCode::VersionInError,
            Self::Unhealthy { .. } => ErrorCode::VersionUnhealthy,
            Self::Quarantined { .. } => ErrorCode::VersionQuarantined,
            Self::Closed { .. } => ErrorCode::VersionClosed,
            Self::NotDeclared { .. } => ErrorCode::VersionUndeclared,
            Self::Changed { .. } | Self::Overtaken { .. } | Self::Replaced { .. } => {
                ErrorCode::ChangedMeanwhile
            }
            Self::HasTraffic { .. } | Self::Rescues { .. } => ErrorCode::VersionHasTraffic,
            Self::OnlyVersion { .. } => ErrorCode::OnlyVersion,
            Self::OverwritesComponent { .. } => ErrorCode::OverwritesComponent,
            Self::TooSlow { .. } => ErrorCode::VersionTimeout,
            Self::NotBack { .. } => ErrorCode::RollbackFailed,
            Self::Shares(error) => error.code(),
            Self::Rollback(error) => error.code(),
            Self::HalfDone { why, .. } => why.code,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Exists { .. } => "choose another name, or `--replace` it in its place".to_owned(),
            Self::NoVersion { help, .. } => help.clone(),
            Self::Creating { service, .. } => {
                format!("wait until `watershed status {service}` says so")
            }
            Self::InError { fault, .. } => fault.suggestion.clone(),
            Self::Unhealthy { service, .. } => format!(
                "`watershed status {service}` says why; `--force` gives it traffic all the same"
            ),
            Self::Quarantined { .. } => "`--force` gives it traffic all the same, and takes the \
                                         quarantine away"
                .to_owned(),
            Self::Closed { .. } => "set `reach = \"live\"` first".to_owned(),
            Self::NotDeclared { service, .. } => format!(
                "put it back, or give the traffic to another by `watershed promote {service} …`"
            ),
            Self::Changed { .. } => "look at it, and give the command again".to_owned(),
            Self::Overtaken { service, .. } | Self::Replaced { service, .. } => {
                format!("`watershed history {service}` says who; talk to them")
            }
            Self::HasTraffic { service, .. } => {
                format!("give it to others first, by `watershed traffic {service} …`")
            }
            Self::Rescues { file, .. } => format!(
                "name another version in `rescue` of {}, or take that line out",
                file.display()
            ),
            Self::OnlyVersion { file, .. } => {
                format!("remove the service's file {} to end the service", file.display())
            }
            Self::OverwritesComponent { other, .. } => format!(
                "put the new component into a file of its own, so that {other} can be made again"
            ),
            Self::TooSlow { service, .. } => {
                format!("`watershed status {service}` says how it stands")
            }
            Self::NotBack { .. } => return None,
            Self::Shares(error) => return error.help(),
            Self::Rollback(error) => return error.help(),
            Self::HalfDone { why, .. } => return why.help.clone(),
        })
    }
}

impl Refusal {
    /// Why a version takes no traffic.
    pub fn of(service: &ServiceName, version: &VersionName, obstacle: Obstacle) -> Self {
        let (service, version) = (service.clone(), version.clone());
        match obstacle {
            Obstacle::Quarantined(_) => Self::Quarantined { service, version },
            Obstacle::Reach(reach) => Self::Closed { service, version, reach },
            Obstacle::Creating => Self::Creating { service, version },
            Obstacle::Error(fault) => Self::InError { service, version, fault },
        }
    }

    /// That there is no such version, and which there are.
    pub fn no_version<'a>(
        service: &ServiceName,
        version: &VersionName,
        declared: impl Iterator<Item = &'a VersionName>,
    ) -> Self {
        let help = suggest::among(version.as_str(), declared.map(VersionName::as_str).collect());
        Self::NoVersion { service: service.clone(), version: version.clone(), help }
    }
}

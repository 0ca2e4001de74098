//! Why a rollout does nothing, or does not go on.

use std::path::PathBuf;

use super::rollback::RollbackError;
use super::shares::SharesError;
use crate::api::Fault;
use crate::config::{Percent, Reach, ServiceName, VersionName, suggest};
use crate::policy::Obstacle;

/// Something that is not done, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "{service} has a version {version} already, and versions do not change: choose another \
         name, or `--replace` it in its place"
    )]
    Exists { service: ServiceName, version: VersionName },
    #[error("{service} has no version {version}: {help}")]
    NoVersion { service: ServiceName, version: VersionName, help: String },
    #[error(
        "{version} of {service} is not normal yet: wait until `watershed status {service}` says so"
    )]
    Creating { service: ServiceName, version: VersionName },
    #[error(
        "{version} of {service} is in error ({}): {}\n  help: {}",
        .fault.code, .fault.detail, .fault.suggestion
    )]
    InError { service: ServiceName, version: VersionName, fault: Fault },
    #[error(
        "{version} of {service} is quarantined: somebody rolled back from it with `--bad`; \
         `--force` gives it traffic all the same, and takes the quarantine away"
    )]
    Quarantined { service: ServiceName, version: VersionName },
    #[error(
        "the reach of {version} of {service} is `{}`, and a share is for everybody: set \
         `reach = \"live\"` first",
        .reach.as_str()
    )]
    Closed { service: ServiceName, version: VersionName, reach: Reach },
    #[error(
        "{version} serves {service} and is not in its file any more, so that it cannot be given a \
         share there: put it back, or give the traffic to another by `watershed promote {service} …`"
    )]
    NotDeclared { service: ServiceName, version: VersionName },
    #[error(
        "{} was changed by somebody else meanwhile, so that nothing was done: look at it, and give \
         the command again",
        .file.display()
    )]
    Changed { file: PathBuf },
    #[error("{version} of {service} was replaced by somebody else meanwhile")]
    Replaced { service: ServiceName, version: VersionName },
    #[error(
        "{version} of {service} has {share} % of the traffic: give it to others first, by \
         `watershed traffic {service} …`"
    )]
    HasTraffic { service: ServiceName, version: VersionName, share: Percent },
    #[error("{version} is the only version of {service}: remove the service's file {} to end the service", .file.display())]
    OnlyVersion { service: ServiceName, version: VersionName, file: PathBuf },
    #[error(
        "{} is what {other} was made of, with other content: put the new component into a file of \
         its own, so that {other} can be made again",
        .component.display()
    )]
    OverwritesComponent { component: PathBuf, other: VersionName },
    #[error(
        "{version} of {service} did not become normal within {patience}: `watershed status {service}` says how it stands"
    )]
    TooSlow { service: ServiceName, version: VersionName, patience: String },
    #[error("{service} does not go back{}: {why}", .generation.map(|it| format!(" to generation {it}")).unwrap_or_default())]
    NotBack { service: ServiceName, generation: Option<u64>, why: String },
    #[error(transparent)]
    Shares(#[from] SharesError),
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    /// Something had been done already; `left` says how things stand.
    #[error("{why}\n{left}")]
    HalfDone { why: String, left: String },
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

//! Why a command of an upgrade does nothing.

use std::path::PathBuf;

use crate::config::{Reach, Report, ServiceName, VersionName};
use crate::policy::{Fault, Obstacle};

use super::select;

/// Something that is not done, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(
        "{service} has a version {version} already, and versions do not change: choose another \
         name, or `--replace` it in its place"
    )]
    Exists { service: ServiceName, version: VersionName },
    #[error("{service} has no version {version}: {help}")]
    NoVersion { service: ServiceName, version: VersionName, help: String },
    #[error("{service} has no `[traffic.sticky]`: users do not stay with versions")]
    NotSticky { service: ServiceName },
    #[error(
        "users are known by `client-address` here, and {key:?} is none: give `--key` an address such \
         as 10.1.2.3"
    )]
    NotAnAddress { key: String },
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
    #[error(
        "the process at {url} serves {serves}, and not {}: give the `--config` that it serves, or \
         its `--admin URL` if it is the same by another path",
        .main.display()
    )]
    OtherFiles { url: String, serves: String, main: PathBuf },
    #[error(
        "{version} of {service} has {share} % of the traffic: give it to others first, by \
         `watershed traffic {service} …`"
    )]
    HasTraffic { service: ServiceName, version: VersionName, share: String },
    #[error("{version} is the only version of {service}: remove the service's file {} to end the service", .file.display())]
    OnlyVersion { service: ServiceName, version: VersionName, file: PathBuf },
    #[error("there is a service {service} in {environment} already: leave out `--new-service`")]
    ServiceExists { service: ServiceName, environment: String },
    #[error("say by `--environment` where the service is to be: in {0}")]
    WhichEnvironment(String),
    #[error(
        "`services` of {environment} names a file or several directories: write the service's file \
         by hand, or give `services` a glob in one directory, such as \"services/*.toml\""
    )]
    NoPlace { environment: String },
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
    #[error("the process does not take the edit, and goes on as it was:\n\n{0}")]
    Rejected(Report),
    #[error("what is declared is not served: {0}")]
    Held(String),
    #[error("nothing was done, since the answer was not yes")]
    NotConfirmed,
}

impl Refusal {
    /// Why a version takes no traffic.
    pub(super) fn of(service: &ServiceName, version: &VersionName, obstacle: Obstacle) -> Self {
        let (service, version) = (service.clone(), version.clone());
        match obstacle {
            Obstacle::Quarantined(_) => Self::Quarantined { service, version },
            Obstacle::Reach(reach) => Self::Closed { service, version, reach },
            Obstacle::Creating => Self::Creating { service, version },
            Obstacle::Error(fault) => Self::InError { service, version, fault },
        }
    }

    pub(super) fn no_version(
        service: &ServiceName,
        version: &VersionName,
        declared: Vec<VersionName>,
    ) -> Self {
        let declared: Vec<&str> = declared.iter().map(VersionName::as_str).collect();
        let help = select::help(version.as_str(), declared);
        Self::NoVersion { service: service.clone(), version: version.clone(), help }
    }
}

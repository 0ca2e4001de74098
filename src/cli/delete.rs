//! `watershed delete`: versions that are not needed any more.

use std::path::Path;
use std::process::ExitCode;

use super::common::Common;
use super::outcome::{Outcome, Report};
use super::refusal::Refusal;
use super::target::{Note, Target};
use super::{CliError, complete};
use crate::config::{Percent, ServiceName, Traffic, VersionName};

const EXAMPLES: &str = "\
Examples:
  watershed delete greeter v1        one version, which has no traffic
  watershed delete greeter --keep 3  all but the three newest; never one that has traffic

The file loses its entry; the component's file stays.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// The version.
    #[arg(add = complete::versions(), required_unless_present = "keep", conflicts_with = "keep")]
    version: Option<VersionName>,
    /// Delete the oldest versions without traffic until so many versions are left; those with traffic
    /// always are.
    #[arg(long, value_name = "N")]
    keep: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn delete(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, version, keep, common } = arguments;
    let mut target = Target::find(path, common, service.as_str())?;
    if target.service.traffic == Traffic::Latest {
        target.prove()?;
    }
    let before = target.shares();
    let (doomed, words) = match (version, keep) {
        (Some(version), _) => (vec![deletable(&target, version)?], version.to_string()),
        (None, keep) => {
            let keep = keep.map_or(usize::MAX, std::num::NonZeroUsize::get);
            (surplus(&target, keep), format!("--keep {keep}"))
        }
    };
    let mut generation = None;
    if !doomed.is_empty() {
        let command = format!("watershed delete {service} {words}");
        let edited = target.edit(Note { command, ..Note::default() }, |file, _| {
            for version in &doomed {
                file.remove_version(version);
            }
        })?;
        generation = edited.generation;
    }
    Report::new(&target, Outcome::Deleted(&doomed), &before, generation, common.json).print()
}

/// What a version gets: as it is served, as it is declared, and as the next start would serve it,
/// whichever is most.
fn share(target: &Target, version: &VersionName) -> Percent {
    let all = [target.shares(), target.declared(), target.at_start()];
    all.iter().map(|shares| shares.of(version)).max().unwrap_or_default()
}

fn deletable(target: &Target, version: &VersionName) -> Result<VersionName, CliError> {
    let (service, name) = (target.service.name.clone(), version.clone());
    if target.version(version).is_none() {
        return Err(target.unknown(version));
    }
    if target.names().count() == 1 {
        let file = target.service.file.clone();
        return Err(Refusal::OnlyVersion { service, version: name, file }.into());
    }
    match share(target, version) {
        Percent::ZERO => Ok(name),
        share => {
            let share = share.to_string();
            Err(Refusal::HasTraffic { service, version: name, share }.into())
        }
    }
}

/// The oldest versions without traffic, so many that `keep` are left.
fn surplus(target: &Target, keep: usize) -> Vec<VersionName> {
    let total = target.names().count();
    let idle = target.names().filter(|version| share(target, version) == Percent::ZERO);
    idle.take(total.saturating_sub(keep)).cloned().collect()
}

//! `watershed traffic` and `watershed promote`: who gets what, set by hand.

use std::path::Path;
use std::process::ExitCode;

use super::arguments::share;
use super::common::Common;
use super::outcome::{Outcome, Report};
use super::target::{Note, Target};
use super::{CliError, complete};
use crate::config::{Percent, Quarantined, ServiceName, VersionName};
use crate::rollout::Shares;

const EXAMPLES: &str = "\
Examples:
  watershed traffic greeter v1=90 v2=10     a gray upgrade: one request in ten goes to v2
  watershed traffic greeter v1=99.5 v2=0.5  two decimals at most
  watershed traffic greeter --offline       nobody gets anything; the service answers 503
  watershed promote greeter v2              v2 gets 100 %

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// A version and its percentage; together they are 100. Versions that are not named get 0.
    #[arg(value_name = "VERSION=PERCENT", value_parser = share, add = complete::shares())]
    #[arg(required_unless_present = "offline")]
    shares: Vec<(VersionName, Percent)>,
    /// Take the service offline: every version gets 0.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    how: How,
}

const PROMOTE: &str = "\
Examples:
  watershed promote greeter v2
  watershed promote greeter v2 --remark \"holds since Monday\"

The file gets a split with 100 % for the version and 0 for the others; `watershed rollback` goes back.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = PROMOTE)]
pub(super) struct PromoteArguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// The version that gets 100 %.
    #[arg(add = complete::versions())]
    version: VersionName,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// Give traffic to a quarantined version, and take its quarantine away.
    #[arg(long)]
    force: bool,
    /// A note for people, in the history.
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn traffic(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, shares, offline, how } = arguments;
    let is_off = shares.iter().all(|(_, share)| *share == Percent::ZERO);
    let wanted = match offline {
        true if is_off => Shares::offline(),
        true => return Err(CliError::OfflineShares),
        false => Shares::new(shares.clone())?,
    };
    let mut target = Target::find(path, &how.common, service.as_str())?;
    if let Some((unknown, _)) = shares.iter().find(|(name, _)| target.version(name).is_none()) {
        return Err(target.unknown(unknown));
    }
    let words: Vec<_> = wanted.takers().map(|(name, share)| format!("{name}={share}")).collect();
    let words = if *offline { "--offline".to_owned() } else { words.join(" ") };
    set(&mut target, &wanted, how, format!("watershed traffic {service} {words}"))
}

pub(super) fn promote(path: &Path, arguments: &PromoteArguments) -> Result<ExitCode, CliError> {
    let PromoteArguments { service, version, how } = arguments;
    let mut target = Target::find(path, &how.common, service.as_str())?;
    let wanted = Shares::all(version.clone());
    set(&mut target, &wanted, how, format!("watershed promote {service} {version}"))
}

fn set(
    target: &mut Target,
    wanted: &Shares,
    how: &How,
    command: String,
) -> Result<ExitCode, CliError> {
    let before = target.shares();
    for (version, _) in wanted.takers() {
        target.may_take(version, how.force)?;
    }
    let released = released(target, wanted);
    let note = Note { command, remark: how.remark.clone(), restores: None };
    let edited = target.edit(note, |file, service| {
        file.set_split(&wanted.over(service.versions.iter().map(|spec| &spec.name)));
        for entry in &released {
            file.release(entry);
        }
    })?;
    Report::new(target, Outcome::Traffic, &before, edited.generation, how.common.json).print()
}

/// The quarantines of those that get traffic all the same.
fn released(target: &Target, wanted: &Shares) -> Vec<Quarantined> {
    let entries = wanted.takers().filter_map(|(version, _)| target.quarantine(version));
    entries.collect()
}

//! `watershed traffic` and `watershed promote`: set the shares by hand.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use clap::ArgGroup;

use super::arguments::share;
use super::common::Common;
use super::consent::{Consent, Intent};
use super::summary::{Action, Summary};
use super::target::Target;
use super::{CliError, complete};
use crate::config::{Percent, ServiceName, VersionName};
use crate::rollout::{Note, Refusal, Shares, plan_traffic};

const EXAMPLES: &str = "\
Examples:
  watershed traffic greeter v1=90 v2=10     a gray upgrade: v2 gets one in ten
  watershed traffic greeter v1=99.5 v2=0.5  two decimals at most
  watershed traffic greeter --offline       nothing for any: it answers 503
  watershed promote greeter v2              v2 gets 100 %

What takes traffic from a version asks first, and without a terminal it refuses unless `--yes`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(
    override_usage = "watershed traffic [OPTIONS] <SERVICE> <VERSION=PERCENT... | --offline>"
)]
#[command(group = ArgGroup::new("who").required(true).multiple(true).args(["shares", "offline"]))]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// A version and its percentage; together they are 100. Versions that are not named get 0.
    #[arg(value_name = "VERSION=PERCENT", value_parser = share, add = complete::shares())]
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
Where that takes traffic from others, it asks first, and without a terminal it refuses unless `--yes`.";

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
    /// Give traffic to a version that is quarantined, and remove its quarantine entry; or to one without a healthy
    /// target.
    #[arg(long)]
    force: bool,
    /// A note for people, in the history.
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    common: Common,
}

pub(super) fn traffic(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, shares, offline, how } = arguments;
    let is_off = shares.iter().all(|(_, share)| *share == Percent::ZERO);
    let wanted = match offline {
        true if is_off => Shares::served(shares.clone()),
        true => return Err(CliError::OfflineShares),
        false => Shares::new(shares.clone()).map_err(Refusal::from)?,
    };
    let words: Vec<_> = wanted.takers().map(|(name, share)| format!("{name}={share}")).collect();
    let words = if *offline { "--offline".to_owned() } else { words.join(" ") };
    set(path, service, &wanted, how, format!("watershed traffic {service} {words}"))
}

pub(super) fn promote(path: &Path, arguments: &PromoteArguments) -> Result<ExitCode, CliError> {
    let PromoteArguments { service, version, how } = arguments;
    let command = format!("watershed promote {service} {version}");
    set(path, service, &Shares::all(version.clone()), how, command)
}

fn set(
    path: &Path,
    service: &ServiceName,
    wanted: &Shares,
    how: &How,
    command: String,
) -> Result<ExitCode, CliError> {
    let How { force, remark, consent, common } = how;
    let mut target = Target::find(path, common, service.as_str())?;
    let change = plan_traffic(&mut target, wanted, *force)?;
    let question = format!("Change the traffic of {service}");
    let (edit, json) = (&change.edit, common.json);
    let intent = Intent { edit, command: &command, question: &question, json };
    if let ControlFlow::Break(code) = consent.settle(&mut target, &intent)? {
        return Ok(code);
    }
    let note = Note { command, remark: remark.clone(), restores: None };
    let done = change.carry_out(&mut target, note)?;
    Summary::new(&target, Action::Traffic, &done, common.json).print()
}

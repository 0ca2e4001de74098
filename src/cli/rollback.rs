//! `watershed rollback`: goes back to what served before.

mod restore_file;
#[cfg(test)]
mod tests;
pub(super) mod text;

pub(super) use restore_file::Preview as RestoreFilePreview;
pub use restore_file::RestoreFileError;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::common::Common;
use super::consent::{Consent, ask};
use super::deploy::patience;
use super::plan::Beside;
use super::summary::{Action, Summary};
use super::target::Target;
use super::{CliError, complete};
use crate::config::{ServiceName, VersionName};
use crate::delivery::way;
use crate::history::ROLLBACK;
use crate::rollout::{
    self, Aim, Done, Edit, Note, Refusal, Request, RollbackError, RolledBack, Shares,
};

const EXAMPLES: &str = "\
Examples:
  watershed rollback greeter                 to what was served before this
  watershed rollback greeter --to 41         to what generation 41 served
  watershed rollback greeter --to v1         all to v1, as it is
  watershed rollback greeter --traffic-only  the shares alone
  watershed rollback greeter --bad --yes     and never again to what it leaves
  watershed rollback greeter --restore-file  its file's last good text

`watershed history` shows the generations.

Going back twice goes two steps back. What somebody rolled back from is passed over, unless `--to` names
it or it was served again on purpose. With the shares come back the components, environments and
limits of the versions that served, and the rules, stickiness and overrides; where nothing but shares
differs, nothing is made anew. A secret that is another one now, and a component whose bytes are gone,
cannot come back: that is refused. Domains, routes, the quarantine and an override's secret stay as
they are, and no version's `reach` is widened.

A rollback asks first, and without a terminal it refuses unless `--yes`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// What to go back to [default: what was served before].
    #[arg(long, value_name = "GENERATION|VERSION", add = complete::aims())]
    to: Option<String>,
    /// Take back the shares alone, and say what still differs from the generation.
    #[arg(long)]
    traffic_only: bool,
    /// Quarantine every version that loses all of its traffic or is replaced. Its component, or its component with this
    /// environment, gets no traffic again under any name without `--force`.
    #[arg(long)]
    bad: bool,
    /// Put back what the service's file said when it was right last, where it is broken or gone. What it says meanwhile is
    /// kept in a hidden file beside it.
    #[arg(long, conflicts_with_all = ["to", "traffic_only", "bad"])]
    restore_file: bool,
    /// How long to wait for the versions that are made anew to become normal, such as 30s.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = patience)]
    timeout: Duration,
    /// A note for people, in the history.
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    common: Common,
}

pub(super) fn rollback(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    if arguments.restore_file {
        return restore_file::restore_file(path, arguments);
    }
    let Arguments { service, to, bad, traffic_only, timeout, common, .. } = arguments;
    let mut target = Target::find(path, common, service.as_str())?;
    let request = Request {
        aim: aim(&target, to.as_deref())?,
        bad: *bad,
        traffic_only: *traffic_only,
        patience: *timeout,
        note: note(arguments),
    };
    let plan = match rollout::plan(&target, &request) {
        Err(CliError::Refused(refusal)) => match *refusal {
            // Whoever calls something bad wants that kept away, which is not so by having nothing to do.
            Refusal::Rollback(RollbackError::Same(shares)) if !request.bad => {
                return nothing_to_do(arguments, &mut target, &request.note.command, &shares);
            }
            refusal => return Err(refusal.into()),
        },
        plan => plan?,
    };
    if let ControlFlow::Break(code) = settle(arguments, &mut target, &request, &plan)? {
        return Ok(code);
    }
    let rolled_back = rollout::carry_out(&mut target, &request, plan)?;
    let RolledBack { before, restores, generation, is_change, back, quarantined } = &rolled_back;
    let done = Done { before: before.clone(), generation: *generation, is_change: *is_change };
    let action = Action::RolledBack { generation: *restores, quarantined, back };
    Summary::new(&target, action, &done, common.json).print()
}

/// What is asked for is what is served, and what the file says: a command that is given twice succeeds twice.
fn nothing_to_do(
    Arguments { consent, common, .. }: &Arguments,
    target: &mut Target,
    command: &str,
    shares: &Shares,
) -> Result<ExitCode, CliError> {
    if consent.is_dry_run() {
        return target.preview(&Edit::default(), command)?.print(common.json);
    }
    let done = Done { before: shares.clone(), generation: None, is_change: false };
    Summary::new(target, Action::AlreadyServed(shares), &done, common.json).print()
}

/// Shows the plan and asks about it. A rollback takes traffic away, whatever it goes back to.
fn settle(
    arguments: &Arguments,
    target: &mut Target,
    request: &Request,
    plan: &rollout::Plan,
) -> Result<ControlFlow<ExitCode>, CliError> {
    let Arguments { service, consent, common, .. } = arguments;
    if consent.is_given() {
        return Ok(ControlFlow::Continue(()));
    }
    let preview = target.preview(plan.edit(), &request.note.command)?;
    let preview = target.beside_others(preview)?;
    if consent.is_dry_run() {
        if !common.json {
            write!(anstream::stdout(), "{}", text::plan(plan)?)?;
        }
        let beside = Beside { way: Some(way(plan)), ..Beside::default() };
        return Ok(ControlFlow::Break(preview.print_beside(beside, common.json)?));
    }
    let shown = format!("{}\n{}", text::plan(plan)?, preview.text());
    ask(&shown, &format!("Roll {service} back"), common.json)?;
    Ok(ControlFlow::Continue(()))
}

fn note(arguments: &Arguments) -> Note {
    let Arguments { service, to, bad, traffic_only, remark, .. } = arguments;
    let to = to.as_ref().map(|to| format!(" --to {to}")).unwrap_or_default();
    let traffic_only = if *traffic_only { " --traffic-only" } else { "" };
    let bad = if *bad { " --bad" } else { "" };
    Note {
        command: format!("{ROLLBACK}{service}{to}{traffic_only}{bad}"),
        remark: remark.clone(),
        restores: None,
    }
}

/// A declared version may have a number as its name; the version takes precedence.
fn aim(target: &Target, to: Option<&str>) -> Result<Aim, CliError> {
    let Some(to) = to else { return Ok(Aim::Previous) };
    let (view, version) = (target.view(), VersionName::new(to).ok());
    let declared = version.as_ref().is_some_and(|version| view.version(version).is_some());
    match (version, to.parse()) {
        (Some(version), _) if declared => Ok(Aim::Version(version)),
        (_, Ok(generation)) => Ok(Aim::Generation(generation)),
        (Some(version), Err(_)) => Err(view.unknown(&version).into()),
        (None, Err(_)) => Err(CliError::NotATarget(to.to_owned())),
    }
}

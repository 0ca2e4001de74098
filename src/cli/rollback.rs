//! `watershed rollback`: back to what served before.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use super::common::Common;
use super::outcome::{self, Outcome, Report};
use super::refusal::Refusal;
use super::target::{Note, Target};
use super::{CliError, complete};
use crate::config::{Percent, Quarantined, ServiceName, VersionName};
use crate::upgrade::{Rollback, Shares, Target as Aim, rollback as decide};

const EXAMPLES: &str = "\
Examples:
  watershed rollback greeter                to the split before this one
  watershed rollback greeter --to 41        to what generation 41 served (see `watershed history`)
  watershed rollback greeter --to v1        all to v1
  watershed rollback greeter --bad --yes    and never again to what loses its traffic by it

Going back twice goes two steps back. Nothing is compiled: only versions that are normal are gone
back to.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// What to go back to [default: the split before the one that is served].
    #[arg(long, value_name = "GENERATION|VERSION", add = complete::versions())]
    to: Option<String>,
    /// Quarantine the versions that lose all of their traffic, by the digest of their component:
    /// under no name do they get traffic again without `--force`.
    #[arg(long)]
    bad: bool,
    /// Do not ask. Where there is no terminal, nobody is asked.
    #[arg(long, short)]
    yes: bool,
    /// A note for people, in the history.
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn rollback(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, to, bad, yes, remark, common } = arguments;
    let mut target = Target::find(path, common, service.as_str())?;
    let before = target.shares();
    let aim = aim(&target, to.as_deref())?;
    let records = target.whole_history()?;
    let found = decide(service.as_str(), &aim, &before, &records, &target, *bad)?;
    let losers: Vec<_> = found.losers(&before).filter(|_| *bad).cloned().collect();
    let entries = quarantine(&target, &losers, &found.to);
    if !*yes && !common.json && std::io::stdin().is_terminal() {
        confirm(&target, &before, &found, &losers)?;
    }
    let bad = if *bad { " --bad" } else { "" };
    let to = to.as_ref().map(|to| format!(" --to {to}")).unwrap_or_default();
    let note = Note {
        command: format!("watershed rollback {service}{to}{bad}"),
        remark: remark.clone(),
        restores: found.generation,
    };
    let edited = target.edit(note, |file, service| {
        file.set_split(&found.to.over(service.versions.iter().map(|spec| &spec.name)));
        for entry in &entries {
            file.quarantine(entry);
        }
    })?;
    let outcome = Outcome::RolledBack { generation: found.generation, quarantined: &losers };
    Report::new(&target, outcome, &before, edited.generation, common.json).print()
}

/// A declared version may be called like a number; it goes first.
fn aim(target: &Target, to: Option<&str>) -> Result<Aim, CliError> {
    let Some(to) = to else { return Ok(Aim::Previous) };
    let version = VersionName::new(to).ok();
    let declared = version.as_ref().is_some_and(|version| target.version(version).is_some());
    match (version, to.parse()) {
        (Some(version), _) if declared => Ok(Aim::Version(version)),
        (_, Ok(generation)) => Ok(Aim::Generation(generation)),
        (Some(version), Err(_)) => Err(target.unknown(&version)),
        (None, Err(_)) => Err(CliError::NotATarget(to.to_owned())),
    }
}

/// What is written of the versions that are bad. Where a version that goes on serving is made of the
/// same component, it is not the component that is bad, but what it was given: its environment.
fn quarantine(target: &Target, losers: &[VersionName], to: &Shares) -> Vec<Quarantined> {
    let serving: Vec<_> = to.takers().filter_map(|(name, _)| target.digest(name)).collect();
    let entry = |version: &VersionName| {
        let (spec, digest) = (target.version(version)?, target.digest(version)?);
        let env = serving.contains(&digest).then(|| spec.env_digest());
        Some(Quarantined { digest, env, version: version.clone(), remark: None })
    };
    losers.iter().filter_map(entry).collect()
}

/// Says what would be done, and asks.
fn confirm(
    target: &Target,
    before: &Shares,
    found: &Rollback,
    losers: &[VersionName],
) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    match found.generation {
        Some(generation) => writeln!(out, "back to what generation {generation} served:")?,
        None => writeln!(out, "back to:")?,
    }
    for passed in &found.passed {
        let (generation, shares, why) = (passed.generation, &passed.shares, &passed.why);
        writeln!(out, "  not to generation {generation}, which served {shares}: {why}")?;
    }
    let change =
        |name| -> (&VersionName, Percent, Percent) { (name, before.of(name), found.to.of(name)) };
    let changes: Vec<_> = target.names().map(change).collect();
    outcome::shares(&mut out, target.service.name.as_str(), &changes)?;
    for version in losers {
        writeln!(out, "{version} would be quarantined")?;
    }
    write!(out, "Roll back? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Refusal::NotConfirmed.into()),
    }
}

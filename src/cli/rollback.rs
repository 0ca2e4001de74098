//! `watershed rollback`: back to what served before.

mod back;
mod ground;
#[cfg(test)]
mod tests;
mod text;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::common::Common;
use super::deploy::patience;
use super::outcome::{Outcome, Report};
use super::refusal::Refusal;
use super::target::{Edited, Note, Target};
use super::{CliError, complete};
use crate::api::HistoryDocument;
use crate::config::{Quarantined, ServiceName, VersionName, show_duration};
use crate::history::{Parts, Record};
use crate::policy::Standing;
use crate::rollout::{
    Ground, Question, Restoration, Rollback, Shares, State, Target as Aim, rollback as decide,
};
pub(super) use back::Back;
use ground::Site;

const EXAMPLES: &str = "\
Examples:
  watershed rollback greeter                to what was served before this
  watershed rollback greeter --to 41        to what generation 41 served (see `watershed history`)
  watershed rollback greeter --to v1        all to v1, as it is
  watershed rollback greeter --traffic-only the shares alone
  watershed rollback greeter --bad --yes    and never again to what loses its traffic by it

Going back twice goes two steps back. With the shares come back the components, environments and
limits of the versions that served, and the rules, stickiness and overrides; where nothing but shares
differs, nothing is made anew. A secret that is another one now, and a component whose bytes are gone,
cannot come back: that is refused. Domains, routes, the quarantine and an override's secret stay as
they are, and no version's `reach` is widened.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// What to go back to [default: what was served before what is served].
    #[arg(long, value_name = "GENERATION|VERSION", add = complete::versions())]
    to: Option<String>,
    /// Take back the shares alone, and say what then still differs from the generation.
    #[arg(long)]
    traffic_only: bool,
    /// Quarantine what loses all of its traffic, or is replaced: that component, or that environment
    /// of it, gets no traffic again under any name without `--force`.
    #[arg(long)]
    bad: bool,
    /// Do not ask. Where there is no terminal, nobody is asked.
    #[arg(long, short)]
    yes: bool,
    /// How long to wait for the versions that are made anew to become normal.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = patience)]
    timeout: Duration,
    /// A note for people, in the history.
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn rollback(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, to, bad, yes, common, .. } = arguments;
    let mut target = Target::find(path, common, service.as_str())?;
    let aim = aim(&target, to.as_deref())?;
    let HistoryDocument { records, parts } = target.whole_history()?;
    let plan = plan(&target, arguments, &aim, &records, &parts)?;
    let Plan { found, before, .. } = &plan;
    let held = target.served().and_then(|served| served.held.as_deref());
    let mut back = Back::of(found, arguments.traffic_only, held);
    if plan.moves && had_latest(found, &records, &parts) {
        back.notes.push(LATEST.to_owned());
    }
    let losers = if *bad { found.losers(before) } else { Vec::new() };
    if !*yes && !common.json && std::io::stdin().is_terminal() {
        text::confirm(&target, before, found, &back, &losers)?;
    }
    carry_out(&mut target, arguments, &plan, back, &losers, (&records, &parts))
}

const LATEST: &str = "`latest = true` does not come back: a split serves the same, and a later version \
                      gets nothing by itself";

/// Whether a generation gave everything to the latest version.
fn had_latest(found: &Rollback, records: &[Record], parts: &Parts) -> bool {
    let record = records.iter().find(|record| Some(record.generation) == found.generation);
    let contents = record.and_then(|record| record.contents(parts));
    contents.is_some_and(|contents| {
        contents.policy.get("latest").and_then(toml::Value::as_bool) == Some(true)
    })
}

/// What is to be done.
struct Plan {
    found: Rollback,
    before: Shares,
    /// Whether the file's shares change.
    moves: bool,
    /// What keeps the losers from traffic.
    quarantine: Vec<Quarantined>,
}

fn plan(
    target: &Target,
    arguments: &Arguments,
    aim: &Aim,
    records: &[Record],
    parts: &Parts,
) -> Result<Plan, CliError> {
    let site = Site::new(target, records.first(), parts);
    let (declared, shares) = (site.declared(), target.declared());
    let now = site.now(&declared);
    let found = decide(&Question {
        service: arguments.service.as_str(),
        target: aim,
        now: &now,
        declared: &shares,
        records,
        parts,
        ground: &site,
        bad: arguments.bad,
        traffic_only: arguments.traffic_only,
    })?;
    let back = found.restoration().filter(|_| !arguments.traffic_only);
    // The last version that is declared gets everything under `latest = true`.
    let moves = !found.to.is_same(&shares) || back.is_some_and(|it| it.declared().next().is_some());
    let losers = if arguments.bad { found.losers(&now.shares) } else { Vec::new() };
    let quarantine = quarantine(&site, &losers, &found.to, back);
    Ok(Plan { before: now.shares, moves, quarantine, found })
}

fn carry_out(
    target: &mut Target,
    arguments: &Arguments,
    plan: &Plan,
    mut back: Back,
    losers: &[VersionName],
    recorded: (&[Record], &Parts),
) -> Result<ExitCode, CliError> {
    let Plan { found, before, moves, quarantine } = plan;
    let rest = found.restoration().filter(|_| !arguments.traffic_only);
    let edited = target.edit(note(arguments, found.generation), |file, service| {
        if let Some(rest) = rest {
            rest.apply(file);
        }
        if *moves {
            let names = service.versions.iter().map(|spec| &spec.name);
            let again = rest.into_iter().flat_map(Restoration::declared);
            file.set_split(&found.to.over(names.chain(again)));
        }
        for entry in quarantine {
            file.quarantine(entry);
        }
    })?;
    let mut generation = edited.generation;
    if let Some(rest) = rest
        && let Err(why) = settle(target, arguments, rest)
    {
        return Err(put_back(target, arguments, edited, found.generation, why));
    }
    target.look()?;
    if let Some(newest) = look_again(target, arguments, found, &mut back, recorded) {
        generation = generation.map(|edit| edit.max(newest));
    }
    if !back.lost.is_empty() {
        let why = back.lost.join("; ");
        return Err(put_back(target, arguments, edited, found.generation, why));
    }
    let outcome = Outcome::RolledBack { generation: found.generation, quarantined: losers, back };
    let common = &arguments.common;
    Report::new(target, outcome, before, generation, common.json).print()
}

/// Waits until every version that is made anew is normal, or says why it is not.
fn settle(target: &mut Target, arguments: &Arguments, rest: &Restoration) -> Result<(), String> {
    for version in rest.remade() {
        let standing = match target.process {
            Some(_) => target.wait(version, arguments.timeout),
            None => target.try_out(version),
        };
        match standing.map_err(|error| error.to_string())? {
            Standing::Normal { .. } => {}
            Standing::Error(fault) => {
                return Err(format!("{version} is in error ({}): {}", fault.code, fault.detail));
            }
            Standing::Creating => {
                let patience = show_duration(arguments.timeout);
                return Err(format!("{version} did not become normal within {patience}"));
            }
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    target.look().map_err(|error| error.to_string())?;
    match target.served().and_then(|served| served.held.clone()) {
        Some(held) => Err(format!("what was written is not served: {held}")),
        None => Ok(()),
    }
}

/// Compares what is served now with what was to come back, where a process has recorded it, or else
/// what the file declares. Returns the generation of that record.
fn look_again(
    target: &Target,
    arguments: &Arguments,
    found: &Rollback,
    back: &mut Back,
    (records, parts): (&[Record], &Parts),
) -> Option<u64> {
    let generation = found.generation.filter(|_| !arguments.traffic_only)?;
    let then = records.iter().find(|record| record.generation == generation);
    let contents = then.and_then(|then| then.contents(parts))?;
    let HistoryDocument { records: newest, parts: now } = match target.history(1, true) {
        Ok(document) => document,
        Err(error) => {
            back.unknown.push(format!("what is served now: {error}"));
            return None;
        }
    };
    let site = Site::new(target, newest.first(), &now);
    let declared = site.declared();
    let served = site.now(&declared);
    if target.process.is_some() && served.contents.is_none() {
        back.unknown.push("what is served now is not recorded".to_owned());
        return None;
    }
    match Restoration::of(&contents, &found.to, &site) {
        Ok(rest) => back.differs.extend(rest.lines()),
        Err(lost) => back.lost = lost.reasons,
    }
    let then = State { shares: found.to.clone(), contents: Some(contents) };
    if back.differs.is_empty() && back.lost.is_empty() && !served.is_like(&then) {
        back.differs.push(format!("{} is served", served.shares));
    }
    if target.process.is_some() {
        // The process has looked the secrets up, and recorded what they are.
        back.unknown.clear();
    }
    newest.first().map(|record| record.generation)
}

/// Puts back what the file said, and says why.
fn put_back(
    target: &mut Target,
    arguments: &Arguments,
    edited: Edited,
    generation: Option<u64>,
    why: String,
) -> CliError {
    let mut note = note(arguments, None);
    note.command = format!("{} (put back)", note.command);
    let left = match target.revert(edited, note) {
        Ok(()) => "nothing was changed: the file is again what it was".to_owned(),
        Err(error) => format!("the file could not be put back: {error}"),
    };
    let service = arguments.service.clone();
    let refusal = Box::new(Refusal::NotBack { service, generation, why });
    CliError::Failed { refusal, left }
}

fn note(arguments: &Arguments, restores: Option<u64>) -> Note {
    let Arguments { service, to, bad, traffic_only, remark, .. } = arguments;
    let to = to.as_ref().map(|to| format!(" --to {to}")).unwrap_or_default();
    let traffic_only = if *traffic_only { " --traffic-only" } else { "" };
    let bad = if *bad { " --bad" } else { "" };
    Note {
        command: format!("watershed rollback {service}{to}{traffic_only}{bad}"),
        remark: remark.clone(),
        restores,
    }
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

/// What is written of the versions that are bad, as they are now. Where a version that goes on serving
/// is made of the same component, it is not the component that is bad, but what it was given: its
/// environment.
fn quarantine(
    site: &Site<'_>,
    losers: &[VersionName],
    to: &Shares,
    back: Option<&Restoration>,
) -> Vec<Quarantined> {
    let service = site.service();
    let spec = |name: &VersionName| service.versions.iter().find(|spec| spec.name == *name);
    let serving = to.takers().filter_map(|(name, _)| {
        let other = back.and_then(|back| back.component(name));
        other.or_else(|| site.made_of(spec(name)?))
    });
    let serving: Vec<String> = serving.collect();
    let entry = |name: &VersionName| {
        let spec = spec(name)?;
        let made = site.made_of(spec)?;
        let env = serving.contains(&made).then(|| spec.env_digest());
        Some(Quarantined { digest: made.parse().ok()?, env, version: name.clone(), remark: None })
    };
    losers.iter().filter_map(entry).collect()
}

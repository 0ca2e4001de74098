//! What a rollback says before and after.

use std::io::{BufRead, Write};

use super::super::CliError;
use super::super::outcome;
use super::super::refusal::Refusal;
use super::super::target::Target;
use crate::config::{Percent, VersionName};
use crate::rollout::{Rollback, Shares};

/// Lines below a heading; nothing if there is none.
pub fn listed(out: &mut impl Write, heading: &str, lines: &[String]) -> std::io::Result<()> {
    if !lines.is_empty() {
        writeln!(out, "{heading}")?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
}

/// What was passed over, and why.
pub fn passed(found: &Rollback) -> Vec<String> {
    let passed = found.passed.iter().map(|passed| {
        let (generation, shares, why) = (passed.generation, &passed.shares, &passed.why);
        format!("not to generation {generation}, which served {shares}: {why}")
    });
    passed.collect()
}

/// Says what would be done, and asks.
pub fn confirm(
    target: &Target,
    before: &Shares,
    found: &Rollback,
    back: &super::Back,
    losers: &[VersionName],
) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    match found.generation {
        Some(generation) => writeln!(out, "back to what generation {generation} served:")?,
        None => writeln!(out, "back to:")?,
    }
    back.notes.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    let change =
        |name| -> (&VersionName, Percent, Percent) { (name, before.of(name), found.to.of(name)) };
    let changes: Vec<_> = target.names().map(change).collect();
    outcome::shares(&mut out, target.service.name.as_str(), &changes)?;
    back.tell(&mut out)?;
    for version in losers {
        writeln!(out, "{version} would be quarantined, as it is now")?;
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

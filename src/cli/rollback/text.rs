//! What a rollback prints before and after.

use std::io::{BufRead, Write};

use super::super::CliError;
use super::super::summary::shares;
use super::super::target::Target;
use crate::config::{Percent, VersionName};
use crate::rollout::{Back, Plan};

/// The heading of what `--traffic-only` leaves different.
const LEFT: &str = "nothing else was changed; without `--traffic-only`, this comes back too:";

/// Prints the plan, and asks for confirmation.
pub fn confirm(target: &Target, plan: &Plan) -> Result<(), CliError> {
    let Plan { found, before, back, losers, .. } = plan;
    let mut out = anstream::stdout().lock();
    match found.generation {
        Some(generation) => writeln!(out, "back to what generation {generation} served:")?,
        None => writeln!(out, "back to:")?,
    }
    back.notes.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    let view = target.view();
    let change =
        |name| -> (&VersionName, Percent, Percent) { (name, before.of(name), found.to.of(name)) };
    let changes: Vec<_> = view.names().map(change).collect();
    shares(&mut out, view.service.name.as_str(), &changes)?;
    tell(back, &mut out)?;
    for version in losers {
        writeln!(out, "{version} would be quarantined, as it is now")?;
    }
    write!(out, "Roll back? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::NotConfirmed),
    }
}

/// Prints what comes back with the shares, and what does not.
pub fn tell(back: &Back, out: &mut impl Write) -> std::io::Result<()> {
    let Back { lines, left, differs, unknown, .. } = back;
    listed(out, "with it comes back:", lines)?;
    listed(out, LEFT, left)?;
    listed(out, "these differ from that generation, and stay as they are:", differs)?;
    listed(out, "what is not known:", unknown)
}

/// Lines below a heading; nothing if there is none.
fn listed(out: &mut impl Write, heading: &str, lines: &[String]) -> std::io::Result<()> {
    if !lines.is_empty() {
        writeln!(out, "{heading}")?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
}

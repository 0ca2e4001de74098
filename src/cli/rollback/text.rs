//! What a rollback prints before and after.

use std::io::Write;

use crate::cli::table::harmless_lines;
use crate::rollout::{Back, Plan};

/// The heading of what `--traffic-only` leaves different.
const LEFT: &str = "nothing else was changed; without `--traffic-only`, this comes back too:";

/// The plan as text, without what it does to the shares.
pub fn plan(plan: &Plan) -> std::io::Result<String> {
    let Plan { found, back, losers, .. } = plan;
    let mut out = Vec::new();
    match found.generation {
        Some(generation) => writeln!(out, "back to what generation {generation} served:")?,
        None => writeln!(out, "back to:")?,
    }
    back.asides().iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    tell(back, &mut out)?;
    for version in losers {
        writeln!(
            out,
            "{version} would be quarantined: what it is made of now gets no traffic without `--force`"
        )?;
    }
    Ok(harmless_lines(&String::from_utf8_lossy(&out)))
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

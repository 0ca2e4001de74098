//! What a rollback passes over on its way back, and why.

use std::fmt;

use super::super::shares::Shares;
use crate::api::moment;
use crate::plural::many;

/// How many generations a message names.
const NAMED: usize = 5;

/// A generation that is not gone back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    pub generation: u64,
    pub shares: Shares,
    pub why: Why,
}

/// Why a generation is not gone back to. Shown as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody rolled back from what it served, at this time (milliseconds since 1970), by this
    /// generation.
    Left { at: u64, by: u64 },
    /// It cannot be served any more, for this reason.
    Cannot(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left { at, by } => {
                write!(
                    f,
                    "somebody rolled back from it at {} (generation {by})",
                    moment::short(*at)
                )
            }
            Self::Cannot(why) => f.write_str(why),
        }
    }
}

/// The generations in one sentence.
pub fn list(passed: &[Passed]) -> String {
    let each = |Passed { generation, shares, why }: &Passed| {
        format!("generation {generation} served {shares}, and {why}")
    };
    let mut each: Vec<_> = passed.iter().take(NAMED).map(each).collect();
    each.extend(others(passed));
    each.join("; ")
}

/// A line for each, as it is said before and after.
pub fn lines(passed: &[Passed]) -> Vec<String> {
    let each = |Passed { generation, shares, why }: &Passed| {
        format!("not to generation {generation}, which served {shares}: {why}")
    };
    let mut lines: Vec<_> = passed.iter().take(NAMED).map(each).collect();
    lines.extend(others(passed).map(|others| format!("not to {others}")));
    lines
}

fn others(passed: &[Passed]) -> Option<String> {
    match passed.len().saturating_sub(NAMED) {
        0 => None,
        more => Some(many(more, "older generation")),
    }
}

/// What to do where all are passed over.
pub fn advice(passed: &[Passed]) -> String {
    let was_left = |passed: &Passed| matches!(passed.why, Why::Left { .. });
    let named = "name one that was rolled back from by `--to GENERATION`";
    let mended = "mend one of them, take back the shares alone by `--traffic-only`";
    match (passed.iter().any(was_left), passed.iter().all(was_left)) {
        (true, true) => named.to_owned(),
        (true, false) => format!("{named}, {mended}"),
        (false, _) => mended.to_owned(),
    }
}

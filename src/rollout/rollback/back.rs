//! What comes back with the shares and what does not, a line each, as it is said before and after.

use super::decision::Rollback;
use super::passed::{self, Passed};
use crate::api::RestoredKey;

/// What comes back beside the shares, and what does not.
#[derive(Clone, Debug, Default)]
pub struct Back {
    /// What comes back, a line each.
    pub lines: Vec<String>,
    /// The same as data.
    pub keys: Vec<RestoredKey>,
    /// What would come back too if it were not for the shares alone.
    pub left: Vec<String>,
    /// What differs from the generation in any case.
    pub differs: Vec<String>,
    /// Of what nobody knows whether it is as it was.
    pub unknown: Vec<String>,
    /// What turned out not to come back, once it was served.
    pub lost: Vec<String>,
    /// The generations that were passed over.
    pub passed: Vec<Passed>,
    /// What the file said that nobody was served, and what does not come back by design.
    pub notes: Vec<String>,
}

/// Said where the generation had `latest = true`.
pub const LATEST: &str = "`latest = true` does not come back: a split serves the same, and a later version \
                          gets nothing by itself";

/// What an older watershed has not recorded.
const SHARES_ONLY: &str = "it was recorded by an older watershed: shares only, and not what \
                           environments, limits and rules were";

impl Back {
    /// `held` is why what the file said before was not what was served.
    pub fn of(found: &Rollback, traffic_only: bool, held: Option<&str>) -> Self {
        let mut back = Self { passed: found.passed.clone(), ..Self::default() };
        let note = |why| format!("the file said something else than what was served ({why})");
        back.notes.extend(held.map(note));
        match &found.rest {
            None if found.generation.is_some() => back.unknown.push(SHARES_ONLY.to_owned()),
            None => {}
            Some(Err(lost)) => back.differs.clone_from(&lost.reasons),
            Some(Ok(rest)) => {
                let lines = if traffic_only { &mut back.left } else { &mut back.lines };
                *lines = rest.lines();
                back.keys = if traffic_only { Vec::new() } else { rest.keys() };
                back.differs.extend(rest.kept.iter().cloned());
                back.unknown.clone_from(&rest.unknown);
            }
        }
        back
    }

    /// Whether what is served is what was served then.
    pub fn is_all(&self) -> bool {
        self.left.is_empty() && self.differs.is_empty() && self.unknown.is_empty()
    }

    /// What was passed over, and the notes, a line each.
    pub fn asides(&self) -> Vec<String> {
        let mut lines = passed::lines(&self.passed);
        lines.extend(self.notes.iter().cloned());
        lines
    }
}

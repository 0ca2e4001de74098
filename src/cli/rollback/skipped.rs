//! Which way a rollback goes, and what it passes over, as scripts read it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::{Share, moment};
use crate::config::{Percent, VersionName};
use crate::rollout::{Passed, Plan, Why};

/// Which way a rollback would go.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WayDocument {
    /// The generation that it would go back to; none where it would go back to a version.
    restores: Option<u64>,
    /// Generations that it would pass over.
    skipped: Vec<SkippedDocument>,
    /// Versions that it would quarantine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quarantines: Vec<String>,
}

impl From<&Plan> for WayDocument {
    fn from(Plan { found, back, losers, .. }: &Plan) -> Self {
        Self {
            restores: found.generation,
            skipped: back.passed.iter().map(SkippedDocument::from).collect(),
            quarantines: losers.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A generation that a rollback passed over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkippedDocument {
    generation: u64,
    shares: Vec<Share>,
    /// `rolled-back-from`, or `cannot-serve`.
    reason: &'static str,
    /// When somebody rolled back from it, and the generation of that rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_by: Option<u64>,
    /// Why it cannot be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<&Passed> for SkippedDocument {
    fn from(Passed { generation, shares, why }: &Passed) -> Self {
        let share = |(version, share): (&VersionName, Percent)| Share {
            version: version.to_string(),
            share: f64::from(share.hundredths()) / 100.0,
        };
        let (reason, left, detail) = match why {
            Why::Left { at, by } => ("rolled-back-from", Some((moment::text(*at), *by)), None),
            Why::Cannot(why) => ("cannot-serve", None, Some(why.clone())),
        };
        let (rolled_back_at, rolled_back_by) = left.unzip();
        let shares = shares.takers().map(share).collect();
        Self { generation: *generation, shares, reason, rolled_back_at, rolled_back_by, detail }
    }
}

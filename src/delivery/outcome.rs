//! What was done to a service, as scripts and the console read it.

use crate::api::{
    BackDocument, ChangeDocument, RefusalDocument, Share, ShareDocument, SkippedDocument,
    WayDocument, moment,
};
use crate::config::{Percent, VersionName};
use crate::rollout::{Back, Done, Passed, Plan, Refusal, RollbackError, ServiceView, Shares, Why};

/// The versions of a service, and their shares before and after a change. `view` is of afterwards.
pub fn changes<'a>(
    view: &'a ServiceView,
    before: &'a Shares,
) -> Vec<(&'a VersionName, Percent, Percent)> {
    let after = view.shares();
    let mut names: Vec<&VersionName> = view.names().collect();
    let gone = before.takers().map(|(name, _)| name);
    names.extend(gone.filter(|name| view.version(name).is_none()));
    let change = |name| (name, before.of(name), after.of(name));
    names.into_iter().map(change).collect()
}

/// What a change has done. `word` says what, where it is a change, and `versions` to which. `view` is of
/// afterwards.
pub fn outcome(
    view: &ServiceView,
    word: &str,
    versions: &[VersionName],
    done: &Done,
) -> ChangeDocument {
    let Done { before, generation, is_change } = done;
    let shares = changes(view, before).into_iter().map(|(version, before, after)| ShareDocument {
        version: version.to_string(),
        before: number(before),
        after: number(after),
    });
    ChangeDocument {
        outcome: if *is_change { word } else { "unchanged" }.to_owned(),
        environment: view.environment.to_string(),
        service: view.service.name.to_string(),
        versions: versions.iter().map(ToString::to_string).collect(),
        shares: shares.collect(),
        generation: *generation,
    }
}

/// What is served instead of what the file declares, and `why`.
pub fn instead(view: &ServiceView, why: &str) -> String {
    let (service, shares) = (&view.service.name, view.shares());
    match (shares.is_offline(), view.stand_in()) {
        (true, Some(answers)) => {
            format!("no version of {service} has a share, and {answers}: {why}")
        }
        (true, None) => format!("nothing of {service} is served, and requests get 503: {why}"),
        (false, _) => format!("what is declared is not served, but {shares}: {why}"),
    }
}

/// Which way a rollback would go.
pub fn way(plan: &Plan) -> WayDocument {
    let Plan { found, back, losers, .. } = plan;
    WayDocument {
        restores: found.generation,
        skipped: back.passed.iter().map(SkippedDocument::from).collect(),
        quarantines: losers.iter().map(ToString::to_string).collect(),
    }
}

impl BackDocument {
    /// Of a rollback to a generation, if it went to one. `is_held` says whether something else is served.
    pub fn of(back: &Back, restores: Option<u64>, is_held: bool) -> Self {
        Self {
            restores,
            complete: restores.is_some() && back.is_all() && !is_held,
            restored: back.keys.clone(),
            differs: back.left.iter().chain(&back.differs).cloned().collect(),
            unknown: back.unknown.clone(),
            skipped: back.passed.iter().map(SkippedDocument::from).collect(),
            notes: back.notes.clone(),
        }
    }
}

impl From<&Refusal> for RefusalDocument {
    fn from(refusal: &Refusal) -> Self {
        let nothing = Self::default();
        match refusal {
            Refusal::InError { fault, .. } => Self { fault: Some(fault.clone()), ..nothing },
            Refusal::HalfDone { left, fault, .. } => {
                Self { left: Some(left.clone()), fault: fault.as_deref().cloned(), ..nothing }
            }
            Refusal::Rollback(RollbackError::NothingLeft { passed, .. }) => {
                Self { skipped: passed.iter().map(SkippedDocument::from).collect(), ..nothing }
            }
            _ => nothing,
        }
    }
}

impl From<&Passed> for SkippedDocument {
    fn from(Passed { generation, shares, why }: &Passed) -> Self {
        let share = |(version, share): (&VersionName, Percent)| Share {
            version: version.to_string(),
            share: number(share),
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

fn number(share: Percent) -> f64 {
    f64::from(share.hundredths()) / 100.0
}

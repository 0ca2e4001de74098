//! What each kind of request does.

use std::time::Duration;

use super::error::WriteError;
use super::inside::Inside;
use crate::admin::error::AdminError;
use crate::api::{
    Aimed, BackDocument, ByName, ChangeRequest, DeleteRequest, DoneDocument, How, PromoteRequest,
    ReleaseRequest, RollbackRequest, TrafficRequest, WouldDocument,
};
use crate::config::{LABEL_HELP, Percent, VersionName};
use crate::delivery::{copies_of, sweep, way};
use crate::history;
use crate::rollout::{
    self, Aim, Control as _, Deletion, Done, Edit, Note, Refusal, RollbackError, RolledBack,
    Shares, plan_deletion, plan_release, plan_traffic,
};

/// How long versions that a rollback brings back may take to be made.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a request.
#[derive(Debug)]
pub enum Answer {
    Done(Box<DoneDocument>),
    /// Nothing was done but shown.
    Would(Box<WouldDocument>),
}

impl Answer {
    /// What was done.
    pub fn done(self) -> Option<DoneDocument> {
        match self {
            Self::Done(done) => Some(*done),
            Self::Would(_) => None,
        }
    }
}

/// A request that can be carried out.
pub trait Act: ChangeRequest + Send + 'static {
    /// What to send.
    const HELP: &'static str;

    /// Carries it out, or shows what it would do.
    ///
    /// # Errors
    ///
    /// Why it is not done, or not all of it.
    fn act(self, inside: &mut Inside) -> Result<Answer, WriteError>;
}

impl Act for TrafficRequest {
    const HELP: &'static str = "send a JSON object with `shares`, such as {\"v1\": 90, \"v2\": 10}, \
                                or with `offline`: true";

    fn act(self, inside: &mut Inside) -> Result<Answer, WriteError> {
        let how = self.how();
        let (wanted, words) = match (self.shares, self.offline) {
            (Some(shares), false) => {
                let shares = shares_of(shares)?;
                let takers = shares.takers().map(|(name, share)| format!(" {name}={share}"));
                let words: String = takers.collect();
                (shares, words)
            }
            (None, true) => (Shares::offline(), " --offline".to_owned()),
            _ => return Err(malformed::<Self>("it has neither `shares` nor `offline`, or both")),
        };
        let command = format!("watershed traffic {}{words}", inside.service());
        give(inside, &wanted, how, command)
    }
}

impl Act for PromoteRequest {
    const HELP: &'static str = "send a JSON object with `version`";

    fn act(self, inside: &mut Inside) -> Result<Answer, WriteError> {
        let version = version::<Self>(&self.version)?;
        let command = format!("watershed promote {} {version}", inside.service());
        give(inside, &Shares::all(version), self.how(), command)
    }
}

fn give(
    inside: &mut Inside,
    wanted: &Shares,
    how: How,
    command: String,
) -> Result<Answer, WriteError> {
    let change = plan_traffic(inside, wanted, how.force)?;
    if how.dry_run {
        return inside.would(&change.edit);
    }
    let done = change.carry_out(inside, note(command, how))?;
    inside.done("traffic", &[], &done)
}

impl Act for RollbackRequest {
    const HELP: &'static str = "send a JSON object, which may have `to`, `bad` and `traffic_only`";

    fn act(self, inside: &mut Inside) -> Result<Answer, WriteError> {
        let (how, Self { to, bad, traffic_only, .. }) = (self.how(), self);
        let (aim, words) = aim(inside, to)?;
        let flags = [(traffic_only, " --traffic-only"), (bad, " --bad")];
        let flags: String =
            flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect();
        let command = format!("{}{}{words}{flags}", history::ROLLBACK, inside.service());
        let dry_run = how.dry_run;
        let note = note(command, how);
        let request = rollout::Request { aim, bad, traffic_only, patience: PATIENCE, note };
        let plan = match rollout::plan(inside, &request) {
            Err(WriteError::Refused(refusal)) => match *refusal {
                Refusal::Rollback(RollbackError::Same(shares)) if !bad => {
                    return already_served(inside, shares, dry_run);
                }
                refusal => return Err(refusal.into()),
            },
            plan => plan?,
        };
        if dry_run {
            let way = way(&plan);
            return inside.would_with(plan.edit(), |would| would.way = Some(way));
        }
        let rolled_back = rollout::carry_out(inside, &request, plan)?;
        let RolledBack { before, restores, generation, is_change, back, quarantined } = rolled_back;
        let done = Done { before, generation, is_change };
        let is_held = inside.view().held().is_some();
        let back = BackDocument::of(&back, restores, is_held);
        inside.done_with("rolled-back", &quarantined, &done, |done| done.back = Some(back))
    }
}

/// What is asked for is what is served: a request that is sent twice succeeds twice.
fn already_served(
    inside: &mut Inside,
    before: Shares,
    dry_run: bool,
) -> Result<Answer, WriteError> {
    if dry_run {
        return inside.would(&Edit::default());
    }
    inside.done("unchanged", &[], &Done { before, generation: None, is_change: false })
}

/// A declared version may have a number as its name; the version takes precedence.
fn aim(inside: &Inside, to: Option<Aimed>) -> Result<(Aim, String), WriteError> {
    let name = match to {
        None => return Ok((Aim::Previous, String::new())),
        Some(Aimed::Generation(generation)) => {
            return Ok((Aim::Generation(generation), format!(" --to {generation}")));
        }
        Some(Aimed::Name(name)) => name,
    };
    let (view, words) = (inside.view(), format!(" --to {name}"));
    match (VersionName::new(&name), name.parse()) {
        (Ok(version), _) if view.version(&version).is_some() => Ok((Aim::Version(version), words)),
        (_, Ok(generation)) => Ok((Aim::Generation(generation), words)),
        (Ok(version), Err(_)) => Err(view.unknown(&version).into()),
        (Err(_), Err(_)) => {
            Err(malformed::<RollbackRequest>("`to` is neither a generation nor a version"))
        }
    }
}

impl Act for DeleteRequest {
    const HELP: &'static str = "send a JSON object with `versions`, a list of names";

    fn act(self, inside: &mut Inside) -> Result<Answer, WriteError> {
        let versions: Result<Vec<_>, _> =
            self.versions.iter().map(|name| version::<Self>(name)).collect();
        let versions = versions?;
        if versions.is_empty() {
            return Err(malformed::<Self>("`versions` is empty"));
        }
        let names: String = versions.iter().map(|name| format!(" {name}")).collect();
        let command = format!("watershed delete {}{names}", inside.service());
        let how = self.how();
        let (deleted, change) = plan_deletion(inside, &Deletion::These(versions))?;
        if how.dry_run {
            return inside.would(&change.edit);
        }
        let declared = inside.view().service.clone();
        let done = change.carry_out(inside, note(command, how))?;
        let gone = declared.versions.iter().filter(|spec| deleted.contains(&spec.name));
        let copies = sweep(inside, &copies_of(inside.copies(), gone));
        inside.done_with("deleted", &deleted, &done, |done| done.copies = copies)
    }
}

impl Act for ReleaseRequest {
    const HELP: &'static str = "send a JSON object with `version`";

    fn act(self, inside: &mut Inside) -> Result<Answer, WriteError> {
        let version = version::<Self>(&self.version)?;
        let how = self.how();
        let change = plan_release(inside, &version)?;
        if how.dry_run {
            return inside.would(&change.edit);
        }
        // No command does this alone: `--force` lifts a quarantine together with traffic.
        let command = format!("watershed release {} {version}", inside.service());
        let done = change.carry_out(inside, note(command, how))?;
        inside.done("released", &[version], &done)
    }
}

pub(super) fn note(command: String, how: How) -> Note {
    Note { command, remark: how.remark, restores: None }
}

fn shares_of(ByName(shares): ByName<f64>) -> Result<Shares, WriteError> {
    let share = |(name, share): (String, f64)| {
        let version = version::<TrafficRequest>(&name)?;
        let share = percent::<TrafficRequest>(&version, share)?;
        Ok((version, share))
    };
    let shares: Result<Vec<_>, WriteError> = shares.into_iter().map(share).collect();
    Ok(Shares::new(shares?).map_err(Refusal::from)?)
}

pub(super) fn version<A: Act>(name: &str) -> Result<VersionName, WriteError> {
    VersionName::new(name).map_err(|error| {
        let shown: String = name.chars().take(100).collect();
        malformed::<A>(&format!("`{shown}` is no version: {error}; {LABEL_HELP}"))
    })
}

pub(super) fn percent<A: Act>(version: &VersionName, share: f64) -> Result<Percent, WriteError> {
    Percent::from_f64(share).map_err(|error| {
        malformed::<A>(&format!("{share} for {version} is not a percentage: {error}"))
    })
}

pub(super) fn malformed<A: Act>(reason: &str) -> WriteError {
    AdminError::BodyMalformed { reason: reason.to_owned(), help: A::HELP }.into()
}

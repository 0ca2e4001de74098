//! Back to what served before. [`plan`] decides, and changes nothing: whoever asks for a rollback can
//! be shown what it would do. [`carry_out`] does it, looks at what is served then, and puts the file
//! back where that is not what was served before.

mod back;
mod decision;
mod ground;
mod left;
mod passed;

use std::time::Duration;

use super::control::{Control, Edit, Edited, Note, PutBack, Step, settled};
use super::refusal::Refusal;
use super::restore::{Ground, Restoration};
use super::shares::Shares;
use crate::api::{HistoryDocument, HistoryQuery, Record, Standing};
use crate::code::Coded;
use crate::config::{Quarantined, VersionName, show_duration};
use crate::history::Contents;

pub use back::Back;
pub(super) use decision::shares as recorded_shares;
pub use decision::{Aim, Question, Rollback, RollbackError, State, rollback};
use ground::Now;
pub use passed::{Passed, Why};

/// A rollback that somebody asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub aim: Aim,
    /// Whether what loses its traffic is quarantined.
    pub bad: bool,
    /// Whether nothing but the shares is taken back.
    pub traffic_only: bool,
    /// How long the process may take to make a version.
    pub patience: Duration,
    pub note: Note,
}

/// What a rollback is going to do.
#[derive(Debug)]
pub struct Plan {
    pub found: Rollback,
    /// Who gets what before it.
    pub before: Shares,
    pub back: Back,
    /// The versions that are quarantined.
    pub losers: Vec<VersionName>,
    edit: Edit,
    /// Whether nothing but the shares is taken back.
    traffic_only: bool,
    history: HistoryDocument,
}

/// What a rollback has done.
#[derive(Debug)]
pub struct RolledBack {
    pub before: Shares,
    /// The generation that it went back to; none where a version was asked for.
    pub restores: Option<u64>,
    /// The generation that is served with it; none where no process runs.
    pub generation: Option<u64>,
    /// Whether the file says something else than before.
    pub is_change: bool,
    pub back: Back,
    pub quarantined: Vec<VersionName>,
}

/// Decides what to go back to.
///
/// # Errors
///
/// Where the history cannot be read, or there is nothing to go back to.
pub fn plan<C: Control>(control: &C, request: &Request) -> Result<Plan, C::Error> {
    let history = control.history(HistoryQuery::LIMIT_MAX)?;
    let HistoryDocument { records, parts, .. } = &history;
    let now = Now::new(control, records.first(), parts);
    let (view, declared) = (control.view(), now.declared());
    let (state, shares) = (now.state(&declared), view.declared());
    let question = Question {
        service: view.service.name.as_str(),
        aim: &request.aim,
        now: &state,
        declared: &shares,
        records,
        parts,
        ground: &now,
        bad: request.bad,
        traffic_only: request.traffic_only,
    };
    let found = rollback(&question).map_err(Refusal::from)?;
    let before = state.shares;
    let losers = if request.bad { found.losers(&before) } else { Vec::new() };
    let restoration = found.restoration().filter(|_| !request.traffic_only);
    // The last version that is declared gets everything under `latest = true`.
    let is_declared = restoration.is_some_and(|it| it.declared().next().is_some());
    let moves = !found.to.is_same(&shares) || is_declared;
    let split = moves.then(|| {
        let again = restoration.into_iter().flat_map(Restoration::declared);
        Step::Split(found.to.over(view.names().chain(again)))
    });
    let entries = quarantine(&now, &losers, &found.to, restoration);
    let restore = restoration.cloned().map(Step::Restore).into_iter();
    let steps = restore.chain(split).chain(entries.into_iter().map(Step::Quarantine));
    let edit = Edit(steps.collect());
    let mut back = Back::of(&found, request.traffic_only, view.held());
    if moves && had_latest(&found, &history) {
        back.notes.push(back::LATEST.to_owned());
    }
    let traffic_only = request.traffic_only;
    Ok(Plan { found, before, back, losers, edit, traffic_only, history })
}

impl Plan {
    /// What it does to the service's file.
    pub fn edit(&self) -> &Edit {
        &self.edit
    }

    /// What comes back beside the shares.
    fn restoration(&self) -> Option<&Restoration> {
        self.found.restoration().filter(|_| !self.traffic_only)
    }

    /// All that was served then, if it comes back and is recorded.
    fn then(&self) -> Option<Contents<'_>> {
        let generation = self.found.generation.filter(|_| !self.traffic_only)?;
        contents_of(generation, &self.history)
    }
}

/// Does what was planned.
///
/// # Errors
///
/// Where the file has changed since it was planned: nothing is done then. Where what comes back is not
/// what served before: the file is put back, and the error says so.
pub fn carry_out<C: Control>(
    control: &mut C,
    request: &Request,
    mut plan: Plan,
) -> Result<RolledBack, C::Error> {
    let note = Note { restores: plan.found.generation, ..request.note.clone() };
    let edited = control.edit(&plan.edit, note)?;
    let (mut generation, is_change) = (edited.generation, edited.is_change);
    if let Some(restoration) = plan.restoration()
        && let Err(why) = settle(control, restoration, request.patience)
    {
        return Err(put_back(control, request, edited, plan.found.generation, why));
    }
    if let Err(error) = control.look() {
        let left = "the file is changed; what is served then is not known".to_owned();
        return Err(Refusal::HalfDone { why: error.told(), fault: None, left }.into());
    }
    let mut back = std::mem::take(&mut plan.back);
    if let Some(newest) = look_again(control, &plan, &mut back) {
        generation = generation.map(|edit| edit.max(newest));
    }
    if !back.lost.is_empty() {
        let why = back.lost.join("; ");
        return Err(put_back(control, request, edited, plan.found.generation, why));
    }
    let Plan { found, before, losers: quarantined, .. } = plan;
    Ok(RolledBack { before, restores: found.generation, generation, is_change, back, quarantined })
}

/// Waits until every version that is made anew is normal, or says why it is not.
fn settle<C: Control>(
    control: &mut C,
    restoration: &Restoration,
    patience: Duration,
) -> Result<(), String> {
    for version in restoration.remade() {
        match settled(control, version, patience).map_err(|error| error.to_string())? {
            Standing::Normal { .. } => {}
            Standing::Error(fault) => {
                return Err(format!("{version} is in error ({}): {}", fault.code, fault.detail));
            }
            Standing::Creating => {
                let patience = show_duration(patience);
                return Err(format!("{version} did not become normal within {patience}"));
            }
        }
    }
    if restoration.is_empty() {
        return Ok(());
    }
    control.look().map_err(|error| error.to_string())?;
    match control.view().held() {
        Some(held) => Err(format!("what was written is not served: {held}")),
        None => Ok(()),
    }
}

/// Compares what is served now with what was to come back, where a process has recorded it, or else
/// what the file declares. Returns the generation of that record.
fn look_again<C: Control>(control: &C, plan: &Plan, back: &mut Back) -> Option<u64> {
    let then = plan.then()?;
    let has_process = control.view().has_process();
    let HistoryDocument { records, parts, .. } = match control.history(1) {
        Ok(document) => document,
        Err(error) => {
            back.unknown.push(format!("what is served now: {error}"));
            return None;
        }
    };
    let now = Now::new(control, records.first(), &parts);
    let declared = now.declared();
    let served = now.state(&declared);
    if has_process && served.contents.is_none() {
        back.unknown.push("what is served now is not recorded".to_owned());
        return None;
    }
    match Restoration::of(&then, &plan.found.to, &now) {
        Ok(rest) => back.differs.extend(rest.lines()),
        Err(lost) => back.lost = lost.reasons,
    }
    let then = State { shares: plan.found.to.clone(), contents: Some(then) };
    if back.differs.is_empty() && back.lost.is_empty() && !served.is_like(&then) {
        back.differs.push(format!("{} is served", served.shares));
    }
    if has_process {
        // The process has looked the secrets up, and recorded what they are.
        back.unknown.clear();
    }
    records.first().map(|record| record.generation)
}

/// Puts back what the file said, and says why.
fn put_back<C: Control>(
    control: &mut C,
    request: &Request,
    edited: Edited<C::Saved>,
    generation: Option<u64>,
    why: String,
) -> C::Error {
    let back: PutBack<C::Error> = control.put_back(edited, request.note.put_back());
    let left = back.words("nothing was changed: the file is again what it was");
    let service = control.view().service.name.clone();
    let why = Refusal::NotBack { service, generation, why }.told();
    Refusal::HalfDone { why, fault: None, left }.into()
}

fn contents_of(generation: u64, history: &HistoryDocument) -> Option<Contents<'_>> {
    let HistoryDocument { records, parts, .. } = history;
    let is_it = |record: &&Record| record.generation == generation;
    records.iter().find(is_it)?.contents(parts)
}

/// Whether a generation gave everything to the latest version.
fn had_latest(found: &Rollback, history: &HistoryDocument) -> bool {
    let contents = found.generation.and_then(|generation| contents_of(generation, history));
    contents.is_some_and(|contents| {
        contents.policy.get("latest").and_then(toml::Value::as_bool) == Some(true)
    })
}

/// What is written of the versions that are bad, as they are now. Where a version that goes on serving
/// is made of the same component, it is not the component that is bad, but what it was given: its
/// environment.
fn quarantine(
    ground: &impl Ground,
    losers: &[VersionName],
    to: &Shares,
    back: Option<&Restoration>,
) -> Vec<Quarantined> {
    let service = ground.service();
    let spec = |name: &VersionName| service.versions.iter().find(|spec| spec.name == *name);
    let serving = to.takers().filter_map(|(name, _)| {
        let other = back.and_then(|back| back.component(name));
        other.or_else(|| ground.made_of(spec(name)?))
    });
    let serving: Vec<String> = serving.collect();
    let entry = |name: &VersionName| {
        let spec = spec(name)?;
        let made = ground.made_of(spec)?;
        let env = serving.contains(&made).then(|| spec.env_digest());
        Some(Quarantined { digest: made.parse().ok()?, env, version: name.clone(), remark: None })
    };
    losers.iter().filter_map(entry).collect()
}
